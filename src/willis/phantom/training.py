"""Phantoms for training: fast, one thread, on the grids that networks are fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from willis.errors import invalid_option
from willis.phantom.acquire import acquire, draw_acquisition
from willis.phantom.anatomy import Anatomy, builtin_anatomy
from willis.phantom.brain_training import BrainCase, brain_case
from willis.phantom.contrast import (
    draw_person,
    fat_saturated,
    flair_palette,
    loosened,
    t1_palette,
)
from willis.phantom.deform import Field
from willis.phantom.edges import draw_edge_filter
from willis.phantom.head import draw_head, draw_pose
from willis.phantom.labels import BRAIN, lookup
from willis.phantom.lesions import draw_lesions, draw_load_ml
from willis.phantom.outline import wrong_mask
from willis.phantom.painting import TRUTH_FRACTION, paint, regions
from willis.phantom.scene import LesionScene

__all__ = ["BrainCase", "WmhCase", "brain_case", "training_case", "wmh_case"]

WMH_STREAM, BRAIN_STREAM = 1, 2
WMH_SHAPE = (160, 214, 176)


@dataclass(frozen=True)
class WmhCase:
    """A T1 and a FLAIR on one 1 mm RAS grid of (160, 214, 176) with their truth."""

    t1: Field
    flair: Field
    wmh: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.uint8]
    prepared_mask: npt.NDArray[np.uint8]
    regions: npt.NDArray[np.uint8]
    stripped: bool
    parameters: dict[str, Any] = field(default_factory=dict)


@overload
def training_case(
    kind: Literal["wmh"], seed: int, index: int, anatomies: Sequence[Anatomy] | None = None
) -> WmhCase: ...
@overload
def training_case(
    kind: Literal["brain"], seed: int, index: int, anatomies: Sequence[Anatomy] | None = None
) -> BrainCase: ...
def training_case(
    kind: Literal["wmh", "brain"], seed: int, index: int, anatomies: Sequence[Anatomy] | None = None
) -> WmhCase | BrainCase:
    """One labelled phantom; the same seed, index and anatomies give the same arrays.

    Raises
    ------
    BadInputError
        When ``kind`` is neither ``"wmh"`` nor ``"brain"``.
    """
    heads = list(anatomies) if anatomies else [builtin_anatomy()]
    if kind == "wmh":
        return wmh_case(np.random.default_rng([seed, index, WMH_STREAM]), heads)
    if kind == "brain":
        return brain_case(np.random.default_rng([seed, index, BRAIN_STREAM]), heads)
    raise invalid_option("kind", kind, ["wmh", "brain"])


def wmh_case(rng: np.random.Generator, anatomies: Sequence[Anatomy], large_share: float = 0.0) -> WmhCase:
    """A T1 and FLAIR pair as prepared data are: one 1 mm RAS grid, each with its own acquisition's history.

    ``large_share`` of the patients have a large load, see ``draw_load_ml``.
    """
    anatomy = anatomies[int(rng.integers(len(anatomies)))]
    head = draw_head(rng, anatomy, draw_pose(rng), WMH_SHAPE, 1.0, distances=True)
    assert head.ventricle_mm is not None and head.cortex_mm is not None and head.midline_mm is not None
    scene = LesionScene(head.codes, head.ventricle_mm, head.cortex_mm, head.midline_mm)
    lesions = draw_lesions(rng, scene, draw_load_ml(rng, large_share))
    brain = lookup(BRAIN)[head.codes]
    tissue, strength = draw_person(rng)
    volumetric = bool(rng.random() < 0.7)
    palettes = [
        t1_palette(rng, tissue, strength, volumetric=volumetric),
        fat_saturated(rng, flair_palette(rng, tissue, strength)),
    ]
    if rng.random() < 0.5:
        palettes = [loosened(rng, p) for p in palettes]
    flair_3d = bool(rng.random() < 0.55)
    thick = [None if volumetric else 2, None if flair_3d else int(rng.choice([2, 1, 0], p=[0.88, 0.07, 0.05]))]
    mask = wrong_mask(rng, brain)
    stripped = bool(rng.random() < 0.4)
    images = []
    acquisitions = [
        draw_acquisition(rng, thick_axis=thick[0], misplaced_mm=0.35),
        replace(draw_acquisition(rng, thick_axis=thick[1]), edges=draw_edge_filter(rng.spawn(1)[0])),
    ]
    for palette, acquisition in zip(palettes, acquisitions, strict=True):
        ideal = paint(rng, head.codes, palette, lesions)
        image = acquire(rng, ideal, acquisition, 1.0, 1.0)
        images.append(image * mask if stripped else image)
    seen = acquire(rng, lesions.wmh, acquisitions[1].without_bias(), 1.0, 1.0)  # raters draw on the FLAIR's slices
    wmh = (seen >= TRUTH_FRACTION).astype(np.uint8)
    scale = np.exp(rng.uniform(np.log(50), np.log(800), 2)).astype(np.float32)
    return WmhCase(
        images[0] * scale[0],
        images[1] * scale[1],
        wmh,
        brain.astype(np.uint8),
        mask.astype(np.uint8),
        regions(head.codes, head.ventricle_mm, head.cortex_mm),
        stripped,
        {
            "anatomy": head.anatomy,
            "t1": palettes[0].sequence,
            "thick": thick,
            "edges": acquisitions[1].edges.record() if acquisitions[1].edges else None,
            **head.pose.record(),
            **lesions.parameters,
        },
    )
