"""Perfusion from concentration curves: block-circulant deconvolution with limited oscillation, for all voxels at once.

The columns of the circulant matrix are the arterial input shifted to and fro, so that tissue may be later or earlier
than the artery. Its rows beyond the last frame are left out, where the usual zeros would claim that contrast was gone
when the scan ended. One singular value decomposition serves all voxels; a cut is then one small matrix that takes
every voxel's curve to its residue function.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from willis.errors import BadInputError
from willis.units import counted

Curves = npt.NDArray[np.floating]

DENSITY_G_PER_ML = 1.04  # of brain tissue; Ostergaard 1996, doi:10.1002/mrm.1910360510
HAEMATOCRIT_RATIO = 0.733  # (1 - 0.45) / (1 - 0.25), large over small vessels; values as usual in perfusion imaging
OSCILLATION_LIMIT = 0.035  # Wu 2003, doi:10.1002/mrm.10522
CUTS = (0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8)  # of the largest singular value
FINEST_STEP_S = 0.5  # curves are interpolated to even steps of at most 1 s; finer than this gains nothing
STEP_S = 1.0
CALIBRATION_STEP_S = 0.25
EARLIER_S = 10.0  # tissue may be reached this long before the artery that was chosen
TAIL_FRAMES = 3  # whose mean the input function keeps after its last frame
LEAST_INDEX_LENGTH = 128  # samples at least that the oscillation index is taken over: a clean decay's falls with them
CALIBRATION_MTT_S = np.geomspace(2.0, 40.0, 36)
CALIBRATION_DELAYS_S = (0.0, 1.3, 2.7, 4.1, 6.6)
CHUNK = 16384  # voxels at a time
LEAST_FRAMES = 10


@dataclass(frozen=True)
class PerfusionValues:
    """Perfusion of n voxels, each array (n,).

    Parameters
    ----------
    cbf, cbv
        ml/100 g/min and ml/100 g.
    mtt, ttp, tmax
        s; ``ttp`` counts from the start of the curves.
    cut
        Singular values below this part of the largest were left out.
    """

    cbf: npt.NDArray[np.float32]
    cbv: npt.NDArray[np.float32]
    mtt: npt.NDArray[np.float32]
    ttp: npt.NDArray[np.float32]
    tmax: npt.NDArray[np.float32]
    cut: npt.NDArray[np.float32]


def deconvolve(
    curves: Curves,
    aif: Curves,
    times_s: Curves,
    *,
    oscillation_limit: float = OSCILLATION_LIMIT,
    area: float | None = None,
    calibrate: bool = True,
) -> PerfusionValues:
    """Perfusion values of tissue curves under one arterial input, insensitive to delay.

    Each voxel gets the weakest of the cuts ``CUTS`` at which the residue function oscillates no more than the limit
    (oSVD of [1]_). A cut loses what is fast, and with it flow where transit is short; how much is found by passing
    exponential residue functions through the same cut, and undone.

    Parameters
    ----------
    curves
        (n, T) enhancement of tissue, HU, without its baseline.
    aif
        (T,) enhancement of the artery, HU.
    times_s
        (T,) rising.
    oscillation_limit
        Largest oscillation index.
    area
        Area under the input function, HU s, when a better one is known than the artery's own (a vein's, which is free
        of partial volume): the input is scaled to it.
    calibrate
        Whether the cut's loss is undone.

    Raises
    ------
    BadInputError
        When shapes differ, times don't rise, frames are too few, or the input function is nowhere above 0.

    References
    ----------
    .. [1] Wu et al. 2003, doi:10.1002/mrm.10522
    """
    times, aif = np.asarray(times_s, dtype=np.float64), np.asarray(aif, dtype=np.float64)
    _check(curves, aif, times)
    even = even_times(times)
    to_even = interpolation_to(times, even)
    arterial, step = input_between(times, aif, even), float(even[1] - even[0])
    own_area = float(arterial.sum() * step)
    if not own_area > 0:
        raise BadInputError("the arterial input function has no area above 0; choose another artery.")
    scaled = np.asarray(aif * (1.0 if area is None else area / own_area), dtype=np.float64)
    cuts = _cuts(scaled, to_even, times, even, calibrate)
    found = np.empty((6, len(curves)), dtype=np.float32)
    for start in range(0, len(curves), CHUNK):
        part = np.asarray(curves[start : start + CHUNK], dtype=np.float32)
        found[:, start : start + CHUNK] = _solve(part, cuts, times, oscillation_limit)
    return PerfusionValues(*found)


def even_times(times_s: Curves) -> npt.NDArray[np.float64]:
    """Even times from the first to the last, in steps of at most 1 s."""
    native = float(np.median(np.diff(times_s)))
    step = STEP_S if native >= STEP_S else max(native, FINEST_STEP_S)
    return np.asarray(times_s[0] + step * np.arange(int(np.floor((times_s[-1] - times_s[0]) / step + 1e-6)) + 1))


def interpolation_to(times_s: Curves, wanted_s: Curves) -> npt.NDArray[np.float64]:
    """(len(wanted), len(times)) matrix of cubic spline interpolation, which is linear in the curves."""
    return np.asarray(CubicSpline(times_s, np.eye(len(times_s)), bc_type="not-a-knot")(wanted_s))


def input_between(times_s: Curves, aif: Curves, wanted_s: Curves) -> npt.NDArray[np.float64]:
    """(len(wanted),) an input function between its samples: the square of the spline through its square root.

    Contrast is never below 0, and comes suddenly: a spline through samples 2 s apart swings below 0 before it comes,
    and is up to 1.5 % of the peak off; its root's is a third of that.
    """
    root = CubicSpline(times_s, np.sqrt(np.maximum(aif, 0)), bc_type="not-a-knot")(wanted_s)
    return np.asarray(np.maximum(root, 0) ** 2)


def oscillation(residue: Curves) -> npt.NDArray[np.floating]:
    """(n,) oscillation index of residue functions (n, L): mean bend over the maximum, eq. 12 of [1]_.

    References
    ----------
    .. [1] Wu et al. 2003, doi:10.1002/mrm.10522
    """
    bends = np.abs(residue[:, 2:] - 2 * residue[:, 1:-1] + residue[:, :-2]).sum(axis=1)
    length = max(residue.shape[1], LEAST_INDEX_LENGTH)
    return np.asarray(bends / (length * np.maximum(residue.max(axis=1), 1e-12)))


@dataclass(frozen=True)
class _Calibration:
    """What a cut makes of exponential residue functions, by the MTT that it shows (rising), each (m,)."""

    shown_mtt: npt.NDArray[np.float64]
    flow_share: npt.NDArray[np.float64]
    area_share: npt.NDArray[np.float64]
    late_s: npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Cut:
    """One cut: (T, L) from curves to residue functions, at ``lags_s`` (L,)."""

    level: float
    operator: npt.NDArray[np.float32]
    lags_s: npt.NDArray[np.float64]
    calibration: _Calibration | None

    def read(self, curves: npt.NDArray[np.float32]) -> tuple[Curves, Curves, Curves, Curves]:
        """(n,) maximum of the residue function, its area, the lag of the maximum in s, and the oscillation index."""
        residue = curves @ self.operator
        peak = np.clip(residue.argmax(axis=1), 1, residue.shape[1] - 2)
        top, shift = _parabola(residue, peak)
        step = self.lags_s[1] - self.lags_s[0]
        return top, residue.sum(axis=1) * np.float32(step), self.lags_s[peak] + shift * step, oscillation(residue)


def _cuts(
    aif: npt.NDArray[np.float64], to_even: npt.NDArray[np.float64], times: npt.NDArray[np.float64],
    even: npt.NDArray[np.float64], calibrate: bool,
) -> list[_Cut]:  # fmt: skip
    """All cuts that differ, weakest first."""
    arterial = input_between(times, aif, even)
    step, frames = float(even[1] - even[0]), len(even)
    earlier = int(np.ceil(EARLIER_S / step))
    extended = np.concatenate([arterial, np.full(earlier, arterial[-TAIL_FRAMES:].mean())])
    lags = np.arange(-earlier, frames).astype(np.float64)
    index = np.arange(frames)[:, None] - lags[None].astype(int)
    matrix = np.where(index >= 0, extended[np.maximum(index, 0)], 0.0) * step
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    cuts: list[_Cut] = []
    kept_before = -1
    for level in CUTS:
        kept = int((values >= level * values[0]).sum())
        if kept != kept_before:
            operator = (to_even.T @ left[:, :kept]) @ (right[:kept] / values[:kept, None])
            cut = _Cut(level, operator.astype(np.float32), lags * step, None)
            cuts.append(_calibrated(cut, aif, times, even) if calibrate else cut)
        kept_before = kept
    return cuts


def _calibrated(
    cut: _Cut, aif: npt.NDArray[np.float64], times: npt.NDArray[np.float64], even: npt.NDArray[np.float64]
) -> _Cut:
    """The cut with its calibration: unit flow through exponential residues of many transit times and delays."""
    fine = np.arange(even[0], even[-1] + 1e-6, CALIBRATION_STEP_S)
    inflow = input_between(times, aif, fine)
    since, step = fine - fine[0], fine[1] - fine[0]
    rows = []
    for mtt in CALIBRATION_MTT_S:
        kernel = np.exp(-since / mtt)
        kernel[0] *= 0.5
        curve = np.convolve(inflow, kernel)[: len(fine)] * step
        late = np.stack([np.interp(times - delay, fine, curve, left=0.0) for delay in CALIBRATION_DELAYS_S])
        flow, area, lag, _ = cut.read(late.astype(np.float32))
        rows.append((np.mean(area / flow), np.mean(flow), np.mean(area) / mtt, np.mean(lag - CALIBRATION_DELAYS_S)))
    shown, flow_share, area_share, lateness = np.array(rows).T
    rising = np.maximum.accumulate(shown + 1e-9 * np.arange(len(shown)))
    return replace(cut, calibration=_Calibration(rising, flow_share, area_share, lateness))


def _solve(
    curves: npt.NDArray[np.float32], cuts: list[_Cut], times: npt.NDArray[np.float64], limit: float
) -> npt.NDArray[np.float32]:
    """(6, n) CBF, CBV, MTT, TTP, Tmax and cut of some voxels."""
    flow, area, lag, level = np.zeros((4, len(curves)))
    waiting = np.arange(len(curves))
    for cut in cuts:
        top, under, late, wild = cut.read(curves[waiting])
        calm = (wild <= limit) | (cut is cuts[-1])
        done = waiting[calm]
        flow[done], area[done], lag[done] = _undone(cut.calibration, top[calm], under[calm], late[calm])
        level[done] = cut.level
        waiting = waiting[~calm]
        if waiting.size == 0:
            break
    per_gram = HAEMATOCRIT_RATIO / DENSITY_G_PER_ML
    cbf = 6000 * per_gram * np.maximum(flow, 0)
    cbv = 100 * per_gram * np.maximum(area, 0)
    mtt = np.divide(60 * cbv, cbf, out=np.zeros_like(cbf), where=cbf > 0)
    return np.stack([cbf, cbv, mtt, _time_to_peak(curves, times), np.maximum(lag, 0), level]).astype(np.float32)


def _undone(calibration: _Calibration | None, flow: Curves, area: Curves, lag: Curves) -> tuple[Curves, Curves, Curves]:
    """Flow, area and lag as they were before the cut."""
    if calibration is None:
        return flow, area, lag
    shown = area / np.maximum(flow, 1e-12)
    at = calibration.shown_mtt
    return (
        flow / np.interp(shown, at, calibration.flow_share),
        area / np.interp(shown, at, calibration.area_share),
        lag - np.interp(shown, at, calibration.late_s),
    )


def _parabola(values: Curves, peak: npt.NDArray[np.intp]) -> tuple[Curves, Curves]:
    """(n,) height and place, in samples from ``peak``, of the top of the parabola through the three samples there."""
    rows = np.arange(len(values))
    before, at, after = (values[rows, peak + shift] for shift in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1), 0)
    shift = np.clip(shift, -1, 1)
    return at - 0.25 * (before - after) * shift, shift


def _time_to_peak(curves: npt.NDArray[np.float32], times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n,) s from the first time to the maximum."""
    peak = np.clip(curves.argmax(axis=1), 1, curves.shape[1] - 2)
    _, shift = _parabola(curves, peak)
    return np.asarray(times[peak] - times[0] + shift * np.gradient(times)[peak])


def _check(curves: Curves, aif: Curves, times: Curves) -> None:
    if curves.ndim != 2 or curves.shape[1] != len(times) or len(aif) != len(times):
        raise BadInputError(
            f"curves {curves.shape}, input function {aif.shape} and times {times.shape} must have as many frames."
        )
    if len(times) < LEAST_FRAMES:
        raise BadInputError(f"the series has {counted(len(times), 'frame')}; perfusion needs at least {LEAST_FRAMES}.")
    if not (np.diff(times) > 0).all():
        raise BadInputError("the times of the frames must rise; give them with --times.")
