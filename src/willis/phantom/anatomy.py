"""Anatomy: a labelled head, which phantoms are deformed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.io.nifti_names import find_niftis
from willis.phantom.labels import BRAIN, FREESURFER, PARENCHYMA, RIGHT_SIDE, SIDED, VENTRICLES, Tissue, lookup
from willis.volume.grid import Grid

Codes = npt.NDArray[np.uint8]

SPACING_MM = 1.0  # of every anatomy
CLOSING_MM = 10.0  # sulci narrower than twice this lie within the brain's outline
SUBCUTANEOUS_FAT_MM = 5.0  # mean depth of the fat beneath the skin
ORBIT_MM = 9.0  # fat lies this far around the eyes
DISTANCE_STEP_MM = 0.1  # one step of the stored distances, which end at 25.5 mm
MARGIN_VOXELS = 2


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Label codes of one head at 1 mm, RAS.

    Parameters
    ----------
    codes
        (I, J, K) ``uint8``: a :class:`Tissue`, with bit 7 set for the right side.
    grid
        1 mm, RAS.
    name
        Of the file, for the phantom's record.
    """

    codes: Codes
    grid: Grid
    name: str = ""

    @cached_property
    def centre_voxel(self) -> npt.NDArray[np.float64]:
        """(3,) centre of mass of the brain, voxels."""
        brain = lookup(BRAIN)[self.codes]
        return np.array([_mean_index(brain, axis) for axis in range(3)])

    @cached_property
    def brain_ml(self) -> float:
        """Volume of the brain, its fluid included."""
        return float(np.count_nonzero(lookup(BRAIN)[self.codes])) * SPACING_MM**3 / 1000

    @cached_property
    def ventricle_distance(self) -> Codes:
        """(I, J, K) distance to the lateral and third ventricles in steps of 0.1 mm, at most 25.5 mm."""
        inside = lookup((Tissue.LATERAL_VENTRICLE, Tissue.INFERIOR_HORN, Tissue.THIRD_VENTRICLE, Tissue.CHOROID_PLEXUS))
        return self._distance(inside[self.codes])

    @cached_property
    def cortex_distance(self) -> Codes:
        """(I, J, K) distance to the cerebral cortex in steps of 0.1 mm, at most 25.5 mm."""
        return self._distance(lookup((Tissue.CORTEX,))[self.codes])

    @cached_property
    def midline_distance(self) -> Codes:
        """(I, J, K) distance to the other side of the brain in steps of 0.1 mm, at most 25.5 mm."""
        sided = lookup(tuple(SIDED))[self.codes]
        right = (self.codes & RIGHT_SIDE).astype(bool)
        return np.maximum(self._distance(sided & right), self._distance(sided & ~right))

    @cached_property
    def ventricle_pull(self) -> tuple[npt.NDArray[np.float32], int]:
        """(3, i, j, k) unit-scaled field towards the ventricles on every fourth voxel, and that step."""
        step = 4
        inside = lookup(VENTRICLES)[self.codes].astype(np.float32)
        inside = ndimage.uniform_filter(inside, step)[::step, ::step, ::step]
        smooth = ndimage.gaussian_filter(inside, 2.0)
        field = np.stack([np.gradient(smooth, axis=axis) for axis in range(3)])
        return (field / max(float(np.abs(field).max()), 1e-6)).astype(np.float32), step

    def _distance(self, inside: npt.NDArray[np.bool_]) -> Codes:
        brain = ndimage.find_objects(lookup(BRAIN)[self.codes].astype(np.uint8))[0]
        steps = np.full(self.codes.shape, 255, dtype=np.uint8)
        mm = ndimage.distance_transform_edt(~inside[brain])
        steps[brain] = np.minimum(mm / DISTANCE_STEP_MM, 255)
        return steps


def _mean_index(mask: npt.NDArray[np.bool_], axis: int) -> float:
    others = tuple(a for a in range(3) if a != axis)
    counts = mask.sum(axis=others)
    return float((counts * np.arange(counts.size)).sum() / counts.sum())


def anatomy_from_labels(labels: npt.NDArray[np.integer], grid: Grid, name: str) -> Anatomy:
    """An Anatomy of FreeSurfer codes on a 1 mm RAS grid.

    Unknown codes become muscle; CSF within the brain's closed outline, fat, and the dura are told apart here.
    """
    table = np.zeros(int(max(labels.max(), 1024)) + 1, dtype=np.uint8)
    table[1:] = Tissue.MUSCLE
    for code, (tissue, right) in FREESURFER.items():
        table[code] = tissue | (RIGHT_SIDE if right else 0)
    table[1000:2000] = Tissue.CORTEX
    table[2000:3000] = Tissue.CORTEX | RIGHT_SIDE
    codes = table[labels]
    box = tuple(
        slice(max(s.start - MARGIN_VOXELS, 0), s.stop + MARGIN_VOXELS)
        for s in ndimage.find_objects((codes > 0).astype(np.uint8))[0]
    )
    codes = np.ascontiguousarray(codes[box])
    _split_csf(codes)
    _split_fat(codes)
    _line_dura(codes)
    return Anatomy(codes, grid.shifted([s.start for s in box], codes.shape), name)


