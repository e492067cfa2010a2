"""Affine registration of two images of one modality, the same on every run and mirrored for mirrored images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from willis.errors import BadInputError
from willis.image.sitk_volume import sitk_image
from willis.image.threads import one_thread
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

LEVELS_MM = (8.0, 4.0, 3.0)
START_TILTS_DEG = (-30.0, -15.0, 0.0, 15.0, 30.0)  # about the left-right axis: gantry and chin
START_HEIGHTS_MM = (-40.0, -20.0, 0.0, 20.0, 40.0)  # neck and table move the middle of a scan along the body
FACING = (np.eye(3), np.diag([-1.0, -1.0, 1.0]))  # about the vertical: files whose front is called back
ANY_WAY = tuple(Rotation.create_group("O").as_matrix())  # all 24 ways of a cube: files whose axes are wrong
STARTS_KEPT = 3
RIVAL_DEG = 45.0  # from which a pose counts as another one
ITERATIONS = 200
LEAST_SHARE = 0.3  # of the fixed image's domain that must be seen
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # about the vertical
COUNTED_FROM = -900.0  # HU: what lies lower is air, or beyond the field of view


@dataclass(frozen=True)
class AffineFit:
    """An affine registration and how well it fits.

    Parameters
    ----------
    matrix
        (4, 4), mm of the fixed image to mm of the moving one.
    correlation
        Of the two images at the end, inside the fixed image's domain.
    overlap
        Part of that domain that the moving image's field of view covers.
    lead
        By how much the correlation at 8 mm is above that of the best pose that is turned by more than 45°; infinite
        where none was looked for or found.
    """

    matrix: FloatArray
    correlation: float
    overlap: float
    lead: float = np.inf

    @property
    def inverse(self) -> FloatArray:
        """(4, 4), mm of the moving image to mm of the fixed one."""
        return np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)

    @property
    def faces_backwards(self) -> bool:
        """Whether the fixed image's front lies where the moving one's affine has the back."""
        return bool(self.matrix[1, 1] < 0)

    @property
    def tilt_deg(self) -> float:
        """Angle between the vertical of the fixed image and that of the moving one, degrees."""
        vertical = self.matrix[:3, 2]
        return float(np.degrees(np.arccos(np.clip(vertical[2] / np.linalg.norm(vertical), -1, 1))))

    def upright(self, volume: Volume) -> Volume:
        """A volume of the moving image's space, turned about the vertical if that one faces backwards."""
        if not self.faces_backwards:
            return volume
        return replace(volume, grid=Grid(volume.grid.shape, HALF_TURN @ volume.grid.affine))


def register_affine(
    moving: Volume, fixed: Volume, domain: Volume, window: tuple[float, float], *, symmetric: bool = False,
    any_way: bool = False,
) -> AffineFit:  # fmt: skip
    """Find the affine map that lays one image on another of the same modality.

    Correlation of the windowed values is climbed from the best of many starts, first as a similarity and then with
    all twelve parameters, at 8, 4 and 3 mm, at every voxel of the domain and by one thread, so that nothing is drawn
    at random.

    Parameters
    ----------
    moving, fixed
        The images; the fixed one about the origin of its world, as a template is.
    domain
        Where to compare, on the fixed image's grid.
    window
        Values are cut to it.
    symmetric
        The fixed image and the domain are their own mirror images: a mirrored image then gives the mirrored map.
    any_way
        Look for the image on its head, its face and its ears too, and for how much worse other poses fit.

    Raises
    ------
    BadInputError
        When nothing of the fixed image's domain is found in the moving image.
    """
    axis = across_axis(moving.grid)
    if not symmetric or not _heavier_first(moving, window, axis):
        return _register(moving, fixed, domain, window, any_way)
    turned = moving.with_data(np.ascontiguousarray(np.flip(moving.data, axis)))
    fit = _register(turned, fixed, domain, window, any_way)
    return replace(fit, matrix=_reflection(moving.grid, axis) @ fit.matrix @ np.diag([-1.0, 1.0, 1.0, 1.0]))


