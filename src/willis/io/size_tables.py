"""The tables of lesion sizes as published with RAX-NET: CSV, one column for each lesion.

The published tables stop at ten lesions; these hold every one. doi:10.1101/2025.09.26.25336733
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from willis.errors import BadInputError
from willis.io.tables import write_text

VOLUME_COLUMNS = ("subject_name", "number_of_lesion", "sum_voxel", "max_size")
SLICE_COLUMNS = ("subject_name", "slide", "number_of_lesion", "sum_voxel", "max_size")
LEAST_SIZE_COLUMNS = 10  # of the published tables
_SLICE_NAMES = ("slide", "slice")  # the published tables spell it in both ways


def write_sizes(rows: Iterable[Mapping[str, Any]], path: Path, columns: Sequence[str]) -> Path:
    """Write one row for each subject or slice.

    Parameters
    ----------
    rows
        The columns, and ``sizes``: voxels of each lesion.
    columns
        :data:`VOLUME_COLUMNS` or :data:`SLICE_COLUMNS`; ``lesion_size_1``… follow.
    """
    lines = [(row, tuple(row["sizes"])) for row in rows]
    most = max([LEAST_SIZE_COLUMNS, *(len(sizes) for _, sizes in lines)])
    names = [*columns, *(f"lesion_size_{number}" for number in range(1, most + 1))]
    cells = [[*(row[name] for name in columns), *sizes, *[""] * (most - len(sizes))] for row, sizes in lines]
    return write_csv([names, *cells], path)


def write_csv(lines: Iterable[Sequence[object]], path: Path) -> Path:
    """Write comma-separated text, whole or not at all."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return write_text(text.getvalue(), path)


def read_sizes(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """Read a table of subjects or slices, cells without spaces around them; ``slice`` and ``slide`` are one column.

    Raises
    ------
    BadInputError
        When it can't be read, or lacks a needed column, or a line its subject.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lines = [{_spelt(k): (v or "").strip() for k, v in row.items() if k is not None} for row in reader]
            names = [_spelt(name) for name in reader.fieldnames or ()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{path} can't be read as a table: {error}.") from None
    if missing := [name for name in needed if name not in names]:
        raise BadInputError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; "
            f"it has {', '.join(names) or 'none'}."
        )
    rows = [line for line in lines if any(line.values())]
    if "subject_name" in needed and not all(row["subject_name"] for row in rows):
        raise BadInputError(f"{path} has a line without subject_name; each needs one.")
    return rows


def whole_number(row: Mapping[str, str | None], name: str, path: Path) -> int:
    """A cell as a whole number of at least 0.

    Raises
    ------
    BadInputError
        When it isn't one.
    """
    try:
        value = float(row[name] or "")
    except ValueError:
        value = -1.0
    if not value.is_integer() or value < 0:
        whose = row.get("subject_name") or row.get("subject")
        raise BadInputError(f"{path}: {name} of {whose} is {row[name]!r}; a whole number is needed.")
    return int(value)


def _spelt(name: str) -> str:
    return "slide" if name.strip() in _SLICE_NAMES else name.strip()
