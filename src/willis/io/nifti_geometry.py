"""Where a NIfTI image lies: units, qform and sform, shear."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from willis.errors import GeometryError
from willis.units import MM_PER_M, MM_PER_UM
from willis.volume.grid import FloatArray, Grid, Shape3
from willis.volume.resample import Kernel, resample_to
from willis.volume.volume import Volume

AGREEMENT_MM = 0.05  # qform and sform whose corner voxels lie this close are one: float32 and quaternion rounding
LEFT_RIGHT_TOLERANCE_DEG = 45.0  # beyond it, qform and sform call another direction the patient's right
TEMPLATE_CODES = (3, 4)  # Talairach, MNI: an sform that may stretch the patient to a template
SPACING_TOLERANCE = 0.01  # relative; voxel sizes farther apart than this are different sizes
PLAUSIBLE_SPACING_MM = (0.02, 50.0)  # a voxel's edge in a scan of a person
NO_SHEAR_DEG = 0.01  # axes this near to a right angle are at one; float32 rounding reaches 1e-4
MOST_SHEAR_DEG = 60.0  # a tilted gantry reaches 30; axes this near to each other span no image
MOST_MM_FROM_ORIGIN = 1e5  # float32, in which headers hold positions, still tells 0.01 mm apart there
SMALL_SHEAR_VOXELS = 0.5  # the nearest rotation is taken when it moves no voxel farther than this
_LENGTH_UNITS = {0: 1.0, 1: MM_PER_M, 2: 1.0, 3: MM_PER_UM}  # NIfTI codes: unknown (as good as always mm), m, mm, µm


@dataclass(frozen=True)
class _Form:
    """One of a header's two affines, in mm; None where it isn't valid."""

    name: str
    code: int
    affine: FloatArray | None


def read_grid(header: Any, shape: Shape3, path: Path) -> tuple[Grid, tuple[str, ...]]:
    """The grid of a NIfTI header in mm, possibly sheared, and what had to be decided.

    Parameters
    ----------
    header
        nibabel's.
    shape
        Of the one volume read.
    path
        For messages.

    Raises
    ------
    GeometryError
        When neither qform nor sform is valid, they disagree on left and right, the unit is unknown to NIfTI, or voxels
        of no plausible size, shape or place come of it.
    """
    scale, unit_notes = _millimetres(header, path)
    forms = [_qform(header, scale), _sform(header, scale)]
    stated = [form for form in forms if form.code > 0]
    if not stated:
        raise GeometryError(
            f"{path} doesn't say where it lies: the codes of its qform and sform are both 0, so left and right "
            "can't be told apart. Convert the original scan again (dcm2niix), or set an affine that you trust."
        )
    valid = [form for form in stated if form.affine is not None]
    if not valid:
        names = " and ".join(form.name for form in stated)
        raise GeometryError(
            f"{path} has no valid affine: its {names} holds NaN, has no inverse, or is against the standard. "
            "Convert it again."
        )
    notes = [f"The {form.name} is not valid and was passed over." for form in stated if form.affine is None]
    if len(valid) == 2:
        chosen, more = _choose(valid[0], valid[1], shape, path)
        notes += more
    else:
        chosen = valid[0]
    assert chosen.affine is not None
    grid = Grid(shape, chosen.affine)
    if all(form.name == "sform" for form in valid):
        notes += _size_notes(header, grid, scale)
    low, high = PLAUSIBLE_SPACING_MM
    if min(grid.spacing_mm) < low or max(grid.spacing_mm) > high:
        raise GeometryError(
            f"{path} has voxels of {_edges(grid)} mm; from {low} to {high} mm is plausible. Its unit or affine is "
            "wrong."
        )
    if (apart := shear_deg(grid)) > MOST_SHEAR_DEG:
        raise GeometryError(
            f"{path} has axes {apart:.3g}° away from right angles; at most {MOST_SHEAR_DEG:g}° can be read. Its "
            "affine is wrong: convert it again."
        )
    if (far := float(np.abs(grid.affine[:3, 3]).max())) > MOST_MM_FROM_ORIGIN:
        raise GeometryError(
            f"{path} lies {far:.3g} mm from its origin; at most {MOST_MM_FROM_ORIGIN:g} mm is plausible. Its "
            "affine is wrong: convert it again."
        )
    return grid, (*notes, *unit_notes)


def straightened(volume: Volume, kernel: Kernel) -> Volume:
    """The image on a grid with right angles.

    Axes that are square within rounding stay as they are. Where the nearest rotation (polar decomposition) moves
    no voxel farther than half a voxel, the affine is replaced by it. Else the image is resampled: the two finer
    axes keep their plane, the third becomes its normal. Beyond its field of view an image gets its least value, a mask
    (``nearest``) 0.
    """
    grid = volume.grid
    shear = shear_deg(grid)
    if shear <= NO_SHEAR_DEG:
        return volume
    turned = _nearest_rotation(grid)
    moved = _corner_distance(grid.affine, turned.affine, grid.shape)
    if moved <= SMALL_SHEAR_VOXELS * min(grid.spacing_mm):
        return replace(volume, grid=turned).noted(
            f"The affine is sheared by {shear:.2g}°; the nearest rotation was taken, which moves voxels by up to "
            f"{moved:.2g} mm."
        )
    square = _square_grid(grid)
    note = f"The affine is sheared by {shear:.3g}°; the image was resampled ({kernel}) to a grid with right angles."
    fill = 0.0 if kernel == "nearest" else volume.data.min().item()
    return resample_to(volume, square, kernel, fill=fill).noted(note)


def shear_deg(grid: Grid) -> float:
    """How far the angle between any two voxel axes is from 90°."""
    cosines = np.abs((grid.directions.T @ grid.directions)[np.triu_indices(3, 1)])
    return float(np.degrees(np.arcsin(np.clip(cosines, 0, 1)).max()))


def _qform(header: Any, scale: float) -> _Form:
    code = int(header["qform_code"])
    if header["pixdim"][0] == 0:  # "we take qfac = 1", nifti1.h, method 2
        header = header.copy()
        header["pixdim"][0] = 1
    try:
        affine = header.get_qform()
    except (nib.spatialimages.HeaderDataError, ValueError):
        affine = None
    return _Form("qform", code, _usable(affine, scale))


def _sform(header: Any, scale: float) -> _Form:
    return _Form("sform", int(header["sform_code"]), _usable(header.get_sform(), scale))


def _usable(affine: Any, scale: float) -> FloatArray | None:
    """The affine in mm when a Grid can have it."""
    if affine is None:
        return None
    try:
        return Grid((1, 1, 1), np.diag([scale, scale, scale, 1.0]) @ np.asarray(affine, dtype=np.float64)).affine
    except GeometryError:
        return None


def _choose(qform: _Form, sform: _Form, shape: Shape3, path: Path) -> tuple[_Form, list[str]]:
    """The affine to trust of two valid ones."""
    assert qform.affine is not None
    assert sform.affine is not None
    apart = _corner_distance(qform.affine, sform.affine, shape)
    if apart <= AGREEMENT_MM:
        return sform, []
    turn = _rotation(Grid(shape, sform.affine)) @ _rotation(Grid(shape, qform.affine)).T
    right_apart = float(np.degrees(np.arccos(np.clip(turn[0, 0], -1, 1))))
    mirrored = np.linalg.det(qform.affine[:3, :3]) * np.linalg.det(sform.affine[:3, :3]) < 0
    if mirrored or right_apart > LEFT_RIGHT_TOLERANCE_DEG:
        codes = [Grid(shape, affine).orientation for affine in (qform.affine, sform.affine)]
        raise GeometryError(
            f"{path} says two things about left and right: its qform is {codes[0]}, its sform "
            f"{codes[1]}. Find out which is right, and write it to both."
        )
    sizes = [np.array(Grid(shape, form.affine).spacing_mm) for form in (qform, sform) if form.affine is not None]
    stretched = bool((np.abs(sizes[1] / sizes[0] - 1) > SPACING_TOLERANCE).any())
    chosen = qform if sform.code in TEMPLATE_CODES and stretched else sform
    why = ", as the sform stretches the patient to a template" if chosen is qform else ""
    return chosen, [f"qform and sform differ by up to {apart:.3g} mm; the {chosen.name} was used{why}."]


def _size_notes(header: Any, grid: Grid, scale: float) -> list[str]:
    """What is said of a grid that the sform alone gives, when the header's voxel size is another."""
    stated = np.asarray(header["pixdim"][1:4], dtype=np.float64) * scale
    if not (np.isfinite(stated).all() and (stated > 0).all()):
        return []
    if (np.abs(np.array(grid.spacing_mm) / stated - 1) <= SPACING_TOLERANCE).all():
        return []
    edges = " × ".join(f"{edge:.3g}" for edge in stated)
    return [
        f"The header's voxels are {edges} mm, its sform's {_edges(grid)} mm; the sform was used. "
        "Volumes are wrong if it stretches the patient to a template."
    ]


