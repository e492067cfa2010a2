"""The pictures of a chronic stroke report."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from willis.draw.mosaic import axial_mosaic
from willis.draw.overlay import heat_mosaic
from willis.draw.palette import BOX, BRAIN, FOUND, REFERENCE, SECOND
from willis.draw.panel import Outline
from willis.draw.surface import surface_views
from willis.draw.views import plane_views
from willis.findings import Figure, Lesion, Mask
from willis.volume.plane import Plane
from willis.volume.volume import Volume

COLOURS: dict[Plane, str] = {"axial": REFERENCE, "sagittal": SECOND, "coronal": BOX}


def make(
    t1: Volume,
    masks: Sequence[Mask],
    lesions: Sequence[Lesion],
    planes: Sequence[Plane],
    upright: Callable[[Volume], Volume],
) -> list[Figure]:
    """Three planes through the largest lesion, a mosaic, the lesion in the brain, the planes' agreement, the mask.

    ``upright`` turns what is shown as it should face.
    """
    place = t1.grid.to_index(lesions[0].centroid_mm) if lesions else None
    t1 = upright(t1)
    by_label = {mask.label: upright(mask.volume) for mask in masks}
    lesion, brain = by_label["lesion"], by_label["brain"]
    fused = Outline(lesion, FOUND, "lesion")
    alone = [Outline(by_label[f"lesion{plane}"], COLOURS[plane], plane, dashed=True) for plane in planes]
    x, y, z = t1.grid.to_mm(np.argwhere(brain.data > 0).mean(axis=0) if place is None else place)
    point = (float(x), float(y), float(z))
    where = "the largest lesion" if lesions else "the middle of the brain"
    figures = [
        Figure(
            "planes",
            f"Three planes through {where}: the fused outline, and dashed what each plane alone would say.",
            "result",
            plane_views(t1, point, [*alone, fused], within=brain),
        ),
        Figure(
            "lesions",
            "Chronic stroke lesions outlined on the T1, on its own slices, radiological convention.",
            "result",
            axial_mosaic(t1, [fused], within=brain),
        ),
    ]
    if lesions:
        caption = (
            "The lesion within the brain, seen from its side, the front and above, where the patient's left is on the "
            "left; depth is shaded."
        )
        figures.append(Figure("surface", caption, "result", surface_views(brain, lesion)))
    if len(planes) > 1:
        share = np.asarray(np.mean([by_label[f"lesion{plane}"].data > 0 for plane in planes], axis=0), np.float32)
        figures.append(
            Figure(
                "agreement",
                "How many of the planes call a voxel lesion: a share of 1 is all of them.",
                "planes",
                heat_mosaic(t1, Volume(share, t1.grid), "share of planes", within=brain),
            )
        )
    figures.append(
        Figure(
            "brain",
            "Outline of the brain mask on the T1.",
            "quality",
            axial_mosaic(t1, [Outline(brain, BRAIN, "brain")], slices=10, within=brain),
        )
    )
    return figures
