"""Losses on logits; overlap, cross-entropy, focal, Tversky, and their weighted sum."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from willis.errors import BadInputError
from willis.learn.recipe import LossSettings, LossTerm

OVERLAP = ("dice", "tversky", "focal_tversky", "squared_dice", "jaccard", "tanimoto", "tanimoto_dual")
Reduce = Callable[[Tensor], Tensor]  # differentiable sum over processes


def tversky_loss(
    probability: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    alpha: float = 0.5,
    beta: float = 0.5,
    gamma: float = 1.0,
    smooth: float = 1e-5,
    per_batch: bool = False,
    reduce: Reduce | None = None,
    pooled: Tensor | None = None,
) -> Tensor:
    """One minus the Tversky index, to the power ``gamma``; Dice at α = β = ½.

    An empty target with an empty prediction costs nothing, and with false positives costs 1: ``smooth`` stands in
    numerator and denominator alike.

    Parameters
    ----------
    probability, target
        (N, L, I, J, K) in [0, 1].
    weight
        (N, 1, I, J, K), factor of each voxel.
    alpha, beta
        Weights of false positives and false negatives (eq. 3 of [1]_).
    gamma
        Exponent; the focal Tversky loss of [2]_ has 1/γ there.
    per_batch
        Sums run over the batch too.
    reduce
        With ``per_batch``: sums run over all processes.
    pooled
        (L,) weights of the labels within the sums, which then run over labels too.

    Returns
    -------
    Tensor
        (N, L), or (1, L) per batch; (N, 1) or (1, 1) pooled.

    References
    ----------
    .. [1] Salehi et al. 2017, doi:10.1007/978-3-319-67389-9_44
    .. [2] Abraham and Khan 2019, doi:10.1109/ISBI.2019.8759329
    """
    if weight is not None:
        probability, target = probability * weight, target * weight
    axes = (2, 3, 4)
    both = (probability * target).sum(axes)
    sums = torch.stack([both, probability.sum(axes) - both, target.sum(axes) - both])
    if per_batch:
        sums = sums.sum(1, keepdim=True)
        sums = reduce(sums) if reduce is not None else sums
    if pooled is not None:
        sums = (sums * pooled).sum(2, keepdim=True)
    hit, false_positive, false_negative = sums
    index = (hit + smooth) / (hit + alpha * false_positive + beta * false_negative + smooth)
    loss = 1 - index
    focal: Tensor = loss if gamma == 1.0 else loss.clamp_min(1e-7).pow(gamma)
    return focal


def squared_overlap_loss(
    probability: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    tanimoto: bool = False,
    smooth: float = 1e-5,
    per_batch: bool = False,
    reduce: Reduce | None = None,
    pooled: Tensor | None = None,
) -> Tensor:
    """One minus the Dice coefficient with squares in its denominator, or one minus Tanimoto's.

    Dice is 2 Σpy / (Σp² + Σy²) [1]_, Tanimoto Σpy / (Σp² + Σy² - Σpy) [2]_; parameters and shapes as in
    :func:`tversky_loss`.

    References
    ----------
    .. [1] Milletari et al. 2016, doi:10.1109/3DV.2016.79
    .. [2] Diakogiannis et al. 2020, doi:10.1016/j.isprsjprs.2020.01.013
    """
    factor = weight if weight is not None else torch.ones_like(target[:, :1])
    axes = (2, 3, 4)
    sums = torch.stack([(factor * probability * target).sum(axes), (factor * (probability**2 + target**2)).sum(axes)])
    if per_batch:
        sums = sums.sum(1, keepdim=True)
        sums = reduce(sums) if reduce is not None else sums
    if pooled is not None:
        sums = (sums * pooled).sum(2, keepdim=True)
    both, squares = sums
    twice = both if tanimoto else 2 * both
    loss: Tensor = 1 - (twice + smooth) / ((squares - both if tanimoto else squares) + smooth)
    return loss


def focal_factor(log_probability: Tensor, gamma: float) -> Tensor:
    """(1 − p)^γ of the true class (Lin et al. 2017, arXiv:1708.02002, eq. 4)."""
    return (-torch.expm1(log_probability)).clamp_min(1e-7).pow(gamma)


def binary_voxel_loss(
    logits: Tensor, target: Tensor, *, gamma: float = 0.0, positive_weight: float = 1.0, smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy of independent sigmoid outputs at each voxel, focal when γ > 0; shape of the logits.

    ``smoothing`` s makes targets of 0 and 1 into s and 1 − s.
    """
    loss = functional.binary_cross_entropy_with_logits(
        logits,
        (1 - 2 * smoothing) * target + smoothing,
        reduction="none",
        pos_weight=logits.new_tensor(positive_weight),
    )
    if gamma == 0:
        return loss
    return loss * focal_factor(functional.logsigmoid(torch.where(target > 0.5, logits, -logits)), gamma)


