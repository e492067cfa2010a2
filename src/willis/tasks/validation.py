"""Validation of a network in training, through the same prediction that a patient's scan takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from willis.infer.ensemble import probabilities
from willis.infer.protocol import Engine
from willis.infer.slices import predict_slices
from willis.infer.windows import predict_sliding, predict_whole
from willis.io.tables import write_table
from willis.learn.case import Case
from willis.measure.decision import auc, sensitivity, specificity
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


@runtime_checkable
class OwnTables(Protocol):
    """Own measures that come as tables too."""

    def tables(self, counts: Sequence[Any]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Rows of each table, by its name."""
        ...


def make_validation(
    cases: Sequence[Case],
    outputs: Sequence[str],
    window: Window,
    threshold: float = 0.5,
    own: OwnMeasures | None = None,
    activation: str = "sigmoid",
    folder: Path | None = None,
) -> Callable[[nn.Module], dict[str, float]]:
    """A function that gives the mean Dice of each output, and ``dice``, that of the first one.

    Of a network with one answer for a whole scan: what :func:`scan_measures` gives.

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
    activation
        ``sigmoid`` or ``softmax``, as the bundle will have it.
    folder
        Where the task's own tables are written, those of the last validation: ``validation-NAME.tsv``.
    """

    def validate(network: nn.Module) -> dict[str, float]:
        from willis.infer.torch_engine import TorchEngine

        engine = TorchEngine(network, precision="bfloat16")
        if getattr(network, "one_answer", False):
            return scan_measures([scan_logit(engine, case) for case in cases], cases, threshold, folder)
        scores, counts = [], []
        for case in cases:
            found = case_probabilities(engine, case, window, activation)
            scores.append(dices(found, case, threshold))
            if own is not None:
                counts.append(own.of_case(found, case))
        mean = np.mean(scores, axis=0)
        named = {"dice": float(mean[0])} | {f"dice_{name}": float(m) for name, m in zip(outputs, mean, strict=True)}
        if isinstance(own, OwnTables) and folder is not None:
            for name, rows in own.tables(counts).items():
                write_table(rows, folder / f"validation-{name}.tsv")
        return named | (own.of_all(counts) if own is not None else {})

    return validate


def case_dice(
    engine: Engine, case: Case, window: Window, threshold: float = 0.5, activation: str = "sigmoid"
) -> list[float]:
    """Dice of each output on one case."""
    return dices(case_probabilities(engine, case, window, activation), case, threshold)


def case_probabilities(
    engine: Engine, case: Case, window: Window, activation: str = "sigmoid"
) -> npt.NDArray[np.float32]:
    """(L, I, J, K) of one case, 0 outside its mask."""
    return np.asarray(probabilities(_logits(engine, case, window), activation) * case.mask)


def scan_logit(engine: Engine, case: Case) -> float:
    """The one answer for a case's whole scan."""
    return float(np.asarray(engine(case.image[None])).reshape(-1)[0])


def scan_measures(
    logits: Sequence[float], cases: Sequence[Case], threshold: float, folder: Path | None = None
) -> dict[str, float]:
    """``accuracy``, ``sensitivity``, ``specificity`` and ``auc`` of answers for whole scans; those defined.

    Parameters
    ----------
    logits
        One for each case.
    cases
        Positive where their target holds anything.
    threshold
        Probability from which an answer is yes.
    folder
        Where ``validation-scans.tsv`` is written, one row a case.
    """
    score = 1 / (1 + np.exp(-np.asarray(logits, dtype=np.float64)))
    positive = np.array([bool(case.target.any()) for case in cases])
    said = score >= threshold
    if folder is not None:
        rows = zip(cases, positive, score, said, strict=True)
        named = ("subject", "reference", "probability", "prediction")
        table = [dict(zip(named, (c.subject, int(y), float(p), int(x)), strict=True)) for c, y, p, x in rows]
        write_table(table, folder / "validation-scans.tsv")
    measures = {
        "accuracy": float(np.mean(said == positive)),
        "sensitivity": sensitivity(score, positive, threshold).value,
        "specificity": specificity(score, positive, threshold).value,
        "auc": auc(score, positive),
    }
    return {name: value for name, value in measures.items() if not math.isnan(value)}


def dices(probability: npt.NDArray[np.float32], case: Case, threshold: float) -> list[float]:
    """Dice of each output with the case's target."""
    return [dice(p >= threshold, t > 0) for p, t in zip(probability, case.target, strict=True)]


def _logits(engine: Engine, case: Case, window: Window) -> npt.NDArray[np.float32]:
    if window.mode == "slices" and window.shape is not None:
        return predict_slices(engine, case.image, window.shape[2])
    if window.shape is None:
        return predict_whole(engine, case.image)
    return predict_sliding(engine, case.image, window.shape, window.overlap, mask=case.mask)[0]
