"""Cases to train and to validate the brain network on: phantoms of any contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.learn.case import Case, CasesInTurn
from willis.learn.recipe import FoldSettings
from willis.phantom.anatomy import Anatomy
from willis.phantom.labels import RIGHT_SIDE, SIDED, VENTRICLES, Tissue, lookup
from willis.phantom.training import BrainCase, training_case
from willis.settings import Settings
from willis.tasks.brain.prepare import SHAPE, SPACING_MM, network_input
from willis.tasks.brain.spec import PARTS, SPEC
from willis.tasks.phantoms import PhantomSettings, anatomies_of, held_out_cases

SIDE_REACH_VOXELS = 4.0  # how far the side of sided tissue reaches into the fluid and midline tissue between


class BrainData(Settings):
    """``[data]`` of a brain recipe: which heads, which seed."""

    phantom: PhantomSettings = PhantomSettings()


@dataclass(frozen=True)
class PhantomSource:
    """Endless phantoms of random contrast, the same for one seed."""

    anatomies: tuple[Anatomy, ...]
    seed: int

    def case(self, index: int) -> Case:
        """Phantom ``index`` as the network sees it."""
        return prepared_case(training_case("brain", self.seed, index, self.anatomies), f"{index:06d}")


def prepared_case(phantom: BrainCase, subject: str) -> Case:
    """A phantom's image through the same scaling as a patient's, with its parts as labels."""
    image = network_input(phantom.image, "HU" if phantom.contrast == "ct" else "")
    target = parts_of(phantom.codes, phantom.brain > 0)
    spacing = (SPACING_MM, SPACING_MM, SPACING_MM)
    return Case(image[None], target, np.ones(image.shape, dtype=bool), subject, spacing)


def parts_of(codes: npt.NDArray[np.uint8], brain: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """(6, I, J, K) masks of ``spec.PARTS`` from tissue codes (I, J, K) and the brain mask."""
    tissues = {
        "ventricles": (*VENTRICLES, Tissue.CHOROID_PLEXUS),
        "cortex": (Tissue.CORTEX,),
        "cerebellum": (Tissue.CEREBELLAR_WHITE_MATTER, Tissue.CEREBELLAR_CORTEX),
        "brainstem": (Tissue.BRAINSTEM,),
    }
    masks = {name: lookup(members)[codes] for name, members in tissues.items()}
    masks["brain"] = brain
    masks["left"] = brain & (side_of(codes) > 0)
    return np.stack([masks[name] for name in PARTS]).astype(np.uint8)


def side_of(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(I, J, K) above 0 where the sided tissue nearby is mostly left, below 0 where right."""
    sided = lookup(tuple(SIDED))[codes]
    sign = np.where(codes & RIGHT_SIDE, -1.0, 1.0) * sided
    return np.asarray(ndimage.gaussian_filter(sign.astype(np.float32), SIDE_REACH_VOXELS))


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> PhantomSource:
    """The source that a recipe's ``[data]`` names; endless, so that there are no folds."""
    phantom = BrainData.parse(data, "[data] of the recipe").phantom
    return PhantomSource(anatomies_of(phantom), phantom.seed)


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """Phantoms that training never sees: of another seed, and of held-out heads where the recipe names some."""
    phantom = BrainData.parse(data, "[data] of the recipe").phantom
    return held_out_cases(phantom, PhantomSource)


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    BrainData.parse(data, "[data] of the recipe")
    return {
        "name": "brain",
        "title": SPEC.title,
        "channels": ("image",),
        "outputs": PARTS,
        "spacing_mm": (SPACING_MM, SPACING_MM, SPACING_MM),
        "shape": SHAPE,
        "intensity": {"scheme": "range"},
        "threshold": {"value": 0.5, "origin": "convention; not tuned"},
        "licence": "Apache-2.0",
        "citation": tuple(f"{c.text} doi:{c.doi}" for c in SPEC.citations),
        "intended_use": SPEC.intended_use,
    }
