"""Tables as others write them: separated by tabs, semicolons or commas, with a line of column names."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from willis.errors import BadInputError
from willis.units import counted

UNKNOWN = ("", "-", "n/a", "na", "nan")  # what stands where nothing is known
WHO = ("participant_id", "patient_id", "patient", "id", "subject", "case")  # columns that name a patient, first first


def read_delimited(path: Path) -> list[dict[str, str]]:
    """For each line a mapping of column, in small letters, to its text without spaces around it; "" where it is absent.

    The separator is the one of tab, semicolon and comma that its first line has most of. Lines without any text are
    passed over.

    Raises
    ------
    BadInputError
        When the file is absent, isn't UTF-8 text, names a column twice, or a line has more cells than its first line.
    """
    return [row for _, row in read_numbered(path)]


def read_numbered(path: Path) -> list[tuple[int, dict[str, str]]]:
    """As :func:`read_delimited`, each with the number of its line in the file, from 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} can't be read as a table: {error}.") from None
    head = text.partition("\n")[0]
    separator = max("\t;,", key=head.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    columns = [name.strip().lower() for name in next(lines, [])]
    if twice := [name for name in columns if name and columns.count(name) > 1]:
        raise BadInputError(f"{path} names the column {twice[0]} twice.")
    rows = []
    for line in lines:
        cells = [cell.strip() for cell in line]
        if not any(cells):
            continue
        if any(cells[len(columns) :]):
            raise BadInputError(
                f"line {lines.line_num} of {path} has {counted(len(cells), 'cell')}; its first line names "
                f"{len(columns)}."
            )
        full = cells + [""] * (len(columns) - len(cells))
        rows.append((lines.line_num, {name: cell for name, cell in zip(columns, full, strict=False) if name}))
    return rows


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
