"""How well a score tells two kinds of patients apart: AUC, sensitivity, specificity, with intervals."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import norm, rankdata

from willis.errors import BadInputError

Interval = tuple[float, float]
TOUCH = 1e-9  # nearer to an end of the scale or to each other, two areas are one


class Share(NamedTuple):
    """A share of cases, with its interval.

    Parameters
    ----------
    hits, cases
        Cases that have it, of so many; the share is NaN of none.
    interval
        Wilson's (1927, doi:10.1080/01621459.1927.10502953), 95 %.
    """

    hits: int
    cases: int
    interval: Interval

    @property
    def value(self) -> float:
        """Hits over cases."""
        return self.hits / self.cases if self.cases else math.nan

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} ({low:.3f} to {high:.3f}; {self.hits} of {self.cases})"


def share(flags: npt.ArrayLike, level: float = 0.95) -> Share:
    """Share of cases that have something.

    Parameters
    ----------
    flags
        (n,) of 0 and 1.

    Raises
    ------
    BadInputError
        When one is anything else.
    """
    kept = _flags(flags)
    n, hits = kept.size, int(kept.sum())
    if n == 0:
        return Share(0, 0, (math.nan, math.nan))
    z = float(norm.ppf((1 + level) / 2))
    p = hits / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Share(hits, n, (max(middle - half, 0.0), min(middle + half, 1.0)))


def sensitivity(score: npt.ArrayLike, positive: npt.ArrayLike, threshold: float) -> Share:
    """Share of positive cases whose score reaches the threshold."""
    s, y = _pair(score, positive)
    return share(s[y] >= threshold)


def specificity(score: npt.ArrayLike, positive: npt.ArrayLike, threshold: float) -> Share:
    """Share of negative cases whose score stays below the threshold."""
    s, y = _pair(score, positive)
    return share(s[~y] < threshold)


def auc(score: npt.ArrayLike, positive: npt.ArrayLike) -> float:
    """Area under the ROC curve: how often a positive case scores higher than a negative one, ties counting half.

    NaN when one kind is missing.

    References
    ----------
    Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747
    """
    s, y = _pair(score, positive)
    many, few = int(y.sum()), int((~y).sum())
    if not many or not few:
        return math.nan
    ranks = rankdata(s)
    return float((ranks[y].sum() - many * (many + 1) / 2) / (many * few))


def auc_interval(
    score: npt.ArrayLike, positive: npt.ArrayLike, rng: np.random.Generator, *, resamples: int = 2000
) -> Interval:
    """95 % of the AUC over resamples of each kind of cases, and at least as wide as :func:`newcombe_interval`.

    Resamples alone are too alike where cases are few: those of cases told apart without an error all have an AUC of 1.
    """
    s, y = _pair(score, positive)
    if y.all() or not y.any():
        return math.nan, math.nan
    ups, downs = s[y], s[~y]
    labels = np.r_[np.ones(ups.size), np.zeros(downs.size)]
    drawn = [auc(np.r_[rng.choice(ups, ups.size), rng.choice(downs, downs.size)], labels) for _ in range(resamples)]
    least, most = newcombe_interval(auc(s, y), ups.size, downs.size)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return min(float(low), least), max(float(high), most)


def newcombe_interval(area: float, ups: int, downs: int, level: float = 0.95) -> Interval:
    """Areas that an AUC of so many positive and negative cases is not significantly off, by their own variance.

    References
    ----------
    Newcombe 2006, method 5, doi:10.1002/sim.2324
    """
    z = float(norm.ppf((1 + level) / 2))
    mean_size = (ups + downs) / 2

    def beyond(true: float) -> float:
        pairs = 2 * mean_size - 1 - (3 * mean_size - 3) / ((2 - true) * (1 + true))
        return (area - true) ** 2 - z**2 * true * (1 - true) / (ups * downs) * pairs

    low = brentq(beyond, 0.0, area - TOUCH) if area > TOUCH else 0.0
    high = brentq(beyond, area + TOUCH, 1.0) if area < 1 - TOUCH else 1.0
    return float(low), float(high)


def _pair(score: npt.ArrayLike, positive: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    s, y = np.asarray(score, dtype=np.float64).ravel(), _flags(positive)
    if s.shape != y.shape or not np.isfinite(s).all():
        raise BadInputError(f"scores and labels must be finite and as many as each other; found {s.size} and {y.size}.")
    return s, y


def _flags(values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    found = np.asarray(values).ravel()
    if found.size and not np.isin(found, (0, 1)).all():
        raise BadInputError("labels must be 0 or 1, or booleans; found others.")
    return found.astype(bool)
