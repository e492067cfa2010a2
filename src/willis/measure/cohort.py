"""Many cases: mean, spread and bootstrap interval of every metric, and agreement of volumes and counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from willis.measure.agreement import (
    BlandAltman,
    Floats,
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
        Of the mean, 95 %, by bootstrap over patients; NaN for fewer than two.
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


def summarise(rows: Sequence[Row], seed: int, patients: Sequence[str] | None = None) -> list[Summary]:
    """Summarise what :func:`willis.measure.case.evaluate_case` gave of each case, in the order of METRICS.

    Every metric's interval draws the same patients, from ``seed``, each with all its cases (Field and Welsh 2007,
    doi:10.1111/j.1467-9868.2007.00593.x).

    Parameters
    ----------
    rows
        One a case.
    seed
        Of the intervals.
    patients
        Whom each case is of; None when each is a patient of its own.
    """
    who = np.arange(len(rows)) if patients is None else np.unique(np.asarray(patients), return_inverse=True)[1]
    return [_summary(metric, np.array([row[metric.name] for row in rows]), who, seed) for metric in METRICS]


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


def _summary(metric: Metric, values: Floats, who: npt.NDArray[np.intp], seed: int) -> Summary:
    defined = values[~np.isnan(values)]
    n = defined.size
    return Summary(
        metric=metric,
        count=n,
        undefined=values.size - n,
        mean=float(defined.mean()) if n else math.nan,
        spread=float(defined.std(ddof=1)) if n > 1 else math.nan,
        median=float(np.median(defined)) if n else math.nan,
        interval=_interval(defined, who[~np.isnan(values)], np.random.default_rng(seed)),
    )


def _interval(values: Floats, who: npt.NDArray[np.intp], rng: np.random.Generator) -> Interval:
    """Of the mean over cases, with patients drawn; that over cases where each is of another patient."""
    patients, codes = np.unique(who, return_inverse=True)
    if patients.size == values.size:
        return bootstrap_interval(values, rng)
    sums = np.column_stack([np.bincount(codes, values), np.bincount(codes)])
    return bootstrap_interval(sums, rng, lambda drawn: float(drawn[:, 0].sum() / drawn[:, 1].sum()))
