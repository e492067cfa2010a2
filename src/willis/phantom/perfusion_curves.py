"""Contrast in vessels and tissue by indicator-dilution theory: C(t) = (ρ/k) · CBF · (AIF ⊗ R)(t)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincc

from willis.errors import invalid_option

Values = npt.NDArray[np.float64]
ResidueKind = Literal["exponential", "box", "gamma"]

DENSITY_G_PER_ML = 1.04  # ρ, of brain tissue; Ostergaard 1996, doi:10.1002/mrm.1910360510
HAEMATOCRIT_RATIO = 0.733  # k = (1 - 0.45) / (1 - 0.25), large over small vessels; values as usual in perfusion imaging
FINE_STEP_S = 0.1  # at which curves are convolved
GAMMA_SHAPE = 3.0  # of the gamma family of transit times; 1 is exponential, and the larger, the nearer to a box
GAMMA_SHAPES = (1.5, 12.0)  # that are drawn, evenly in their logarithm; assumed
RESIDUES: tuple[ResidueKind, ...] = ("exponential", "box", "gamma")
DRAWN = "drawn"
MTT_STEP_S = 0.1
DELAY_STEP_S = 0.1


@dataclass(frozen=True)
class Input:
    """What is drawn for one arterial input function; times in s, heights in HU.

    Parameters
    ----------
    arrival_s
        When contrast comes.
    alpha, beta_s
        Of the first pass: (t/αβ)^α · exp(α - t/β) by the time t since arrival.
    peak_hu
        Height of the first pass.
    again_s, again_share
        Recirculation: how much later a pass of three times the width comes, and its height over the first's.
    tail_share
        Level that stays, over the first pass's height.
    dispersion_s
        Mean of an exponential spread on the way.
    """

    arrival_s: float = 8.0
    alpha: float = 3.0
    beta_s: float = 1.5
    peak_hu: float = 350.0
    again_s: float = 12.0
    again_share: float = 0.12
    tail_share: float = 0.05
    dispersion_s: float = 0.0

    def record(self) -> dict[str, Any]:
        """Plain values for a phantom's record."""
        return asdict(self)


@dataclass(frozen=True)
class Residue:
    """A tissue's residue function.

    Parameters
    ----------
    kind
        ``exponential``: one well mixed compartment; ``box``: all paths alike (plug flow); ``gamma``: transit times
        spread by a gamma distribution, as through capillaries of many lengths.
    shape
        Of the gamma distribution.

    References
    ----------
    Ostergaard 1996, doi:10.1002/mrm.1910360510 (exponential and box). Mouridsen 2006,
    doi:10.1016/j.neuroimage.2006.06.015 (gamma).
    """

    kind: ResidueKind = "exponential"
    shape: float = GAMMA_SHAPE

    def record(self) -> dict[str, Any]:
        """Plain values for a phantom's record."""
        return asdict(self)


def draw_residue(rng: np.random.Generator, kind: str = DRAWN) -> Residue:
    """A residue function of a kind, or of one that is drawn, each as likely; the gamma's shape is drawn too.

    Raises
    ------
    BadInputError
        When the kind isn't one of :data:`RESIDUES` nor ``drawn``.
    """
    if kind not in (*RESIDUES, DRAWN):
        raise invalid_option("residue", kind, [*RESIDUES, DRAWN])
    chosen = RESIDUES[int(rng.integers(len(RESIDUES)))] if kind == DRAWN else next(r for r in RESIDUES if r == kind)
    low, high = np.log(GAMMA_SHAPES)
    return Residue(chosen, float(np.exp(rng.uniform(low, high))) if chosen == "gamma" else GAMMA_SHAPE)


def draw_input(rng: np.random.Generator) -> Input:
    """A person's arterial input: by injection and heart; ranges assumed after what CT perfusion series show."""
    return Input(
        arrival_s=float(rng.uniform(5, 12)),
        alpha=float(rng.uniform(2.5, 4.0)),
        beta_s=float(rng.uniform(1.1, 1.9)),
        peak_hu=float(rng.uniform(220, 480)),
        again_s=float(rng.uniform(10, 15)),
        again_share=float(rng.uniform(0.05, 0.2)),
        tail_share=float(rng.uniform(0.02, 0.08)),
        dispersion_s=float(rng.uniform(0, 1.5)),
    )


def gamma_variate(t: Values, alpha: float, beta_s: float) -> Values:
    """(t/αβ)^α · exp(α - t/β), of height 1 at t = αβ; 0 before 0.

    References
    ----------
    Madsen 1992, doi:10.1088/0031-9155/37/7/010.
    """
    u = np.maximum(np.asarray(t, dtype=np.float64), 0) / (alpha * beta_s)
    return np.asarray(u**alpha * np.exp(alpha * (1 - u)))


