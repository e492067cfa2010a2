"""Slices of T1s and masks as NIfTI files that lie where they were cut."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from willis.errors import BadInputError, GeometryError
from willis.io.labelled import LabelledImage, read_lesion_mask
from willis.io.nifti import read_nifti, write_nifti
from willis.io.whole_folder import whole_folder
from willis.volume.crop import Box, crop_or_pad
from willis.volume.plane import Plane, slice_axis


def export_slices(
    cases: Sequence[LabelledImage],
    folder: Path,
    planes: Sequence[Plane],
    *,
    lesion_only: bool = False,
    workers: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> int:
    """Write ``<plane>/<session>/<session>_slice_<i>_T1.nii.gz`` and ``_mask.nii.gz``; gives the number of slices.

    The folder appears when all are in it.

    Raises
    ------
    BadInputError
        When a session has no T1, or its mask holds other values than 0 and 1.
    GeometryError
        When its mask lies on another grid.
    """
    with whole_folder(folder) as place:
        task = partial(export_case, folder=place, planes=tuple(planes), lesion_only=lesion_only)
        if workers < 2:
            return _counted(map(task, cases), len(cases), progress)
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            return _counted(pool.map(task, cases), len(cases), progress)


def _counted(counts: object, cases: int, progress: Callable[[float, str], None] | None) -> int:
    total = 0
    for done, count in enumerate(counts, start=1):  # type: ignore[var-annotated, arg-type]
        total += count
        if progress is not None:
            progress(done / cases, f"writing slices: session {done} of {cases}")
    return total


def export_case(case: LabelledImage, folder: Path, planes: Sequence[Plane], lesion_only: bool) -> int:
    """Write the slices of one session; see :func:`export_slices`."""
    if case.image is None:
        raise BadInputError(f"{case.name} has no T1; slices are exported of a T1 and its mask.")
    image, mask = read_nifti(case.image, "t1"), read_lesion_mask(case.mask)
    if not image.grid.same_as(mask.grid):
        raise GeometryError(f"{case.mask.name} and {case.image.name} lie on different grids. Resample the mask first.")
    mask = mask.with_data((mask.data > 0).astype(np.uint8))
    count = 0
    for plane in planes:
        axis = slice_axis(plane, image.grid.orientation)
        place = folder / plane / case.name
        place.mkdir(parents=True, exist_ok=True)
        for index in range(image.grid.shape[axis]):
            start, shape = [0, 0, 0], list(image.grid.shape)
            start[axis], shape[axis] = index, 1
            box = Box((start[0], start[1], start[2]), (shape[0], shape[1], shape[2]))
            label = crop_or_pad(mask, box)
            if lesion_only and not label.data.any():
                continue
            write_nifti(crop_or_pad(image, box), place / f"{case.name}_slice_{index}_T1.nii.gz")
            write_nifti(label, place / f"{case.name}_slice_{index}_mask.nii.gz")
            count += 1
    return count
