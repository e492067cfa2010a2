"""Findings as the records that are written beside the masks, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from willis.findings import Attachment, Decision, Figure, Findings, Lesion, Mask, Measurement
from willis.io.tables import SIGNIFICANT_DIGITS, plain

Record = dict[str, Any]

MEASUREMENT_COLUMNS = ("name", "value", "unit", "interval_low", "interval_high", "label")
LESION_LABELS = ("wmh", "lesion", "core", "penumbra", "flairvisible")  # of masks that show disease, not anatomy
UNLISTED_LABELS = ("penumbra", "flairvisible")  # of masks whose parts stand in no list of lesions
LESION_COLUMNS = ("index", "volume_ml", "x_mm", "y_mm", "z_mm", "region", "probability")


def measurement_rows(findings: Findings) -> list[Record]:
    """One row a measurement, with :data:`MEASUREMENT_COLUMNS`."""
    rows = []
    for m in findings.measurements.values():
        low, high = m.interval or (None, None)
        rows.append(dict(zip(MEASUREMENT_COLUMNS, (m.name, m.value, m.unit, low, high, m.label), strict=True)))
    return rows


def lesion_rows(findings: Findings) -> list[Record]:
    """One row a lesion, with :data:`LESION_COLUMNS`; world position RAS+ in mm."""
    return [
        dict(zip(LESION_COLUMNS, (n.index, n.volume_ml, *n.centroid_mm, n.region, n.probability), strict=True))
        for n in findings.lesions
    ]


def seeks_lesions(findings: Findings) -> bool:
    """Whether the task looks for lesions, so that an empty list of them is a finding."""
    return bool(findings.lesions) or any(mask.label in LESION_LABELS for mask in findings.masks)


def summary_record(findings: Findings) -> Record:
    """All that is said in words and numbers, JSON-ready; lesions, figures and provenance have files of their own."""
    decision = findings.decision
    record = {
        "task": findings.task,
        "prefix": findings.prefix,
        "summary": findings.summary,
        "decision": decision and {
            "name": decision.name, "answer": decision.answer, "reason": decision.reason, "certain": decision.certain,
        },
        "notes": findings.notes,
        "measurements": [
            {**row, **({"bounds": m.bounds} if m.bounds else {})}
            for row, m in zip(measurement_rows(findings), findings.measurements.values(), strict=True)
        ],
        "tables": findings.tables,
    }  # fmt: skip
    return dict(plain(record))


def figure_record(figure: Figure) -> Record:
    """What is said of a picture, beside its file."""
    return {
        "name": figure.name, "caption": figure.caption, "section": figure.section, "alt": figure.alt,
        "kind": figure.kind,
    }  # fmt: skip


def findings_of(
    summary: Mapping[str, Any],
    lesions: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    *,
    figures: Sequence[Figure] = (),
    masks: Sequence[Mask] = (),
    probabilities: Sequence[Mask] = (),
    maps: Sequence[Mask] = (),
    attachments: Sequence[Attachment] = (),
) -> Findings:
    """The findings that the records were made of."""
    decision = summary["decision"]
    return Findings(
        task=summary["task"],
        prefix=summary["prefix"],
        summary=summary["summary"],
        masks=masks,
        probabilities=probabilities,
        measurements={row["name"]: _measurement(row) for row in summary["measurements"]},
        lesions=[_lesion(row) for row in lesions],
        decision=Decision(**decision) if decision else None,
        tables=summary["tables"],
        figures=figures,
        provenance=provenance,
        notes=summary["notes"],
        maps=maps,
        attachments=attachments,
    )


def settled(findings: Findings) -> Findings:
    """The findings as reading them back would give them: plain values, lesions in the digits of their table.

    A report made of these is the same whether it is made from memory or from disk.
    """
    rows = [{key: _digits(value) for key, value in row.items()} for row in plain(lesion_rows(findings))]
    again = findings_of(summary_record(findings), rows, plain(findings.provenance))
    return replace(
        again,
        figures=tuple(findings.figures),
        masks=tuple(findings.masks),
        probabilities=tuple(findings.probabilities),
        maps=tuple(findings.maps),
        attachments=tuple(findings.attachments),
    )


def _digits(value: Any) -> Any:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if isinstance(value, float) else value


def _measurement(row: Mapping[str, Any]) -> Measurement:
    low, high = row["interval_low"], row["interval_high"]
    interval = None if low is None or high is None else (low, high)
    bounds = tuple(row.get("bounds", ()))
    return Measurement(row["name"], row["value"], row["unit"], interval, row["label"], bounds)


def _lesion(row: Mapping[str, Any]) -> Lesion:
    x, y, z = (_number(row[axis]) for axis in ("x_mm", "y_mm", "z_mm"))
    return Lesion(
        int(row["index"]), _number(row["volume_ml"]), (x, y, z), row["region"] or "", _number(row["probability"])
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
