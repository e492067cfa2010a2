"""Tables before and after fusion against a reference, named and laid out as the published code writes them.

Its scores add 1 to either side of each fraction, so a slice without lesion in mask and reference counts as perfect;
beside each stands the plain one (``…_not_empty``), which such slices don't have. The published Hausdorff column is left
out: it took the rows of a slice for points. doi:10.1101/2025.09.26.25336733
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from willis.findings import Attachment
from willis.tasks.chronic.fusion_scores import NAMES, PUBLISHED, Floats, scores_along
from willis.tasks.chronic.interpret import Mask
from willis.volume.plane import Plane, slice_axis

SCORES = ("dice", "presision", "recall")  # as spelt in the published tables
NOT_EMPTY = tuple(f"{name}_not_empty" for name in NAMES)
SLICE_COLUMNS = ("subject", "slice", *SCORES, *NOT_EMPTY)
COMPARISON_COLUMNS = ("", *SCORES, *NOT_EMPTY)
VOLUME_COLUMNS = ("subject", *SCORES, "volume_difference", *NOT_EMPTY)


def published_tables(
    planes: Mapping[Plane, Mask], fused: Mask, reference: Mask, orientation: str, subject: str
) -> list[Attachment]:
    """Of each plane its slices before and after fusion and their comparison, and the scores of the volume.

    Parameters
    ----------
    planes, fused, reference
        (I, J, K) masks on one grid; every slice of a plane is a row, counted along the grid's own axis.
    orientation
        Of the grid, as ``"RAS"``.
    subject
        Name in the tables.
    """
    tables = []
    for plane, mask in planes.items():
        axis = slice_axis(plane, orientation)
        before, after = (slice_columns(found, reference, axis) for found in (mask, fused))
        for state, columns in (("before", before), ("after", after)):
            rows = [(subject, n, *values) for n, values in enumerate(zip(*columns.values(), strict=True))]
            tables.append(_table(f"{plane}_{state}_fusion.csv", SLICE_COLUMNS, rows))
        tables.append(
            _table(f"{plane}_comparison_before_after_fusion.csv", COMPARISON_COLUMNS, compared(before, after))
        )
    whole = {name: float(column[0]) for name, column in slice_columns(fused[None], reference[None], 0).items()}
    difference = np.count_nonzero(fused) - np.count_nonzero(reference)
    row = (subject, *(whole[n] for n in SCORES), difference, *(whole[n] for n in NOT_EMPTY))
    return [*tables, _table("fusion_evaluation.csv", VOLUME_COLUMNS, [row])]


def slice_columns(found: Mask, reference: Mask, axis: int) -> dict[str, Floats]:
    """By column, its value in each part along an axis; nan where the plain score has none."""
    scores = scores_along(found, reference, axis)
    return {column: scores[name] for column, name in zip((*SCORES, *NOT_EMPTY), (*PUBLISHED, *NAMES), strict=True)}


def compared(before: Mapping[str, Floats], after: Mapping[str, Floats]) -> list[tuple[Any, ...]]:
    """Mean and standard deviation (n − 1) of each column before and after, and the difference of the means."""
    means, rows = [], []
    for state, columns in (("before", before), ("after", after)):
        known = [column[~np.isnan(column)] for column in columns.values()]
        means.append([column.mean() if column.size else np.nan for column in known])
        spreads = [column.std(ddof=1) if column.size > 1 else np.nan for column in known]
        rows += [(f"{state}_mean", *means[-1]), (f"{state}_std", *spreads)]
    return [*rows, ("difference", *np.subtract(means[1], means[0]))]


def _table(name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Attachment:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return Attachment(name, text.getvalue().encode("utf-8"))


def _cell(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.6g}"
    return value
