"""Agreement of two raters beyond chance."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError


def cohen_kappa(one: npt.ArrayLike, two: npt.ArrayLike) -> float:
    """Cohen's kappa of two raters' classes: 1 when they always agree, 0 when as often as by chance.

    NaN when both always say one and the same class, and of no cases.

    Parameters
    ----------
    one, two
        (n,) classes, whole numbers or booleans.

    Raises
    ------
    BadInputError
        When they are not as many, or a class isn't a whole number.

    References
    ----------
    Cohen 1960, doi:10.1177/001316446002000104.

    Examples
    --------
    >>> cohen_kappa([0, 0, 1, 1], [0, 0, 1, 0])
    0.5
    """
    a, b = np.asarray(one, dtype=np.float64).ravel(), np.asarray(two, dtype=np.float64).ravel()
    if a.size != b.size:
        raise BadInputError(f"the raters judged {a.size} and {b.size} cases; they must be the same ones.")
    if not (np.array_equal(a, np.rint(a)) and np.array_equal(b, np.rint(b))):
        raise BadInputError("classes are whole numbers; found a fraction or NaN. Turn scores into classes first.")
    if not a.size:
        return math.nan
    agreed = float(np.mean(a == b))
    chance = float(sum(np.mean(a == k) * np.mean(b == k) for k in np.union1d(a, b)))
    return math.nan if chance == 1 else (agreed - chance) / (1 - chance)
