"""``willis evaluate --groups``: the measures of each group of cases, and who could not be counted in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from willis.app.cli.evaluate_tables import number
from willis.io.bids import patient_of
from willis.io.groups import ALL, Grouping
from willis.measure.by_group import scores_by_slice, scores_of_group
from willis.measure.cohort import Agreement, Summary, agree, summarise

if TYPE_CHECKING:
    from willis.app.cli.evaluate import CaseResult

SHOWN_NAMES = 5  # most names that a sentence lists


@dataclass(frozen=True)
class GroupResult:
    """One group: its scores in the published kind of table, and every metric.

    Parameters
    ----------
    name
        Of the group, or ``all``.
    failed
        Cases of it that count in nothing.
    scores
        Of :func:`willis.measure.by_group.scores_of_group`; empty without a case that was evaluated.
    summaries, agreements
        As of a whole cohort.
    """

    name: str
    failed: int
    scores: Mapping[str, Any]
    summaries: Sequence[Summary]
    agreements: Sequence[Agreement]


def results_of_groups(results: Sequence[CaseResult], grouping: Grouping, seed: int) -> list[GroupResult]:
    """Each group in the order of the table, then all cases, those without a group among them."""
    groups = [name for name in grouping.names if name not in grouping.empty]
    found = []
    for name in (*groups, ALL):
        mine = [r for r in results if name in (ALL, grouping.of_case.get(r.pair.case))]
        done = [r for r in mine if r.values]
        rows = [r.values for r in done]
        counts = [r.slices for r in done if r.slices is not None]
        scores = scores_of_group(counts) if counts else {}
        failed = sum(r.failed for r in mine)
        summaries = summarise(rows, seed, patients_of(done)) if rows else []
        found.append(GroupResult(name, failed, scores, summaries, agree(rows)))
    return found


def patients_of(results: Sequence[CaseResult]) -> list[str]:
    """Whom each case is of: sessions and runs of one ``sub-`` are of one."""
    return [patient_of(result.pair.case) for result in results]


def group_rows(groups: Sequence[GroupResult]) -> list[dict[str, Any]]:
    """One row a group: cases that count and that don't, then the scores, which here are of cases, not of patients."""
    columns = next(group.scores for group in reversed(groups) if group.scores)
    return [
        {
            "group": group.name,
            "cases": group.scores.get("patients", 0),
            "failed": group.failed,
            **{name.replace("patients", "cases"): group.scores.get(name) for name in columns if name != "patients"},
        }
        for group in groups
    ]


def measures_record(summaries: Sequence[Summary], agreements: Sequence[Agreement]) -> dict[str, Any]:
    """Metrics and agreement of a cohort or of a group, by name."""
    return {
        "metrics": {
            s.metric.name: {
                "mean": s.mean,
                "interval": s.interval,
                "spread": s.spread,
                "median": s.median,
                "cases": s.count,
                "undefined": s.undefined,
                "unit": s.metric.unit,
                "better": s.metric.better,
            }
            for s in summaries
        },
        "agreement": {a.name: {key: value for key, value in asdict(a).items() if key != "name"} for a in agreements},
    }


def groups_record(groups: Sequence[GroupResult], grouping: Grouping) -> dict[str, Any]:
    """All that is measured of the groups, and who is in none."""
    rows = zip(groups, group_rows(groups), strict=True)
    return {
        "groups": {
            group.name: {
                "scores": {name: value for name, value in row.items() if name != "group"},
                **measures_record(group.summaries, group.agreements),
            }
            for group, row in rows
        },
        "without_group": grouping.no_group,
        "groups_without_case": grouping.empty,
        "named_without_case": grouping.no_case,
    }


def slice_rows(results: Sequence[CaseResult], grouping: Grouping) -> list[dict[str, Any]]:
    """One row a slice of every case that was evaluated."""
    return [
        {"case": result.pair.case, "group": grouping.of_case.get(result.pair.case), **row}
        for result in results
        if result.slices is not None
        for row in scores_by_slice(result.slices)
    ]


def sentences(grouping: Grouping, table: Path) -> Iterator[str]:
    """What the table leaves open: cases without a group, groups and names without a case."""
    if grouping.no_group:
        yield f"Without a group in {table.name}, so only under {ALL!r}: {_listed(grouping.no_group)}."
    if grouping.empty:
        yield f"Groups of {table.name} without a case here: {_listed(grouping.empty)}."
    if grouping.no_case:
        yield f"Named in {table.name}, but no case here: {_listed(grouping.no_case)}."


def score_table(groups: Sequence[GroupResult]) -> Table:
    """Groups as rows, in the columns that publications print."""
    table = Table("group", title="By group")
    for title in ("cases", "with lesion", "Dice of cases", "of slices", "of voxels", "precision", "sensitivity",
                  "R, ml", "P, ml", "false finds", "largest, ml"):  # fmt: skip
        table.add_column(title, justify="right")
    for group in groups:
        s = group.scores
        shown = (
            _count(s.get("patients", 0), group.failed),
            str(s.get("with_label", 0)),
            _spread(s.get("dice_patients"), s.get("dice_patients_sd")),
            _spread(s.get("dice_slices"), s.get("dice_slices_sd")),
            *(_given(s.get(name)) for name in ("dice_voxels", "precision_voxels", "sensitivity_voxels")),
            *(_given(s.get(name)) for name in ("true_ml", "found_ml")),
            f"{s['false_patients']} of {s['patients'] - s['with_label']}" if s else "",
            _given(s.get("largest_false_ml")),
        )
        table.add_row(group.name, *shown)
    return table


def metric_table(groups: Sequence[GroupResult]) -> Table:
    """Metrics as rows and groups as columns: mean ± SD, and in how many cases each is defined."""
    shown = [group for group in groups if group.summaries]
    table = Table("metric", title="Mean ± SD (cases) by group")
    for group in shown:
        table.add_column(group.name, justify="right")
    for of_groups in zip(*(group.summaries for group in shown), strict=True):
        metric = of_groups[0].metric
        unit = "" if metric.unit in ("", "1", "count") else f", {metric.unit}"
        table.add_row(metric.title + unit, *(f"{_spread(s.mean, s.spread)} ({s.count})" for s in of_groups))
    return table


def _count(done: int, failed: int) -> str:
    return f"{done} (and {failed} failed)" if failed else str(done)


def _spread(mean: float | None, spread: float | None) -> str:
    around = "" if spread is None or spread != spread else f" ± {number(spread)}"
    return _given(mean) + around


def _given(value: float | None) -> str:
    return "n/a" if value is None else number(value)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(names[:SHOWN_NAMES]) + more
