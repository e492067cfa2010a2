"""TaskSpec: what a task needs, offers and gives, as pure data.

The command line's choices, ``willis info``, the reference pages and the checks of a study are all made from it, so
that they can't drift apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from willis.errors import BadInputError, invalid_option
from willis.units import Unit

OptionKind = Literal["flag", "integer", "number", "choice", "text", "path"]
OptionValue = bool | int | float | str | Path | None


@dataclass(frozen=True)
class RoleSpec:
    """One image that a task reads.

    Parameters
    ----------
    name
        Key in ``Study.volumes``, and the flag: ``flair`` is given with ``--flair``.
    title
        For people: ``"FLAIR"``.
    description
        One sentence: what the image must show, and what it is used for.
    required
        Whether the task can't do without it; see also ``TaskSpec.one_of``.
    is_mask
        A mask, not an image: its flag is ``--brain-mask`` for the role ``brain``.
    suffixes
        What its files' names end in where patients lie in a BIDS folder: ``T1w``; none where folders don't hold it.
    """

    name: str
    title: str
    description: str
    required: bool = False
    is_mask: bool = False
    suffixes: tuple[str, ...] = ()

    @property
    def argument(self) -> str:
        """Name of the keyword of ``read_study``: ``flair``, ``brain_mask``."""
        return f"{self.name}_mask" if self.is_mask else self.name

    @property
    def flag(self) -> str:
        """The flag of the command line: ``--flair``, ``--brain-mask``."""
        return "--" + self.argument.replace("_", "-")


@dataclass(frozen=True)
class OptionSpec:
    """One choice that a task leaves to its user.

    Parameters
    ----------
    name
        Snake case, the key in ``options``; ``bias_field`` is given with ``--bias-field`` or ``--no-bias-field``.
    kind
        ``flag``, ``integer``, ``number``, ``choice``, ``text`` or ``path``.
    default
        Value when nothing is given; None stands for "as the bundle's manifest says", or for nothing.
    help
        One sentence, with the unit of a number.
    choices
        The closed list of a ``choice``.
    least, most
        Ends of a number's allowed range, both included; None where open.
    one_patient
        Whether it is one patient's own, such as his age, and can't be given for all of a folder.
    """

    name: str
    kind: OptionKind
    default: OptionValue
    help: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    one_patient: bool = False

    @property
    def flag(self) -> str:
        """The flag of the command line."""
        return "--" + self.name.replace("_", "-")

    def checked(self, value: Any) -> OptionValue:
        """The value in its right type.

        Raises
        ------
        BadInputError
            When it is of another kind, outside the list, or outside the range.
        """
        if value is None:
            return self.default
        if self.kind in ("integer", "number"):
            return self._ranged(value)
        if self.kind == "choice" and value not in self.choices:
            raise invalid_option(self.flag, value, self.choices)
        if self.kind == "path" and isinstance(value, str | Path):
            return Path(value)
        if (self.kind == "flag" and isinstance(value, bool)) or (
            self.kind in ("choice", "text") and isinstance(value, str)
        ):
            return value
        raise BadInputError(f"{self.flag} takes {_article(self.kind)}; found {value!r}.")

    def _ranged(self, value: Any) -> float | int:
        if isinstance(value, bool) or not isinstance(value, int if self.kind == "integer" else int | float):
            raise BadInputError(f"{self.flag} takes {_article(self.kind)}; found {value!r}.")
        low = -math.inf if self.least is None else self.least
        high = math.inf if self.most is None else self.most
        if not low <= value <= high:
            raise BadInputError(f"{self.flag} is {value}; allowed is {low:g} to {high:g}.")
        return value if self.kind == "integer" else float(value)


THRESHOLD = OptionSpec(
    "threshold",
    "number",
    None,
    "Probability from which a voxel counts; default: the bundle's.",
    least=0.01,
    most=0.99,
)
MIN_SIZE = OptionSpec(
    "min_size",
    "number",
    None,
    "Least volume of a lesion in mm³; default: the bundle's, at 1 mm³ a voxel.",
    least=0.0,
    most=1000.0,
)


@dataclass(frozen=True)
class LabelSpec:
    """One mask that a task writes: ``*_label-<name>_mask.nii.gz``."""

    name: str
    title: str
    description: str


@dataclass(frozen=True)
class MeasurementSpec:
    """One number that a task gives, or a family of them: ``wmh_<region>_volume``."""

    name: str
    unit: Unit
    description: str


@dataclass(frozen=True)
class Citation:
    """A publication: authors and year, what it is, and where."""

    text: str
    doi: str


@dataclass(frozen=True)
class TaskSpec:
    """All that can be known of a task without running it.

    Parameters
    ----------
    name
        Short, lower case: ``wmh``; the word after ``willis run``.
    title
        For people: ``"White matter hyperintensities"``.
    description
        One line: what is found in what.
    roles
        Images that it reads, in the order of the network's channels where it has them.
    labels, measurements
        What it writes.
    citations
        Who invented the method.
    intended_use
        One or two sentences, shown by the command line and in every report.
    default_bundle
        Name of the bundle used when none is given; None when the task needs no network.
    options
        Choices left to the user.
    one_of
        Groups of roles of which at least one must be given.
    each_image
        Whether of a folder every image is run by itself, not every session: of a task that takes any contrast.
    """

    name: str
    title: str
    description: str
    roles: tuple[RoleSpec, ...]
    labels: tuple[LabelSpec, ...]
    measurements: tuple[MeasurementSpec, ...]
    citations: tuple[Citation, ...]
    intended_use: str
    default_bundle: str | None
    options: tuple[OptionSpec, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    each_image: bool = False

    def role(self, name: str) -> RoleSpec:
        """The role of that name.

        Raises
        ------
        BadInputError
            When the task reads no such image.
        """
        for role in self.roles:
            if role.name == name:
                return role
        raise BadInputError(f"{self.name} doesn't read {name}; it reads {_listed(r.name for r in self.roles)}.")

    def check_roles(self, given: Iterable[str]) -> None:
        """Refuse a set of images that the task can't work with.

        Raises
        ------
        BadInputError
            When a required image is missing, none of a group is there, or one is of no use.
        """
        have = set(given)
        for name in sorted(have):
            self.role(name)
        missing = [role.flag for role in self.roles if role.required and role.name not in have]
        if missing:
            raise BadInputError(f"{self.name} needs {_listed(missing)}; {_given(self, have)}.")
        for group in self.one_of:
            if not have.intersection(group):
                flags = " or ".join(self.role(name).flag for name in group)
                raise BadInputError(f"{self.name} needs {flags}; {_given(self, have)}.")

    def resolve_options(self, given: Mapping[str, Any]) -> dict[str, OptionValue]:
        """Every option of the task with its value: what was given, checked, and the defaults of the rest.

        Raises
        ------
        BadInputError
            When an option is unknown or its value isn't allowed.
        """
        known = {option.name: option for option in self.options}
        unknown = sorted(set(given) - set(known))
        if unknown:
            raise BadInputError(
                f"{self.name} has no option {unknown[0]!r}; its options are {_listed(known) or 'none'}."
            )
        return {name: option.checked(given.get(name)) for name, option in known.items()}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _given(spec: TaskSpec, have: set[str]) -> str:
    flags = [role.flag for role in spec.roles if role.name in have]
    return f"given {'was' if len(flags) < 2 else 'were'} {_listed(flags) or 'no image'}"


def _article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
