"""How like the parts of a split are: counts in bins, Mann-Whitney's test, Kolmogorov and Smirnov's distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from willis.measure.size_bins import count_in_bins


@dataclass(frozen=True)
class Balance:
    """How one part stands to all the others together.

    Parameters
    ----------
    items
        Number of subjects, or of slices.
    bins
        How many of them lie in each bin.
    worst_deviation
        Largest difference between a bin's count and the part's share of it, in items.
    mann_whitney_p
        Two-sided, part against the rest; NaN when either is empty.
    ks_distance
        Largest difference of the two cumulative distributions; NaN when either is empty.
    """

    items: int
    bins: tuple[int, ...]
    worst_deviation: float
    mann_whitney_p: float
    ks_distance: float


def balance_of(part: npt.ArrayLike, rest: npt.ArrayLike, edges: Sequence[int], share: float) -> Balance:
    """Compare the sizes of one part with those of the rest.

    Parameters
    ----------
    part, rest
        Lesion voxels of each item.
    edges
        Of the bins.
    share
        The part of all items that this part should hold, in [0, 1].

    References
    ----------
    Mann and Whitney 1947, doi:10.1214/aoms/1177730491.
    """
    mine, others = np.asarray(part, dtype=float), np.asarray(rest, dtype=float)
    bins = count_in_bins(mine, edges)
    expected = share * (bins + count_in_bins(others, edges))
    p = distance = float("nan")
    if mine.size and others.size:
        p = float(stats.mannwhitneyu(mine, others, alternative="two-sided").pvalue)
        distance = _ks_distance(mine, others)
    worst = float(np.abs(bins - expected).max())
    return Balance(int(mine.size), tuple(int(n) for n in bins), worst, p, distance)


def _ks_distance(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """D of Smirnov 1948, doi:10.1214/aoms/1177730256."""
    points = np.concatenate([a, b])
    return float(np.abs(_cumulative(a, points) - _cumulative(b, points)).max())


def _cumulative(sample: npt.NDArray[np.float64], points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.searchsorted(np.sort(sample), points, side="right") / sample.size