def _split_csf(codes: Codes) -> None:
    """Relabel the outer CSF that lies within the brain's closed outline; ``codes`` is changed."""
    solid = lookup((*PARENCHYMA, *VENTRICLES, Tissue.CHOROID_PLEXUS, Tissue.PERIVASCULAR_SPACE))[codes]
    where = ndimage.find_objects(solid.astype(np.uint8))[0]
    pad = int(CLOSING_MM) + 2
    padded = np.pad(solid[where], pad)
    grown = ndimage.distance_transform_edt(~padded) <= CLOSING_MM
    closed = (ndimage.distance_transform_edt(grown) > CLOSING_MM) | padded
    closed = ndimage.binary_fill_holes(closed)[pad:-pad, pad:-pad, pad:-pad]
    view = codes[where]
    view[closed & (view == Tissue.OUTER_CSF)] = Tissue.CSF
    view[closed & lookup((Tissue.VENOUS_SINUS, Tissue.ARTERY))[view]] = Tissue.CSF


def _split_fat(codes: Codes) -> None:
    """Relabel soft tissue under the skin and around the eyes as fat; ``codes`` is changed."""
    coarse = codes[::2, ::2, ::2]
    rng = np.random.default_rng(0)
    rough = ndimage.gaussian_filter(rng.standard_normal(coarse.shape).astype(np.float32), 3)
    rough /= rough.std()
    skin_mm = 2 * ndimage.distance_transform_edt((coarse != Tissue.SKIN) & (coarse != Tissue.AIR))
    eyes = lookup((Tissue.VITREOUS, Tissue.OPTIC_NERVE))[coarse]
    eye_mm = 2 * ndimage.distance_transform_edt(~eyes) if eyes.any() else np.full(coarse.shape, np.inf)
    fat = (skin_mm < SUBCUTANEOUS_FAT_MM + 1.5 * rough) | (eye_mm < ORBIT_MM) | (rough > 1.8)
    fine = np.repeat(np.repeat(np.repeat(fat, 2, 0), 2, 1), 2, 2)[tuple(slice(n) for n in codes.shape)]
    codes[fine & (codes == Tissue.MUSCLE)] = Tissue.FAT


def _line_dura(codes: Codes) -> None:
    """Make the voxels of outer CSF and vessels that touch bone dura; ``codes`` is changed."""
    bone = codes == Tissue.BONE
    touching = ndimage.binary_dilation(bone) & (codes == Tissue.OUTER_CSF)
    codes[touching] = Tissue.DURA


def read_anatomies(folder: Path | str, only: Sequence[str] = ()) -> list[Anatomy]:
    """Every NIfTI label map in a folder, in the order of names, or those named by ``only``.

    Raises
    ------
    BadInputError
        When the folder holds no label map or lacks one that is named, or a map isn't three-dimensional with
        FreeSurfer codes.
    """
    folder = Path(folder)
    paths = find_niftis(folder, "*") if folder.is_dir() else []
    if not paths:
        raise BadInputError(f"{folder} holds no label map (*.nii, *.nii.gz). Give a folder of FreeSurfer-coded maps.")
    lacking = set(only) - {path.name.split(".")[0] for path in paths}
    if lacking:
        raise BadInputError(f"{folder} holds no label map {', '.join(sorted(lacking))}.")
    return [read_anatomy(path) for path in paths if not only or path.name.split(".")[0] in only]


def read_anatomy(path: Path | str) -> Anatomy:
    """One FreeSurfer-coded label map, brought to 1 mm RAS by nearest neighbours."""
    path = Path(path)
    try:
        image = nib.as_closest_canonical(nib.load(path))
        labels = np.asanyarray(image.dataobj)
    except Exception as error:
        raise BadInputError(f"{path.name} can't be read as a label map: {error}") from error
    if labels.ndim != 3 or not np.isfinite(labels).all() or (labels != np.rint(labels)).any() or labels.min() < 0:
        raise BadInputError(f"{path.name} isn't a label map: it needs three axes and whole numbers from 0 up.")
    labels = labels.astype(np.int32)
    if not {2, 3, 41, 42} <= set(np.unique(labels[::3, ::3, ::3]).tolist()):
        raise BadInputError(
            f"{path.name} lacks the FreeSurfer codes 2, 3, 41 and 42 of cerebral white matter and cortex."
        )
    zooms = np.array(image.header.get_zooms()[:3])
    if np.abs(zooms - SPACING_MM).max() > 0.02:
        labels = ndimage.zoom(labels, zooms / SPACING_MM, order=0)
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = image.affine[:3, 3]
    return anatomy_from_labels(labels, Grid(labels.shape, affine), path.name.split(".")[0])


def builtin_anatomy() -> Anatomy:
    """The head that comes with willis: a group average that is nobody's own.

    Raises
    ------
    BadInputError
        When the installation lacks it.
    """
    path = Path(__file__).parent / "data" / "head.nii.gz"
    if not path.exists():
        raise BadInputError(f"{path} is missing: install willis again, or give a folder of label maps.")
    return read_anatomy(path)
