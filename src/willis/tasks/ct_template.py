"""The average head CT that comes with willis, its brain and arterial territories, and how they come to a patient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.image.affine import register_affine
from willis.image.morphology import dilate_mm
from willis.io.nifti import read_nifti
from willis.tasks.territories import RIGHT, TERRITORIES, Codes, sided
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

FOLDER = Path(__file__).parent / "template"
WINDOW_HU = (-50.0, 150.0)  # air and fat are one, bone is one; brain and fluid differ
SKULL_MM = 14.0  # the template's brain grown by it holds the skull
LEAST_HEIGHT_MM = 80.0  # of the brain that is seen: less can't be placed along the body; assumed
LEAST_ALIKE = {"ct": 0.55, "outline": 0.8}  # correlation with the template; assumed
LEAST_OVERLAP = 0.6  # of the template's head that the scan must cover
REACH_MM = 12.0  # how far brain without a code takes that of its neighbour


@dataclass(frozen=True)
class Brought:
    """Territories on a patient's own grid, or why there are none.

    Parameters
    ----------
    codes
        (I, J, K) of the territory map, 0 outside the brain; None where they can't be brought.
    note
        How they were brought, or why not.
    """

    codes: Codes | None
    note: str


@cache
def template(name: str) -> Volume:
    """``ct`` (HU), ``brain`` or ``territories``, in MNI space."""
    return read_nifti(FOLDER / f"{name}.nii.gz", name, allow_empty=True)


def read_territories(path: Path | None) -> Volume:
    """Codes 1 to 4 on the left and 11 to 14 on the right, in MNI space, on the map's own grid.

    Parameters
    ----------
    path
        The user's map, placed by its affine; the built-in one when None. A map that uses no code above 4 gets its
        sides from where its voxels lie.

    Raises
    ------
    BadInputError
        When it holds other codes.
    """
    if path is None:
        return template("territories")
    given = read_nifti(path, "territories", allow_empty=True)
    codes = np.rint(given.data).astype(np.int64)
    known = [n + side for side in (0, RIGHT) for n in range(len(TERRITORIES) + 1)]
    strange = sorted(set(np.unique(codes).tolist()) - set(known))
    if strange:
        raise BadInputError(
            f"the map of territories {path.name} holds code {strange[0]}; allowed are 1 to {len(TERRITORIES)} "
            f"({', '.join(TERRITORIES)}), + {RIGHT} on the right."
        )
    if codes.max(initial=0) <= len(TERRITORIES):
        x = given.grid.to_mm(np.moveaxis(np.indices(given.grid.shape), 0, -1))[..., 0]
        codes = codes + RIGHT * ((x > 0) & (codes > 0))
    return given.with_data(codes.astype(np.uint8))


def bring_territories(brain: Volume, right: npt.NDArray[np.bool_], ct: Volume | None) -> Brought:
    """The built-in territories laid on a patient by an affine registration: of a CT, or of the brain's outline alone.

    Parameters
    ----------
    brain
        Mask.
    right
        (I, J, K) on the mask's grid: the patient's right by the brain's own middle.
    ct
        In HU, on the same grid; None where only the brain is known.
    """
    seen = brain.grid.to_mm(np.argwhere(brain.data > 0))[:, 2]
    height = float(np.ptp(seen)) + brain.grid.spacing_mm[2] if len(seen) else 0.0
    if height < LEAST_HEIGHT_MM:
        return Brought(None, f"{height:.0f} mm of brain are seen from below to above; {LEAST_HEIGHT_MM:.0f} are needed")
    way = "outline" if ct is None else "ct"
    domain = dilate_mm(template("brain"), SKULL_MM)
    try:
        if ct is None:
            fit = register_affine(_full(brain), _full(template("brain")), domain, (0.0, 100.0), symmetric=True)
        else:
            fit = register_affine(ct, template("ct"), domain, WINDOW_HU, symmetric=True)
    except BadInputError as error:
        return Brought(None, str(error).rstrip("."))
    if fit.correlation < LEAST_ALIKE[way] or fit.overlap < LEAST_OVERLAP:
        alike = f"correlation {fit.correlation:.2f}, {fit.overlap:.0%} of the head seen"
        return Brought(None, f"the brain doesn't fit the template ({alike})")
    laid = resample_to(template("territories"), brain.grid, "nearest", world_transform=fit.inverse).data
    inside = np.asarray(brain.data > 0)
    away, place = ndimage.distance_transform_edt(laid == 0, sampling=brain.grid.spacing_mm, return_indices=True)
    codes = np.where(inside & (away <= REACH_MM), laid[tuple(place)], 0).astype(np.uint8)
    by = "the brain's outline" if ct is None else "the frames before contrast"
    return Brought(sided(codes, right), f"laid on the patient by {by}, without deformation")


def _full(mask: Volume) -> Volume:
    """A mask as an image of 0 and 100, which a registration compares."""
    return mask.with_data((mask.data > 0).astype(np.float32) * 100)
