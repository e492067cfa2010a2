"""Planes before and after fusion against a reference: slice by slice and whole, plainly and as published."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.tasks.chronic.interpret import Mask
from willis.volume.grid import Grid
from willis.volume.plane import Plane, slice_axis

NAMES = ("dice", "precision", "recall")
PUBLISHED = tuple(f"{name}_published" for name in NAMES)

Floats = npt.NDArray[np.float64]


def scores_along(found: Mask, reference: Mask, axis: int) -> dict[str, Floats]:
    """By score, its value in each part along an axis: plain ones, nan where undefined, and the published ones.

    Published scores add 1 to either side of each fraction, so that a part without lesion in mask and reference counts
    as perfect. doi:10.1101/2025.09.26.25336733
    """
    others = tuple(a for a in range(found.ndim) if a != axis)
    hit, p, r = (np.count_nonzero(m, axis=others).astype(float) for m in (found & reference, found, reference))
    with np.errstate(invalid="ignore", divide="ignore"):
        plain = (2 * hit / (p + r), hit / p, hit / r)
    published = ((2 * hit + 1) / (p + r + 1), (hit + 1) / (p + 1), (hit + 1) / (r + 1))
    return dict(zip((*NAMES, *PUBLISHED), (*plain, *published), strict=True))


def mean_scores(found: Mask, reference: Mask, axis: int) -> dict[str, Any]:
    """Means over the parts along an axis, and the deviation of Dice; ``counted`` are those not empty in both."""
    scores = {name: values[~np.isnan(values)] for name, values in scores_along(found, reference, axis).items()}
    means = {name: float(values.mean()) if values.size else None for name, values in scores.items()}
    dices = scores["dice"]
    return {
        "dice": means["dice"],
        "dice_sd": float(dices.std(ddof=1)) if dices.size > 1 else None,
        "precision": means["precision"],
        "recall": means["recall"],
        "counted": int(dices.size),
        **{name: means[name] for name in PUBLISHED},
        "counted_published": int(scores["dice_published"].size),
    }


def fusion_table(planes: Mapping[Plane, Mask], fused: Mask, reference: Mask, grid: Grid) -> list[dict[str, Any]]:
    """Slices of each plane, and the volume, before and after fusion against a reference.

    ``dice_published`` counts a slice that is empty in both as 1; ``dice`` leaves such slices out. So do precision and
    recall.
    """
    rows: list[dict[str, Any]] = []
    for plane, mask in planes.items():
        axis = slice_axis(plane, grid.orientation)
        for state, found in (("before", mask), ("after", fused)):
            rows.append({"of": f"{plane} slices", "fusion": state, **mean_scores(found, reference, axis)})
    for name, state, found in [
        *((f"volume, {plane} alone", "before", mask) for plane, mask in planes.items()),
        ("volume", "after", fused),
    ]:
        scores = mean_scores(found[None], reference[None], 0)
        difference = np.count_nonzero(found) - np.count_nonzero(reference)
        rows.append({"of": name, "fusion": state, **scores, "difference_ml": float(difference) * grid.voxel_ml})
    return rows
