"""Many cases: mean, spread and bootstrap interval of every metric, and agreement of volumes and counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from willis.measure.agreement import (
    BlandAltman,
    Icc,
    Interval,
    bland_altman,
    bootstrap_interval,
    icc_agreement,
    icc_consistency,
)
from willis.measure.case import METRICS
from willis.measure.metric import Metric

Row = Mapping[str, float]


@dataclass(frozen=True)
class Summary:
    """One metric over the cases where it is defined.

    Parameters
    ----------
    metric
        Which.
    count, undefined
        Cases in the mean, and cases whose empty reference leaves the metric undefined.
    mean, spread, median
        NaN without a case; the spread (n − 1) is NaN for one.
    interval
        Of the mean, 95 %, by bootstrap over cases; NaN for fewer than two.
    """

    metric: Metric
    count: int
    undefined: int
    mean: float
    spread: float
    median: float
    interval: Interval


@dataclass(frozen=True)
class Agreement:
    """Predicted against reference numbers of one kind over the cohort."""

    name: str
    bland_altman: BlandAltman
    icc_agreement: Icc
    icc_consistency: Icc


def summarise(rows: Sequence[Row], seed: int) -> list[Summary]:
    """Summarise what :func:`willis.measure.case.evaluate_case` gave of each case, in the order of METRICS.

    Every metric's interval draws the same cases, from ``seed``.
    """
    return [_summary(metric, np.array([row[metric.name] for row in rows]), seed) for metric in METRICS]


def agree(rows: Sequence[Row]) -> list[Agreement]:
    """Bland-Altman and ICC of volumes (ml) and lesion counts; empty for fewer than two cases."""
    if len(rows) < 2:
        return []
    names = {"volume_ml": ("predicted_ml", "reference_ml"), "lesions": ("predicted_lesions", "reference_lesions")}
    found = []
    for name, columns in names.items():
        table = np.array([[row[column] for column in columns] for row in rows])
        limits = bland_altman(table[:, 0], table[:, 1])
        found.append(Agreement(name, limits, icc_agreement(table), icc_consistency(table)))
    return found


def _summary(metric: Metric, values: np.ndarray[tuple[int], np.dtype[np.float64]], seed: int) -> Summary:
    defined = values[~np.isnan(values)]
    n = defined.size
    return Summary(
        metric=metric,
        count=n,
        undefined=values.size - n,
        mean=float(defined.mean()) if n else math.nan,
        spread=float(defined.std(ddof=1)) if n > 1 else math.nan,
        median=float(np.median(defined)) if n else math.nan,
        interval=bootstrap_interval(defined, np.random.default_rng(seed)),
    )
