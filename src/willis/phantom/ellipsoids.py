"""Rough soft ellipsoids, of which lesions and spaces are made."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from willis.phantom.deform import Field, smooth_noise


def paint_ellipsoid(
    rng: np.random.Generator,
    target: Field,
    centre: npt.NDArray[np.floating],
    radii: npt.NDArray[np.floating],
    axes: npt.NDArray[np.floating],
    *,
    softness: float = 0.8,
    roughness: float = 0.25,
    allowed: npt.NDArray[np.floating] | None = None,
    layer: float = 0.0,
) -> float:
    """Raise ``target`` to a rough soft ellipsoid's fraction; the gain of the summed fraction.

    Parameters
    ----------
    centre, radii
        Voxels, (3,).
    axes
        (3, 3) unit vectors of the radii, one a row.
    softness
        Width of the edge, voxels.
    layer
        When above 0, paint the layer of this thickness (voxels) around the ellipsoid too.
    """
    reach = float(radii.max()) * (1 + 2 * roughness) + softness + layer + 1
    low = np.maximum(np.floor(centre - reach).astype(int), 0)
    high = np.minimum(np.ceil(centre + reach).astype(int) + 1, target.shape)
    if (high <= low).any():
        return 0.0
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    index = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), -1)
    local = (index - centre) @ axes.T / radii
    distance = np.linalg.norm(local, axis=-1)
    shape = distance.shape
    if roughness:
        distance = distance * (1 + roughness * np.clip(smooth_noise(rng, shape, max(float(radii.mean()), 1.5)), -2, 2))
    size = float(radii.mean())
    fraction = np.clip(((1 - distance) * size + layer) / softness + 0.5, 0, 1).astype(np.float32)
    if allowed is not None:
        fraction *= allowed[box]
    before = float(target[box].sum())
    np.maximum(target[box], fraction, out=target[box])
    return float(target[box].sum()) - before


def random_axes(rng: np.random.Generator, first: npt.NDArray[np.floating] | None = None) -> npt.NDArray[np.float64]:
    """(3, 3) random orthogonal unit vectors, one a row, the first along ``first`` when given."""
    basis = rng.standard_normal((3, 3))
    if first is not None and np.linalg.norm(first) > 1e-3:
        basis[0] = first
    q, _ = np.linalg.qr(basis.T)
    return np.asarray(q.T)


def random_voxels(rng: np.random.Generator, mask: npt.NDArray[np.bool_], count: int) -> npt.NDArray[np.intp]:
    """(count, 3) random voxels of a mask; none when it is empty."""
    flat = np.flatnonzero(mask)
    if not len(flat) or count < 1:
        return np.zeros((0, 3), dtype=np.intp)
    return np.stack(np.unravel_index(rng.choice(flat, count), mask.shape), -1)
