"""Rigid registration by mutual information, the same on every run and every number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

from willis.errors import BadInputError
from willis.image.components import largest_component
from willis.image.likeness import Likeness, likeness
from willis.image.threads import one_thread
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

LEVELS_MM = (8.0, 4.0, 2.0)  # spacing of the isotropic images that are compared, one after the other
OFF_GRID = (0.31, 0.43, 0.57)  # shift of the moving lattice, in voxels: no motion lays voxel on voxel, which MI rewards
METRIC_BINS = 32
SAMPLES = 30_000  # voxels compared, drawn at random places between voxels
SEED = 1945  # of their places
HEAD_RADIUS_MM = 70.0
START_TURNS_DEG = (-15.0, 0.0, 15.0)  # about each axis, tried at the start
STARTS_KEPT = 4
FOREGROUND_LEVEL = 0.12  # of the 99th percentile: above air and noise, below tissue
STRIPPED_RATIO = 0.65  # foregrounds of a volume ratio below it: one image shows the brain, the other the whole head
MARGIN_MM = 8.0  # air around the head that is compared too
LEAST_GAIN = 0.03  # of normalised MI's excess over 1; a motion that gains less is not worth its interpolation
POOR_NORMALISED_MI = 1.04  # true pairs of one person reach 1.06 (brain alone) to 1.20; 15 mm apart they fall to this
POOR_EDGE_AGREEMENT = 0.55  # true pairs reach 0.68 to 0.90, and fall to this 4 mm apart; 1/3 is chance
POOR_OVERLAP = 0.6  # of the foreground
POOR_ROTATION_DEG = 45.0


@dataclass(frozen=True)
class Registration:
    """A rigid registration and how well it fits.

    Parameters
    ----------
    matrix
        (4, 4), mm of the fixed image to mm of the moving image, RAS+: what ``resample_to`` takes as
        ``world_transform`` to bring the moving image onto the fixed one's grid.
    rotation_deg
        Angle of the rotation.
    translation_mm
        How far the middle of the fixed image's foreground is moved.
    mutual_information
        At the end, nats.
    normalised_mi_before, normalised_mi_after
        In [1, 2], by world coordinates alone, and after registration.
    edge_agreement
        After registration: 1/3 by chance, 1 at best.
    overlap
        Part of the fixed image's foreground that the moving image's field of view covers.
    poor
        Whether the fit should not be trusted.
    reason
        One sentence on the fit, for people.
    """

    matrix: FloatArray
    rotation_deg: float
    translation_mm: float
    mutual_information: float
    normalised_mi_before: float
    normalised_mi_after: float
    edge_agreement: float
    overlap: float
    poor: bool
    reason: str


@dataclass(frozen=True)
class _Level:
    """One image at one spacing, and where in it to compare."""

    image: Volume
    domain: npt.NDArray[np.bool_]
    foreground: npt.NDArray[np.bool_]

    @property
    def foreground_ml(self) -> float:
        return float(np.count_nonzero(self.foreground)) * self.image.grid.voxel_ml

    @property
    def middle_mm(self) -> FloatArray:
        """(3,) centre of the foreground."""
        return self.image.grid.to_mm(np.argwhere(self.foreground).mean(axis=0))


def register_rigid(
    moving: Volume,
    fixed: Volume,
    *,
    moving_mask: Volume | None = None,
    fixed_mask: Volume | None = None,
    start: FloatArray | None = None,
) -> Registration:
    """Find the rigid motion that lays one image of a head on another, of any contrasts.

    Mattes' mutual information (Mattes 2003, doi:10.1109/TMI.2003.809072) is climbed by Powell's method on isotropic
    images of 8, 4 and 2 mm, from the best of many starts: world coordinates as they are, centres of the fields of
    view and of the foregrounds on each other, each turned to and fro about every axis. When one image shows the
    whole head and the other the brain alone, they are compared where the brain is. Samples are drawn by a fixed seed
    and summed by one thread. When no motion is better than none, the identity is returned.

    Parameters
    ----------
    moving, fixed
        The images, each on its own grid.
    moving_mask, fixed_mask
        Where to compare, each on its image's grid or any other; by default the foreground and some air about it.
    start
        (4, 4) motion, mm of the fixed image to mm of the moving one, that is nearly right: it alone is climbed from,
        and not at 8 mm.

    Raises
    ------
    BadInputError
        When an image has no foreground, or a mask is empty.
    """
    with one_thread():
        return _register(moving, fixed, moving_mask, fixed_mask, start)


def _register(
    moving: Volume, fixed: Volume, moving_mask: Volume | None, fixed_mask: Volume | None, start: FloatArray | None
) -> Registration:
    levels = [
        (_level(fixed, fixed_mask, spacing), _level(moving, moving_mask, spacing, OFF_GRID))
        for spacing in (LEVELS_MM if start is None else LEVELS_MM[1:])
    ]
    sizes = [level.foreground_ml for level in levels[-1]]
    swap = sizes[1] < STRIPPED_RATIO * sizes[0]
    stripped = swap or sizes[0] < STRIPPED_RATIO * sizes[1]
    masks = (fixed_mask, moving_mask)
    if swap:
        levels, masks = [(there, here) for here, there in levels], masks[::-1]
    if stripped and masks[0] is None:
        levels = [(replace(here, domain=here.foreground), there) for here, there in levels]
    coarse, fine, masked = levels[0], levels[-1], masks[1] is not None
    given = None if start is None else np.asarray(np.linalg.inv(start) if swap else start, dtype=np.float64)
    starts = _best_starts(*coarse) if given is None else [given]
    rough = [_climb(*coarse, first, masked) for first in starts]
    matrix = max(rough, key=lambda found: _compare(*coarse, found).normalised_mi)
    for level in levels[1:]:
        matrix = _climb(*level, matrix, masked)
    before, after = _compare(*fine, np.eye(4)), _compare(*fine, matrix)
    if after.normalised_mi - before.normalised_mi < LEAST_GAIN * (before.normalised_mi - 1):
        matrix, after = np.eye(4), before
    found = np.asarray(np.linalg.inv(matrix), dtype=np.float64) if swap else matrix
    return _judged(found, fine[1 if swap else 0].middle_mm, before, after)


def _level(
    volume: Volume, mask: Volume | None, spacing_mm: float, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> _Level:
    """The image on an isotropic grid along the world's axes over its field of view."""
    corners = volume.grid.to_mm(list(product(*[(-0.5, n - 0.5) for n in volume.grid.shape])))
    low, high = corners.min(axis=0), corners.max(axis=0)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = low + (0.5 - np.array(shift)) * spacing_mm
    i, j, k = np.ceil((high - low) / spacing_mm + 0.5).astype(int)
    grid = Grid((int(i), int(j), int(k)), affine)
    image = resample_to(volume, grid, antialias=True)
    top = float(np.percentile(image.data[image.data > image.data.min()], 99)) if np.ptp(image.data) > 0 else 0.0
    foreground = ndimage.binary_fill_holes(largest_component(image.data > FOREGROUND_LEVEL * top)) if top > 0 else None
    if foreground is None or not foreground.any():
        raise BadInputError(f"the {volume.role or 'image'} has no foreground to register.")
    if mask is None:
        near = ndimage.distance_transform_edt(~foreground, sampling=spacing_mm) <= MARGIN_MM
        domain = near & (resample_to(volume.with_data(np.ones(volume.grid.shape, np.uint8)), grid, "nearest").data > 0)
    else:
        domain = resample_to(mask, grid).data >= 0.5
        if not domain.any():
            raise BadInputError(f"the mask to register the {volume.role or 'image'} in is empty or lies beside it.")
    return _Level(image.with_data(np.clip(image.data, 0, 1.5 * top).astype(np.float32)), domain, foreground)


