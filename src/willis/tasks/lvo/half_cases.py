"""Cases to train and to validate the vessel network on: phantoms, each half of a head with the other one mirrored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from willis.learn.case import Case, CasesInTurn
from willis.learn.recipe import FoldSettings
from willis.phantom.anatomy import Anatomy
from willis.phantom.deform import rotation
from willis.phantom.lvo_training import VesselCase, vessel_case
from willis.settings import Settings
from willis.tasks.lvo.halves import (
    CHANNELS,
    HALF,
    MIDDLE_MM,
    SHAPE,
    SPACING_MM,
    Side,
    corners_mm,
    half,
    network_input,
    scaled_part,
    willis_grid,
)
from willis.tasks.lvo.spec import OUTPUTS, SHUT, SPEC, VESSELS
from willis.tasks.phantoms import PhantomSettings, anatomies_of, held_out_cases
from willis.volume.grid import FloatArray
from willis.volume.resample import resample_to

SIDES: tuple[Side, Side] = ("left", "right")
FIT_DEG = 2.5  # spreads of the error of a fit to the template, which the network must bear
FIT_MM = 2.0
FIT_SCALE = 0.03


class HalfData(Settings):
    """``[data]`` of a recipe for the default network: which heads, which seed."""

    stage: Literal["halves"] = "halves"
    phantom: PhantomSettings = PhantomSettings()


@dataclass(frozen=True)
class PhantomSource:
    """Endless phantoms, the same for one seed: cases 2n and 2n + 1 are the left and right half of phantom n."""

    anatomies: tuple[Anatomy, ...]
    seed: int

    def case(self, index: int) -> Case:
        """Case ``index`` as the network sees it."""
        return _both_halves(self, index // 2)[index % 2]


@lru_cache(maxsize=2)
def _both_halves(source: PhantomSource, number: int) -> tuple[Case, Case]:
    rng = np.random.default_rng([source.seed, number, 6])
    phantom = vessel_case(rng, source.anatomies, *corners_mm())
    matrix = phantom.matrix @ fit_error(rng)
    image, target = scaled_part(phantom.ct, matrix), targets(phantom, matrix)
    first, second = (_case(image, target, side, f"{number:06d}") for side in SIDES)
    return first, second


def _case(image: npt.NDArray[np.float32], target: npt.NDArray[np.uint8], side: Side, subject: str) -> Case:
    labels = half(target[0 if side == "left" else 1], side)
    spacing = (SPACING_MM, SPACING_MM, SPACING_MM)
    return Case(network_input(image, side), labels.astype(np.uint8), np.ones((HALF,) * 3, dtype=bool), subject, spacing)


def fit_error(rng: np.random.Generator) -> FloatArray:
    """(4, 4) of MNI space onto itself: by how much a fit may be wrong."""
    middle = np.array(MIDDLE_MM)
    matrix = np.eye(4)
    turn = rotation(np.deg2rad(rng.normal(0, FIT_DEG, 3)))
    matrix[:3, :3] = turn @ np.diag(np.exp(rng.normal(0, FIT_SCALE, 3)))
    matrix[:3, 3] = middle - matrix[:3, :3] @ middle + rng.normal(0, FIT_MM, 3)
    return matrix


def targets(phantom: VesselCase, matrix: FloatArray) -> npt.NDArray[np.uint8]:
    """(2, L, 100, 56, 56) masks of ``spec.OUTPUTS`` for the left and the right half.

    Vessels, clot and ischaemia are where they are; that a side has an occlusion, and of which segment, is said by all
    its voxels alike.
    """
    maps = [
        resample_to(v, willis_grid(), "nearest", world_transform=matrix).data
        for v in (phantom.vessels, phantom.clot, phantom.ischaemia)
    ]
    placed = [*(maps[0] == code for code in range(1, len(VESSELS) + 1)), maps[1] > 0, maps[2] > 0]
    both = []
    for side in SIDES:
        clot = phantom.drawn
        here = clot is not None and clot.right == (side == "right")
        said = [here, *(here and clot is not None and name in clot.segment.split("+") for name in SHUT)]
        both.append(np.stack([*placed, *(np.full(SHAPE, word) for word in said)]))
    return np.stack(both).astype(np.uint8)


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> PhantomSource:
    """The source that a recipe's ``[data]`` names; endless, so that there are no folds."""
    phantom = HalfData.parse(data, "[data] of the recipe").phantom
    return PhantomSource(anatomies_of(phantom), phantom.seed)


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """Halves of phantoms of another seed, and of held-out heads where the recipe names some."""
    phantom = HalfData.parse(data, "[data] of the recipe").phantom
    return held_out_cases(phantom, PhantomSource)


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    HalfData.parse(data, "[data] of the recipe")
    return {
        "name": "lvo",
        "title": SPEC.title,
        "channels": CHANNELS,
        "outputs": OUTPUTS,
        "spacing_mm": (SPACING_MM, SPACING_MM, SPACING_MM),
        "shape": (HALF, HALF, HALF),
        "intensity": {"scheme": "none"},
        "threshold": {"value": 0.5, "origin": "convention; not tuned"},
        "licence": "Apache-2.0",
        "citation": tuple(f"{c.text} doi:{c.doi}" for c in SPEC.citations),
        "intended_use": SPEC.intended_use,
    }
