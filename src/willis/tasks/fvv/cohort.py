"""Every patient in a folder: one run each, and the published table of results."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from willis.errors import WillisError
from willis.findings import Findings
from willis.io.study import read_study
from willis.io.tables import write_text
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
Write = Callable[[Findings, Path], Path]


def run_folder(
    folder: Path, out: Path, options: Mapping[str, Any], *, settings: RunSettings, write: Write,
    tell: Callable[[float, str], None],
) -> list[dict[str, Any]]:  # fmt: skip
    """Run all patients of a folder; one that fails or lacks an image is named in the table, and the others go on.

    Parameters
    ----------
    folder
        Of one patient, or with a folder for each: published names or BIDS, see :func:`find_patients`.
    out
        Gets a folder for each patient, and ``results.csv``.
    write
        Writes one patient's findings into a folder.
    tell
        Told the fraction done, and the patient.

    Returns
    -------
    list
        The table's rows.

    Raises
    ------
    BadInputError
        When the folder holds no patient, or is that of one patient who lacks an image.
    """
    patients = find_patients(folder)
    rows = []
    for number, (name, patient) in enumerate(patients.items()):
        tell(number / len(patients), name)
        if patient.problem:
            rows.append({"Patient": name, "Problem": patient.problem})
            continue
        try:
            files: dict[str, Any] = dict(patient.images)
            findings = run_task(SPEC.name, read_study(subject=_label(name), **files), settings=settings, **options)
            write(findings, out / name)
            rows.append({"Patient": name, **_published(findings)})
        except WillisError as problem:
            rows.append({"Patient": name, "Problem": " ".join(str(problem).split())})
    out.mkdir(parents=True, exist_ok=True)
    write_text(_csv(rows), out / RESULTS)
    return rows


def _label(name: str) -> str:
    """A BIDS label of a folder's name: its letters and digits."""
    return "".join(c for c in name.removeprefix("sub-") if c.isascii() and c.isalnum()) or "01"


def _published(findings: Findings) -> dict[str, Any]:
    """The published columns, as ``synthesis.txt`` has them, and the decision."""
    text = next(a.content.decode("ascii") for a in findings.attachments if a.name == "synthesis.txt")
    values = dict(line.split("=", 1) for line in text.splitlines())
    row = {column: values[FROM_SYNTHESIS.get(column, column)] for column in COLUMNS[1:8]}
    return {**row, "Mismatch": findings.decision.answer if findings.decision else ""}


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()
