"""How ``willis evaluate`` shows its numbers in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from willis.measure.agreement import Icc, Interval
    from willis.measure.cohort import Agreement, Summary

CASE_COLUMNS = {
    "Dice": "dice",
    "HD95, mm": "hd95_mm",
    "P, ml": "predicted_ml",
    "R, ml": "reference_ml",
    "lesion F1": "lesion_f1",
    "PQ": "panoptic_quality",
}


def case_table(cases: Sequence[tuple[str, Mapping[str, float]]]) -> Table:
    """A few numbers of every case; P is the prediction, R the reference."""
    table = Table("case", title="Cases")
    for title in CASE_COLUMNS:
        table.add_column(title, justify="right")
    for case, values in cases:
        table.add_row(case, *(number(values[name]) for name in CASE_COLUMNS.values()))
    return table


def summary_table(summaries: Sequence[Summary], cases: int) -> Table:
    """Mean with its interval, spread and median of every metric."""
    table = Table("metric", title=f"{cases} case{'' if cases == 1 else 's'}")
    for title in ("mean", "95 % interval", "SD", "median", "cases"):
        table.add_column(title, justify="right")
    for s in summaries:
        unit = "" if s.metric.unit in ("", "1", "count") else f", {s.metric.unit}"
        shown = (number(s.mean), interval(s.interval), number(s.spread), number(s.median), str(s.count))
        table.add_row(s.metric.title + unit, *shown)
    return table


def agreement_lines(agreements: Sequence[Agreement]) -> Iterator[str]:
    """Bland-Altman and ICC, one line each."""
    titles = {"volume_ml": "Volume, ml", "lesions": "Lesion count"}
    for a in agreements:
        limits = a.bland_altman
        yield (
            f"{titles[a.name]}: bias {number(limits.bias)} ({interval(limits.bias_interval)}), "
            f"limits of agreement {interval((limits.lower, limits.upper))}; "
            f"ICC(2,1) {_icc(a.icc_agreement)}, ICC(3,1) {_icc(a.icc_consistency)}"
        )


def number(value: float) -> str:
    """Four significant digits at most, and n/a where a value is undefined."""
    if math.isnan(value):
        return "n/a"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def interval(ends: Interval) -> str:
    """Low to high end; nothing when there is no interval."""
    return "" if math.isnan(ends[0]) else f"{number(ends[0])} to {number(ends[1])}"


def _icc(icc: Icc) -> str:
    return number(icc.value) + ("" if math.isnan(icc.interval[0]) else f" ({interval(icc.interval)})")