def across_axis(grid: Grid) -> int:
    """The axis of the array that runs most nearly from left to right."""
    return int(np.argmax(np.abs(grid.directions[0])))


def _heavier_first(image: Volume, window: tuple[float, float], axis: int) -> bool:
    """Whether more lies in the first half along an axis.

    A mirrored image is turned over before it is registered, so that both go through the very same sums: what a
    rounding error would grow to in hundreds of steps can't tell them apart.
    """
    profile = np.clip(image.data, *window).sum(axis=tuple(a for a in range(3) if a != axis), dtype=np.float64)
    return bool((profile - profile[::-1]) @ np.linspace(1, -1, len(profile)) > 0)


def _reflection(grid: Grid, axis: int) -> FloatArray:
    """(4, 4) in mm: what turning the array over along an axis does to the patient."""
    flip = np.eye(4)
    flip[axis, axis] = -1.0
    flip[axis, 3] = grid.shape[axis] - 1
    return np.asarray(grid.affine @ flip @ np.linalg.inv(grid.affine))


def _register(moving: Volume, fixed: Volume, domain: Volume, window: tuple[float, float], any_way: bool) -> AffineFit:
    with one_thread():
        levels = [_Level.of(moving, fixed, domain, window, spacing) for spacing in LEVELS_MM]
        coarse, last = levels[0], levels[-1]
        rough = [_climb(coarse, start, sitk.Similarity3DTransform()) for start in _best_starts(coarse, moving, any_way)]
        best = max(rough, key=coarse.correlation)
        matrix = best
        for level in levels[1:]:
            matrix = _climb(level, matrix, sitk.AffineTransform(3))
    rivals = [coarse.correlation(other) for other in rough if turned_deg(best, other) > RIVAL_DEG]
    lead = coarse.correlation(best) - max(rivals) if any_way and rivals else np.inf
    return AffineFit(matrix, last.correlation(matrix), last.overlap(matrix), lead)


def turned_deg(one: FloatArray, other: FloatArray) -> float:
    """Angle of the rotation between two similarities (4, 4), degrees."""
    between = np.linalg.inv(one[:3, :3]) @ other[:3, :3]
    return float(np.degrees(Rotation.from_matrix(between / np.cbrt(np.linalg.det(between))).magnitude()))


@dataclass(frozen=True)
class _Level:
    """Both images at one spacing; the moving one is NaN where its own field of view ends within the upright box."""

    fixed: Volume
    moving: Volume
    domain: Volume

    @classmethod
    def of(cls, moving: Volume, fixed: Volume, domain: Volume, window: tuple[float, float], mm: float) -> _Level:
        still = _windowed(resample_to(fixed, _symmetric(fixed.grid, mm), antialias=True, fill=window[0]), window)
        moved = _windowed(resample_to(moving, _symmetric(moving.grid, mm), antialias=True, fill=np.nan), window)
        return cls(still, moved, resample_to(domain, still.grid, "nearest"))

    def correlation(self, matrix: FloatArray) -> float:
        there = resample_to(self.moving, self.fixed.grid, world_transform=matrix, fill=np.nan).data
        inside = (self.domain.data > 0) & np.isfinite(there)
        if inside.sum() < LEAST_SHARE * np.count_nonzero(self.domain.data):
            return -1.0
        return float(np.corrcoef(self.fixed.data[inside], there[inside])[0, 1])

    def overlap(self, matrix: FloatArray) -> float:
        there = resample_to(self.moving, self.fixed.grid, world_transform=matrix, fill=np.nan).data
        inside = self.domain.data > 0
        return float(np.isfinite(there[inside]).mean())


def _symmetric(grid: Grid, mm: float) -> Grid:
    """An isotropic grid along the world's axes over a grid's field of view, its middle on the middle of that."""
    corners = grid.to_mm(list(product(*[(-0.5, n - 0.5) for n in grid.shape])))
    low, high = corners.min(axis=0), corners.max(axis=0)
    i, j, k = np.maximum(np.ceil((high - low) / mm).astype(int), 1)
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = (low + high) / 2 - mm * (np.array([i, j, k]) - 1) / 2
    return Grid((int(i), int(j), int(k)), affine)


