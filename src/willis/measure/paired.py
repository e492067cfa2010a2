"""Several methods on the same cases: means, deviations, and paired tests that know how many they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from willis.errors import BadInputError

Floats = npt.NDArray[np.float64]
DECIMALS = 12  # of a difference over the largest score: rounding changes the sixteenth


@dataclass(frozen=True)
class PairedTest:
    """Wilcoxon's signed-rank test of two methods.

    Parameters
    ----------
    one, other
        The methods.
    difference
        Mean of one minus other.
    p, p_holm
        Two-sided, and adjusted for the number of tests; NaN when no case differs.
    cases
        Cases in which both have a value.
    """

    one: str
    other: str
    difference: float
    p: float
    p_holm: float
    cases: int


def paired_tests(scores: Mapping[str, Sequence[float]]) -> list[PairedTest]:
    """Every pair of methods, tested on the cases in which both have a value.

    Differences that are equal but for rounding are ties, and those that are rounding alone are none.

    Parameters
    ----------
    scores
        By method one value for each case, in one order; NaN where undefined.

    Raises
    ------
    BadInputError
        When the methods have different numbers of cases, or a score is infinite.

    References
    ----------
    Wilcoxon 1945, doi:10.2307/3001968; Holm 1979, Scandinavian Journal of Statistics 6:65-70.
    """
    if len({len(values) for values in scores.values()}) > 1:
        counts = ", ".join(f"{name} {len(values)}" for name, values in scores.items())
        raise BadInputError(f"paired tests need the same cases of every method; found {counts}.")
    if endless := [name for name, values in scores.items() if np.isinf(np.asarray(values, dtype=float)).any()]:
        raise BadInputError(
            f"{endless[0]} has an infinite score; left out, it would better the method's mean. Give the worst value "
            "that there is."
        )
    found = []
    for one, other in combinations(scores, 2):
        a, b = np.asarray(scores[one], dtype=float), np.asarray(scores[other], dtype=float)
        difference = (a - b)[np.isfinite(a) & np.isfinite(b)]
        p = float("nan")
        if (ranked := _without_rounding(difference, a, b)).any():
            p = float(stats.wilcoxon(ranked).pvalue)
        mean = float(difference.mean()) if difference.size else float("nan")
        found.append((one, other, mean, p, int(difference.size)))
    adjusted = holm([p for *_, p, _ in found])
    return [PairedTest(o, t, d, p, q, n) for (o, t, d, p, n), q in zip(found, adjusted, strict=True)]


def _without_rounding(difference: Floats, *scores: Floats) -> Floats:
    """Differences in units of the largest score, to as many decimals as the subtraction leaves."""
    largest = max((float(np.abs(s[np.isfinite(s)]).max(initial=0.0)) for s in scores), default=0.0)
    return np.asarray(np.round(difference / largest, DECIMALS) if largest else difference)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted so that the chance of any false positive keeps the level; NaN stays, and isn't counted.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    out = np.full(p.shape, np.nan)
    tested = np.flatnonzero(np.isfinite(p))
    largest = 0.0
    for rank, index in enumerate(tested[np.argsort(p[tested], kind="stable")]):
        largest = max(largest, min(1.0, float(p[index]) * (tested.size - rank)))
        out[index] = largest
    return [float(value) for value in out]