def softmax_voxel_loss(logits: Tensor, target: Tensor, *, gamma: float = 0.0) -> Tensor:
    """Cross-entropy of softmax outputs against one-hot maps, by class: (N, L, I, J, K) whose sum over L is the loss."""
    logs = functional.log_softmax(logits, dim=1)
    loss = -logs * target
    return loss if gamma == 0 else loss * focal_factor(logs, gamma)


class Loss:
    """The weighted sum that a recipe asks for.

    Parameters
    ----------
    settings
        The recipe's ``[loss]``.
    reduce
        Sum over processes, for overlap over the whole batch.
    """

    def __init__(self, settings: LossSettings, reduce: Reduce | None = None) -> None:
        self.settings = settings
        self.reduce = reduce

    def __call__(self, logits: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Total, and each unweighted term as ``name_loss``.

        Parameters
        ----------
        logits, target
            (N, L, I, J, K).
        mask
            (N, 1, I, J, K).

        Raises
        ------
        BadInputError
            When ``labels`` or ``inside`` don't hold a number for each output.
        """
        if self.settings.labels and len(self.settings.labels) != logits.shape[1]:
            raise BadInputError(
                f"loss.labels holds {len(self.settings.labels)} weights and the network has {logits.shape[1]} outputs; "
                "give one for each."
            )
        logits, target = logits.float(), target.float()
        weight = mask.float() if self.settings.masked else None
        if self.settings.inside:
            around = torch.stack(
                [target[:, n] if n >= 0 else torch.ones_like(target[:, 0]) for n in self._inside(target)]
            )
            weight = around.transpose(0, 1) * (1 if weight is None else weight)
        total = logits.new_zeros(())
        terms: dict[str, float] = {}
        for term in self.settings.terms:
            value = self._term(term, logits, target, weight)
            terms[f"{term.name}_loss"] = float(value.detach())
            total = total + term.weight * value
        return total, terms

    def _term(self, term: LossTerm, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        if term.name in OVERLAP:
            by_label = self._overlap(term, logits, target, weight)
            if term.present:
                by_label = by_label * self._held(target, weight)
            return by_label.mean() if term.pooled else self._over_labels(by_label.mean(0))
        gamma = term.gamma if term.name == "focal" else 0.0
        if self.settings.activation == "softmax":
            voxels = softmax_voxel_loss(logits, target, gamma=gamma) * logits.shape[1]
        else:
            voxels = binary_voxel_loss(
                logits, target, gamma=gamma, positive_weight=term.positive_weight, smoothing=term.smoothing
            )
        if weight is None:
            return self._over_labels(voxels.mean((0, 2, 3, 4)))
        mean = (voxels * weight).sum((2, 3, 4)) / weight.sum((2, 3, 4)).clamp_min(1.0)
        return self._over_labels(mean.mean(0))

    def _inside(self, target: Tensor) -> tuple[int, ...]:
        if len(self.settings.inside) != target.shape[1]:
            raise BadInputError(
                f"loss.inside holds {len(self.settings.inside)} numbers and the network has {target.shape[1]} outputs; "
                "give one for each."
            )
        return self.settings.inside

    def _overlap(self, term: LossTerm, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        """(N, L) or less of an overlap loss, see :func:`tversky_loss`."""
        probability = logits.softmax(1) if self.settings.activation == "softmax" else logits.sigmoid()
        pooled = self._label_weights(logits) if term.pooled else None
        shared = partial(
            squared_overlap_loss, smooth=term.smooth, per_batch=term.per_batch, reduce=self.reduce, pooled=pooled
        )
        if term.name == "squared_dice":
            return shared(probability, target, weight)
        if term.name == "tanimoto":
            return shared(probability, target, weight, tanimoto=True)
        if term.name == "tanimoto_dual":
            dual = shared(1 - probability, 1 - target, weight, tanimoto=True)
            return (shared(probability, target, weight, tanimoto=True) + dual) / 2
        alpha, beta = {"dice": (0.5, 0.5), "jaccard": (1.0, 1.0)}.get(term.name, (term.alpha, term.beta))
        return tversky_loss(
            probability,
            target,
            weight,
            alpha=alpha,
            beta=beta,
            gamma=1 / term.gamma if term.name == "focal_tversky" and term.gamma else 1.0,
            smooth=term.smooth,
            per_batch=term.per_batch,
            reduce=self.reduce,
            pooled=pooled,
        )

    def _held(self, target: Tensor, weight: Tensor | None) -> Tensor:
        """(1, L) 1 for each label that has a true voxel in the batch, of all processes; else 0."""
        voxels = (target if weight is None else target * weight).sum((0, 2, 3, 4))[None]
        return ((self.reduce(voxels) if self.reduce is not None else voxels) > 0).to(target.dtype)

    def _label_weights(self, logits: Tensor) -> Tensor:
        return logits.new_tensor(self.settings.labels) if self.settings.labels else logits.new_ones(logits.shape[1])

    def _over_labels(self, by_label: Tensor) -> Tensor:
        if not self.settings.labels:
            return by_label.mean()
        weights = by_label.new_tensor(self.settings.labels)
        return (by_label * weights).sum() / weights.sum()