def _millimetres(header: Any, path: Path) -> tuple[float, list[str]]:
    """Millimetres in the header's unit of length."""
    code = int(header["xyzt_units"]) & 7
    if code not in _LENGTH_UNITS:
        raise GeometryError(f"{path} has unit code {code} for lengths; NIfTI knows 1 (m), 2 (mm) and 3 (µm).")
    scale = _LENGTH_UNITS[code]
    if scale == 1.0:
        return scale, []
    return scale, [f"Lengths were turned from {'metres' if code == 1 else 'micrometres'} into millimetres."]


def _corners(shape: Shape3) -> FloatArray:
    return np.array(list(product(*[(0, n - 1) for n in shape])), dtype=np.float64)


def _corner_distance(one: FloatArray, other: FloatArray, shape: Shape3) -> float:
    """Largest distance of corresponding corner voxels, in the affines' unit."""
    corners = np.column_stack([_corners(shape), np.ones(8)])
    return float(np.linalg.norm((corners @ (one - other).T)[:, :3], axis=1).max())


def _rotation(grid: Grid) -> FloatArray:
    """(3, 3) orthogonal matrix nearest to the axes' directions; its determinant keeps their sign."""
    u, _, vt = np.linalg.svd(grid.directions)
    return np.asarray(u @ vt)


