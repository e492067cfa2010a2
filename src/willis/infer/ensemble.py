"""The members of a bundle, run one after the other: their mean, their spread, within a stated memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from willis.infer.engine import Engine, EngineChoice, open_engine
from willis.infer.precision import PrecisionChoice
from willis.infer.windows import predict_sliding, predict_whole

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
    manifest = bundle.manifest
    names = manifest.members
    found: list[npt.NDArray[np.float16]] = []
    mean = np.zeros((1,), np.float32)
    squares = mean
    used: Engine | None = None
    for index in range(len(names)):
        used = open_engine(bundle, index, engine=engine, precision=precision, threads=threads)
        window = manifest.window
        if window.shape is None or window.mode == "whole":
            logits = predict_whole(used, x, manifest.multiple_of)
            seen = np.ones(x.shape[1:], bool)
        else:
            logits, seen = predict_sliding(used, x, window.shape, window.overlap, mask=mask)
        p = probabilities(logits, manifest.activation, manifest.calibration)
        p *= seen if mask is None else (mask & seen)
        found.append(p.astype(np.float16))
        if index == 0:
            mean, squares = np.zeros_like(p), np.zeros_like(p)
        delta = p - mean  # Welford 1962, doi:10.1080/00401706.1962.10490022
        mean += delta / (index + 1)
        squares += delta * (p - mean)
        if progress:
            progress((index + 1) / len(names), f"member {index + 1} of {len(names)}")
    spread = np.sqrt(squares / len(names))
    assert used is not None
    return Prediction(mean, tuple(found), spread, used.name, used.precision, 0.0, time.perf_counter() - start)


def probabilities(logits: Float32, activation: str, calibration: Calibration | None = None) -> Float32:
    """Probabilities (L, I, J, K) of logits, calibrated first: ``slope · logit + intercept``."""
    if calibration is not None:
        logits = logits * calibration.slope + calibration.intercept
    if activation == "softmax":
        e = np.exp(logits - logits.max(axis=0, keepdims=True))
        return np.asarray(e / e.sum(axis=0, keepdims=True), np.float32)
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), np.float32)
