"""Tables as others write them: separated by tabs, semicolons or commas, with a line of column names."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from willis.errors import BadInputError

UNKNOWN = ("", "-", "n/a", "na", "nan")  # what stands where nothing is known
WHO = ("participant_id", "patient_id", "patient", "id", "subject", "case")  # columns that name a patient, first first


def read_delimited(path: Path) -> list[dict[str, str]]:
    """For each line a mapping of column, in small letters, to its text without spaces around it; "" where it is absent.

    The separator is the one of tab, semicolon and comma that its first line has most of.

    Raises
    ------
    BadInputError
        When the file is absent, or isn't UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} can't be read as a table: {error}.") from None
    head = text.partition("\n")[0]
    separator = max("\t;,", key=head.count)
    lines = csv.DictReader(text.splitlines(), delimiter=separator)
    return [{name.strip().lower(): (cell or "").strip() for name, cell in line.items() if name} for line in lines]


def column_of_patients(rows: Sequence[Mapping[str, str]], path: Path) -> str:
    """The column that says whom a row is of.

    Raises
    ------
    BadInputError
        When there is none.
    """
    columns = list(rows[0]) if rows else []
    found = next((name for name in WHO if name in columns), None)
    if found is None:
        raise BadInputError(f"{path} has no column participant_id; its columns are {', '.join(columns) or 'none'}.")
    return found
