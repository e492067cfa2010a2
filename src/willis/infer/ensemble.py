"""The members of a bundle, run one after the other: their mean, their spread, within a stated memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError, BundleError
from willis.infer.engine import open_engine
from willis.infer.memory import Shape3, estimate_peak_gb, fitting_window
from willis.infer.precision import PrecisionChoice
from willis.infer.protocol import Engine, EngineChoice
from willis.infer.slices import BATCH, predict_slices
from willis.infer.windows import predict_sliding, predict_whole, whole_shape
from willis.units import counted

if TYPE_CHECKING:
    from willis.models.manifest import Calibration
    from willis.models.store import Bundle

Float32 = npt.NDArray[np.float32]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Prediction:
    """What a bundle says of one prepared image.

    Parameters
    ----------
    probability
        (L, I, J, K) float32: mean of the members' probabilities, 0 outside the mask.
    members
        Each member's probabilities (L, I, J, K) as float16, for intervals of whatever is measured on them.
    spread
        (L, I, J, K) float32: standard deviation between members; 0 for one member.
    engine, precision
        What ran, as settled.
    peak_memory_estimate_gb
        Estimate made before the start, 10⁹ bytes.
    seconds
        Wall time.
    window
        Sides of the windows, or None when the volume was run in one piece.
    notes
        What a reader should know: a memory limit that changed how the network was run.
    """

    probability: Float32
    members: tuple[npt.NDArray[np.float16], ...]
    spread: Float32
    engine: str
    precision: str
    peak_memory_estimate_gb: float
    seconds: float
    window: tuple[int, int, int] | None = None
    notes: tuple[str, ...] = ()


def predict(
    bundle: Bundle,
    x: Float32,
    *,
    mask: npt.NDArray[np.bool_] | None = None,
    engine: EngineChoice = "auto",
    precision: PrecisionChoice = "auto",
    threads: int | None = None,
    memory_limit_gb: float | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Run all members of a bundle on a prepared image.

    Parameters
    ----------
    bundle
        Its manifest says how: whole or sliding, activation, calibration.
    x
        (C, I, J, K), channels in the manifest's order.
    mask
        (I, J, K); probabilities outside it are 0, windows without a voxel of it aren't run.
    engine, precision, threads
        See :func:`willis.infer.engine.open_engine`.
    memory_limit_gb
        Most memory of the process, 10⁹ bytes; kept by smaller windows.
    progress
        Called with the fraction done and what is being done.

    Raises
    ------
    BadInputError
        When the image doesn't fit the bundle, or the limit can't be kept.
    """
    start = time.perf_counter()
    _check(bundle, x, mask)
    names = bundle.manifest.members
    first = open_engine(bundle, 0, engine=engine, precision=precision, threads=threads)
    plan = _plan(bundle, first, x.shape[1:], memory_limit_gb)
    runner: Engine | None = first
    del first
    if progress:
        progress(0.0, f"up to about {plan.peak_gb:.1f} GB of memory")
    members: list[npt.NDArray[np.float16]] = []
    mean = np.zeros((len(bundle.manifest.outputs), *x.shape[1:]), np.float32)
    squares = np.zeros_like(mean)
    for index in range(len(names)):
        runner = runner or open_engine(bundle, index, engine=engine, precision=precision, threads=threads)
        p = _member(bundle, runner, plan.window, x, mask, _within(progress, index, len(names)))
        runner = None  # its memory is given back before the next one is opened
        members.append(p.astype(np.float16))
        delta = p - mean  # Welford 1962, doi:10.1080/00401706.1962.10490022
        mean += delta / np.float32(index + 1)
        squares += delta * (p - mean)
        if progress:
            progress((index + 1) / len(names), f"member {index + 1} of {len(names)}")
    spread = np.sqrt(squares / np.float32(len(names)))
    return Prediction(
        mean, tuple(members), spread, plan.engine, plan.precision, plan.peak_gb, time.perf_counter() - start,
        plan.window, plan.notes,
    )  # fmt: skip


@dataclass(frozen=True)
class _Plan:
    engine: str
    precision: str
    window: Shape3 | None
    peak_gb: float
    notes: tuple[str, ...] = ()


