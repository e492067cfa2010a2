"""Smooth deformations that keep topology, and fast separable interpolation on regular grids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32]

INTEGRATION_STEPS = 6  # the velocity is halved this often before it is composed with itself


def linear_matrix(positions: npt.NDArray[np.floating], n: int) -> Matrix:
    """(positions, n) weights of linear interpolation at fractional indices, clamped to the ends."""
    p = np.clip(positions, 0, n - 1)
    low = np.minimum(np.floor(p).astype(int), max(n - 2, 0))
    weight = (p - low).astype(np.float32)
    matrix = np.zeros((len(p), n), dtype=np.float32)
    rows = np.arange(len(p))
    matrix[rows, low] += 1 - weight
    matrix[rows, np.minimum(low + 1, n - 1)] += weight
    return matrix


def apply_separable(image: Field, matrices: tuple[Matrix | None, Matrix | None, Matrix | None]) -> Field:
    """Multiply each axis of (I, J, K) by its (out, in) matrix; None leaves an axis as it is."""
    mx, my, mz = matrices
    if mz is not None:
        image = image @ mz.T
    if my is not None:
        image = np.matmul(my, image)
    if mx is not None:
        image = (mx @ image.reshape(image.shape[0], -1)).reshape(-1, *image.shape[1:])
    return image


def upsample(coarse: Field, shape: tuple[int, int, int]) -> Field:
    """Coarse (i, j, k) values stretched linearly so that the corner nodes fall on the corner voxels of ``shape``."""
    matrices = tuple(linear_matrix(np.linspace(0, c - 1, n), c) for n, c in zip(shape, coarse.shape, strict=True))
    return apply_separable(coarse, matrices)  # type: ignore[arg-type]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int, int], step: float) -> Field:
    """A smooth random field of about unit spread: normal values every ``step`` voxels, linear between."""
    nodes = tuple(max(int(np.ceil((n - 1) / step)) + 1, 2) for n in shape)
    return upsample(rng.standard_normal(nodes, dtype=np.float32), shape)


def integrate(velocity: Field) -> Field:
    """Displacement (3, i, j, k) of the flow of a stationary velocity, both in nodes, by scaling and squaring.

    References
    ----------
    Arsigny 2006, doi:10.1007/11866565_113.
    """
    displacement = velocity / 2**INTEGRATION_STEPS
    index = np.indices(velocity.shape[1:], dtype=np.float32)
    for _ in range(INTEGRATION_STEPS):
        at = index + displacement
        displacement = displacement + np.stack(
            [ndimage.map_coordinates(d, at, order=1, mode="nearest") for d in displacement]
        )
    return np.asarray(displacement, dtype=np.float32)


def random_velocity(rng: np.random.Generator, nodes: tuple[int, int, int], spread: float, smoothing: float) -> Field:
    """A random smooth velocity (3, *nodes) whose standard deviation is ``spread`` nodes."""
    noise = rng.standard_normal((3, *nodes), dtype=np.float32)
    field = np.stack([ndimage.gaussian_filter(n, smoothing, mode="nearest") for n in noise])
    return np.asarray(field * (spread / max(float(field.std()), 1e-6)), dtype=np.float32)


def jacobian_determinant(displacement: Field) -> Field:
    """Det of d(x + u)/dx of a displacement (3, i, j, k) in nodes; above 0 everywhere when topology is kept."""
    gradients = np.stack([np.stack(np.gradient(d)) for d in displacement])
    gradients = np.moveaxis(gradients, (0, 1), (-2, -1)) + np.eye(3, dtype=np.float32)
    return np.asarray(np.linalg.det(gradients))


def rotation(angles_rad: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """(3, 3) rotation about x, then y, then z."""
    a, b, c = np.asarray(angles_rad, dtype=float)
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(rz @ ry @ rx)
