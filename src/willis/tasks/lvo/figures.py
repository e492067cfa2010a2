"""The pictures of an LVO report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from willis.draw.mosaic import axial_mosaic
from willis.draw.overlay import heat_mosaic, registration_overlay
from willis.draw.palette import BRAIN, FOUND, INK, REFERENCE, SECOND
from willis.draw.panel import Outline
from willis.findings import Figure, Mask
from willis.image.project import project, project_labels
from willis.tasks.ct_template import template
from willis.tasks.lvo.headspace import SOFT_HU
from willis.tasks.lvo.interpret import VESSEL_NAMES
from willis.tasks.lvo.judge import Judged
from willis.tasks.lvo.prepare import PreparedHead
from willis.tasks.lvo.spec import VESSELS
from willis.tasks.territories import NAMES, RIGHT, TERRITORIES
from willis.volume.orient import reorient
from willis.volume.volume import Volume

STROKE_WINDOW = (15.0, 55.0)  # HU: narrow, so that grey and white matter differ
BRAIN_WINDOW = (0.0, 80.0)
MIP_WINDOW = (20.0, 90.0)
DIFFERENCE_HU = (3.0, 15.0)  # noise below, fluid and bone above
MARGIN_MM = 25.0  # shown about the vessels
PRIOR_LIMITS = (0.05, 1.0)
TERRITORY_COLOURS = (FOUND, REFERENCE, SECOND, BRAIN)


def make(prepared: PreparedHead, masks: Sequence[Mask], judged: Judged) -> list[Figure]:
    """Stroke-window slices, the halves against each other, territories, and the quality pages."""
    upright = prepared.head.fit.upright
    on_ct = {mask.label: upright(mask.volume) for mask in masks if mask.space == "ncct"}
    ct, brain = upright(prepared.ct), on_ct["brain"]
    outlines = [Outline(on_ct["darker"], FOUND, "darker than the other side")]
    if judged.place is not None:
        outlines.append(Outline(upright(judged.place), REFERENCE, "suspected clot"))
    return [
        Figure(
            "stroke",
            f"The CT in a stroke window ({STROKE_WINDOW[0]:g} to {STROKE_WINDOW[1]:g} HU) on its own slices; outlined, "
            "brain that is darker than its mirror image.",
            "result",
            axial_mosaic(ct, outlines, window=STROKE_WINDOW, within=brain),
        ),
        *_vessels(prepared, judged),
        Figure(
            "darker",
            "How much darker than its mirror image each part of the brain is, smoothed; fluid is not compared.",
            "territories",
            _heat(prepared, prepared.darker, "HU darker"),
        ),
        Figure(
            "difference",
            "Absolute difference of each half to the other one, mirrored and deformed onto it, as the published method "
            "has it: 0 where either half is below 15 HU or the difference above 70 HU.",
            "territories",
            _heat(prepared, prepared.difference.absolute, "HU"),
        ),
        _territories(prepared),
        *_prior(prepared),
        Figure(
            "brain",
            "Outline of the brain mask on the CT.",
            "quality",
            axial_mosaic(ct, [Outline(brain, BRAIN, "brain")], slices=10, window=BRAIN_WINDOW, within=brain),
        ),
        _registration(prepared),
    ]


def _vessels(prepared: PreparedHead, judged: Judged) -> list[Figure]:
    """The CT's densest soft tissue seen from above, with the vessels' segments; nothing where they aren't known."""
    if prepared.vessels is None or not prepared.vessels.data.any():
        return []
    upright = prepared.head.fit.upright
    labels, ct = (reorient(upright(volume), "RAS") for volume in (prepared.vessels, prepared.ct))
    held = ndimage.find_objects((labels.data > 0).astype(np.uint8))[0]
    margins = [round(MARGIN_MM / mm) for mm in labels.grid.spacing_mm[:2]]
    about = tuple(slice(max(s.start - m, 0), s.stop + m) for s, m in zip(held, margins, strict=False))
    slab = held[2]
    inside = reorient(upright(prepared.head.brain), "RAS").data[:, :, slab]
    flat = ct.grid.shifted((0, 0, slab.start), (*ct.grid.shape[:2], 1))
    seen = project(np.clip(ct.data[:, :, slab], *MIP_WINDOW), inside)
    segments = project_labels(labels.data[:, :, slab], (1, 2, 3, 4))
    outlines = [
        Outline(Volume((segments == code).astype(np.uint8)[:, :, None], flat), colour, VESSEL_NAMES[name])
        for code, (name, colour) in enumerate(zip(VESSELS, TERRITORY_COLOURS, strict=True), start=1)
    ]
    if judged.place is not None and judged.place.data.any():
        place = np.asarray(reorient(upright(judged.place), "RAS").data[:, :, slab].any(axis=2), dtype=np.uint8)
        outlines.append(Outline(Volume(place[:, :, None], flat), INK, "suspected clot"))
    near = np.zeros((*flat.shape[:2], 1), np.uint8)
    near[about] = 1
    return [
        Figure(
            "vessels",
            "The slices that hold the vessels, seen from above: the densest voxel of the brain on each ray, and the "
            "segments; where an occlusion is suspected, also the clot that the network sees.",
            "result",
            axial_mosaic(
                Volume(seen.astype(np.float32)[:, :, None], flat), outlines, slices=1, columns=2, window=MIP_WINDOW,
                within=Volume(near, flat),
            ),
        )
    ]  # fmt: skip


def _heat(prepared: PreparedHead, values: np.ndarray, label: str) -> bytes:
    head = prepared.head
    shown = head.hu.with_data(np.clip(head.hu.data, *BRAIN_WINDOW))
    return heat_mosaic(shown, Volume(values, head.grid), label, limits=DIFFERENCE_HU, within=head.inside)


def _territories(prepared: PreparedHead) -> Figure:
    head = prepared.head
    shown = head.hu.with_data(np.clip(head.hu.data, *BRAIN_WINDOW))
    outlines = [
        Outline(
            Volume((prepared.territories % RIGHT == code).astype(np.uint8), head.grid),
            TERRITORY_COLOURS[code - 1],
            NAMES[name],
        )
        for code, name in enumerate(TERRITORIES, start=1)
    ]
    return Figure(
        "territories",
        "Arterial territories as the map has them, brought to the patient, in the space of the brain's middle plane.",
        "quality",
        axial_mosaic(shown, outlines, slices=10, window=BRAIN_WINDOW, within=head.inside),
    )


def _prior(prepared: PreparedHead) -> list[Figure]:
    """The user's own prior, where there is one."""
    if prepared.prior is None:
        return []
    head = prepared.head
    shown = head.hu.with_data(np.clip(head.hu.data, *BRAIN_WINDOW))
    caption = "The prior that was given, brought to the patient, in the space of the brain's middle plane."
    picture = heat_mosaic(shown, prepared.prior, "probability", limits=PRIOR_LIMITS, within=head.inside)
    return [Figure("prior", caption, "quality", picture)]


def _registration(prepared: PreparedHead) -> Figure:
    head = prepared.head
    laid = head.from_template(template("ct"))
    still = head.hu.with_data(np.clip(head.hu.data, *SOFT_HU))
    moved = laid.with_data(np.clip(laid.data, *SOFT_HU))
    return Figure(
        "registration",
        "The CT template brought to the patient: edges of the CT on the template, and both as a checkerboard.",
        "quality",
        registration_overlay(still, moved, names=("CT", "template"), within=head.inside),
    )
