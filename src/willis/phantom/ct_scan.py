"""What a CT scanner makes of an ideal head: slices, gantry tilt, kernel, beam hardening, streaks, textured noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.acquire import AxisSampling, profile_matrix
from willis.phantom.ct import AIR_HU
from willis.phantom.deform import Field, apply_separable, rotation
from willis.phantom.scanner import FINE_MM, Protocol, bring, fine_grid
from willis.volume.grid import Grid, Shape3
from willis.volume.volume import Volume

Kernel = Literal["soft", "sharp"]

LEAST_HU, MOST_HU = -1024, 3071  # of 12 stored bits
BLUR_MM = {"soft": 0.55, "sharp": 0.25}  # standard deviation of the reconstructed point; assumed
CUTOFF_PER_MM = {"soft": 0.45, "sharp": 0.9}  # where the noise's spectrum ends; assumed
NOISE_HU_AT_5_MM = {"soft": (2.2, 4.5), "sharp": (7.0, 14.0)}  # of usual head scans; assumed
BONE_HU = 250.0  # above it, tissue hardens the beam
HARDENING_PER_MM = 4e-4  # part of bone's attenuation lost for each mm of bone on the ray; assumed
ANGLES = 48  # of the projections that errors are computed from, over 180°
PROJECTION_MM = 3.0  # side of the pixels, and least distance of the slices, that they are computed on


@dataclass(frozen=True)
class CtProtocol:
    """How one CT is taken.

    Parameters
    ----------
    geometry
        Grid (sheared where the gantry was tilted), slice thickness and the head's motion; its ``noise`` is the
        standard deviation in HU of water in the middle of the head.
    kernel
        Of the reconstruction.
    tilt_deg
        Of the gantry.
    hardening
        Strength of beam hardening, 1 for as physics has it without any correction; scanners correct most.
    streaks
        Standard deviation of the error of single projections, in parts of the attenuation; 0 for none.
    """

    geometry: Protocol
    kernel: Kernel
    tilt_deg: float
    hardening: float
    streaks: float

    @property
    def grid(self) -> Grid:
        """Of the image."""
        return self.geometry.grid

    def record(self) -> dict[str, Any]:
        """Plain values for a phantom's record."""
        return {
            **self.geometry.record(),
            "kernel": self.kernel,
            "tilt_deg": self.tilt_deg,
            "hardening": self.hardening,
            "streaks": self.streaks,
        }


def ct_grid(shape: Shape3, spacing_mm: tuple[float, float, float], centre_mm: npt.ArrayLike, tilt_deg: float) -> Grid:
    """A grid of axial slices in the order LPS whose planes are tilted while the table moves straight: sheared."""
    i_mm, j_mm, k_mm = spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = (-i_mm, 0.0, 0.0)
    affine[:3, 1] = rotation((np.deg2rad(tilt_deg), 0.0, 0.0)) @ (0.0, -j_mm, 0.0)
    affine[:3, 2] = (0.0, 0.0, k_mm)
    affine[:3, 3] = np.asarray(centre_mm, dtype=float) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def ct_protocol(
    rng: np.random.Generator, centre_mm: npt.ArrayLike, *, slice_mm: float | None = None, height_mm: float = 160.0,
    side: int = 512, field_mm: float | None = None, kernel: Kernel = "soft", tilt_deg: float | None = None,
    motion: npt.NDArray[np.float64] | None = None,
) -> CtProtocol:  # fmt: skip
    """Draw a non-contrast head CT about ``centre_mm``; what is given is not drawn.

    Parameters
    ----------
    slice_mm
        Thickness, and distance of slices: 0.5 to 10 mm.
    height_mm
        Covered along the table.
    side, field_mm
        Pixels and mm of a side of a slice.
    tilt_deg
        Of the gantry; half of drawn ones have none.
    motion
        (4, 4) mm of the scanner to mm of the head; the identity when None.
    """
    thickness = float(slice_mm or rng.choice([0.625, 1.0, 2.5, 3.0, 5.0, 5.0]))
    tilt = float(rng.choice([0.0, rng.uniform(5, 25)])) if tilt_deg is None else tilt_deg
    pixel = float(field_mm or rng.uniform(220, 250)) / side
    shape = (side, side, max(round(height_mm / thickness), 2))
    noise = float(rng.uniform(*NOISE_HU_AT_5_MM[kernel])) * float(np.sqrt(5.0 / thickness))
    geometry = Protocol(
        ct_grid(shape, (pixel, pixel, thickness), centre_mm, tilt), 2, thickness,
        np.eye(4) if motion is None else motion, noise, 0.0, 0.0, 1.0, BLUR_MM[kernel],
    )  # fmt: skip
    hardening = float(rng.uniform(0.1, 0.5))
    streaks = float(rng.uniform(0.0, 0.004)) if rng.random() < 0.3 else 0.0
    return CtProtocol(geometry, kernel, tilt, hardening, streaks)


