"""One label by slice, by case and over a group of cases, in the kind of table that publications print.

Means of Dice are over slices and cases whose reference has the label, so that finding nothing betters none of them.
What is found where the reference has nothing is counted by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.volume.grid import Grid

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SliceCounts:
    """One label of one case.

    Parameters
    ----------
    voxels
        (K, 3): of each slice the voxels of the reference, of the prediction, and of both.
    voxel_ml
        Volume of one.
    """

    voxels: npt.NDArray[np.int64]
    voxel_ml: float


def count_slices(reference: Mask, prediction: Mask, voxel_ml: float, axis: int = 2) -> SliceCounts:
    """Count two masks (I, J, K) slice by slice along an axis."""
    others = tuple(a for a in range(3) if a != axis)
    counted = [mask.sum(axis=others) for mask in (reference, prediction, reference & prediction)]
    return SliceCounts(np.stack(counted, axis=1).astype(np.int64), voxel_ml)


def axis_between_head_and_feet(grid: Grid) -> int:
    """The axis along which axial slices lie.

    >>> axis_between_head_and_feet(Grid((4, 4, 4), np.eye(4)))
    2
    """
    return next(axis for axis, letter in enumerate(grid.orientation) if letter in "IS")


def scores_by_slice(counts: SliceCounts) -> list[dict[str, Any]]:
    """One row a slice, from 0; Dice is None where the reference has nothing."""
    return [{"slice": k, **_scores(row, counts.voxel_ml)} for k, row in enumerate(counts.voxels)]


def scores_of_case(counts: SliceCounts) -> dict[str, Any]:
    """All slices together."""
    return _scores(counts.voxels.sum(axis=0), counts.voxel_ml)


def scores_of_group(counts: Sequence[SliceCounts]) -> dict[str, Any]:
    """Dice (F1) by slice, by patient and of all voxels together, and what is found wrongly; None where undefined.

    ``false_patients`` are those whose reference is empty and in whom something was found, ``largest_false_ml`` the most
    of it. Volumes are means over all patients.
    """
    slices = np.concatenate([one.voxels for one in counts])
    patients = np.stack([one.voxels.sum(axis=0) for one in counts])
    ml = np.array([one.voxel_ml for one in counts])
    without = patients[:, 0] == 0
    true, found, both = patients.sum(axis=0)
    by_slice, by_patient = _dices(slices), _dices(patients)
    return {
        "patients": len(counts),
        "with_label": int((~without).sum()),
        "dice_slices": _mean(by_slice),
        "dice_slices_sd": _spread(by_slice),
        "dice_patients": _mean(by_patient),
        "dice_patients_sd": _spread(by_patient),
        "dice_voxels": _dice(true, found, both),
        "precision_voxels": _share(both, found),
        "sensitivity_voxels": _share(both, true),
        "true_ml": float((patients[:, 0] * ml).mean()),
        "found_ml": float((patients[:, 1] * ml).mean()),
        "false_patients": int((patients[without, 1] > 0).sum()),
        "largest_false_ml": float((patients[without, 1] * ml[without]).max()) if without.any() else None,
    }


def _scores(voxels: npt.NDArray[np.int64], voxel_ml: float) -> dict[str, Any]:
    true, found, both = voxels
    return {
        "true_ml": float(true) * voxel_ml,
        "found_ml": float(found) * voxel_ml,
        "dice": _dice(true, found, both) if true else None,
        "precision": _share(both, found),
        "sensitivity": _share(both, true),
    }


def _dices(voxels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(M,) Dice of the rows of (N, 3) whose reference isn't empty."""
    true, found, both = voxels[voxels[:, 0] > 0].T
    return np.asarray(2 * both / np.maximum(true + found, 1), dtype=np.float64)


def _dice(true: int, found: int, both: int) -> float | None:
    return float(2 * both / (true + found)) if true + found else None


def _share(part: int, whole: int) -> float | None:
    return float(part / whole) if whole else None


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.mean()) if values.size else None


def _spread(values: npt.NDArray[np.float64]) -> float | None:
    return float(values.std(ddof=1)) if values.size > 1 else None
