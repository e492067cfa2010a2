"""Validation of a network in training, through the same prediction that a patient's scan takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from willis.infer.ensemble import probabilities
from willis.infer.protocol import Engine
from willis.infer.slices import predict_slices
from willis.infer.windows import predict_sliding, predict_whole
from willis.learn.case import Case
from willis.measure.overlap import dice
from willis.models.manifest import Window

if TYPE_CHECKING:
    from torch import nn


def make_validation(
    cases: Sequence[Case], outputs: Sequence[str], window: Window, threshold: float = 0.5
) -> Callable[[nn.Module], dict[str, float]]:
    """A function that gives the mean Dice of each output, and ``dice``, that of the first one.

    Parameters
    ----------
    cases
        Whole cases.
    outputs
        Names of the network's outputs.
    window
        How the bundle will be run.
    threshold
        Probability from which a voxel counts.
    """

    def validate(network: nn.Module) -> dict[str, float]:
        from willis.infer.torch_engine import TorchEngine

        engine = TorchEngine(network, precision="bfloat16")
        scores = []
        for case in cases:
            scores.append(case_dice(engine, case, window, threshold))
        mean = np.mean(scores, axis=0)
        return {"dice": float(mean[0])} | {f"dice_{name}": float(m) for name, m in zip(outputs, mean, strict=True)}

    return validate


def case_dice(engine: Engine, case: Case, window: Window, threshold: float = 0.5) -> list[float]:
    """Dice of each output on one case."""
    found = probabilities(_logits(engine, case, window), "sigmoid") * case.mask >= threshold
    return [dice(f, t > 0) for f, t in zip(found, case.target, strict=True)]


def _logits(engine: Engine, case: Case, window: Window) -> npt.NDArray[np.float32]:
    if window.mode == "slices" and window.shape is not None:
        return predict_slices(engine, case.image, window.shape[2])
    if window.shape is None:
        return predict_whole(engine, case.image)
    return predict_sliding(engine, case.image, window.shape, window.overlap, mask=case.mask)[0]