def _nearest_rotation(grid: Grid) -> Grid:
    """The grid with right angles about the same centre, spacings kept."""
    affine = np.eye(4)
    affine[:3, :3] = _rotation(grid) * grid.spacing_mm
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2)
    return Grid(grid.shape, affine)


def _square_grid(grid: Grid) -> Grid:
    """A grid with right angles that covers a sheared one; the plane of the two finer axes is kept."""
    first, second, third = np.argsort(grid.spacing_mm, kind="stable")
    axes = grid.affine[:3, :3]
    square = np.zeros((3, 3))
    square[:, first] = axes[:, first] / np.linalg.norm(axes[:, first])
    for axis, before in ((second, [first]), (third, [first, second])):
        rest = axes[:, axis] - sum((axes[:, axis] @ square[:, b]) * square[:, b] for b in before)
        square[:, axis] = rest / np.linalg.norm(rest)
    steps = np.abs(np.einsum("ij,ij->j", axes, square))
    affine = np.eye(4)
    affine[:3, :3] = square * steps
    affine[:3, 3] = grid.affine[:3, 3]
    reach = Grid((1, 1, 1), affine).to_index(grid.to_mm(_corners(grid.shape)))
    low, high = np.floor(reach.min(axis=0) + 1e-6), np.ceil(reach.max(axis=0) - 1e-6)
    i, j, k = (high - low).astype(int) + 1
    return Grid((1, 1, 1), affine).shifted(low, (int(i), int(j), int(k)))


def _edges(grid: Grid) -> str:
    return " × ".join(f"{edge:.3g}" for edge in grid.spacing_mm)
