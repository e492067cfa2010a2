"""Arterial input and venous output of a perfusion series: found among its curves, and fitted by gamma variates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from willis.errors import BadInputError

Curve = npt.NDArray[np.float64]
Voxel = tuple[int, int, int]

STRONG_SHARE = 0.02  # of voxels, those that enhance most, are looked through for vessels
STRONG_PEAK = 0.3  # of the highest peak, that a vessel reaches at least
LEAST_CONTRAST = 6.0  # of a vessel's peak over the noise of one frame
LEAST_PEAK_HU = 20.0
RETURNS_TO = 0.6  # of its peak, below which a vessel's curve ends: bone that moves into a voxel stays
END_SHARE = 0.15  # of the frames, over which the end is taken
EARLY_S = 2.0  # an artery peaks no later than this after the first of the strong curves
VEIN_LATER_S = 1.5
MEAN_OF = 5  # best voxels of one vessel, whose curves are averaged
NEAR_VOXELS = 3
LEAST_BASELINE_FRAMES = 2
ARRIVAL_SHARE = 0.08  # of the peak of the mean curve: contrast has come
LARGEST_SCALE = 8.0  # an artery of lower share of its voxels isn't believed


@dataclass(frozen=True)
class InputFunction:
    """A vessel's curve: (T,) HU above its baseline, the voxels averaged, and where the first of them lies."""

    curve: Curve
    voxels: tuple[Voxel, ...]

    @property
    def peak_frame(self) -> int:
        """Frame of its maximum."""
        return int(self.curve.argmax())


@dataclass(frozen=True)
class Inputs:
    """Artery and vein of a series, and how much the artery's area falls short of the vein's."""

    aif: InputFunction
    vof: InputFunction | None
    scale: float


