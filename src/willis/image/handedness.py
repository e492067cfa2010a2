"""Whether two images of one head agree on which side is left."""

from __future__ import annotations

import numpy as np

from willis.errors import GeometryError
from willis.image.register import Registration, register_rigid
from willis.volume.grid import FloatArray
from willis.volume.volume import Volume

CLEARLY = 1.05  # times the fit as it is; assumed, and far below what real pairs reach whose FLAIR was mirrored by hand


def refuse_mirrored(
    moving: Volume, fixed: Volume, found: Registration, *, fixed_mask: Volume | None = None, otherwise: str
) -> None:
    """Fit the mirrored image too: no head is its own mirror image, so that the wrong way fits less well.

    Fits are compared by normalised mutual information's excess over 1. A head of little asymmetry, or images of
    different heads, fit equally well either way and are let pass, as is a pair that fits neither way.

    Parameters
    ----------
    moving, fixed, fixed_mask
        As they were given to :func:`willis.image.register.register_rigid`.
    found
        What it gave.
    otherwise
        What a user can do who knows better, the end of a sentence.

    Raises
    ------
    GeometryError
        When the images fit clearly better with one of them mirrored left to right.
    """
    mirrored, across = _mirrored(moving)
    shown = fixed if fixed_mask is None else fixed_mask
    middle = shown.grid.to_mm(np.argwhere(shown.data > 0).mean(axis=0))
    plane = np.diag([-1.0, 1.0, 1.0, 1.0])
    plane[0, 3] = 2 * middle[0]
    fit = register_rigid(mirrored, fixed, fixed_mask=fixed_mask, start=across @ found.matrix @ plane)
    if fit.poor or fit.normalised_mi_after - 1 <= CLEARLY * (found.normalised_mi_after - 1):
        return
    one, other = moving.role, fixed.role
    raise GeometryError(
        f"the {one} and the {other} contradict each other in left and right: mirrored, the {one} fits the {other} with "
        f"a normalised mutual information of {fit.normalised_mi_after:.3f}, as its file places it with "
        f"{found.normalised_mi_after:.3f}. Which of them is mirrored can't be told from the images. Convert both anew "
        f"from what the scanner gave, leave out the one that is wrong, or {otherwise}."
    )


def _mirrored(image: Volume) -> tuple[Volume, FloatArray]:
    """The image turned over along its axis that runs left to right, and the (4, 4) map of its world that does so."""
    axis = next(axis for axis, towards in enumerate(image.grid.orientation) if towards in "LR")
    flip = np.eye(4)
    flip[axis, axis], flip[axis, 3] = -1.0, image.grid.shape[axis] - 1
    across = image.grid.affine @ flip @ np.linalg.inv(image.grid.affine)
    return image.with_data(np.flip(image.data, axis)), np.asarray(across, dtype=np.float64)