def _windowed(volume: Volume, window: tuple[float, float]) -> Volume:
    return volume.with_data(np.clip(volume.data, *window).astype(np.float32))


def _best_starts(level: _Level, moving: Volume, any_way: bool) -> list[FloatArray]:
    """Motions to climb from: the middle of what isn't air on the middle of the fixed domain.

    The best few of those on the scanner's table, and of any way, where it is asked for, the best one each.
    """
    tissue = np.argwhere(level.moving.data > np.nanmin(level.moving.data))
    if len(tissue) == 0:
        raise BadInputError(f"the {moving.role or 'image'} shows nothing but air.")
    low, high = (level.moving.grid.to_mm(np.percentile(tissue, p, axis=0)) for p in (2, 98))
    there = (low + high) / 2
    here = level.fixed.grid.to_mm(np.argwhere(level.domain.data > 0).mean(axis=0))

    def scored(way: FloatArray) -> list[_Scored]:
        found = []
        for tilt, height in product(START_TILTS_DEG, START_HEIGHTS_MM):
            matrix = np.eye(4)
            matrix[:3, :3] = way @ Rotation.from_euler("x", tilt, degrees=True).as_matrix()
            matrix[:3, 3] = there + way @ [0.0, 0.0, height] - matrix[:3, :3] @ here
            found.append(_Scored(level.correlation(matrix), matrix))
        return found

    kept = _best_of([one for way in FACING for one in scored(way)], STARTS_KEPT)
    if any_way:
        kept += [_best_of(scored(way), 1)[0] for way in ANY_WAY]
    if max(one.correlation for one in kept) <= 0:
        raise BadInputError(
            f"the {moving.role or 'image'} doesn't look like a head: nothing in it resembles the CT template. "
            "Check that it is a non-contrast head CT in HU."
        )
    return [one.matrix for one in kept]


class _Scored(NamedTuple):
    correlation: float
    matrix: FloatArray


def _best_of(starts: Sequence[_Scored], count: int) -> list[_Scored]:
    return sorted(starts, key=lambda one: -one.correlation)[:count]


def _climb(
    level: _Level, start: FloatArray, transform: sitk.Similarity3DTransform | sitk.AffineTransform
) -> FloatArray:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetMetricFixedMask(sitk_image(level.domain.with_data((level.domain.data > 0).astype(np.uint8))))
    seen = np.isfinite(level.moving.data)
    moving = level.moving
    if not seen.all():  # what lies beyond the scan is no air
        moving = moving.with_data(np.where(seen, moving.data, np.nanmin(moving.data)).astype(np.float32))
        method.SetMetricMovingMask(sitk_image(moving.with_data(seen.astype(np.uint8))))
    method.SetInterpolator(sitk.sitkLinear)
    spacing = level.fixed.grid.spacing_mm[0]
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=spacing / 2,
        minStep=spacing / 400,
        numberOfIterations=ITERATIONS,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    transform.SetMatrix(start[:3, :3].ravel().tolist())  # type: ignore[no-untyped-call]
    transform.SetTranslation(start[:3, 3].tolist())  # type: ignore[no-untyped-call]
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(sitk_image(level.fixed), sitk_image(moving))
    except RuntimeError as error:
        if "map outside" not in str(error):
            raise
        return start
    return _better(level, start, _matrix_of(transform))


def _better(level: _Level, one: FloatArray, other: FloatArray) -> FloatArray:
    return other if level.correlation(other) > level.correlation(one) else one


def _matrix_of(transform: sitk.Transform) -> FloatArray:
    points: Sequence[FloatArray] = [
        np.array(transform.TransformPoint(p)) for p in ((0.0, 0.0, 0.0), *np.eye(3).tolist())
    ]
    matrix = np.eye(4)
    matrix[:3, 3] = points[0]
    matrix[:3, :3] = np.column_stack([p - points[0] for p in points[1:]])
    return matrix
