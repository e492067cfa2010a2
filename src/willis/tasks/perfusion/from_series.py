"""From the 4D CT perfusion series to maps: motion, baseline, input functions, smoothing, deconvolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.image.ctp_brain import BONE_HU, TISSUE_HU, ctp_brain, off_bone, tissue_of
from willis.image.deconvolution import LEAST_FRAMES, deconvolve
from willis.image.frame_smoothing import choose_width_mm, smooth_within
from willis.image.input_functions import (
    InputFunction,
    Inputs,
    area_ratio,
    count_baseline,
    find_inputs,
    fit_gamma_variate,
)
from willis.image.lost_frames import lost_frames
from willis.image.series_motion import LARGEST_MM, Motion, find_motion, find_turned, undo_motion
from willis.units import counted
from willis.volume.series import Series
from willis.volume.volume import Volume

Mask = npt.NDArray[np.bool_]

LEAST_BRAIN_ML = 30.0  # of a series of few slices
LEAST_BONE_ML = 1.0  # in a mask that was given, from which a note says so; assumed
LEAST_SPAN_S = 25.0  # of a series that can hold a bolus
PADDING_SAMPLE = 1_000_000
MOST_SPAN_S = 600.0  # of a series of one bolus
MOST_LEFT_OUT = 0.2  # of the frames, that can't be used; assumed
PASS_SHARE = 0.5  # of its peak, above which a curve is the bolus' passage
LATE_S = 10.0  # by which ischaemic tissue is passed after the tissue's mean; assumed
COARSE_STEP_S = 2.5  # between frames, above which the first pass is sampled too coarsely; assumed
LATE_SHARE = 0.3  # of the artery's peak that tissue may still have at the end
VESSEL_TIMES = 4.0  # tissue's usual peak, above which a voxel counts as a large vessel; assumed
ARTERY_TIMES = 2.0  # the tissue's peak, below which what was found is tissue; assumed
USUAL_HU = (-1100, 4200)
PADDING_SHARE = 0.1  # of the values below the usual ones, from which a single value is padding; assumed
MOST_BEYOND = 0.01  # share of the values below, or above, the usual ones: metal, edges; padding of one value apart


@dataclass(frozen=True)
class Curves:
    """What was found over time: (T,) times in s and curves in HU above baseline, and where the vessels lie."""

    times_s: npt.NDArray[np.float64]
    aif: InputFunction
    vof: InputFunction | None
    tissue: npt.NDArray[np.float64]
    baseline_frames: int
    scale: float


@dataclass(frozen=True)
class SeriesResult:
    """Maps of a series on its own grid, where they hold, the head before contrast, and how they were made."""

    maps: Mapping[str, Volume]
    baseline: Volume
    brain: Mask
    tissue: Mask
    curves: Curves
    notes: tuple[str, ...]
    details: Mapping[str, Any]


def maps_from_series(series: Series, options: Mapping[str, Any], brain: Mask | None) -> SeriesResult:
    """CBF, CBV, MTT, TTP, Tmax and MIP of a series.

    Parameters
    ----------
    series
        In HU, with times. Frames that were lost, or in which the head lies too far away, are left out.
    options
        The task's own: ``motion``, ``smoothing``, ``gamma_variate``, ``oscillation``.
    brain
        The user's own mask; found when None.

    Raises
    ------
    BadInputError
        When frames or times don't suffice, too many frames can't be used, times seem to be in ms, values aren't HU, no
        brain is found, no bolus passes, contrast is there at the start, or no artery stands out.
    """
    given_times = _checked_times(series)
    series, clipped = _in_usual_range(series)
    lost = lost_frames(series)
    series, left_out = _without(series, lost, "are empty where the head should be")
    motion = find_motion(series) if options["motion"] else Motion(np.zeros((series.frames, 3)))
    far = motion.too_far
    series, too_far = _without(series, far, f"show the head more than {LARGEST_MM:g} mm from where it was at first")
    motion = motion.of_frames(~far)
    times = _checked_times(series)
    notes = [*series.notes, *clipped, *left_out, *too_far]
    if motion.moved_frames:
        notes.append(
            f"The head moved by up to {motion.largest_mm:.1f} mm; {motion.moved_frames} of {series.frames} frames "
            f"{'was' if motion.moved_frames == 1 else 'were'} "
            "shifted back. Turns aren't undone."
        )
    still = undo_motion(series, motion)
    notes += _turned_notes(still, times)
    start = still.data[..., :2].mean(axis=3, dtype=np.float32)
    brain, readable, said = _brain_of(start, series, brain)
    notes += said
    count = count_baseline(np.asarray(still.data[brain].mean(axis=0), dtype=np.float64), times)
    baseline = still.data[..., :count].mean(axis=3, dtype=np.float32)
    enhancement = still.data.astype(np.float32) - baseline[..., None]
    where = ndimage.binary_dilation(brain, iterations=2) & (baseline < BONE_HU)
    inputs = find_inputs(enhancement, where, times, count)
    if options["gamma_variate"]:
        inputs = _fitted(inputs, times)
    tissue, large = _tissue(baseline, enhancement, readable, series)
    width = options["smoothing"]
    if width is None:
        width = choose_width_mm(enhancement[..., :2], tissue, series.grid)
    curves = smooth_within(enhancement, tissue, series.grid, float(width))[tissue]
    _refuse_tissue_as_artery(inputs, curves)
    notes += _time_notes(curves, inputs, times)
    area = inputs.scale * float(np.trapezoid(inputs.aif.curve, times))
    values = deconvolve(curves, inputs.aif.curve, times, oscillation_limit=float(options["oscillation"]), area=area)
    maps = {
        name: series.volume(_filled(found, tissue), role=name, unit=unit)
        for name, found, unit in (
            ("cbf", values.cbf, "ml/100g/min"), ("cbv", values.cbv, "ml/100g"), ("mtt", values.mtt, "s"),
            ("ttp", values.ttp - times[count - 1] + times[0], "s"), ("tmax", values.tmax, "s"),
        )
    }  # fmt: skip
    maps["mip"] = series.volume(still.data.max(axis=3).astype(np.float32), role="mip", unit="HU")
    details = {
        "frames": series.frames,
        "frames_left_out_s": [round(float(t), 3) for t in np.setdiff1d(given_times, times)],
        "baseline_frames": count,
        "largest_motion_mm": round(motion.largest_mm, 2),
        "smoothing_mm": float(width),
        "vein_over_artery_area": round(inputs.scale, 3),
        "artery_mm": _place_mm(inputs.aif, series),
        "vein_mm": _place_mm(inputs.vof, series) if inputs.vof else None,
        "large_vessel_ml": round(float(large.sum()) * series.grid.voxel_ml, 2),
        "median_cut": round(float(np.median(values.cut)), 3),
    }
    mean = np.asarray(curves.mean(axis=0), dtype=np.float64)
    shown = Curves(times, inputs.aif, inputs.vof, mean, count, inputs.scale)
    before = series.volume(baseline, role="ctp", unit="HU")
    return SeriesResult(maps, before, brain, tissue, shown, tuple(notes), details)


def _checked_times(series: Series) -> npt.NDArray[np.float64]:
    if series.times_s is None:
        raise BadInputError("the series doesn't say when its frames were taken; give them in s with --times.")
    times = np.asarray(series.times_s, dtype=np.float64)
    if series.frames < LEAST_FRAMES:
        raise BadInputError(
            f"the series has {counted(series.frames, 'frame')}; perfusion needs at least {LEAST_FRAMES}."
        )
    if not (np.diff(times) > 0).all():
        raise BadInputError("the times of the series' frames don't rise; give them in s with --times.")
    span = float(times[-1] - times[0])
    if span < LEAST_SPAN_S:
        raise BadInputError(
            f"the series lasts {span:.3g} s; at least {LEAST_SPAN_S:g} s are needed for a bolus to pass. Are its times "
            "in s? Give them with --times."
        )
    if span > MOST_SPAN_S:
        raise BadInputError(
            f"the series lasts {span:.6g} s, a frame every {float(np.median(np.diff(times))):.4g} s; at most "
            f"{MOST_SPAN_S:g} s are allowed. Its times seem to be in ms: give them in s with --times."
        )
    return times


def _in_usual_range(series: Series) -> tuple[Series, list[str]]:
    """The series with padding and single values beyond HU set to the nearest usual value, and what was set.

    Raises
    ------
    BadInputError
        When more than single values lie beyond, or none is as high as bone.
    """
    data = series.data
    low, high = float(data.min()), float(data.max())
    if low >= USUAL_HU[0] and BONE_HU <= high <= USUAL_HU[1]:
        return series, []
    below, above = data < USUAL_HU[0], data > USUAL_HU[1]
    padding = _padding(data, below)
    held = max(int(np.count_nonzero(~padding)), 1)
    low_share = np.count_nonzero(below & ~padding) / held
    high_share = np.count_nonzero(above) / held
    if max(low_share, high_share) > MOST_BEYOND or high < BONE_HU:
        raise BadInputError(
            f"the series' values run from {low:.0f} to {high:.0f}; a head in HU has air at -1000 and bone above "
            f"{BONE_HU:.0f}. Convert it from DICOM with its rescale slope and intercept."
        )
    data = data.copy()
    notes = []
    for beyond, value, words in (
        (below, USUAL_HU[0], f"below {USUAL_HU[0]} HU (lowest {low:.0f}), as padding is,"),
        (above, USUAL_HU[1], f"above {USUAL_HU[1]} HU (highest {high:.0f}), as metal is,"),
    ):
        if beyond.any():
            data[beyond] = value
            notes.append(f"{100 * float(beyond.mean()):.2g} % of the values were {words} and became {value} HU.")
    return series.with_data(data), notes


def _padding(data: npt.NDArray[Any], below: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(I, J, K, T) where values below the usual ones are the few that scanners and converters fill up with."""
    values = data[below]
    sample = values[:: max(1, values.size // PADDING_SAMPLE)]
    found, counts = np.unique(sample, return_counts=True)
    return np.asarray(below & np.isin(data, found[counts >= PADDING_SHARE * sample.size]))


def _without(series: Series, unusable: Mask, why: str) -> tuple[Series, list[str]]:
    """The series without some of its frames, (T,) True, and a note that says which.

    Raises
    ------
    BadInputError
        When they are more than ``MOST_LEFT_OUT`` of all.
    """
    count = int(np.count_nonzero(unusable))
    if count == 0 or series.times_s is None:
        return series, []
    told = f"{count} of {series.frames} frames {why}"
    if count > MOST_LEFT_OUT * series.frames:
        raise BadInputError(
            f"{told}; at most {100 * MOST_LEFT_OUT:g} % can be left out. Export the series again, or give the frames "
            "that can be used, with their times."
        )
    at = ", ".join(f"{t:.4g}" for t in series.times_s[unusable])
    return series.of_frames(~unusable), [f"{told} (at {at} s); they were left out."]


def _turned_notes(still: Series, times: npt.NDArray[np.float64]) -> list[str]:
    """What is said of frames in which the head lies turned against the first ones; (T,) times."""
    turned = find_turned(still)
    if not turned.any():
        return []
    at = ", ".join(f"{t:.4g}" for t in times[turned])
    return [
        f"Turned head: in {np.count_nonzero(turned)} of {still.frames} frames (at {at} s) bone lies otherwise than in "
        "the first ones, and turns aren't undone; all maps are less certain. Leave these frames out if it is a few."
    ]


def _coarse_notes(
    times: npt.NDArray[np.float64], artery: npt.NDArray[np.float64], tissue: npt.NDArray[np.float64]
) -> list[str]:
    """What is said of too long a step between frames while contrast passes, in late tissue too; (T,) each."""
    steps = np.diff(times)
    high = times[np.maximum(artery / artery.max(), tissue / tissue.max()) >= PASS_SHARE]
    step = float(steps[(times[1:] >= high[0]) & (times[:-1] <= high[-1] + LATE_S)].max())
    if step <= COARSE_STEP_S:
        return []
    often = "every" if np.median(steps) > COARSE_STEP_S else "in places every"
    return [
        f"A frame was taken {often} {step:.3g} s only while contrast passes: above {COARSE_STEP_S:g} s the bolus is "
        "sampled too coarsely, and CBF, MTT and Tmax are less certain."
    ]


def _brain_of(
    start: npt.NDArray[np.float32], series: Series, given: Mask | None
) -> tuple[Mask, Mask, list[str]]:  # fmt: skip
    """The brain, the part of it that may be tissue, and what is said of a mask that reaches into bone.

    Raises
    ------
    BadInputError
        When there is no brain, or the mask that was given holds none in HU.
    """
    if given is None:
        found = ctp_brain(start, series.grid)
        found_ml = float(found.sum()) * series.grid.voxel_ml
        if found_ml < LEAST_BRAIN_ML:
            raise BadInputError(
                f"no brain was found in the series: {found_ml:.0f} ml, at least {LEAST_BRAIN_ML:.0f} ml are expected. "
                "Check that it shows a head in HU, or give a mask with --brain-mask."
            )
        return found, found, []
    soft = given & (start > TISSUE_HU[0]) & (start < TISSUE_HU[1])
    soft_ml = float(soft.sum()) * series.grid.voxel_ml
    if soft_ml < LEAST_BRAIN_ML:
        usual = float(np.median(start[given])) if given.any() else 0.0
        raise BadInputError(
            f"the brain mask that was given holds {soft_ml:.0f} ml of soft tissue ({TISSUE_HU[0]:g} to "
            f"{TISSUE_HU[1]:g} HU), its median is {usual:.0f}; at least {LEAST_BRAIN_ML:.0f} ml are expected. Check "
            "that the series is in HU and that the mask is its brain's."
        )
    readable = given & off_bone(start, series.grid)
    bone_ml = float((given & (start > BONE_HU)).sum()) * series.grid.voxel_ml
    if bone_ml < LEAST_BONE_ML:
        return given, readable, []
    return given, readable, [
        f"The brain mask that was given holds {bone_ml:.1f} ml of bone: bone and what lies beside it aren't read."
    ]  # fmt: skip


def _fitted(inputs: Inputs, times: npt.NDArray[np.float64]) -> Inputs:
    aif = InputFunction(fit_gamma_variate(inputs.aif.curve, times), inputs.aif.voxels)
    if inputs.vof is None:
        return Inputs(aif, None, 1.0)
    vof = InputFunction(fit_gamma_variate(inputs.vof.curve, times), inputs.vof.voxels)
    return Inputs(aif, vof, area_ratio(aif.curve, vof.curve, times))


def _tissue(
    baseline: npt.NDArray[np.float32], enhancement: npt.NDArray[np.float32], brain: Mask, series: Series
) -> tuple[Mask, Mask]:
    """Brain without fluid and without large vessels, and the vessels."""
    solid = tissue_of(baseline, brain, series.grid)
    i, j = (1.5 / s for s in series.grid.spacing_mm[:2])
    peak = ndimage.gaussian_filter(enhancement, [i, j, 0, 0.7]).max(axis=3)
    usual = float(np.median(peak[solid])) if solid.any() else 0.0
    vessels = brain & (peak > VESSEL_TIMES * max(usual, 1.0))
    return solid & ~vessels, vessels


def _refuse_tissue_as_artery(inputs: Inputs, curves: npt.NDArray[np.float32]) -> None:
    tissue, artery = float(curves.mean(axis=0).max()), float(inputs.aif.curve.max())
    if artery < ARTERY_TIMES * tissue:
        raise BadInputError(
            f"no artery stands out: the best curve peaks at {artery:.0f} HU, tissue at {tissue:.0f} HU on the mean; an "
            f"artery's is at least {ARTERY_TIMES:g} times as high. Check that the series shows large arteries."
        )


def _time_notes(curves: npt.NDArray[np.float32], inputs: Inputs, times: npt.NDArray[np.float64]) -> list[str]:
    mean = np.asarray(curves.mean(axis=0), dtype=np.float64)
    notes = _coarse_notes(times, inputs.aif.curve, mean)
    if inputs.vof is None:
        notes.append("No vein was found: the artery's partial volume isn't corrected, and CBF and CBV may be too high.")
    if float(mean[-3:].mean()) > LATE_SHARE * float(mean.max()):
        notes.append(
            f"The series ends after {times[-1] - times[0]:.0f} s, while contrast is still in the tissue: CBV and MTT "
            "of late tissue are uncertain."
        )
    return notes


def _place_mm(vessel: InputFunction, series: Series) -> list[float]:
    """Where the first of its voxels lies, world mm RAS+."""
    return [round(float(mm), 1) for mm in series.grid.to_mm(np.array(vessel.voxels[0], dtype=np.float64))]


def _filled(values: npt.NDArray[np.float32], where: Mask) -> npt.NDArray[np.float32]:
    out = np.zeros(where.shape, dtype=np.float32)
    out[where] = values
    return out