def _best_starts(fixed: _Level, moving: _Level) -> list[FloatArray]:
    """The motions to climb from, best first."""
    pairs = [
        (fixed.image.grid.centre_mm, moving.image.grid.centre_mm),
        (fixed.middle_mm, moving.middle_mm),
        (fixed.middle_mm, fixed.middle_mm),
    ]
    turns = [
        Rotation.from_euler("xyz", angles, degrees=True).as_matrix() for angles in product(START_TURNS_DEG, repeat=3)
    ]
    starts = [_about(here, there, turn) for (here, there), turn in product(pairs, turns)]
    ranked = sorted(starts, key=lambda matrix: -_compare(fixed, moving, matrix).normalised_mi)
    return ranked[:STARTS_KEPT]


def _about(here: FloatArray, there: FloatArray, turn: FloatArray) -> FloatArray:
    """(4, 4) motion that turns by (3, 3) and takes one point to another."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = there - turn @ here
    return matrix


def _climb(fixed: _Level, moving: _Level, start: FloatArray, masked: bool) -> FloatArray:
    """The motion where mutual information is highest near a start."""
    spacing_mm = fixed.image.grid.spacing_mm[0]
    transform = sitk.Euler3DTransform()
    transform.SetCenter(fixed.middle_mm.tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist(), 1e-6)
    transform.SetTranslation((start[:3, :3] @ fixed.middle_mm + start[:3, 3] - fixed.middle_mm).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(METRIC_BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(min(1.0, SAMPLES / np.count_nonzero(fixed.domain)), SEED)
    method.SetMetricFixedMask(_sitk_image(fixed.image.with_data(fixed.domain.astype(np.uint8))))
    if masked:
        method.SetMetricMovingMask(_sitk_image(moving.image.with_data(moving.domain.astype(np.uint8))))
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsPowell(
        numberOfIterations=10,
        maximumLineIterations=20,
        stepLength=spacing_mm / 2,
        stepTolerance=spacing_mm / 100,
        valueTolerance=1e-5,
    )
    method.SetOptimizerScales([HEAD_RADIUS_MM] * 3 + [1.0] * 3)  # so that one step of each moves the brain as far
    method.SetInitialTransform(transform, inPlace=True)
    try:
        method.Execute(_sitk_image(fixed.image), _sitk_image(moving.image))
    except RuntimeError as error:
        if "map outside" not in str(error):
            raise
        return start
    return _matrix_of(transform)


def _sitk_image(volume: Volume) -> sitk.Image:
    """An image along the world's axes for SimpleITK, whose world is then ours."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data.T))
    image.SetSpacing(volume.grid.spacing_mm)
    image.SetOrigin(volume.grid.affine[:3, 3].tolist())
    return image


