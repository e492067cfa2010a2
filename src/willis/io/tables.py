"""Tables as tab-separated text, and JSON beside them: what is missing reads ``n/a``, and a file is whole or absent."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from willis.errors import BadInputError
from willis.units import counted

MISSING = "n/a"  # BIDS 1.10, "Tabular files": missing values are coded as n/a
SIGNIFICANT_DIGITS = 6


def write_table(rows: Iterable[Mapping[str, Any]], path: Path | str, columns: Sequence[str] | None = None) -> Path:
    """Write rows as tab-separated text with one line of column names.

    None and NaN become ``n/a``, truth values ``true`` and ``false``; fractions keep six significant digits.

    Parameters
    ----------
    rows
        One mapping of column to value for each line; a column that a row lacks is ``n/a``.
    path
        The file; its folder is made when absent. It appears under its name only when complete.
    columns
        Names and order of the columns; None takes them in the order in which the rows first name them.

    Raises
    ------
    BadInputError
        When a row has a column that ``columns`` lacks, or a text holds a tab or a line break.
    """
    lines = [dict(row) for row in rows]
    found = list(dict.fromkeys(name for row in lines for name in row))
    names = found if columns is None else list(columns)
    if unknown := [name for name in found if name not in names]:
        raise BadInputError(f"rows for {path} have the columns {unknown}; allowed are {names}.")
    cells: list[list[Any]] = [list(names), *([row.get(name) for name in names] for row in lines)]
    text = "".join("\t".join(_cell(value) for value in line) + "\n" for line in cells)
    return write_text(text, Path(path))


def read_table(path: Path | str) -> list[dict[str, str | None]]:
    """Read tab-separated text: for each line a mapping of column to text, None where it reads ``n/a``.

    Texts stay texts, so that the subject ``007`` keeps its zeros.

    Raises
    ------
    BadInputError
        When the file is absent, isn't UTF-8 text, names a column twice, or a line has another number of cells.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} can't be read as a table: {error}.") from error
    if lines == [""]:
        raise BadInputError(f"{path} is empty; a table begins with a line of column names.")
    names = lines[0].split("\t")
    if len(set(names)) < len(names):
        raise BadInputError(f"{path} names a column twice: {names}.")
    rows = []
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        if len(cells) != len(names):
            raise BadInputError(
                f"line {number} of {path} has {counted(len(cells), 'cell')}; its first line names {len(names)}."
            )
        rows.append({name: None if cell == MISSING else cell for name, cell in zip(names, cells, strict=True)})
    return rows


def write_json(value: Any, path: Path | str) -> Path:
    """Write JSON with two-space indents; NaN and infinity become null, NumPy numbers and paths plain ones.

    The file appears under its name only when complete.
    """
    return write_text(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n", Path(path))


def _cell(value: Any) -> str:
    value = plain(value)
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.{SIGNIFICANT_DIGITS}g}"
    text = str(value)
    if any(mark in text for mark in "\t\n\r"):
        raise BadInputError(f"a table's cell can't hold a tab or a line break; found {text!r}.")
    return text


def plain(value: Any) -> Any:
    """The value as JSON keeps it: NumPy numbers as plain ones, tuples as lists, paths as texts, NaN as None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def write_text(text: str, path: Path) -> Path:
    """Write a text file in UTF-8, its folder made when absent; it appears under its name only when complete.

    Bytes of a file's name that aren't UTF-8 are written as ``\\udcfc``, which JSON reads back as that name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            stream.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