def arterial_curve(t_s: Values, source: Input) -> Values:
    """(T,) HU in an artery that the input function describes, without partial volume."""
    t = np.asarray(t_s, dtype=np.float64)
    since = t - source.arrival_s
    first = gamma_variate(since, source.alpha, source.beta_s)
    again = source.again_share * gamma_variate(since - source.again_s, source.alpha, 3 * source.beta_s)
    rise = source.tail_share * (1 - np.exp(-np.maximum(since - source.alpha * source.beta_s, 0) / 8.0))
    curve = source.peak_hu * (first + again + rise)
    return dispersed(curve, t, source.dispersion_s)


def dispersed(curve: Values, t_s: Values, mean_s: float) -> Values:
    """The curve after an exponential spread of the given mean; ``t_s`` is even."""
    if mean_s < 1e-3:
        return curve
    step = float(t_s[1] - t_s[0])
    kernel = np.exp(-np.arange(len(t_s)) * step / mean_s)
    return np.asarray(np.convolve(curve, kernel / kernel.sum())[: len(curve)])


def residue(t_s: Values, mtt_s: float, kind: ResidueKind = "exponential", shape: float = GAMMA_SHAPE) -> Values:
    """(T,) part of the contrast that is still in the tissue t after it came; 1 at 0, area ``mtt_s``.

    Kinds, the gamma's shape and their sources are those of :class:`Residue`.

    Raises
    ------
    BadInputError
        When there is no such kind.
    """
    t = np.asarray(t_s, dtype=np.float64)
    if kind == "exponential":
        return np.exp(-t / mtt_s)
    if kind == "box":
        return np.asarray(t < mtt_s, dtype=np.float64)
    if kind == "gamma":
        return np.asarray(gammaincc(shape, np.maximum(t, 0) * shape / mtt_s))
    raise invalid_option("residue", kind, RESIDUES)


def tissue_curve(t_s: Values, source: Input, cbf: float, mtt_s: float, delay_s: float = 0.0,
                 kind: ResidueKind = "exponential") -> Values:  # fmt: skip
    """(T,) HU of one voxel at times ``t_s``; CBF in ml/100 g/min."""
    fine = np.arange(0.0, float(t_s[-1]) + FINE_STEP_S, FINE_STEP_S)
    unit = _unit_curve(fine, source, mtt_s, kind)
    return np.asarray(cbf * np.interp(np.asarray(t_s) - delay_s, fine, unit, left=0.0))


def tissue_curves(
    t_s: Values, source: Input, cbf: npt.NDArray[np.floating], mtt_s: npt.NDArray[np.floating],
    delay_s: npt.NDArray[np.floating], kind: ResidueKind = "exponential", shape: float = GAMMA_SHAPE,
) -> npt.NDArray[np.float32]:  # fmt: skip
    """(n, T) HU of n voxels; MTT and delay are rounded to 0.1 s, which keeps the number of convolutions small."""
    fine = np.arange(0.0, float(t_s[-1]) + FINE_STEP_S, FINE_STEP_S)
    mtt_at = np.maximum(np.rint(np.asarray(mtt_s) / MTT_STEP_S), 1).astype(int)
    delay_at = np.rint(np.asarray(delay_s) / DELAY_STEP_S).astype(int)
    pairs, where = np.unique(np.stack([mtt_at, delay_at]), axis=1, return_inverse=True)
    units = {m: _unit_curve(fine, source, m * MTT_STEP_S, kind, shape) for m in np.unique(mtt_at).tolist()}
    shapes = np.stack(
        [np.interp(np.asarray(t_s) - d * DELAY_STEP_S, fine, units[m], left=0.0) for m, d in pairs.T.tolist()]
    ).astype(np.float32)
    return np.asarray(shapes[where.ravel()] * np.asarray(cbf, dtype=np.float32)[:, None])


def _unit_curve(fine: Values, source: Input, mtt_s: float, kind: ResidueKind, shape: float = GAMMA_SHAPE) -> Values:
    """HU for a CBF of 1 ml/100 g/min on even times."""
    aif = arterial_curve(fine, source)
    kernel = residue(fine, mtt_s, kind, shape)
    kernel[0] *= 0.5  # trapezoid
    flow = DENSITY_G_PER_ML / HAEMATOCRIT_RATIO / 6000  # ml/100 g/min to 1/s of tissue volume
    return np.asarray(flow * FINE_STEP_S * np.convolve(aif, kernel)[: len(fine)])