def _matrix_of(transform: sitk.Transform) -> FloatArray:
    points = [np.array(transform.TransformPoint(p)) for p in ((0.0, 0.0, 0.0), *np.eye(3).tolist())]
    matrix = np.eye(4)
    matrix[:3, 3] = points[0]
    matrix[:3, :3] = np.column_stack([p - points[0] for p in points[1:]])
    return matrix


def _compare(fixed: _Level, moving: _Level, matrix: FloatArray) -> Likeness:
    there = resample_to(moving.image, fixed.image.grid, world_transform=matrix, fill=np.nan)
    return likeness(fixed.image.data, there.data, fixed.domain, fixed.image.grid.spacing_mm)


def _judged(matrix: FloatArray, middle_mm: FloatArray, before: Likeness, after: Likeness) -> Registration:
    rotation = float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))
    shift = float(np.linalg.norm(matrix[:3, :3] @ middle_mm + matrix[:3, 3] - middle_mm))
    faults = _faults(rotation, after)
    fit = (
        f"rotation {rotation:.1f}°, shift {shift:.1f} mm, normalised mutual information {before.normalised_mi:.3f} "
        f"before and {after.normalised_mi:.3f} after, agreement of edges {after.edge_agreement:.2f} (0.33 by chance)."
    )
    if faults:
        verdict = f"The registration is doubtful, as {' and '.join(faults)}"
    else:
        verdict = "The images lie on each other as they are" if after is before else "Registered"
    return Registration(
        matrix=matrix,
        rotation_deg=rotation,
        translation_mm=shift,
        mutual_information=after.mutual_information,
        normalised_mi_before=before.normalised_mi,
        normalised_mi_after=after.normalised_mi,
        edge_agreement=after.edge_agreement,
        overlap=after.overlap,
        poor=bool(faults),
        reason=f"{verdict}: {fit}",
    )


def _faults(rotation_deg: float, after: Likeness) -> Sequence[str]:
    faults = []
    if after.normalised_mi < POOR_NORMALISED_MI:
        faults.append("the images hardly tell of each other")
    if after.edge_agreement < POOR_EDGE_AGREEMENT:
        faults.append("edges of the images do not run alike")
    if after.overlap < POOR_OVERLAP:
        faults.append(f"only {after.overlap:.0%} of the head lies in both images")
    if rotation_deg > POOR_ROTATION_DEG:
        faults.append(f"a turn by {rotation_deg:.0f}° is not expected between two scans of a head")
    return faults
