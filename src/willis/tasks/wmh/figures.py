"""The pictures of a WMH report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from willis.draw.charts import bar_chart
from willis.draw.mosaic import axial_mosaic
from willis.draw.overlay import heat_mosaic, registration_overlay
from willis.draw.palette import BRAIN, FOUND, INK, REFERENCE, SECOND
from willis.draw.panel import Outline
from willis.draw.views import plane_views
from willis.findings import Figure, Mask, Measurement
from willis.infer.ensemble import Prediction
from willis.study import Study
from willis.tasks.prepared import Prepared
from willis.tasks.wmh.regions import (
    JUXTACORTICAL_MM,
    PERIVENTRICULAR_MM,
    PLACES,
    RegionOfVoxel,
    part_in,
)
from willis.tasks.wmh.spec import REGIONS
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

PLACE_COLOURS = dict(zip(PLACES, (FOUND, REFERENCE, SECOND, BRAIN, BRAIN), strict=True))


def make(
    study: Study,
    prepared: Prepared,
    prediction: Prediction,
    masks: Sequence[Mask],
    measurements: Mapping[str, Measurement],
    ventricles: Volume | None,
    region_of_voxel: RegionOfVoxel | None,
) -> list[Figure]:
    """Lesion mosaic, regions in numbers and on slices, and the quality pages.

    Parameters
    ----------
    ventricles, region_of_voxel
        On the FLAIR's grid; None when regions are unknown.
    """
    flair = study["flair"]
    on_flair = {mask.label: mask.volume for mask in masks if mask.space == "flair"}
    lesions, brain = on_flair["wmh"], on_flair["brain"]
    figures = [
        Figure(
            "lesions",
            "White matter hyperintensities outlined on the FLAIR, on its own slices, radiological convention.",
            "result",
            axial_mosaic(flair, [Outline(lesions, FOUND, "WMH")], within=brain),
        )
    ]
    chart = _regions(measurements)
    if chart is not None:
        caption = "Volume of the lesions of each region, by side."
        figures.append(Figure("regions", caption, "regions", chart, kind="chart"))
    if ventricles is not None and region_of_voxel is not None:
        figures.append(_places(flair, lesions, brain, ventricles, region_of_voxel))
    figures.append(
        Figure(
            "brain",
            "Outline of the brain mask on the FLAIR.",
            "quality",
            axial_mosaic(flair, [Outline(brain, BRAIN, "brain")], slices=10, within=brain),
        )
    )
    if "t1" in study:
        figures.append(_registration(study, prepared))
    if len(prediction.members) > 1:
        figures.append(_spread(prepared, prediction))
    figures.append(_box(study, prepared))
    return figures


def _regions(measurements: Mapping[str, Measurement]) -> bytes | None:
    groups: dict[str, dict[str, float | None]] = {}
    for region in REGIONS:
        found = measurements.get(f"wmh_{region.replace(' ', '_')}_volume")
        if found is None:
            return None
        place, _, side = region.partition(" ")
        groups.setdefault(place, {})[side or "midline"] = found.value
    return bar_chart(groups, unit="ml")


def _places(
    flair: Volume, lesions: Volume, brain: Volume, ventricles: Volume, region_of_voxel: RegionOfVoxel
) -> Figure:
    inside = lesions.data > 0
    parts = {place: part_in(place, inside, region_of_voxel) for place in PLACES}
    outlines = [Outline(ventricles, INK, "ventricles", dashed=True)]
    outlines += [
        Outline(lesions.with_data(part.astype(np.uint8)), PLACE_COLOURS[place], place, dashed=place == "brainstem")
        for place, part in parts.items()
        if part.any()
    ]
    return Figure(
        "places",
        "Where the lesions were counted, and the ventricles as they were found, on which that rests: periventricular "
        f"within {PERIVENTRICULAR_MM:g} mm of a ventricle, juxtacortical within {JUXTACORTICAL_MM:g} mm of the cortex.",
        "regions",
        axial_mosaic(flair, outlines, slices=10, within=brain),
    )


def _registration(study: Study, prepared: Prepared) -> Figure:
    t1 = study["t1"]
    found = prepared.registrations.get("flair")
    moved = resample_to(study["flair"], t1.grid, world_transform=None if found is None else found.matrix)
    how = "after registration" if found is not None else "as the files place it"
    return Figure(
        "registration",
        f"The FLAIR on the T1, {how}: edges of the T1 on the FLAIR, and both as a checkerboard.",
        "quality",
        registration_overlay(t1, moved, names=("T1", "FLAIR"), within=_brain_on_t1(prepared, t1)),
    )


def _brain_on_t1(prepared: Prepared, t1: Volume) -> Volume | None:
    return prepared.brain if prepared.brain.grid.same_as(t1.grid) else None


def _spread(prepared: Prepared, prediction: Prediction) -> Figure:
    shown = Volume(prepared.image[-1], prepared.grid)
    spread = Volume(np.asarray(prediction.spread[0], np.float32), prepared.grid)
    brain = Volume(prepared.mask.astype(np.uint8), prepared.grid)
    return Figure(
        "spread",
        "Where the members of the ensemble disagree: standard deviation of their probabilities.",
        "quality",
        heat_mosaic(shown, spread, "standard deviation", limits=(0.0, 0.5), within=brain),
    )


def _box(study: Study, prepared: Prepared) -> Figure:
    reference = study[prepared.reference]
    return Figure(
        "crop",
        "Field of view that the network was given, on the image that sets the space.",
        "quality",
        plane_views(
            reference,
            prepared.grid.centre_mm.tolist(),
            [Outline(prepared.brain, BRAIN, "brain")],
            box=prepared.grid,
            within=prepared.brain,
        ),
    )
