"""Recipe: the TOML file that says how a bundle is trained."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from willis.errors import BadInputError
from willis.settings import Settings

Side = Annotated[int, Field(ge=1)]
Shape3 = tuple[Side, Side, Side]


def _rising(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError(f"the first of a range's ends is the least, and {ends[0]:g} is above {ends[1]:g}")
    return ends


Factor = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Range = Annotated[tuple[Factor, Factor], AfterValidator(_rising)]  # of factors


class NetworkSettings(Settings):
    """``[network]``: name in ``nets.registry`` and its configuration."""

    name: str = "unet3d"
    config: dict[str, Any] = Field(default_factory=dict)


class FoldSettings(Settings):
    """``[folds]``: train on all folds but one; patients are shared out by a seed.

    Parameters
    ----------
    count, index
        Folds, and the one that is left out.
    seed
        Of the order in which patients are shared out.
    validation_share
        Of the other folds' patients, for validation; the fold that is left out is then seen by nothing in training and
        remains for a test. 0: that fold itself is for validation.
    """

    count: int = Field(5, ge=2)
    index: int = Field(0, ge=0)
    seed: int = 0
    validation_share: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> FoldSettings:
        if self.index >= self.count:
            raise ValueError(f"fold {self.index} of {self.count} does not exist; folds count from 0")
        return self


class SamplingSettings(Settings):
    """``[sampling]``: patches, and the moving window of cases that they are cut from.

    Parameters
    ----------
    patch
        Voxels along I, J, K.
    foreground_share
        Share of patches that are centred near a voxel of a label; the others lie anywhere in the mask.
    window, first, cases_per_step
        Cases in use at once, cases to wait for before the first step, new cases for each step.
    workers, ahead
        Processes that make cases (0: none, made when needed), and how many cases they may be ahead.
    """

    patch: Shape3 = (64, 64, 64)
    foreground_share: float = Field(0.5, ge=0, le=1)
    window: int = Field(16, ge=1)
    first: int = Field(4, ge=1)
    cases_per_step: float = Field(0.05, ge=0)
    workers: int = Field(1, ge=0)
    ahead: int = Field(4, ge=0)


class AugmentationSettings(Settings):
    """``[augmentation]``: for each change its probability (0: never) and its range; image values are about 0…1.

    Parameters
    ----------
    flip_axes, flip
        Axes that may be mirrored (0, 1, 2), each with probability ``flip``.
    affine, rotation_deg, scale, shear, translate
        Probability; largest rotation about each axis; range of the factor of each axis; largest shear; largest shift as
        a part of the patch. Angles are those of the head in mm.
    affine_axes
        Axes along which the affine may move a voxel; 0 and 1: within slices along K alone.
    gamma, gamma_range
        x → m·(x/m)^g with m the patch's largest value; of values below 0 too, between the least and the largest.
    contrast, contrast_range, contrast_about
        x → v + c·(x − v), v the ``mean`` or the least value (``min``) of the patch.
    brightness, brightness_range
        x → b·x.
    offset, offset_range
        x → x + o.
    noise, noise_std
        Gaussian noise, largest standard deviation.
    blur, blur_voxels
        Gaussian blur, largest standard deviation in voxels.
    bias, bias_log
        Smooth field exp(f), largest |f|.
    channel_dropout
        Probability that one channel, never all, is zeroed.
    droppable
        Channels that may be zeroed; empty: all.
    keep_zero
        Voxels that are exactly 0 in all channels before (outside the brain) are 0 after.
    """

    flip: float = Field(0.5, ge=0, le=1)
    flip_axes: tuple[Literal[0, 1, 2], ...] = (0,)
    affine: float = Field(0.0, ge=0, le=1)
    rotation_deg: float = Field(10.0, ge=0, le=180)
    scale: Range = (0.9, 1.1)
    shear: float = Field(0.0, ge=0, le=0.5)
    translate: float = Field(0.0, ge=0, le=0.5)
    affine_axes: tuple[Literal[0, 1, 2], ...] = (0, 1, 2)
    gamma: float = Field(0.0, ge=0, le=1)
    gamma_range: Range = (0.7, 1.4)
    contrast: float = Field(0.0, ge=0, le=1)
    contrast_range: Range = (0.8, 1.25)
    contrast_about: Literal["mean", "min"] = "mean"
    brightness: float = Field(0.0, ge=0, le=1)
    brightness_range: Range = (0.85, 1.15)
    offset: float = Field(0.0, ge=0, le=1)
    offset_range: Annotated[tuple[float, float], AfterValidator(_rising)] = (-0.15, 0.15)
    noise: float = Field(0.0, ge=0, le=1)
    noise_std: float = Field(0.05, ge=0)
    blur: float = Field(0.0, ge=0, le=1)
    blur_voxels: float = Field(1.0, ge=0)
    bias: float = Field(0.0, ge=0, le=1)
    bias_log: float = Field(0.2, ge=0)
    channel_dropout: float = Field(0.0, ge=0, le=1)
    droppable: tuple[Annotated[int, Field(ge=0)], ...] = ()
    keep_zero: bool = True

    @model_validator(mode="after")
    def _an_axis_stands_once(self) -> AugmentationSettings:
        if len(set(self.flip_axes)) < len(self.flip_axes):
            raise ValueError(f"flip_axes names an axis twice: {list(self.flip_axes)}")
        return self


class LossTerm(Settings):
    """One term of the loss.

    Parameters
    ----------
    name
        ``dice``, ``bce``, ``ce``, ``focal``, ``tversky``, ``focal_tversky``, ``squared_dice``, ``jaccard``,
        ``tanimoto``, ``tanimoto_dual``.
    weight
        Factor in the sum.
    alpha, beta
        Tversky's weights of false positives and false negatives.
    gamma
        Exponent of the focal losses.
    smooth
        Added to numerator and denominator of the overlap losses.
    positive_weight
        Factor of the loss of positive voxels, ``bce`` only.
    smoothing
        ``bce`` only: targets 0 and 1 become s and 1 − s.
    per_batch
        Overlap over the whole batch instead of each sample.
    pooled
        One overlap of all labels, each weighed by ``labels`` within the sums, instead of the mean of the labels' own.
    present
        With ``per_batch``: overlap of those labels alone that have a true voxel in the batch. Of others each
        probability above 0 costs nearly as much as a wrong mask, so that seldom ones are never found. In the mean over
        labels they stand as 0, so that a label weighs the same whatever others the batch holds: a logged loss of this
        term is the lower the fewer labels there are.
    """

    name: Literal[
        "dice", "bce", "ce", "focal", "tversky", "focal_tversky", "squared_dice", "jaccard", "tanimoto", "tanimoto_dual"
    ]
    weight: float = Field(1.0, gt=0)
    alpha: float = Field(0.3, ge=0)
    beta: float = Field(0.7, ge=0)
    gamma: float = Field(2.0, ge=0)
    smooth: float = Field(1e-5, ge=0)
    positive_weight: float = Field(1.0, gt=0)
    smoothing: float = Field(0.0, ge=0, lt=0.5)
    per_batch: bool = False
    pooled: bool = False
    present: bool = False

    @model_validator(mode="after")
    def _check(self) -> LossTerm:
        if self.present and (self.pooled or not self.per_batch):
            raise ValueError("present is for overlap with per_batch and without pooled")
        return self


class LossSettings(Settings):
    """``[loss]``: a weighted sum of terms over sigmoid or softmax outputs.

    ``labels`` weighs the outputs (empty: alike); ``masked`` counts only voxels in the case's mask; ``inside`` names for
    each output the one within whose truth alone its voxels count, by number, −1 for all of them (empty: all).
    """

    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    terms: tuple[LossTerm, ...] = Field(default=(LossTerm(name="dice"), LossTerm(name="bce")), min_length=1)  # type: ignore[call-arg]
    labels: tuple[float, ...] = ()
    masked: bool = False
    inside: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> LossSettings:
        if any(not -1 <= output < len(self.inside) for output in self.inside):
            raise ValueError(f"inside holds a number for each output, from -1 to {len(self.inside) - 1}")
        if self.inside and self.activation == "softmax":
            raise ValueError("inside is for sigmoid outputs, each of which is judged by itself")
        right, wrong = ("bce", "ce") if self.activation == "sigmoid" else ("ce", "bce")
        if any(term.name == wrong for term in self.terms):
            raise ValueError(f"a {self.activation} output has no {wrong!r} loss; use {right!r}")
        if any(w < 0 for w in self.labels) or (self.labels and not sum(self.labels)):
            raise ValueError("weights of labels must not be negative, and not all 0")
        return self


class OptimiserSettings(Settings):
    """``[optimiser]``: weight decay is not applied to biases and normalisation.

    ``l1``, ``l2`` and ``max_norm`` are penalties and a largest norm of filters as Keras has them, see
    :class:`willis.learn.constraint.Constraint`; 0: none.
    """

    name: Literal["adamw", "sgd"] = "adamw"
    rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    momentum: float = Field(0.99, ge=0, lt=1)
    nesterov: bool = True
    l1: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)
    max_norm: float = Field(0.0, ge=0)


class ScheduleSettings(Settings):
    """``[schedule]``: the learning rate by step.

    Parameters
    ----------
    name
        ``constant``, ``poly``, ``cosine``, ``exponential``, ``plateau``, or ``cyclic``: cosine with restarts, whose
        weights at the end of each cycle become members of the bundle (``bundle.members = "snapshots"``).
    warmup
        Steps of linear rise at the start.
    power
        Of ``poly``.
    floor
        Least rate as a fraction of the highest.
    cycles
        Of ``cyclic``.
    patience, factor
        Of ``plateau``: validations without progress before the rate is multiplied by the factor.
    every
        Of ``exponential``: steps over which the rate falls, evenly, to the factor.
    monitor, monitor_mode
        Of ``plateau``: which figure of the validation it follows, and whether more or less is better; without one, that
        of ``[training]``, and its mode.
    threshold, cooldown
        Of ``plateau``: what a figure must gain to be progress, and validations after a lower rate that don't count.
    """

    name: Literal["constant", "poly", "cosine", "exponential", "plateau", "cyclic"] = "cosine"
    warmup: int = Field(0, ge=0)
    power: float = Field(0.9, gt=0)
    floor: float = Field(0.0, ge=0, le=1)
    cycles: int = Field(5, ge=1)
    patience: int = Field(5, ge=1)
    factor: float = Field(0.5, gt=0, lt=1)
    every: int = Field(100_000, ge=1)
    monitor: str = ""
    monitor_mode: Literal["max", "min"] = "min"
    threshold: float = Field(0.0, ge=0)
    cooldown: int = Field(0, ge=0)


class StageSettings(Settings):
    """``[[stages]]``: a part of a run, which goes through all of them in order; without any, a run is one stage.

    A stage begins with a new optimiser and its schedule from the start.

    Parameters
    ----------
    name
        For the log.
    share
        Of ``training.steps``, against the shares of the other stages: where they add up to it, the stage's own steps.
    frozen
        What isn't trained: parts that the network names (``encoders``), or patterns of its parameters' names
        (``encoder.*``). Batch-norm statistics of a frozen part stay too.
    rate
        Highest learning rate; 0: that of ``[optimiser]``.
    patience
        Validations without progress before the next stage begins or the run ends; −1: that of ``[training]``, 0: never.
    start
        Weights to begin with: the ``best`` of the validations so far, or the ``last``.
    """

    name: str = ""
    share: float = Field(1.0, gt=0)
    frozen: tuple[str, ...] = ()
    rate: float = Field(0.0, ge=0)
    patience: int = Field(-1, ge=-1)
    start: Literal["best", "last"] = "best"


class TrainingSettings(Settings):
    """``[training]``: the loop.

    Parameters
    ----------
    steps, batch, accumulate
        Optimiser steps, over all stages; patches in each, over all processes; in how many parts a process takes its
        share.
    seed
        Of weights, patches, augmentation, dropout.
    precision
        ``bfloat16`` runs the network under autocast; weights and loss stay float32.
    device
        ``auto`` takes a GPU when there is one.
    refresh_batches
        Batches that go through the network before each validation, without learning, so that its batch-norm statistics
        are those of the weights it has come to; 0: none.
    clip
        Largest norm of the gradient; 0: no limit.
    clip_value
        Largest absolute value of a gradient's entry; 0: no limit.
    ema
        Decay of the moving average of weights and batch-norm statistics, which validation and bundle use; 0: none.
    validate_every, checkpoint_every, log_every
        Steps; 0: never (a checkpoint is always written at the end).
    record_patches
        Write case, place and augmentation of every patch to ``patches.jsonl`` (about 1 kB a patch).
    monitor, monitor_mode
        Which figure of the validation chooses the best weights, and whether more or less is better; ``loss``, the
        recipe's own on whole cases, is measured only where it is named here or in ``[schedule]``.
    patience
        Validations without progress before the run ends early; 0: never.
    threads
        Of torch on the CPU; 0: left alone.
    time_limit_minutes
        The run stops cleanly after this time, bundle included; 0: none. The schedule is by steps and doesn't know it.
    """

    steps: int = Field(ge=1)
    batch: int = Field(2, ge=1)
    accumulate: int = Field(1, ge=1)
    seed: int = Field(0, ge=0)
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    refresh_batches: int = Field(0, ge=0)
    clip: float = Field(1.0, ge=0)
    clip_value: float = Field(0.0, ge=0)
    ema: float = Field(0.99, ge=0, lt=1)
    validate_every: int = Field(0, ge=0)
    checkpoint_every: int = Field(200, ge=0)
    log_every: int = Field(10, ge=1)
    record_patches: bool = False
    monitor: str = "dice"
    monitor_mode: Literal["max", "min"] = "max"
    patience: int = Field(0, ge=0)
    threads: int = Field(0, ge=0)
    time_limit_minutes: float = Field(0.0, ge=0)


class BundleSettings(Settings):
    """``[bundle]``: what the trained bundle says of itself; the task's ``manifest_for`` completes it.

    ``members``: the ``best`` weights of the validation, the ``last``, or the ``snapshots`` of a cyclic schedule.
    ``manifest``: further fields of the manifest, as they stand there.
    """

    name: str = ""
    title: str = ""
    version: str = "1"
    licence: str = "Apache-2.0"
    citation: tuple[str, ...] = ()
    members: Literal["best", "last", "snapshots"] = "last"
    half: bool = True
    manifest: dict[str, Any] = Field(default_factory=dict)


class Recipe(Settings):
    """How a bundle is trained: all that a run depends on besides the data.

    Parameters
    ----------
    task
        ``wmh``, ``brain``…
    data
        Free for the task: where cases come from and how they are made.
    """

    task: str
    training: TrainingSettings
    network: NetworkSettings = NetworkSettings()
    data: dict[str, Any] = Field(default_factory=dict)
    folds: FoldSettings | None = None
    sampling: SamplingSettings = SamplingSettings()  # type: ignore[call-arg]
    augmentation: AugmentationSettings = AugmentationSettings()  # type: ignore[call-arg]
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()  # type: ignore[call-arg]
    schedule: ScheduleSettings = ScheduleSettings()  # type: ignore[call-arg]
    stages: tuple[StageSettings, ...] = ()
    bundle: BundleSettings = BundleSettings()

    def changed(self, section: str, **values: Any) -> Recipe:
        """The same recipe with values of one section replaced, checked anew."""
        plain = self.model_dump()
        plain[section] = {**(plain[section] or {}), **values}
        return Recipe.parse(plain, "the changed recipe")


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe from TOML.

    Raises
    ------
    BadInputError
        When the file can't be read, isn't TOML, or holds an unknown or wrong setting.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise BadInputError(f"the recipe {path} can't be read: {error.strerror}.") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInputError(f"the recipe {path} isn't TOML: {error}.") from None
    return Recipe.parse(values, f"the recipe {path.name}")
