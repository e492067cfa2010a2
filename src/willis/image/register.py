"""Rigid registration by mutual information, the same on every run and every number of threads."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

COARSE_MM, FINE_MM = 4.0, 2.0
BINS = 32
SEED = 20210


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
        How far the centre of the fixed image is moved.
    mutual_information
        At the end, nats.
    normalised_mi_before, normalised_mi_after
        (H(f) + H(m)) / H(f, m), in [1, 2], by world coordinates alone and after registration.
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
    poor: bool
    reason: str


def register_rigid(
    moving: Volume, fixed: Volume, *, moving_mask: Volume | None = None, fixed_mask: Volume | None = None
) -> Registration:
    """Find the rigid motion that lays ``moving`` on ``fixed``."""
    fixed_image, moving_image = _prepared(fixed, COARSE_MM), _prepared(moving, COARSE_MM)
    centre = fixed.grid.centre_mm
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.5, SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    start = sitk.CenteredTransformInitializer(
        fixed_image, moving_image, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(fixed_image, moving_image)
    matrix = _matrix(found)
    before = normalised_mi(fixed, moving, np.eye(4))
    after = normalised_mi(fixed, moving, matrix)
    rotation = float(np.degrees(np.arccos(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))
    shift = float(np.linalg.norm(matrix[:3, :3] @ centre + matrix[:3, 3] - centre))
    poor = after[1] <= min(before[1], 1.02)
    return Registration(matrix, rotation, shift, after[0], before[1], after[1], poor, "")


def _prepared(volume: Volume, spacing_mm: float) -> sitk.Image:
    """The image on an isotropic axis-aligned grid over its field of view; world in RAS+ throughout."""
    corners = volume.grid.to_mm(list(product(*[(0, n - 1) for n in volume.grid.shape])))
    low, high = corners.min(axis=0), corners.max(axis=0)
    shape = np.ceil((high - low) / spacing_mm).astype(int) + 1
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = low
    work = resample_to(volume, Grid((shape[0], shape[1], shape[2]), affine), antialias=True)
    top = float(np.percentile(work.data, 99.5))
    image = sitk.GetImageFromArray(np.clip(work.data, 0, top).astype(np.float32).T)
    image.SetSpacing([spacing_mm] * 3)
    image.SetOrigin(low.tolist())
    return image


def _matrix(transform: sitk.Transform) -> FloatArray:
    matrix = np.eye(4)
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    matrix[:3, 3] = origin
    for axis in range(3):
        point = [0.0, 0.0, 0.0]
        point[axis] = 1.0
        matrix[:3, axis] = np.array(transform.TransformPoint(point)) - origin
    return matrix


def normalised_mi(fixed: Volume, moving: Volume, matrix: npt.ArrayLike) -> tuple[float, float]:
    """Mutual information in nats and normalised mutual information where both images lie."""
    there = resample_to(moving, fixed.grid, world_transform=matrix, fill=np.nan).data
    both = np.isfinite(there)
    table, *_ = np.histogram2d(fixed.data[both], there[both], bins=BINS)
    joint = table / max(table.sum(), 1)
    h = [-float(np.sum(p[p > 0] * np.log(p[p > 0]))) for p in (joint.sum(0), joint.sum(1), joint)]
    return h[0] + h[1] - h[2], (h[0] + h[1]) / h[2] if h[2] > 0 else 1.0
