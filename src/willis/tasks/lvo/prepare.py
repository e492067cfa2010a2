"""From a non-contrast CT as the scanner gives it to what the stages and the measurements work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.image.mirror import HalfDifference, half_difference
from willis.image.morphology import distance_mm
from willis.io.nifti import read_nifti
from willis.study import Study
from willis.tasks.axes import in_axes
from willis.tasks.ct_template import read_territories
from willis.tasks.lvo.courses import seen_shares, unseen_vessels
from willis.tasks.lvo.headspace import MATCHED_HU, HeadSpace, find_head
from willis.tasks.lvo.hounsfield import as_hounsfield, check_brain_values
from willis.tasks.lvo.vessels import read_vessels
from willis.tasks.territories import sided
from willis.volume.grid import Grid
from willis.volume.volume import Volume

AXES = "LPS"  # that everything is computed in, so that nothing hangs on how a scan is stored
FLUID_HU = 15.0  # published: where either half is below it, the halves aren't compared
LARGEST_HU = 70.0  # published: larger differences are none of brain
RIM_MM = 4.0  # from the brain's outline, where fluid and bone lie beside it and sulci don't match
SMOOTHING_MM = 3.0  # sigma of the map of darker brain: noise of 4 HU a voxel then leaves 0.5 HU


@dataclass(frozen=True)
class PreparedHead:
    """A patient's head, ready to be looked at.

    Parameters
    ----------
    ct
        In HU, on its own grid with axes LPS.
    head
        The template's fit, the brain, and the midplane grid.
    difference
        Between the halves, on the midplane grid.
    darker
        (I, J, K) HU by which brain is darker than its mirror image, smoothed; negative where it is brighter, 0 where
        the halves aren't compared.
    territories
        (I, J, K) codes of the territory map on the midplane grid, 0 outside the brain.
    left
        (I, J, K) on the CT's own grid: left of the brain's middle plane.
    vessels
        Labels on the CT's own grid, where they are known.
    prior
        The user's own probability of a territory, 0 to 1, on the midplane grid; None where none was given.
    notes
        Sentences that a reader must see.
    unseen
        The one of them on vessels that the scan doesn't show; empty where it shows all.
    """

    ct: Volume
    head: HeadSpace
    difference: HalfDifference
    darker: npt.NDArray[np.float32]
    territories: npt.NDArray[np.uint8]
    left: npt.NDArray[np.bool_]
    vessels: Volume | None
    prior: Volume | None
    notes: tuple[str, ...]
    unseen: str = ""


def prepare(study: Study, options: Mapping[str, Any]) -> PreparedHead:
    """Lay the template on a CT and compare the halves of its brain.

    Parameters
    ----------
    study
        With ``ncct``, and ``brain`` when there is one.
    options
        The task's own, resolved.

    Raises
    ------
    BadInputError
        When the image is no head CT in HU, it doesn't show where the vessels run, or a label map or a prior can't be
        used.
    """
    study = in_axes(study, AXES)
    ct = as_hounsfield(study["ncct"])
    if options["vessels"] and options["vessel_bundle"]:
        raise BadInputError("both --vessels and --vessel-bundle were given; give one of them.")
    vessels = read_vessels(cast(Path, options["vessels"]), ct) if options["vessels"] else None
    territories = read_territories(cast("Path | None", options["territories"]))
    prior = read_prior(cast(Path, options["prior"])) if options["prior"] else None
    head = find_head(study, ct, str(options["deformation"]))
    unseen = unseen_vessels(seen_shares(ct, head.fit.matrix), ct.role)
    notes = (*check_brain_values(ct, head.brain), *([unseen] if unseen else []))
    difference = half_difference(head.hu, head.inside, FLUID_HU, LARGEST_HU, MATCHED_HU)
    codes = np.where(head.inside.data > 0, head.from_template(territories, order=0).data, 0).astype(np.uint8)
    return PreparedHead(
        ct=ct,
        head=head,
        difference=difference,
        darker=_darker(head, difference),
        territories=_sided(codes),
        left=left_of(head.grid, ct.grid),
        vessels=vessels,
        prior=None if prior is None else head.from_template(prior),
        notes=(*(f"CT: {note}" for note in ct.notes), *head.notes, *notes),
        unseen=unseen,
    )


def read_prior(path: Path) -> Volume:
    """A probability of a territory in MNI space, placed by its affine.

    Raises
    ------
    BadInputError
        When it holds other values than 0 to 1, or nothing.
    """
    given = read_nifti(path, "prior")
    low, high = float(given.data.min()), float(given.data.max())
    if low < 0 or high > 1:
        raise BadInputError(
            f"the prior {path.name} holds values from {low:g} to {high:g}; a probability runs from 0 to 1. Codes of "
            "territories are given with --territories."
        )
    return given.with_data(given.data.astype(np.float32))


def left_of(midplane: Grid, grid: Grid) -> npt.NDArray[np.bool_]:
    """(I, J, K) of a grid: left of the middle of a midplane grid's first axis."""
    across = midplane.directions[:, 0]
    start = float((grid.affine[:3, 3] - midplane.centre_mm) @ across)
    steps = [float(grid.affine[:3, axis] @ across) * np.arange(n) for axis, n in enumerate(grid.shape)]
    return np.asarray(start + steps[0][:, None, None] + steps[1][None, :, None] + steps[2][None, None, :] < 0)


def _darker(head: HeadSpace, difference: HalfDifference) -> npt.NDArray[np.float32]:
    """Mean of the signed difference about each voxel, over voxels where both halves are brain and no fluid."""
    here = ndimage.median_filter(head.hu.data, 3)
    counted = (
        np.isfinite(difference.signed) & (here >= FLUID_HU) & (here - np.nan_to_num(difference.signed) >= FLUID_HU)
    )
    counted &= np.abs(np.nan_to_num(difference.signed)) <= LARGEST_HU
    counted &= distance_mm(head.inside.data == 0, head.grid.spacing_mm) > RIM_MM
    sigma = SMOOTHING_MM / head.grid.spacing_mm[0]
    weight = ndimage.gaussian_filter(counted.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(counted, -difference.signed, 0).astype(np.float32), sigma)
    return np.where(counted & (weight > 0.2), total / np.maximum(weight, 1e-3), 0).astype(np.float32)


def _sided(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Codes with the side that the middle plane gives them, whatever the map's deformation did near it."""
    right = np.zeros(codes.shape, dtype=bool)
    right[codes.shape[0] // 2 :] = True
    return sided(codes, right)
