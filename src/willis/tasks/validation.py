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
from willis.infer.slices import neighbours_as_channels, predict_slices
from willis.infer.windows import predict_sliding, predict_whole
from willis.io.tables import write_table
from willis.learn.case import Case
from willis.measure.decision import auc, sensitivity, specificity
from willis.measure.overlap import dice
from willis.models.manifest import Window

if TYPE_CHECKING:
    from torch import nn

    from willis.learn.recipe import LossSettings


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
    loss: LossSettings | None = None,
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
    loss
        That of the recipe, when ``loss``, its mean over cases, is wanted too.
    """

    def validate(network: nn.Module) -> dict[str, float]:
        from willis.infer.torch_engine import TorchEngine

        engine = TorchEngine(network, precision="bfloat16")
        if getattr(network, "one_answer", False):
            return scan_measures([scan_logit(engine, case) for case in cases], cases, threshold, folder)
        scores, counts, losses = [], [], []
        for case in cases:
            logits = _logits(engine, case, window)
            found = _masked(logits, case, activation)
            if loss is not None:
                losses.append(case_loss(loss, logits, case, by_slice=window.mode == "slices"))
            scores.append(dices(found, case, threshold))
            if own is not None:
                counts.append(own.of_case(found, case))
        mean = np.mean(scores, axis=0)
        named = {"dice": float(mean[0])} | {f"dice_{name}": float(m) for name, m in zip(outputs, mean, strict=True)}
        if losses:
            named["loss"] = float(np.mean(losses))
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
    return _masked(_logits(engine, case, window), case, activation)


def _masked(logits: npt.NDArray[np.float32], case: Case, activation: str) -> npt.NDArray[np.float32]:
    return np.asarray(probabilities(logits, activation) * case.mask)


def case_loss(settings: LossSettings, logits: npt.NDArray[np.float32], case: Case, *, by_slice: bool = False) -> float:
    """A recipe's loss on one case as a whole.

    Parameters
    ----------
    settings
        ``[loss]`` of the recipe.
    logits
        (L, I, J, K).
    by_slice
        Whether each slice along K is a sample of its own, as a network trained on slices has them.
    """
    import torch

    from willis.learn.losses import Loss

    whole = (logits, np.asarray(case.target), np.asarray(case.mask)[None])
    samples = [np.moveaxis(a, 3, 0)[..., None] if by_slice else a[None] for a in whole]
    total, _ = Loss(settings)(*(torch.from_numpy(np.ascontiguousarray(a)) for a in samples))
    return float(total)


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
    image = neighbours_as_channels(case.image, case.stack)
    if window.shape is None:
        return predict_whole(engine, image)
    outputs = case.target.shape[0]
    return predict_sliding(engine, image, window.shape, window.overlap, mask=case.mask, outputs=outputs)[0]