def scan_ct(rng: np.random.Generator, ideal_hu: Field, base: Grid, protocol: CtProtocol) -> Field:
    """(I, J, K) HU on the protocol's grid of an ideal head (HU) on ``base``, with the scanner's faults and noise."""
    image = sampled(ideal_hu, base, protocol)
    if protocol.hardening or protocol.streaks:
        image = image + projection_errors(rng, image, protocol)
    sigma = protocol.geometry.noise * attenuation_profile(image)
    return np.asarray(image + sigma * ct_noise(rng, image.shape, protocol.grid.spacing_mm, protocol.kernel))


def ct_volume(image_hu: Field, grid: Grid, role: str = "ncct") -> Volume:
    """The image as scanners store it: whole HU, ``int16``, -1024 to 3071."""
    stored = np.clip(np.rint(image_hu), LEAST_HU, MOST_HU).astype(np.int16)
    return Volume(stored, grid, role=role, unit="HU")


def sampled(ideal: Field, base: Grid, protocol: CtProtocol, outside: float = AIR_HU) -> Field:
    """An ideal image seen through the scanner's pixels and slices, without noise; ``outside`` beyond its border."""
    grid = protocol.grid
    image = (ideal - np.float32(outside)).astype(np.float32)
    parallel = _parallel_axes(base, grid, protocol.geometry.motion)
    if parallel is None:
        fine = fine_grid(grid)
        image = bring(image, base, fine, protocol.geometry.motion, order=1)
        first_mm = [
            ((n - 1) - (m - 1) * s) / 2 for n, m, s in zip(fine.shape, grid.shape, grid.spacing_mm, strict=True)
        ]
        signs: tuple[float, ...] = (1.0, 1.0, 1.0)
        steps = (FINE_MM, FINE_MM, FINE_MM)
    else:
        (first_mm, signs), steps = parallel, base.spacing_mm
    matrices = []
    for axis, (n, m, spacing) in enumerate(zip(image.shape, grid.shape, grid.spacing_mm, strict=True)):
        width = protocol.geometry.slice_mm if axis == 2 else spacing
        blur = 0.3 if axis == 2 else protocol.geometry.blur_mm
        centres = first_mm[axis] + signs[axis] * np.arange(m) * spacing
        rows = profile_matrix(n, steps[axis], centres, AxisSampling(spacing, width, "slice", 0.0, 1.0, blur))
        covered = (centres > -width / 2) & (centres < (n - 1) * steps[axis] + width / 2)
        matrices.append((rows * covered[:, None]).astype(np.float32))
    return apply_separable(image, (matrices[0], matrices[1], matrices[2])) + np.float32(outside)


def _parallel_axes(
    base: Grid, grid: Grid, motion: npt.NDArray[np.float64]
) -> tuple[list[float], tuple[float, ...]] | None:
    """Where the scanner's first voxel lies along each axis of the head's grid, mm, and which way its axes run.

    None when axes aren't parallel one to one, so that the head has to be turned.
    """
    turn = np.linalg.inv(base.directions) @ motion[:3, :3] @ grid.directions
    if not np.allclose(np.abs(turn), np.eye(3), atol=1e-9):
        return None
    first = (motion @ np.append(grid.affine[:3, 3], 1.0))[:3]
    start = base.to_index(first) * np.array(base.spacing_mm)
    return start.tolist(), tuple(np.diag(turn).tolist())


def attenuation_profile(image_hu: Field) -> Field:
    """(I, J, 1) relative noise: largest in the middle of the head, 0.6 of it at the skin."""
    i, j, _ = image_hu.shape
    x, y = np.meshgrid(np.linspace(-1, 1, i), np.linspace(-1, 1, j), indexing="ij")
    return np.asarray(1.0 - 0.4 * np.clip(x**2 + y**2, 0, 1), dtype=np.float32)[:, :, None]


