"""Cases to train and to validate the WMH network on: phantoms, or a folder of labelled patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from willis.learn.case import Case
from willis.models.manifest import Intensity
from willis.phantom.anatomy import Anatomy
from willis.phantom.training import WmhCase, training_case
from willis.settings import Settings
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.wmh.prepare import SHAPE, network_channel
from willis.tasks.wmh.spec import SPEC

CHANNELS = ("t1", "flair")


class WmhData(Settings):
    """``[data]`` of a WMH recipe.

    Parameters
    ----------
    source
        ``phantom`` makes cases as they are needed.
    phantom
        Which heads, which seed.
    intensity
        Scheme of the bundle that is to be trained.
    """

    source: Literal["phantom"] = "phantom"
    phantom: PhantomSettings = PhantomSettings()
    intensity: Intensity = Intensity(scheme="p99")


@dataclass(frozen=True)
class PhantomSource:
    """Endless prepared phantoms, the same for one seed."""

    anatomies: tuple[Anatomy, ...]
    seed: int
    intensity: Intensity

    def case(self, index: int) -> Case:
        """Phantom ``index`` as the network sees it."""
        return prepared_case(training_case("wmh", self.seed, index, self.anatomies), self.intensity, f"{index:06d}")


def prepared_case(phantom: WmhCase, intensity: Intensity, subject: str) -> Case:
    """A phantom's images through the same scaling and masking as a patient's."""
    mask = phantom.prepared_mask > 0
    image = np.stack([network_channel(phantom.t1, mask, intensity), network_channel(phantom.flair, mask, intensity)])
    target = (phantom.wmh > 0) & mask
    return Case(image, target[None].astype(np.uint8), mask, subject, (1.0, 1.0, 1.0))


def training_cases(data: Mapping[str, Any]) -> PhantomSource:
    """The source that a recipe's ``[data]`` names."""
    settings = WmhData.parse(data, "[data] of the recipe")
    return PhantomSource(anatomies_of(settings.phantom), settings.phantom.seed, settings.intensity)


def validation_cases(data: Mapping[str, Any]) -> list[Case]:
    """Phantoms that training never sees: of another seed."""
    settings = WmhData.parse(data, "[data] of the recipe")
    phantom = settings.phantom
    heads = anatomies_of(phantom, validation=True)
    source = PhantomSource(heads, phantom.validation_seed, settings.intensity)
    return [source.case(index) for index in range(phantom.validation_count)]


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    settings = WmhData.parse(data, "[data] of the recipe")
    return {
        "name": "wmh",
        "title": SPEC.title,
        "channels": CHANNELS,
        "missing_channels": "zero",
        "outputs": ("wmh",),
        "spacing_mm": (1.0, 1.0, 1.0),
        "shape": SHAPE,
        "intensity": settings.intensity.model_dump(),
        "threshold": {"value": 0.5, "origin": "convention; not tuned"},
        "clusters": {
            "connectivity": 26,
            "min_voxels": 3,
            "max_outside_brain": 0.25,
            "origin": "SHIVAi's rule for voxels outside the brain; 3 mm³ against single-voxel noise",
        },
        "licence": "Apache-2.0",
        "citation": tuple(f"{c.text} doi:{c.doi}" for c in SPEC.citations),
        "intended_use": SPEC.intended_use,
    }
