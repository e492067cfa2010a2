"""Units and counts of what crosses the house, spelt one way."""

from typing import Literal

Unit = Literal[
    "", "ml", "mm", "mm2", "mm3", "%", "1", "count", "s", "HU", "mm2/s", "um2/ms", "ml/100g/min", "ml/100g", "years"
]

MM3_PER_ML = 1000.0  # 1 ml = 1 cm³
MM_PER_M = 1000.0
MM_PER_UM = 0.001


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
