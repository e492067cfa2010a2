"""Scans on a scanner's own grids: oblique, anisotropic, in a scanner's order of axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.acquire import AxisSampling, bias_field, ghosted, profile_matrix, rician
from willis.phantom.deform import Field, apply_separable, rotation
from willis.phantom.edges import EdgeFilter
from willis.volume.grid import AXIS_NAMES, FloatArray, Grid

FINE_MM = 1.0  # of the grid, parallel to the scanner's, that an anatomy is first brought to


@dataclass(frozen=True)
class Protocol:
    """How one image is taken.

    Parameters
    ----------
    grid
        Of the image.
    slice_axis
        Axis of the slices of a 2D sequence; None for 3D.
    slice_mm
        Thickness of a slice; the rest of the distance between slices is a gap.
    motion
        (4, 4) mm of the scanner to mm of the anatomy: how the head lay during this image.
    noise
        Standard deviation relative to white matter.
    bias, ghost, apodise, blur_mm
        Strength of the coil field; motion between k-space lines in voxels; window of k-space; softness of borders.
    edges
        The scanner's own sharpening of the finished image; None where it is switched off.
    """

    grid: Grid
    slice_axis: int | None
    slice_mm: float
    motion: FloatArray
    noise: float
    bias: float
    ghost: float
    apodise: float
    blur_mm: float
    edges: EdgeFilter | None = None

    def record(self) -> dict[str, Any]:
        """Plain values for a phantom's record."""
        return {
            "shape": self.grid.shape,
            "spacing_mm": tuple(round(s, 4) for s in self.grid.spacing_mm),
            "orientation": self.grid.orientation,
            "slice_axis": self.slice_axis,
            "slice_mm": self.slice_mm,
            "noise": self.noise,
            "bias": self.bias,
            "ghost": self.ghost,
            "edges": self.edges.record() if self.edges else None,
            "motion": self.motion.tolist(),
        }


def scanner_grid(
    code: str, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float],
    centre_mm: npt.ArrayLike, angles_rad: npt.ArrayLike = (0.0, 0.0, 0.0),
) -> Grid:  # fmt: skip
    """A grid whose axes run as the three letters of ``code`` say, turned by small angles about its centre."""
    directions = np.zeros((3, 3))
    for column, letter in enumerate(code):
        for world, names in enumerate(AXIS_NAMES):
            if letter in names:
                directions[world, column] = 1.0 if letter == names[1] else -1.0
    affine = np.eye(4)
    affine[:3, :3] = rotation(angles_rad) @ directions @ np.diag(spacing_mm)
    affine[:3, 3] = np.asarray(centre_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def rigid(angles_rad: npt.ArrayLike, shift_mm: npt.ArrayLike, centre_mm: npt.ArrayLike) -> FloatArray:
    """(4, 4) rotation about a centre followed by a shift."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(angles_rad)
    centre = np.asarray(centre_mm)
    matrix[:3, 3] = centre + np.asarray(shift_mm) - matrix[:3, :3] @ centre
    return matrix


def fine_grid(grid: Grid) -> Grid:
    """The grid of about 1 mm that covers every voxel of ``grid``, with the same axes."""
    spacing = np.array(grid.spacing_mm)
    extent = np.array(grid.shape) * spacing
    shape = np.ceil(extent / FINE_MM).astype(int) + 2
    affine = np.eye(4)
    affine[:3, :3] = grid.directions * FINE_MM
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def bring(
    image: npt.NDArray[Any], base: Grid, target: Grid, motion: FloatArray, order: Literal[0, 1]
) -> npt.NDArray[Any]:
    """An image on the anatomy's grid sampled on another as the head lay there; 0 beyond its border."""
    matrix = np.linalg.inv(base.affine) @ motion @ target.affine
    return np.asarray(
        ndimage.affine_transform(
            image, matrix[:3, :3], matrix[:3, 3], output_shape=target.shape, order=order, mode="constant", cval=0
        )
    )


def _samplings(protocol: Protocol, *, plain: bool) -> tuple[AxisSampling, ...]:
    samplings = []
    for axis, spacing in enumerate(protocol.grid.spacing_mm):
        if plain:
            samplings.append(AxisSampling(spacing, spacing, "slice", 0.0, 1.0, 0.0))
        elif axis == protocol.slice_axis:
            samplings.append(AxisSampling(spacing, protocol.slice_mm, "slice", 0.0, 1.0, protocol.blur_mm))
        else:
            samplings.append(AxisSampling(spacing, spacing, "kspace", 0.0, protocol.apodise, protocol.blur_mm))
    return tuple(samplings)


def _down(image: Field, protocol: Protocol, *, plain: bool) -> Field:
    """From the fine grid to the scanner's voxels."""
    matrices = []
    for n, m, sampling in zip(image.shape, protocol.grid.shape, _samplings(protocol, plain=plain), strict=True):
        centres = (n - 1) / 2 * FINE_MM + (np.arange(m) - (m - 1) / 2) * sampling.spacing_mm
        matrices.append(profile_matrix(n, FINE_MM, centres, sampling))
    return apply_separable(image, (matrices[0], matrices[1], matrices[2]))


def scan(rng: np.random.Generator, ideal: Field, base: Grid, protocol: Protocol) -> Field:
    """The image that the scanner gives of an ideal one on the anatomy's grid; white matter is about 1."""
    image = bring(ideal, base, fine_grid(protocol.grid), protocol.motion, order=1)
    if protocol.bias:
        image = image * bias_field(rng, image.shape, protocol.bias)
    native = _down(image.astype(np.float32), protocol, plain=False)
    if protocol.ghost:
        phase = next(a for a in (1, 0) if a != protocol.slice_axis)
        native = ghosted(rng, native, phase, protocol.ghost)
    image = rician(rng, native, protocol.noise)
    return protocol.edges.apply(image, protocol.grid.spacing_mm, protocol.slice_axis) if protocol.edges else image


def fraction(mask: npt.NDArray[Any], base: Grid, protocol: Protocol) -> Field:
    """Share of each of the scanner's voxels (gaps included) that a mask or fraction on the anatomy's grid fills."""
    fine = bring(mask.astype(np.float32), base, fine_grid(protocol.grid), protocol.motion, order=1)
    return np.clip(_down(fine, protocol, plain=True), 0, 1)