@lru_cache(maxsize=8)
def _noise_filter(shape: tuple[int, int], pixel_mm: tuple[float, float], cutoff_per_mm: float) -> Field:
    """(i, j // 2 + 1) amplitude of noise by frequency: a ramp that a smooth window ends, of unit variance."""
    fx = np.fft.fftfreq(shape[0], pixel_mm[0])[:, None]
    fy = np.fft.rfftfreq(shape[1], pixel_mm[1])[None]
    f = np.hypot(fx, fy)
    window = np.where(f < cutoff_per_mm, np.cos(np.pi * f / (2 * cutoff_per_mm)) ** 2, 0)
    amplitude = np.sqrt(f + 0.02 * cutoff_per_mm) * window  # power grows with f in filtered back-projection
    weights = np.full(f.shape, 2.0)
    weights[:, 0] = 1.0
    if shape[1] % 2 == 0:
        weights[:, -1] = 1.0
    amplitude /= np.sqrt((weights * amplitude**2).sum() / (shape[0] * shape[1]))
    return np.asarray(amplitude, dtype=np.float32)


def ct_noise(
    rng: np.random.Generator, shape: tuple[int, ...], spacing_mm: tuple[float, float, float], kernel: Kernel
) -> Field:
    """(I, J, K) noise of unit standard deviation, textured in each slice as filtered back-projection does.

    Its power grows with frequency until the kernel ends it; slices are independent.

    References
    ----------
    Kijewski and Judy 1987, doi:10.1088/0031-9155/32/5/003.
    """
    i, j, k = shape
    amplitude = _noise_filter((i, j), (spacing_mm[0], spacing_mm[1]), CUTOFF_PER_MM[kernel])
    white = rng.standard_normal((k, i, j), dtype=np.float32)
    textured = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=(i, j))
    return np.asarray(np.moveaxis(textured, 0, 2), dtype=np.float32)


def projection_errors(rng: np.random.Generator, image_hu: Field, protocol: CtProtocol) -> Field:
    """(I, J, K) HU that inconsistent projections add: bands between dense bones, and streaks.

    Each ray loses a part of its attenuation that grows with the square of its path through bone, as a beam that
    hardens does to first order; single projections err at random. The errors are back-projected with a ramp filter.

    References
    ----------
    Joseph 1997, doi:10.1118/1.597970.
    """
    spacing = protocol.grid.spacing_mm
    zoom = (spacing[0] / PROJECTION_MM, spacing[1] / PROJECTION_MM, min(spacing[2] / PROJECTION_MM, 1.0))
    coarse = ndimage.zoom(np.clip(image_hu, AIR_HU, MOST_HU), zoom, order=1, mode="nearest", grid_mode=True)
    bone = np.clip(coarse / 1000, BONE_HU / 1000, None) - BONE_HU / 1000  # of water's attenuation
    tissue = 1 + coarse / 1000
    error = np.zeros_like(coarse, dtype=np.float32)
    for angle in np.arange(ANGLES) * 180.0 / ANGLES:
        path = _turned(bone, angle).sum(axis=0) * PROJECTION_MM
        ray = -protocol.hardening * HARDENING_PER_MM * path**2
        if protocol.streaks:
            full = _turned(tissue, angle).sum(axis=0) * PROJECTION_MM
            ray = ray + full * (protocol.streaks * rng.standard_normal(full.shape[1:])[None])
        filtered = _ramp_filtered(ray)
        error += _turned(np.broadcast_to(filtered[None], coarse.shape), -angle)
    error *= np.float32(1000 * np.pi / ANGLES)
    fine = ndimage.zoom(error, [n / m for n, m in zip(image_hu.shape, error.shape, strict=True)], order=1,
                        mode="nearest", grid_mode=True)  # fmt: skip
    return np.asarray(fine[tuple(slice(n) for n in image_hu.shape)], dtype=np.float32)


def _turned(image: npt.NDArray[Any], angle_deg: float) -> npt.NDArray[Any]:
    return np.asarray(ndimage.rotate(image, angle_deg, axes=(0, 1), reshape=False, order=1, mode="constant"))


def _ramp_filtered(rays: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rays (n, K), 1, filtered by |f| along n, per mm."""
    n = rays.shape[0]
    size = 2 * n
    frequency = np.fft.rfftfreq(size, PROJECTION_MM)[:, None]
    window = np.cos(np.pi * frequency * PROJECTION_MM) ** 2
    return np.fft.irfft(np.fft.rfft(rays, size, axis=0) * frequency * window, size, axis=0)[:n]
