"""Lesions that people traced on scans, warped to MNI space, as shapes for phantoms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.io.nifti import read_nifti
from willis.io.nifti_names import find_niftis
from willis.phantom.deform import Field, smooth_noise
from willis.phantom.labels import BRAIN, PARENCHYMA, Tissue, lookup

MNI_BRAIN_MM = ((-73.0, 73.0), (-108.0, 74.0), (-66.0, 79.0))  # left to right, back to front, down to up; rounded
LARGEST_ML = 450.0  # larger masks are taken for mistakes
LEAST_ML = 0.03
TRIES = 8


def find_traced(folder: Path) -> tuple[Path, ...]:
    """Every NIfTI mask of a folder, in order.

    Raises
    ------
    BadInputError
        When there is none.
    """
    files = find_niftis(folder, "*") if folder.is_dir() else []
    if not files:
        raise BadInputError(f"{folder} holds no NIfTI file; give a folder of lesion masks in MNI space.")
    return tuple(files)


def traced_lesion(
    rng: np.random.Generator,
    masks: Sequence[Path],
    codes: npt.NDArray[np.uint8],
    voxel_mm: float,
    tissues: tuple[Tissue, ...] = PARENCHYMA,
) -> tuple[Field, str]:
    """Lay one traced lesion, mirrored or not, into a head by the extents of both brains.

    Parameters
    ----------
    tissues
        What a lesion can take of the head; the rest of the mask is left away.

    Returns
    -------
    tuple
        (I, J, K) share of each voxel that is lesion, within those tissues; and the file's name. All 0 and no name
        when none of several masks was of a plausible size there.
    """
    inside = lookup(tissues)[codes]
    brain = lookup(BRAIN)[codes]
    for _ in range(TRIES):
        path = masks[int(rng.integers(len(masks)))]
        mask = read_nifti(path, allow_empty=True)
        soft = _laid(rng, (mask.data > 0).astype(np.float32), np.linalg.inv(mask.grid.affine), brain)
        soft[~inside] = 0
        if LEAST_ML <= float(soft.sum()) * voxel_mm**3 / 1000 <= LARGEST_ML:
            return soft, path.name
    return np.zeros(codes.shape, np.float32), ""


def _laid(
    rng: np.random.Generator, mask: Field, to_index: npt.NDArray[np.floating], brain: npt.NDArray[np.bool_]
) -> Field:
    """The mask where a head has the same place of the brain's extent, its border roughened by about a voxel."""
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    out = np.zeros(brain.shape, dtype=np.float32)
    positions, boxes = [], []
    for axis, (low, high) in enumerate(MNI_BRAIN_MM):
        line = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        share = (np.arange(line[0], line[-1] + 1) - line[0]) / max(line[-1] - line[0], 1)
        positions.append((low + share * (high - low)) * (mirror if axis == 0 else 1.0))
        boxes.append(slice(int(line[0]), int(line[-1]) + 1))
    world = np.stack(np.meshgrid(*positions, indexing="ij"), axis=-1).astype(np.float32)
    index = world @ to_index[:3, :3].T.astype(np.float32) + to_index[:3, 3].astype(np.float32)
    size = (len(positions[0]), len(positions[1]), len(positions[2]))
    for axis in range(3):
        index[..., axis] += 0.7 * smooth_noise(rng, size, 3)
    near = np.rint(index).astype(np.intp)
    within = np.all((near >= 0) & (near < np.array(mask.shape)), axis=-1)
    i, j, k = (np.where(within, near[..., axis], 0) for axis in range(3))
    out[boxes[0], boxes[1], boxes[2]] = np.where(within, mask[i, j, k], 0)
    return out
