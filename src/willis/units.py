"""Units and counts of what crosses the house, spelt one way."""

from collections.abc import Iterable
from typing import Literal

Unit = Literal[
    "", "ml", "mm", "mm2", "mm3", "%", "1", "count", "s", "HU", "mm2/s", "um2/ms", "ml/100g/min", "ml/100g", "years"
]

MM3_PER_ML = 1000.0  # 1 ml = 1 cm³
MM_PER_M = 1000.0
MM_PER_UM = 0.001


MOST_DECIMALS = 9


def apart(value: float, bound: float, decimals: int) -> tuple[str, str]:
    """A value and a bound in words that, rounded, stay as they are to each other: below, above or the same.

    Parameters
    ----------
    decimals
        Of both; more where so few would show them as the same, or another way round.

    >>> apart(0.498, 0.5, 2), apart(2.124, 0.5, 2), apart(0.03, 0, 1)
    (('0.498', '0.500'), ('2.12', '0.50'), ('0.03', '0.00'))
    """
    for places in range(decimals, MOST_DECIMALS):
        words = f"{value:.{places}f}", f"{bound:.{places}f}"
        if value == bound or float(words[0]) != float(words[1]):
            return words
    return f"{value:.{MOST_DECIMALS}f}", f"{bound:.{MOST_DECIMALS}f}"


def beside(value: float, bounds: Iterable[float], decimals: int) -> str:
    """A number with so many decimals; with more where it would lie on a bound that it isn't, or beyond it.

    >>> beside(0.498, [0.5], 2), beside(69.97, [21, 70], 1), beside(70, [70], 1)
    ('0.498', '69.97', '70.0')
    """
    held = list(bounds)
    for places in range(decimals, MOST_DECIMALS + 1):
        words = f"{value:.{places}f}"
        if all(_order(float(words), bound) == _order(value, bound) for bound in held):
            return words
    return repr(float(value))


def _order(value: float, bound: float) -> int:
    """-1, 0 or 1: below the bound, on it or above."""
    return int(value > bound) - int(value < bound)


def rounded(value: float, decimals: int) -> str:
    """A number with so many decimals; with more where it would read 0 and isn't.

    >>> rounded(4.24, 1), rounded(0.03, 1), rounded(0, 1)
    ('4.2', '0.03', '0.0')
    """
    return beside(value, [0], decimals)


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun, for messages.

    Parameters
    ----------
    count
        Of things.
    noun, plural
        What one and what several are called; several have an s where no plural is given.

    >>> counted(1, "patient"), counted(0, "patient"), counted(2, "axis", "axes")
    ('1 patient', '0 patients', '2 axes')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"
