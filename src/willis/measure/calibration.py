"""Whether a probability of 0.8 is right 8 times in 10, and a slope and intercept that make it so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from willis.errors import BadInputError, invalid_option

Floats = npt.NDArray[np.float64]
_MOST_STEPS = 100  # Newton converges in about ten
_CLOSE = 1e-10  # largest step of slope and intercept at which Newton stops


class Calibration(NamedTuple):
    """Probability = 1 / (1 + exp(−(slope · logit + intercept)))."""

    slope: float
    intercept: float

    def probability(self, logits: npt.ArrayLike) -> Floats:
        """Calibrated probabilities of logits of any shape."""
        return np.asarray(expit(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept))


@dataclass(frozen=True)
class Reliability:
    """What was promised and what came true, by bins of probability.

    Parameters
    ----------
    edges
        (bins + 1,) of probability.
    count, promised, observed
        (bins,) values in each bin, their mean probability, and the part that was true; NaN in an empty bin.
    """

    edges: Floats
    count: npt.NDArray[np.int64]
    promised: Floats
    observed: Floats

    @property
    def expected_error(self) -> float:
        """ECE: mean |observed − promised| over bins, weighted by count."""
        filled = self.count > 0
        gaps = np.abs(self.observed[filled] - self.promised[filled])
        return float(np.average(gaps, weights=self.count[filled]))


def reliability(
    probability: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    bins: int = 10,
    by: Literal["width", "count"] = "width",
) -> Reliability:
    """Sort probabilities into bins and compare each bin's mean with the part that was true.

    Parameters
    ----------
    probability, labels
        Of one shape, in [0, 1] and boolean or 0 and 1; at least one value.
    by
        Bins of equal width (the usual ECE), or of about equal count, for lesions where most voxels are near 0.

    Raises
    ------
    BadInputError
        When shapes differ, nothing is given, or a value lies outside its range.

    References
    ----------
    Guo et al. 2017, doi:10.48550/arXiv.1706.04599; bins of equal count: Nixon et al. 2019,
    doi:10.48550/arXiv.1904.01685
    """
    p, y = _probabilities(probability, labels)
    if by == "width":
        edges = np.linspace(0, 1, bins + 1)
    elif by == "count":
        edges = np.unique(np.concatenate([[0.0], np.quantile(p, np.linspace(0, 1, bins + 1)[1:-1]), [1.0]]))
    else:
        raise invalid_option("by", by, ["width", "count"])
    held = np.clip(np.searchsorted(edges, p, side="left") - 1, 0, edges.size - 2)
    count = np.bincount(held, minlength=edges.size - 1)
    with np.errstate(invalid="ignore"):
        promised = np.bincount(held, weights=p, minlength=edges.size - 1) / count
        observed = np.bincount(held, weights=y, minlength=edges.size - 1) / count
    return Reliability(edges, count, promised, observed)


def pool_reliability(parts: Sequence[Reliability]) -> Reliability:
    """Reliability of the values of several, of one number of bins of equal width, taken together.

    Raises
    ------
    BadInputError
        When there is none, or their bins differ.
    """
    if not parts or any(not np.array_equal(part.edges, parts[0].edges) for part in parts):
        raise BadInputError("reliabilities can be pooled when there are some and all have the same bins.")
    counts = np.array([part.count for part in parts])
    total = counts.sum(axis=0)

    def mean(values: Sequence[Floats]) -> Floats:
        sums = (np.where(counts > 0, np.array(values), 0.0) * counts).sum(axis=0)
        return np.asarray(np.divide(sums, total, out=np.full(total.shape, np.nan), where=total > 0))

    return Reliability(parts[0].edges, total, mean([p.promised for p in parts]), mean([p.observed for p in parts]))


def brier_score(probability: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Mean squared difference of probability and truth: 0 is perfect, 0.25 a coin.

    References
    ----------
    Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    p, y = _probabilities(probability, labels)
    return float(np.mean((p - y) ** 2))


def fit_calibration(logits: npt.ArrayLike, labels: npt.ArrayLike) -> Calibration:
    """Fit slope and intercept of a logistic function of the logits (Platt scaling), by Newton's method.

    The targets are (N₁ + 1) / (N₁ + 2) and 1 / (N₀ + 2) in place of 1 and 0 (section 2.2 of [1]_), which keeps the fit
    finite when the logits separate the classes; with many values it is the plain maximum likelihood.

    Parameters
    ----------
    logits, labels
        Of one shape, finite and boolean or 0 and 1. The values should be drawn from the voxels (or cases) that the
        calibration is for, in their true proportion, and never from those the network learnt from.

    Raises
    ------
    BadInputError
        When shapes differ, a value isn't finite, the labels hold one class only or all logits are one value.

    References
    ----------
    .. [1] Platt 1999, Probabilistic outputs for support vector machines; Newton with halved steps: Lin, Lin and Weng
       2007, doi:10.1007/s10994-007-5018-6
    """
    x, y = np.asarray(logits, dtype=np.float64).ravel(), _labels(labels)
    if x.size != y.size:
        raise BadInputError(f"logits and labels differ in number: {x.size} and {y.size}.")
    if not np.isfinite(x).all():
        raise BadInputError("logits must be finite; found NaN or infinity.")
    positives = int(y.sum())
    if positives in (0, y.size) or np.ptp(x) == 0:
        raise BadInputError(
            f"a calibration needs both classes and logits that differ; found {positives} true of {y.size} labels "
            f"and logits from {x.min():g} to {x.max():g}."
        )
    targets = np.where(y > 0, (positives + 1) / (positives + 2), 1 / (y.size - positives + 2))
    centre, scale = float(x.mean()), float(x.std())
    slope, intercept = _newton((x - centre) / scale, targets)
    return Calibration(slope / scale, intercept - slope * centre / scale)


def _newton(x: Floats, targets: Floats) -> tuple[float, float]:
    mean = float(targets.mean())
    beta = np.array([0.0, math.log(mean / (1 - mean))])
    loss = _log_loss(beta, x, targets)
    for _ in range(_MOST_STEPS):
        p = expit(beta[0] * x + beta[1])
        weight = p * (1 - p)
        gradient = np.array([np.mean((p - targets) * x), np.mean(p - targets)])
        cross = np.mean(weight * x)
        curvature = np.array([[np.mean(weight * x * x), cross], [cross, weight.mean()]]) + 1e-12 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while (tried := _log_loss(beta - step, x, targets)) > loss and np.abs(step).max() > _CLOSE:
            step /= 2
        beta, loss = beta - step, tried
        if np.abs(step).max() <= _CLOSE:
            break
    return float(beta[0]), float(beta[1])


def _log_loss(beta: Floats, x: Floats, targets: Floats) -> float:
    z = beta[0] * x + beta[1]
    return float(np.mean(np.logaddexp(0, z) - targets * z))


def _labels(labels: npt.ArrayLike) -> Floats:
    y = np.asarray(labels, dtype=np.float64).ravel()
    if not np.isin(y, (0, 1)).all():
        raise BadInputError("labels must be 0 or 1.")
    return y


def _probabilities(probability: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[Floats, Floats]:
    p, y = np.asarray(probability, dtype=np.float64).ravel(), _labels(labels)
    if p.size != y.size or not p.size:
        raise BadInputError(f"probabilities and labels must be as many, at least one; found {p.size} and {y.size}.")
    if not (p.min() >= 0 and p.max() <= 1):
        raise BadInputError(f"probabilities must lie in [0, 1]; found {p.min():g} to {p.max():g}.")
    return p, y
