"""The interval that a true volume lies in, from volumes found and true in cases that a model never learned from."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError

OFFSET_ML = 1.0  # keeps the ratio of two small volumes from meaning much


class RatioInterval(NamedTuple):
    """Factors between which true over found volume lies, both with ``offset_ml`` added."""

    low: float
    high: float
    offset_ml: float = OFFSET_ML

    def around(self, found_ml: float) -> tuple[float, float]:
        """Low and high end in ml for a volume that was found; none below 0.

        >>> RatioInterval(0.5, 2.0).around(9.0)
        (4.0, 19.0)
        """
        low, high = (factor * (found_ml + self.offset_ml) - self.offset_ml for factor in (self.low, self.high))
        return max(0.0, low), max(0.0, high)


def fit_ratio_interval(
    found_ml: npt.ArrayLike, true_ml: npt.ArrayLike, coverage: float = 0.9, offset_ml: float = OFFSET_ML
) -> RatioInterval:
    """The ratios that split conformal prediction takes, half of the error allowed on either side.

    Where n cases and the next one are exchangeable, its ratio lies between those of rank
    ``floor((n + 1)(1 − coverage) / 2)`` and ``ceil((n + 1)(1 + coverage) / 2)`` with a probability of at least
    ``coverage``, whatever their distribution.

    Parameters
    ----------
    found_ml, true_ml
        (N,) volumes of the same cases, ml, at least 0.
    coverage
        Within (0, 1).
    offset_ml
        Added to both before they are divided, above 0.

    Raises
    ------
    BadInputError
        When lengths differ, a volume is negative or not finite, coverage or offset lie outside their range, or there
        are too few cases for the coverage.

    References
    ----------
    .. [1] Lei et al. 2018, distribution-free predictive inference for regression, doi:10.1080/01621459.2017.1307116
    """
    found, true = np.asarray(found_ml, np.float64), np.asarray(true_ml, np.float64)
    if found.shape != true.shape or found.ndim != 1:
        raise BadInputError(
            f"found and true volumes have the shapes {found.shape} and {true.shape}; both must be (N,)."
        )
    if not ((found >= 0) & (true >= 0) & np.isfinite(found) & np.isfinite(true)).all():
        raise BadInputError("a volume is negative or not finite; volumes are ml, at least 0.")
    if not (0 < coverage < 1 and 0 < offset_ml < math.inf):
        raise BadInputError(
            f"coverage is {coverage:g} and offset_ml {offset_ml:g}; the one lies between 0 and 1, the other is above 0."
        )
    low, high = _ranks(len(found), coverage)
    ratios = np.sort((true + offset_ml) / (found + offset_ml))
    return RatioInterval(float(ratios[low - 1]), float(ratios[high - 1]), offset_ml)


def _ranks(count: int, coverage: float) -> tuple[int, int]:
    tail = round((1 - coverage) / 2, 12)
    low = math.floor((count + 1) * tail)
    if low < 1:
        least = math.ceil(1 / tail) - 1
        raise BadInputError(
            f"{count} cases are too few for an interval that holds {100 * coverage:g} %; {least} are needed."
        )
    return low, count + 1 - low
