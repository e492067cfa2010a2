"""How a model of nnU-Net is to be run, as its plans say: axes, spacing, values, patch, mirroring, resampling."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from willis.models.manifest import Manifest
from willis.settings import Settings

AXES_KEY = "willis_axes"
"""In nnU-Net's ``dataset.json``: the orientation in which a training set's files lie. nnU-Net copies unknown keys."""

Scheme = Literal["CTNormalization", "ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization"]


class ChannelValues(Settings):
    """What is done to the values of one channel.

    Parameters
    ----------
    scheme
        By nnU-Net's name.
    inside
        Whether only voxels that aren't 0 count, and the others stay 0.
    low, high, mean, std
        Of the training set's foreground, for ``CTNormalization``.
    """

    scheme: Scheme
    inside: bool = False
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    std: float = 1.0


class PreviousLabels(Settings):
    """How the network of a cascade is shown the labels that the stage before it found.

    Parameters
    ----------
    codes
        Of each label or region that the stage before finds, in the order of its outputs: the channel, from 1, that
        shows it.
    channels
        How many there are, each 1 where its label lies and else 0, after those of the image.
    order
        Of the splines that labels are resampled with; across thick slices the nearest one's are taken.
    """

    codes: tuple[int, ...] = Field(min_length=1)
    channels: int = Field(ge=1)
    order: int = 1

    @model_validator(mode="after")
    def _channels_are_there(self) -> PreviousLabels:
        if not all(1 <= code <= self.channels for code in self.codes):
            raise ValueError(f"codes lie between 1 and the {self.channels} channels")
        return self


class NnunetPlan(Settings):
    """One configuration of nnU-Net's plans.

    Parameters
    ----------
    flat
        Whether the network is of 2D: its slices lie along the first of the transposed axes, where spacing is kept.
    transpose
        Which of the file's axes (slowest first) becomes each axis of the network.
    spacing_mm
        Of the network's axes; the first is not used when ``flat``.
    patch
        Voxels that the network sees at once; 1 along the first axis when ``flat``.
    values
        By channel.
    mirror
        Axes along which predictions are averaged with those of the mirrored image; none: no mirroring.
    image_order, image_order_z, result_order, result_order_z
        Of the splines that image and logits are resampled with, in general and along the axis of thick slices.
    separate
        Whether thick slices are resampled apart from their planes; None: where they are thick enough.
    regions
        Whether outputs are of regions that may overlap, none of them the background: a voxel is given the last of those
        whose logit is above 0. Else it is given the output of the largest logit, the first of which is the background.
    previous
        Of a cascade: what the network sees of the stage before.
    """

    flat: bool
    transpose: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    values: tuple[ChannelValues, ...] = Field(min_length=1)
    mirror: tuple[int, ...] = ()
    image_order: int = 3
    image_order_z: int = 0
    result_order: int = 1
    result_order_z: int = 0
    separate: bool | None = None
    regions: bool = False
    previous: PreviousLabels | None = None


def plan_of(manifest: Manifest) -> NnunetPlan | None:
    """How a bundle is to be run, where its manifest holds a plan.

    Raises
    ------
    BadInputError
        When the plan has an entry that isn't known or allowed.
    """
    held = manifest.network.config.get("plan")
    return NnunetPlan.parse(held, f"the plan of {manifest.name}") if isinstance(held, dict) and held else None


def label_names(manifest: Manifest) -> tuple[str, ...]:
    """Names of the labels, from 1, that a bundle with a plan finds: its outputs, but for the background."""
    plan = plan_of(manifest)
    return manifest.outputs if plan is not None and plan.regions else manifest.outputs[1:]
