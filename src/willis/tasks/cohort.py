"""Every session of a BIDS folder, or every image: a run for each, and one table of what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from willis.errors import BadInputError, WillisError
from willis.findings import Findings
from willis.io.bids import FoundPatient, find_images, find_patients
from willis.io.study import read_study
from willis.io.tables import read_table, write_json, write_table
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings
from willis.tasks.taskspec import TaskSpec
from willis.units import counted

PATIENT, PROBLEM = "patient", "problem"
Row = Mapping[str, Any]
Write = Callable[[Findings, Path], Path]
Tell = Callable[[float, str], None]


def run_folder(
    spec: TaskSpec,
    folder: Path,
    out: Path,
    options: Mapping[str, Any],
    *,
    settings: RunSettings,
    write: Write,
    tell: Tell,
) -> dict[str, str]:
    """Run all sessions of a BIDS folder; one that fails or lacks an image is named in the table, and the others go on.

    A task that takes any contrast is run on each image of a session by itself, which then has a line of its own. The
    table is written anew after each session, see :func:`each_patient`.

    Parameters
    ----------
    spec
        Of the task, whose roles say what their files' names end in.
    folder
        With ``sub-*/[ses-*/]`` in it.
    out
        Gets a folder for each session, ``TASK.tsv`` (a line for each: every measurement, the ends of its interval, the
        decision, the problem) and ``TASK.json`` (units and meaning of the columns).
    options
        Complete, as ``spec.resolve_options`` gives them.
    write
        Writes one session's findings into a folder.
    tell
        Told the fraction done, and the session.

    Returns
    -------
    dict
        By session, or image, its problem; empty where there is none.

    Raises
    ------
    BadInputError
        When the folder holds no session with an image of the task, or ``out`` holds another table of that name, or the
        results of another folder.
    """
    suffixes = {role.name: role.suffixes for role in spec.roles if role.suffixes}
    if spec.each_image:
        ((role, ends),) = suffixes.items()
        patients = find_images(folder, role, ends)
    else:
        patients = find_patients(folder, suffixes)
    table = out / f"{spec.name}.tsv"
    columns: dict[str, dict[str, str]] = {}

    def run(name: str, patient: FoundPatient) -> Row:
        found = _found(spec, patient, options, settings)
        if isinstance(found, str):
            return {PATIENT: name, PROBLEM: found}
        try:
            write(found, out / name)
        except WillisError as problem:
            return {PATIENT: name, PROBLEM: one_line(problem)}
        columns.update(_columns(found))
        return {PATIENT: name, **_values(found), PROBLEM: None}

    def save(rows: Sequence[Row]) -> None:
        names = dict.fromkeys(column for row in rows for column in row if column != PROBLEM)
        write_table(rows, table, [*names, PROBLEM])
        write_json({name: columns[name] for name in names if name in columns}, table.with_suffix(".json"))

    rows = each_patient(patients, _earlier_rows(table, spec), out, run, save, tell)
    return {name: str(row.get(PROBLEM) or "") for name, row in rows.items()}


def each_patient(
    patients: Mapping[str, FoundPatient],
    earlier: Mapping[str, Row],
    out: Path,
    run: Callable[[str, FoundPatient], Row],
    save: Callable[[Sequence[Row]], None],
    tell: Tell,
) -> dict[str, Row]:
    """Give a row for each patient, saving the table after each, so that a run that is broken off leaves what it found.

    Until a patient's turn comes, the row of ``earlier``, a run of before into the same folder ``out``, stands.

    Raises
    ------
    BadInputError
        When ``out`` holds the results of others of ``earlier`` than the patients, whom its table would lose.
    """
    if others := [name for name in earlier if name not in patients and (out / name).is_dir()]:
        first = " and ".join(others[:2])
        raise BadInputError(
            f"{out} holds the results of {counted(len(others), 'scan')} that the folder given now lacks, {first}"
            f"{' …' if others[2:] else ''}; its table would lose them. Give another folder for the results, or move "
            "theirs away."
        )
    rows = {name: earlier[name] for name in patients if name in earlier}
    for number, (name, patient) in enumerate(patients.items()):
        tell(number / len(patients), name)
        rows[name] = run(name, patient)
        save([rows[known] for known in patients if known in rows])
    return {name: rows[name] for name in patients}


def one_line(problem: Exception) -> str:
    """What went wrong, as a table's cell holds it."""
    return " ".join(str(problem).split())


def _found(spec: TaskSpec, patient: FoundPatient, options: Mapping[str, Any], settings: RunSettings) -> Findings | str:
    """What is found in one session, or its problem."""
    if patient.problem:
        return patient.problem
    try:
        spec.check_roles(patient.images)
        files: dict[str, Any] = dict(patient.images)
        study = read_study(subject=patient.subject, session=patient.session, **files)
        return run_task(spec.name, study, settings=settings, **options)
    except WillisError as problem:
        return one_line(problem)


def _values(findings: Findings) -> dict[str, Any]:
    """A table's cells: each measurement, the ends of its interval, and the answer."""
    row: dict[str, Any] = {}
    for name, found in findings.measurements.items():
        row[name] = found.value
        if found.interval is not None:
            row[f"{name}_low"], row[f"{name}_high"] = found.interval
    if findings.decision is not None:
        row["decision"] = findings.decision.answer
    return row


def _columns(findings: Findings) -> dict[str, dict[str, str]]:
    """What each of these cells means, as BIDS has it: description and units."""
    said: dict[str, dict[str, str]] = {}
    for name, found in findings.measurements.items():
        ends = {"": "", "_low": ", low end of its interval", "_high": ", high end of its interval"}
        for end, words in ends.items() if found.interval is not None else [("", "")]:
            said[name + end] = {"Description": (found.label or name) + words, "Units": found.unit}
    if findings.decision is not None:
        said["decision"] = {"Description": findings.decision.name}
    return said


def _earlier_rows(path: Path, spec: TaskSpec) -> dict[str, Row]:
    """By session the rows of an earlier run's table; none when there is no table.

    Raises
    ------
    BadInputError
        When it is no table of such a run, or its description is there without it.
    """
    described = path.with_suffix(".json")
    if not path.exists() and not described.exists():
        return {}
    try:
        rows = read_table(path)
    except BadInputError:
        rows = []
    if not rows or any(PATIENT not in row or PROBLEM not in row for row in rows):
        there = path if path.exists() else described
        raise BadInputError(
            f"{there} exists and isn't the table of an earlier run of {spec.name}. Move it away, or give another "
            "folder."
        )
    return {str(row[PATIENT]): row for row in rows}
