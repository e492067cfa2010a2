"""NIHSS, age and sex of a patient: from the call, from a table, or unknown, which is said."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from willis.errors import BadInputError
from willis.io.delimited import column_of_patients, read_delimited
from willis.study import Study

NIHSS_MOST = 42
AGE_MOST = 120.0
UNKNOWN = ("", "-", "n/a", "na")
EMPTY = "nan"  # what programs write into a table where a number is missing
_COLUMNS = {
    "nihss": ("nihss",),
    "age": ("age",),
    "sex": ("sex", "gender"),
}
_SESSIONS = ("session_id", "session")
SEX = {"m": 0.0, "male": 0.0, "0": 0.0, "f": 1.0, "female": 1.0, "1": 1.0}  # the publication's numbers
UNTOLD_SEX = (*UNKNOWN, "o", "other", "u", "unknown")  # of which no number is made


@dataclass(frozen=True)
class Clinical:
    """NIHSS (0 to 42), age in years, sex (0 male, 1 female); None where unknown. Notes say what is missing."""

    nihss: float | None
    age: float | None
    sex: float | None
    notes: tuple[str, ...]


def clinical_of(study: Study, options: Mapping[str, Any]) -> Clinical:
    """What is known of a patient: the options first, then the table, then the study's own scalars.

    Raises
    ------
    BadInputError
        When the NIHSS isn't a whole number from 0 to 42, the age isn't 0 to 120 or the sex isn't one that is known, or
        the table can't be read, lacks the patient or has rows of the patient that differ.
    """
    row = _row_of(study, Path(options["clinical"])) if options["clinical"] is not None else {}
    nihss = read_nihss(options["nihss"] if options["nihss"] is not None else known(row.get("nihss", "")))
    age = options["age"] if options["age"] is not None else read_age(known(row.get("age", "")))
    nihss = study.scalars.get("nihss") if nihss is None and options["nihss"] is None else nihss
    age = study.scalars.get("age") if age is None else age
    if nihss is not None:
        read_nihss(f"{nihss:g}")
    if age is not None:
        read_age(f"{age:g}")
    sex = read_sex(options["sex"] if options["sex"] is not None else known(row.get("sex", "")))
    sex = study.scalars.get("sex") if sex is None and options["sex"] is None else sex
    if sex is not None:
        read_sex(f"{sex:g}")
    missing = [name for name, value in (("NIHSS", nihss), ("age", age)) if value is None]
    notes = [_told_missing(missing)] if missing else []
    for name, key in (("NIHSS", "nihss"), ("age", "age")):
        if options[key] is None and key in row and (row[key].strip() == "" or row[key].strip().lower() == EMPTY):
            notes.append(f"The table's {name} is {row[key].strip() or 'empty'}: it is taken as not known.")
    return Clinical(nihss, age, sex, tuple(notes))


def _told_missing(names: list[str]) -> str:
    """What is said of clinical numbers that aren't known."""
    them = "them" if len(names) > 1 else "it"
    flags = ", ".join(f"--{name.lower()}" for name in names)
    return (
        f"Unknown: {' and '.join(names)}; criteria that need {them} are left unknown. Give {them} by {flags} or "
        "--clinical."
    )


def known(text: str) -> str:
    """A table's cell; empty where it says ``nan``, as programs write what is missing.

    >>> known("NaN"), known("12")
    ('', '12')
    """
    return "" if text.strip().lower() == EMPTY else text


def read_nihss(text: str) -> float | None:
    """NIHSS from text; None for a dash, ``n/a`` or nothing.

    >>> read_nihss("12"), read_nihss("-")
    (12.0, None)
    """
    if text.strip().lower() in UNKNOWN:
        return None
    value = _number(text, "NIHSS")
    if value is None or not 0 <= value <= NIHSS_MOST or value != int(value):
        raise BadInputError(f"NIHSS is {text.strip()!r}; allowed are whole numbers from 0 to {NIHSS_MOST}, or a dash.")
    return value


def read_age(text: str) -> float | None:
    """Age in years from text; None for a dash, ``n/a`` or nothing.

    >>> read_age("71"), read_age("-")
    (71.0, None)
    """
    value = _number(text, "age")
    if value is not None and not 0 <= value <= AGE_MOST:
        raise BadInputError(f"age is {text.strip()!r}; allowed is 0 to {AGE_MOST:g} years, or a dash.")
    return value


def read_sex(text: str) -> float | None:
    """Sex from text, 0 male and 1 female; None for a dash, ``n/a``, nothing, or one that isn't told.

    >>> read_sex("M"), read_sex("female"), read_sex("-")
    (0.0, 1.0, None)
    """
    word = text.strip().lower().removesuffix(".0")
    if word in UNTOLD_SEX:
        return None
    if word not in SEX:
        raise BadInputError(
            f"sex is {text.strip()!r}; allowed are m, male or 0, f, female or 1, or a dash where it is unknown."
        )
    return SEX[word]


def _number(text: str, name: str) -> float | None:
    if text.strip().lower() in UNKNOWN:
        return None
    try:
        value = float(text.strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInputError(f"{name} is {text.strip()!r}; allowed is a number, or a dash where it is unknown.")
    return value


def _row_of(study: Study, path: Path) -> dict[str, str]:
    """A patient's row, or that of the study's own session where the table names sessions.

    Raises
    ------
    BadInputError
        When there is none, or there are several that differ.
    """
    table = read_delimited(path)
    who = column_of_patients(table, path)
    mine = [row for row in table if row[who].removeprefix("sub-") == study.subject]
    session = next((name for name in _SESSIONS if table and name in table[0]), None)
    if session is not None and study.session is not None:
        said = [(row, row[session].removeprefix("ses-")) for row in mine]
        mine = [row for row, label in said if label == study.session] or [
            row for row, label in said if label.lower() in UNKNOWN
        ]
    if not mine:
        named = study.prefix if session is not None else f"sub-{study.subject}"
        raise BadInputError(f"{path} has no row for {named}; say who it is with --subject and --session.")
    rows = [{key: row[name] for key, tries in _COLUMNS.items() for name in tries if name in row} for row in mine]
    for key, first in rows[0].items():
        if (other := next((row[key] for row in rows if row[key] != first), None)) is not None:
            raise BadInputError(
                f"{path} has {len(rows)} rows for sub-{study.subject} that differ: {key} {first or 'empty'} and "
                f"{other or 'empty'}. Keep the one that is meant, or name sessions in a column session_id and say "
                "--session."
            )
    return rows[0]
