"""What a folder of labelled patients holds: each lesion, each subject, each slice of each plane."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError, GeometryError
from willis.io.labelled import LabelledImage, read_lesion_mask
from willis.io.nifti import read_nifti
from willis.measure.lesion_sizes import LesionSizes, occupied, sizes_in_slices, sizes_in_volume
from willis.volume.grid import Grid
from willis.volume.plane import PLANES, Plane, slice_axis
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

CASES_FOR_WORKERS = 8  # fewer are read faster by this process than others start
CASES_PER_ORDER = 4
LABEL_ROUNDING = 1e-3  # that a label stored with a scale may be off a whole number

NamePlaces = Callable[[Path, Grid, npt.NDArray[np.integer], Grid], Sequence[tuple[str, str]] | None]
"""Region and territory of each lesion of a mask: its path and grid, labels, and the part of the grid they lie on."""


@dataclass(frozen=True)
class PlaceOfLesion:
    """One lesion: voxels, volume, world position RAS+ of its centre, and the atlas region that holds most of it.

    ``place`` and ``territory`` are those of an average brain, for masks in its space; else empty.
    """

    voxels: int
    volume_ml: float
    centroid_mm: tuple[float, float, float]
    region: int = 0
    region_share: float = 0.0
    place: str = ""
    territory: str = ""


@dataclass(frozen=True)
class CaseSizes:
    """Lesions of one session.

    Parameters
    ----------
    name, group
        Session and patient.
    volume
        Sizes in 3D.
    slices
        By plane and slice index (counted along the file's own axis), of slices with lesion.
    extent
        By plane the first slice that isn't empty of signal and the one after the last; all slices without an image.
    lesions
        Each lesion, in the order of ``volume.sizes``.
    spacing_mm
        Edges of the voxels that were counted.
    """

    name: str
    group: str
    volume: LesionSizes
    slices: dict[Plane, dict[int, LesionSizes]]
    extent: dict[Plane, tuple[int, int]]
    lesions: tuple[PlaceOfLesion, ...] = field(default=())
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)


def labelled_mm3(*paths: Path, above: float = 0.0) -> int:
    """Volume in whole mm³ of the voxels above a value in any of some masks.

    Raises
    ------
    BadInputError
        When one can't be read.
    GeometryError
        When they lie on different grids.
    """
    first, *others = (read_nifti(path, allow_empty=True, order="file") for path in paths)
    for path, mask in zip(paths[1:], others, strict=True):
        if not mask.grid.same_as(first.grid):
            raise GeometryError(f"{path.name} and {paths[0].name} lie on different grids. Resample one onto the other.")
    inside = np.logical_or.reduce([mask.data > above for mask in (first, *others)])
    return round(int(np.count_nonzero(inside)) * first.grid.voxel_ml * 1000)


def describe_cases(
    cases: Sequence[LabelledImage],
    *,
    any_value: bool = False,
    atlas: Path | None = None,
    places: NamePlaces | None = None,
    workers: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> list[CaseSizes]:
    """Measure the lesions of every case, in the order given.

    Parameters
    ----------
    cases
        Masks and images.
    any_value
        Whether every value above 0 is lesion; else a mask holds 0 and 1 alone.
    atlas
        Label image in the same space as the masks; region of each lesion.
    places
        Names region and territory of each lesion of a mask in a space that it knows; picklable.
    workers
        Processes.

    Raises
    ------
    BadInputError
        When a mask holds other values, or can't be read.
    GeometryError
        When a mask and its image lie on different grids.
    """
    task = partial(describe_case, any_value=any_value, atlas=atlas, places=places)
    found = []
    for done, sizes in enumerate(_mapped(task, cases, workers), start=1):
        found.append(sizes)
        if progress is not None:
            progress(done / len(cases), f"measuring lesions: {done} of {len(cases)}")
    return found


def _mapped(
    task: Callable[[LabelledImage], CaseSizes], cases: Sequence[LabelledImage], workers: int
) -> Iterator[CaseSizes]:
    if workers < 2 or len(cases) < CASES_FOR_WORKERS:
        yield from map(task, cases)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(task, cases, chunksize=CASES_PER_ORDER)


def describe_case(
    case: LabelledImage, *, any_value: bool = False, atlas: Path | None = None, places: NamePlaces | None = None
) -> CaseSizes:
    """Measure the lesions of one case; see :func:`describe_cases`."""
    mask = read_lesion_mask(
        case.mask, any_value=any_value, remedy="Pass --any-value to count every value above 0 as lesion."
    )
    orientation = mask.grid.orientation
    axes = {plane: slice_axis(plane, orientation) for plane in PLANES}
    return CaseSizes(
        case.name,
        case.group,
        sizes_in_volume(mask.data),
        {plane: sizes_in_slices(mask.data, axis) for plane, axis in axes.items()},
        _extent(case, mask, axes),
        _lesions(mask, case.mask, atlas, places),
        mask.grid.spacing_mm,
    )


def _extent(case: LabelledImage, mask: Volume, axes: dict[Plane, int]) -> dict[Plane, tuple[int, int]]:
    if case.image is None:
        return {plane: (0, mask.grid.shape[axis]) for plane, axis in axes.items()}
    image = read_nifti(case.image, "t1")
    if not image.grid.same_as(mask.grid):
        raise GeometryError(
            f"{case.mask.name} {mask.grid.shape} and {case.image.name} {image.grid.shape} lie on different grids. "
            "Resample the mask onto the T1."
        )
    extents = {}
    signal = image.data != image.data.min()
    for plane, axis in axes.items():
        line = np.flatnonzero(signal.any(axis=tuple(a for a in range(3) if a != axis)))
        extents[plane] = (int(line[0]), int(line[-1]) + 1) if line.size else (0, 0)
    return extents


def _lesions(mask: Volume, path: Path, atlas: Path | None, places: NamePlaces | None) -> tuple[PlaceOfLesion, ...]:
    box, part = occupied(mask.data)
    labels, count = ndimage.label(part, np.ones((3, 3, 3)))
    if count == 0:
        return ()
    grid = mask.grid.shifted([side.start for side in box], part.shape)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    centres = grid.to_mm(np.array(ndimage.center_of_mass(part, labels, np.arange(1, count + 1))))
    regions = _regions(labels, count, sizes, grid, atlas) if atlas is not None else [(0, 0.0)] * count
    named = (places(path, mask.grid, labels, grid) if places is not None else None) or [("", "")] * count
    return tuple(
        PlaceOfLesion(int(n), float(n) * mask.grid.voxel_ml, (float(x), float(y), float(z)), region, share, *names)
        for n, (x, y, z), (region, share), names in zip(sizes, centres, regions, named, strict=True)
    )


def _regions(
    labels: npt.NDArray[np.integer], count: int, sizes: npt.NDArray[np.integer], grid: Grid, atlas: Path
) -> list[tuple[int, float]]:
    """Of each lesion, the atlas label that most of its voxels bear (0: none of them) and the share of them.

    Raises
    ------
    BadInputError
        When the atlas holds other values than whole numbers from 0.
    """
    image = read_nifti(atlas, "atlas", allow_empty=True)
    codes = np.rint(image.data)
    if codes.min() < 0 or np.abs(image.data - codes).max() > LABEL_ROUNDING:
        raise BadInputError(f"{atlas} holds values that are no labels; an atlas holds whole numbers from 0.")
    regions = resample_to(image.with_data(codes.astype(np.int32)), grid, "nearest").data.astype(np.intp)
    inside = labels > 0
    most = int(regions.max()) + 1
    table = np.bincount(labels[inside] * most + regions[inside], minlength=(count + 1) * most).reshape(-1, most)[1:]
    if most > 1:
        best = table[:, 1:].argmax(axis=1) + 1
        shares = table[np.arange(count), best] / sizes
        return [(int(b) if s > 0 else 0, float(s)) for b, s in zip(best, shares, strict=True)]
    return [(0, 0.0)] * count