def _plan(bundle: Bundle, runner: Engine, shape: Shape3, limit_gb: float | None) -> _Plan:
    """Settle the window, and estimate the peak of memory, before anything is run."""
    manifest = bundle.manifest
    if manifest.window.mode == "slices":
        return _slices_plan(bundle, runner, shape, limit_gb)

    def estimate(window: Shape3) -> float:
        needed = runner.needed_bytes((1, manifest.inputs, *window))
        return estimate_peak_gb(needed, len(manifest.outputs), len(manifest.members), shape)

    sliding = manifest.window.shape if manifest.window.mode == "sliding" else None
    wanted = sliding or whole_shape(shape, manifest.multiple_of)
    if limit_gb is None:
        return _Plan(runner.name, runner.precision, sliding, estimate(wanted))
    window, peak = fitting_window(estimate, wanted, manifest.multiple_of, limit_gb, may_cut=sliding is None)
    if window == wanted:
        return _Plan(runner.name, runner.precision, sliding, peak)
    sides = " × ".join(str(side) for side in window)
    note = (
        f"To keep the memory limit of {limit_gb:g} GB the network saw windows of {sides} voxels rather than the whole "
        "volume, which it was trained on; probabilities may differ slightly."
    )
    return _Plan(runner.name, runner.precision, window, peak, (note,))


def _slices_plan(bundle: Bundle, runner: Engine, shape: Shape3, limit_gb: float | None) -> _Plan:
    """The plan of a 2.5D network, whose stacks can't be cut."""
    manifest = bundle.manifest
    assert manifest.window.shape is not None
    needed = runner.needed_bytes((BATCH, len(manifest.channels), manifest.window.shape[2], *shape[:2]))
    peak = estimate_peak_gb(needed, len(manifest.outputs), len(manifest.members), shape)
    if limit_gb is not None and peak > limit_gb:
        raise BadInputError(
            f"the memory limit of {limit_gb:g} GB can't be kept: {bundle.name} needs about {peak:.2f} GB for its "
            "stacks of slices. Raise --memory-limit, or choose a smaller bundle."
        )
    return _Plan(runner.name, runner.precision, None, peak)


def _member(
    bundle: Bundle,
    runner: Engine,
    window: Shape3 | None,
    x: Float32,
    mask: npt.NDArray[np.bool_] | None,
    progress: Callable[[int, int], None] | None,
) -> Float32:
    """Probabilities (L, I, J, K) of one member, 0 outside the mask and where no window lay."""
    manifest = bundle.manifest
    if manifest.window.mode == "slices":
        assert manifest.window.shape is not None
        logits = predict_slices(runner, x, manifest.window.shape[2], progress=progress)
        p = probabilities(logits, manifest.activation, manifest.calibration)
    elif window is None:
        logits = predict_whole(runner, x, manifest.multiple_of)
        p = probabilities(logits, manifest.activation, manifest.calibration)
    else:
        logits, seen = predict_sliding(
            runner, x, window, manifest.window.overlap, mask=mask, outputs=len(manifest.outputs), progress=progress
        )
        p = probabilities(logits, manifest.activation, manifest.calibration)
        p *= seen
    if p.shape[0] != len(manifest.outputs):
        raise BundleError(
            f"{bundle.name} names {counted(len(manifest.outputs), 'output')}; its network gives {p.shape[0]}."
        )
    if mask is not None:
        p *= mask
    return p


def _check(bundle: Bundle, x: Float32, mask: npt.NDArray[np.bool_] | None) -> None:
    manifest = bundle.manifest
    if x.ndim != 4 or x.shape[0] != manifest.inputs:
        raise BadInputError(
            f"{bundle.name} takes an image (C, I, J, K) with {manifest.inputs} channels, "
            f"{', '.join(manifest.channels)}; found shape {x.shape}."
        )
    if mask is not None and mask.shape != x.shape[1:]:
        raise BadInputError(f"the mask has shape {mask.shape} and the image {x.shape[1:]}; they must agree.")


def _within(progress: Progress | None, member: int, members: int) -> Callable[[int, int], None] | None:
    """Progress over windows of one member as progress over all."""
    if progress is None:
        return None

    def tell(done: int, todo: int) -> None:
        progress((member + done / todo) / members, f"member {member + 1} of {members}, window {done} of {todo}")

    return tell


def probabilities(logits: Float32, activation: str, calibration: Calibration | None = None) -> Float32:
    """Probabilities (L, I, J, K) of logits, calibrated first: ``slope · logit + intercept``."""
    if calibration is not None:
        logits = logits * calibration.slope + calibration.intercept
    if activation == "softmax":
        e = np.exp(logits - logits.max(axis=0, keepdims=True))
        return np.asarray(e / e.sum(axis=0, keepdims=True), np.float32)
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)
