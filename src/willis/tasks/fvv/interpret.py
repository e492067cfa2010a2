"""What an infarct is in numbers: its parts, volumes, ADC, side, and a rater's mask against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.findings import Lesion, Measurement
from willis.image.components import component_sizes, label_components
from willis.image.midline import Midline
from willis.measure.overlap import dice
from willis.tasks.fvv.spec import MISMATCH_BELOW_ML
from willis.tasks.fvv.votes import Bool3, Votes
from willis.units import rounded
from willis.volume.grid import Grid
from willis.volume.volume import Volume

MIDDLE_MM = 1e-3  # voxels nearer to the brain's middle lie on it, and count half for either side


def mean_adc(lesion: Bool3, adc: npt.NDArray[np.floating]) -> float | None:
    """Mean ADC of the infarct's voxels where it is known (not NaN); None where it is for none."""
    values = adc[lesion & np.isfinite(adc)]
    return float(values.mean()) if values.size else None


def describe_lesions(
    lesion: Bool3,
    visible: Bool3,
    probability: npt.NDArray[np.floating],
    brain: Bool3,
    grid: Grid,
    plane: Midline | None = None,
) -> list[Lesion]:
    """One row for each part of the infarct, on the b1000's own grid; its region is its side and how much is visible.

    Sides are those of ``plane``; when None, of the vertical plane through the brain's middle.
    """
    labels, count = label_components(lesion, 26)
    if count == 0:
        return []
    index = np.arange(1, count + 1)
    sizes = component_sizes(labels, count)
    centres = grid.to_mm(np.array(ndimage.center_of_mass(lesion, labels, index)))
    mean = np.asarray(ndimage.mean(probability, labels, index))
    shown = np.asarray(ndimage.mean(visible, labels, index))
    plane = plane or vertical_plane(brain if brain.any() else lesion, grid)
    across_mm = rightwards_mm(plane, centres)
    return [
        Lesion(
            index=k + 1,
            volume_ml=float(sizes[k]) * grid.voxel_ml,
            centroid_mm=(float(centres[k, 0]), float(centres[k, 1]), float(centres[k, 2])),
            region=f"{'left' if across_mm[k] < 0 else 'right'}, {rounded(100 * shown[k], 0)} % visible",
            probability=float(mean[k]),
        )
        for k in range(count)
    ]


def vertical_plane(mask: Bool3, grid: Grid) -> Midline:
    """The scanner's plane between left and right through the middle of a mask."""
    return Midline((1.0, 0.0, 0.0), float(grid.to_mm(np.argwhere(mask).mean(axis=0))[0]))


def rightwards_mm(plane: Midline, points_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(n,) how far points (n, 3) lie to the right of a plane, mm; on the left it is below 0."""
    return np.asarray(points_mm @ np.array(plane.normal) - plane.offset_mm)


def measure(
    votes: Votes, lesions: Sequence[Lesion], adc_mm2_s: float | None, rater: Mapping[str, float | None]
) -> dict[str, Measurement]:
    """All numbers of the finding; volumes are counted where the votes are.

    Parameters
    ----------
    adc_mm2_s
        Mean ADC in the infarct; None when there is none.
    rater
        Of :func:`score_rater`; empty when no mask was given.
    """
    voxel_ml = votes.grid.voxel_ml
    ratio = votes.other_side.ratio if votes.other_side is not None else None
    lesion_ml = float(np.count_nonzero(votes.lesion)) * voxel_ml
    brain_ml = float(np.count_nonzero(votes.brain)) * voxel_ml
    fvv, interval, whole = votes.fvv_ml, votes.interval_ml, votes.counted_ml
    share = None if interval is None or not whole else (100 * interval[0] / whole, 100 * interval[1] / whole)
    least = (votes.other_side.least,) if votes.other_side is not None else ()
    found = [
        Measurement("flair_visibility_volume", fvv, "ml", interval, "FLAIR Visibility Volume", (MISMATCH_BELOW_ML,)),
        Measurement("lesion_volume", lesion_ml, "ml", None, "Acute infarct"),
        Measurement("visible_share", 100 * fvv / whole if whole else None, "%", share, "Visible share"),
        Measurement("lesion_adc", None if adc_mm2_s is None else 1e3 * adc_mm2_s, "um2/ms", None, "ADC in the infarct"),
        Measurement("b0_ratio", ratio, "1", None, "b0 in the infarct over that on the other side", least),
        Measurement("lesion_count", len(lesions), "count", None, "Parts of the infarct"),
        Measurement("lesion_left_share", left_share(votes), "%", None, "Share on the left"),
        Measurement("brain_volume", brain_ml, "ml", None, "Volume of the brain mask"),
    ]
    if rater:
        found.append(Measurement("rater_dice", rater["dice"], "1", None, "Dice with the rater's mask"))
        found.append(Measurement("rater_volume", rater["volume_ml"], "ml", None, "Rater's mask"))
        inside = rater["in_lesion_ml"]
        found.append(Measurement("rater_in_lesion_volume", inside, "ml", None, "Rater's mask in the infarct found"))
    return {measurement.name: measurement for measurement in found}


def left_share(votes: Votes) -> float | None:
    """Share of the infarct's voxels left of the brain's middle, %; None without an infarct."""
    if not votes.lesion.any():
        return None
    plane = votes.plane or vertical_plane(votes.brain, votes.grid)
    x_mm = rightwards_mm(plane, votes.grid.to_mm(np.argwhere(votes.lesion)))
    return 100 * float(np.mean(x_mm < -MIDDLE_MM) + np.mean(np.abs(x_mm) <= MIDDLE_MM) / 2)


def score_rater(visible: Bool3, lesion: Bool3, rater: Volume, volume_ml: float) -> dict[str, float | None]:
    """A rater's mask against what was found.

    Parameters
    ----------
    visible, lesion
        (I, J, K) on the grid of ``rater``.
    rater
        The mask on the b1000's grid.
    volume_ml
        Of the whole mask, as it was given.

    Returns
    -------
    dict
        ``dice`` with the visible part, ``volume_ml``, and ``in_lesion_ml``, the part of it in the infarct found.
    """
    seen = rater.data > 0
    inside = float(np.count_nonzero(seen & lesion)) * rater.grid.voxel_ml
    return {"dice": dice(visible, seen), "volume_ml": volume_ml, "in_lesion_ml": inside}
