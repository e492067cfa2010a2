"""Every patient in a folder: one run each, and the published table of results."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from willis.errors import BadInputError, WillisError
from willis.findings import Findings
from willis.io.bids import FoundPatient
from willis.io.study import read_study
from willis.io.tables import write_text
from willis.tasks.cohort import Row, Tell, Write, each_patient, one_line
from willis.tasks.fvv.folder import find_patients
from willis.tasks.fvv.spec import SPEC
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings

RESULTS = "results.csv"
COLUMNS = (
    "Patient", "BrainMaskVoxels", "StrokeBlobVoxels", "FlairVizVoxels", "BrainMaskVolume", "StrokeBlobVolume",
    "FlairVizVolume", "VoxVolume after rescaling", "Mismatch", "Problem",
)  # fmt: skip
FROM_SYNTHESIS = {"FlairVizVolume": "FlairVizArea", "VoxVolume after rescaling": "VoxVolume"}


def run_folder(
    folder: Path, out: Path, options: Mapping[str, Any], *, settings: RunSettings, write: Write,
    tell: Tell,
) -> dict[str, str]:  # fmt: skip
    """Run all patients of a folder as :func:`willis.tasks.cohort.run_folder` does, with the published table.

    Parameters
    ----------
    folder
        Of one patient, or with a folder for each: published names or BIDS, see :func:`find_patients`.
    out
        Gets a folder for each patient, and ``results.csv``.
    options, settings, write, tell
        See there.

    Raises
    ------
    BadInputError
        When the folder holds no patient, or is that of one patient who lacks an image, or ``out`` holds another
        table under the name of ``results.csv``, or the results of another folder.
    """
    patients = find_patients(folder)

    def run(name: str, patient: FoundPatient) -> Row:
        return {"Patient": name, **_row(name, patient, out / name, options, settings=settings, write=write)}

    def save(rows: Sequence[Row]) -> None:
        write_text(_csv(rows), out / RESULTS)

    rows = each_patient(patients, _earlier_rows(out / RESULTS), out, run, save, tell)
    return {name: row.get("Problem") or "" for name, row in rows.items()}


def _row(
    name: str, patient: FoundPatient, out: Path, options: Mapping[str, Any], *, settings: RunSettings, write: Write
) -> dict[str, Any]:
    """Run one patient: the published columns, or the problem."""
    if patient.problem:
        return {"Problem": patient.problem}
    try:
        files: dict[str, Any] = dict(patient.images)
        findings = run_task(SPEC.name, read_study(subject=_label(name), **files), settings=settings, **options)
        write(findings, out)
    except WillisError as problem:
        return {"Problem": one_line(problem)}
    return _published(findings)


def _earlier_rows(path: Path) -> dict[str, dict[str, Any]]:
    """By patient the rows of an earlier run's table; none when there is no table.

    Raises
    ------
    BadInputError
        When it is no table of such a run.
    """
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            table = csv.DictReader(stream)
            columns, rows = table.fieldnames, list(table)
    except (OSError, UnicodeDecodeError, csv.Error):
        columns, rows = None, []
    if columns is None or tuple(columns) != COLUMNS:
        raise BadInputError(
            f"{path} exists and isn't the table of an earlier run of {SPEC.name}. Move it away, or give another folder."
        )
    return {row["Patient"]: row for row in rows}


def _label(name: str) -> str:
    """A BIDS label of a folder's name: its letters and digits."""
    return "".join(c for c in name.removeprefix("sub-") if c.isascii() and c.isalnum()) or "01"


def _published(findings: Findings) -> dict[str, Any]:
    """The published columns, as ``synthesis.txt`` has them, and the decision."""
    text = next(a.content.decode("ascii") for a in findings.attachments if a.name == "synthesis.txt")
    values = dict(line.split("=", 1) for line in text.splitlines())
    row = {column: values[FROM_SYNTHESIS.get(column, column)] for column in COLUMNS[1:8]}
    return {**row, "Mismatch": findings.decision.answer if findings.decision else ""}


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