def count_baseline(mean_curve: Curve, times_s: Curve) -> int:
    """Number of frames before contrast comes, from the head's mean curve.

    Raises
    ------
    BadInputError
        When no bolus passes, or contrast is there at the start.
    """
    smooth = np.convolve(np.pad(mean_curve, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    low = float(np.percentile(smooth, 10))
    start, peak = float(smooth[:3].mean()), int(smooth.argmax())
    height = float(smooth[peak]) - low
    wobble = float(np.median(np.abs(np.diff(mean_curve)))) + 1e-6
    if height < max(4 * wobble, 0.5):
        raise BadInputError(
            f"no bolus passes: the brain's mean rises by {max(height, 0):.1f} HU in {times_s[-1] - times_s[0]:.0f} s. "
            "Check that the series shows the passage of contrast."
        )
    if start - low > 0.35 * height or peak < LEAST_BASELINE_FRAMES:
        raise BadInputError(
            f"contrast is already there at the start: the first frames lie {start - low:.1f} HU above the lowest, the "
            f"peak {height:.1f} HU. A series must begin before the bolus."
        )
    above = np.flatnonzero(smooth[: peak + 1] < start + ARRIVAL_SHARE * height)
    return max(int(above[-1]) if above.size else 0, LEAST_BASELINE_FRAMES)


def find_inputs(
    enhancement: npt.NDArray[np.floating], where: npt.NDArray[np.bool_], times_s: Curve, baseline: int
) -> Inputs:
    """Artery and vein among the curves inside a mask.

    The strongest curves that fall again are the vessels'. Of them, arteries are early, high and narrow; the vein has
    the largest area and is later. A few neighbouring voxels of the best are averaged.

    Parameters
    ----------
    enhancement
        (I, J, K, T) HU above baseline.
    where
        (I, J, K) head without bone.
    times_s
        (T,).
    baseline
        Number of frames before contrast.

    Raises
    ------
    BadInputError
        When no curve stands out of the noise.
    """
    places = np.argwhere(where)
    curves = np.asarray(enhancement[where], dtype=np.float32)
    noise = float(np.median(curves[:, : max(baseline, 2)].std(axis=1))) + 1e-6
    smooth = (curves + np.roll(curves, 1, axis=1) + np.roll(curves, -1, axis=1)) / 3
    smooth[:, [0, -1]] = curves[:, [0, -1]]
    end = smooth[:, -max(int(END_SHARE * len(times_s)), 2) :].mean(axis=1)
    peak = np.where(end < RETURNS_TO * smooth.max(axis=1), smooth.max(axis=1), 0.0)
    count = max(int(STRONG_SHARE * len(curves)), 4 * MEAN_OF)
    strong = np.argpartition(-peak, min(count, len(peak) - 1))[:count]
    least = max(LEAST_CONTRAST * noise, LEAST_PEAK_HU, STRONG_PEAK * float(np.sort(peak)[-MEAN_OF]))
    strong = strong[peak[strong] >= least]
    if strong.size < MEAN_OF:
        raise BadInputError(
            f"no artery was found: the strongest curves rise by {float(np.percentile(peak, 99.9)):.0f} HU, the noise "
            f"of a frame is {noise:.1f} HU."
        )
    late = times_s[smooth[strong].argmax(axis=1)]
    width = _width_s(smooth[strong], times_s)
    first = float(np.percentile(late, 5))
    early = late <= first + EARLY_S
    aif = _averaged(curves, places, strong[early], (peak[strong] / width)[early])
    later = late >= first + VEIN_LATER_S
    if not later.any():
        return Inputs(aif, None, 1.0)
    area = np.asarray(np.trapezoid(curves[strong], times_s, axis=1))
    vof = _averaged(curves, places, strong[later], area[later])
    return Inputs(aif, vof, area_ratio(aif.curve, vof.curve, times_s))


def area_ratio(aif: Curve, vof: Curve, times_s: Curve) -> float:
    """Vein's area over artery's, at least 1: the artery's partial volume.

    The artery's curve is cut where the end of the scan cuts the vein's, which is later.
    """
    delay = max(_centre(vof, times_s) - _centre(aif, times_s), 0.0)
    seen = times_s <= times_s[-1] - delay
    artery, vein = float(np.trapezoid(aif[seen], times_s[seen])), float(np.trapezoid(vof, times_s))
    return float(np.clip(vein / artery, 1.0, LARGEST_SCALE)) if artery > 0 else 1.0


def fit_gamma_variate(curve: Curve, times_s: Curve) -> Curve:
    """The first pass of a vessel's curve as a gamma variate, without recirculation; (T,) HU.

    References
    ----------
    Madsen 1992, doi:10.1088/0031-9155/37/7/010.
    """
    peak = int(curve.argmax())
    height, at = float(curve[peak]), float(times_s[peak])
    falls = np.flatnonzero(curve[peak:] < 0.4 * height)
    last = peak + (int(falls[0]) if falls.size else len(curve) - peak)
    used = slice(0, min(last + 1, len(curve)))

    def model(p: Curve, t: Curve) -> Curve:
        u = np.maximum(t - p[0], 0) / max(p[1] - p[0], 0.1)
        return np.asarray(p[3] * u ** p[2] * np.exp(p[2] * (1 - u)))

    start = np.array([max(at - 8.0, times_s[0]), at, 3.0, height])

    def misfit(p: Curve) -> Curve:
        return np.asarray(model(p, times_s[used]) - curve[used])

    found = least_squares(
        misfit, start,
        bounds=([times_s[0] - 5, times_s[0], 0.5, 0], [at, times_s[-1] + 5, 12, 3 * height + 1]),
    )  # fmt: skip
    return model(found.x, times_s)


def _averaged(
    curves: npt.NDArray[np.float32], places: npt.NDArray[np.intp], chosen: npt.NDArray[np.intp],
    score: npt.NDArray[np.floating],
) -> InputFunction:  # fmt: skip
    """The mean curve of the best voxel and the best of those about it."""
    order = np.argsort(-score, kind="stable")
    best = places[chosen[order[0]]]
    near = [n for n in order.tolist() if np.abs(places[chosen[n]] - best).max() <= NEAR_VOXELS][:MEAN_OF]
    voxels = tuple((int(i), int(j), int(k)) for i, j, k in places[chosen[near]])
    return InputFunction(curves[chosen[near]].mean(axis=0, dtype=np.float64), voxels)


def _width_s(curves: npt.NDArray[np.floating], times_s: Curve) -> npt.NDArray[np.floating]:
    """(n,) time that each curve spends above half of its maximum."""
    above = curves >= 0.5 * curves.max(axis=1, keepdims=True)
    return np.asarray(np.maximum((above * np.gradient(times_s)).sum(axis=1), 1.0))


def _centre(curve: Curve, times_s: Curve) -> float:
    weight = np.clip(curve - 0.3 * curve.max(), 0, None)
    return float((weight * times_s).sum() / max(float(weight.sum()), 1e-9))
