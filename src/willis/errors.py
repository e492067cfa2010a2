"""The errors that willis raises.

Each message is one sentence or two for a person: what is wrong, what was found, what is allowed, what to do.
The library raises; only the command line exits.
"""

from collections.abc import Iterable


class WillisError(Exception):
    """Base of every error that willis raises on purpose."""


class BadInputError(WillisError, ValueError):
    """Something that the user gave can't be used: a file, a value, a combination."""


class GeometryError(BadInputError):
    """A grid, an affine or a pair of grids that can't be trusted."""


class BundleError(WillisError):
    """A bundle that is absent, incomplete, altered or of another kind than asked for."""


class MissingExtraError(WillisError, ImportError):
    """An optional dependency is needed that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{package} is needed to {purpose} and is not installed. Run: pip install 'willis[{extra}]'.")


class MissingProgramError(WillisError):
    """A program of others is needed that is not on the PATH."""

    def __init__(self, program: str, purpose: str, home: str) -> None:
        super().__init__(
            f"{program} is needed to {purpose} and is not on the PATH. Install it from {home} and put it there."
        )


def invalid_option(name: str, found: object, allowed: Iterable[object]) -> BadInputError:
    """Make the error for a value outside a closed list, so that all such messages read alike.

    >>> str(invalid_option("kernel", "cubic", ["linear", "nearest"]))
    "kernel is 'cubic'; allowed are 'linear', 'nearest'."
    """
    return BadInputError(f"{name} is {found!r}; allowed are {', '.join(repr(a) for a in allowed)}.")
