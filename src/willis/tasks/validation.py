"""Validation of a network in training, through the same prediction that a patient's scan takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

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


class OwnMeasures(Protocol):
    """What a task measures beyond Dice: something of each case, and numbers of all of them."""

    def of_case(self, probability: npt.NDArray[np.float32], case: Case) -> Any:
        """What one case, (L, I, J, K) probabilities, adds."""
        ...

    def of_all(self, counts: Sequence[Any]) -> dict[str, float]:
        """Measures of all cases, by name."""
        ...


def make_validation(
    cases: Sequence[Case],
    outputs: Sequence[str],
    window: Window,
    threshold: float = 0.5,
    own: OwnMeasures | None = None,
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
    own
        What the task measures beyond Dice.
    """

    def validate(network: nn.Module) -> dict[str, float]:
        from willis.infer.torch_engine import TorchEngine

        engine = TorchEngine(network, precision="bfloat16")
        scores, counts = [], []
        for case in cases:
            found = case_probabilities(engine, case, window)
            scores.append(dices(found, case, threshold))
            if own is not None:
                counts.append(own.of_case(found, case))
        mean = np.mean(scores, axis=0)
        named = {"dice": float(mean[0])} | {f"dice_{name}": float(m) for name, m in zip(outputs, mean, strict=True)}
        return named | (own.of_all(counts) if own is not None else {})

    return validate


def case_dice(engine: Engine, case: Case, window: Window, threshold: float = 0.5) -> list[float]:
    """Dice of each output on one case."""
    return dices(case_probabilities(engine, case, window), case, threshold)


def case_probabilities(engine: Engine, case: Case, window: Window) -> npt.NDArray[np.float32]:
    """(L, I, J, K) of one case, 0 outside its mask."""
    return np.asarray(probabilities(_logits(engine, case, window), "sigmoid") * case.mask)


def dices(probability: npt.NDArray[np.float32], case: Case, threshold: float) -> list[float]:
    """Dice of each output with the case's target."""
    return [dice(p >= threshold, t > 0) for p, t in zip(probability, case.target, strict=True)]


def _logits(engine: Engine, case: Case, window: Window) -> npt.NDArray[np.float32]:
    if window.mode == "slices" and window.shape is not None:
        return predict_slices(engine, case.image, window.shape[2])
    if window.shape is None:
        return predict_whole(engine, case.image)
    return predict_sliding(engine, case.image, window.shape, window.overlap, mask=case.mask)[0]
