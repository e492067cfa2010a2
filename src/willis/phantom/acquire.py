"""What a scanner does to an image: point spread, slices, noise, bias field, ghosts, and resampling later."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from willis.phantom.deform import Field, Matrix, apply_separable, linear_matrix, upsample
from willis.phantom.edges import EdgeFilter

SINC_REACH = 12  # samples on each side of the k-space kernel
EDGE_BLUR_MM = (0.45, 0.85)  # standard deviation that smooths the steps of a label map


@dataclass(frozen=True)
class AxisSampling:
    """How one axis was sampled: sample distance, width of what each sample sees (mm), and its kind of kernel."""

    spacing_mm: float
    width_mm: float
    kernel: str  # "slice" (selected slice) or "kspace" (truncated sinc)
    offset: float  # of the first sample, in samples
    apodise: float = 0.5  # 0: bare truncation, which rings; 1: Hann window
    blur_mm: float = 0.6
    misplaced_mm: float = 0.0  # error of the registration that brought the image to its grid


def _gaussian_matrix(n: int, sigma: float) -> Matrix:
    x = np.arange(n, dtype=np.float32)
    kernel = np.exp(-0.5 * ((x[:, None] - x[None]) / max(sigma, 1e-3)) ** 2)
    return np.asarray(kernel / kernel.sum(1, keepdims=True), dtype=np.float32)


def profile_matrix(n: int, voxel_mm: float, centres_mm: npt.NDArray[np.floating], axis: AxisSampling) -> Matrix:
    """(len(centres), n) what each of the scanner's samples sees of ``n`` voxels; rows sum to 1.

    Parameters
    ----------
    centres_mm
        Middles of the samples, measured from the middle of the first voxel.
    """
    distance_mm = np.arange(n)[None] * voxel_mm - np.asarray(centres_mm)[:, None]
    if axis.kernel == "slice":
        edge = max(0.15 * axis.width_mm, 0.3)
        rows = 1 / (1 + np.exp(np.clip((np.abs(distance_mm) - axis.width_mm / 2) / (edge / 2), -30, 30)))
    else:
        u = distance_mm / axis.width_mm
        window = (1 - axis.apodise) + axis.apodise * np.cos(np.pi * np.clip(u / (2 * SINC_REACH), -0.5, 0.5)) ** 2
        rows = np.where(np.abs(u) < SINC_REACH, np.sinc(u) * window, 0)
    sums = rows.sum(1, keepdims=True)
    rows = (rows / np.where(np.abs(sums) < 1e-6, 1, sums)).astype(np.float32)
    return np.asarray(rows @ _gaussian_matrix(n, axis.blur_mm / voxel_mm), dtype=np.float32)


def sampling_matrices(n: int, voxel_mm: float, axis: AxisSampling, interpolation: str) -> tuple[Matrix, Matrix]:
    """(m, n) from ``n`` voxels to the scanner's samples, and (n, m) back by the given interpolation."""
    m = max(int(np.floor(n * voxel_mm / axis.spacing_mm)), 2)
    down = profile_matrix(n, voxel_mm, (np.arange(m) + axis.offset) * axis.spacing_mm, axis)
    wanted = (np.arange(n) * voxel_mm + axis.misplaced_mm) / axis.spacing_mm - axis.offset
    return down, interpolation_matrix(wanted, m, interpolation)


def interpolation_matrix(positions: npt.NDArray[np.floating], n: int, kind: str) -> Matrix:
    """(positions, n) weights of ``"linear"`` or ``"lanczos"`` (three lobes) interpolation."""
    if kind == "linear":
        return linear_matrix(positions, n)
    p = np.clip(positions, 0, n - 1)[:, None] - np.arange(n)[None]
    rows = np.where(np.abs(p) < 3, np.sinc(p) * np.sinc(p / 3), 0)
    return np.asarray(rows / rows.sum(1, keepdims=True), dtype=np.float32)


def rician(rng: np.random.Generator, signal: Field, sigma: float) -> Field:
    """Magnitude of the signal with complex normal noise of standard deviation ``sigma`` on each part.

    References
    ----------
    Gudbjartsson 1995, doi:10.1002/mrm.1910340618.
    """
    real = rng.standard_normal(signal.shape, dtype=np.float32)
    real *= sigma
    real += signal
    imaginary = rng.standard_normal(signal.shape, dtype=np.float32)
    imaginary *= sigma
    np.multiply(real, real, out=real)
    np.multiply(imaginary, imaginary, out=imaginary)
    real += imaginary
    return np.sqrt(real, out=real)


def bias_field(rng: np.random.Generator, shape: tuple[int, int, int], strength: float, nodes: int = 4) -> Field:
    """A smooth positive field about 1 whose logarithm has the standard deviation ``strength``."""
    coarse = rng.standard_normal((nodes, nodes, nodes), dtype=np.float32)
    # cubic refinement of the nodes keeps creases out of the field
    fine = nodes * 4
    cubic = interpolation_matrix(np.linspace(0, nodes - 1, fine), nodes, "lanczos")
    smooth = apply_separable(coarse, (cubic, cubic, cubic))
    smooth *= strength / max(float(smooth.std()), 1e-6)
    return upsample(np.exp(smooth).astype(np.float32), shape)


def ghosted(rng: np.random.Generator, image: Field, axis: int, severity: float) -> Field:
    """Motion between k-space lines along a phase axis: some lines come from a shifted head."""
    spectrum = np.fft.fft(image, axis=axis)
    n = image.shape[axis]
    moves = np.zeros(n)
    for _ in range(int(rng.integers(1, 4))):
        start = int(rng.integers(0, n))
        moves[start : start + int(rng.integers(2, max(n // 6, 3)))] += severity * rng.standard_normal()
    frequency = np.fft.fftfreq(n)
    moves[np.abs(frequency) < 0.04] = 0
    phase = np.exp(-2j * np.pi * frequency * moves).reshape([-1 if a == axis else 1 for a in range(3)])
    return np.abs(np.fft.ifft(spectrum * phase, axis=axis)).astype(np.float32)


@dataclass(frozen=True)
class Acquisition:
    """Everything drawn for one image's way through a scanner and its resampling to 1 mm."""

    axes: tuple[AxisSampling, AxisSampling, AxisSampling]
    interpolation: str
    noise: float  # of the reference signal
    bias: float
    ghost: float  # samples; 0 for none
    ghost_axis: int
    edges: EdgeFilter | None = None

    def without_bias(self) -> Acquisition:
        """The same scan of a scanner without coils: no bias field, no noise, no ghosts, no filter."""
        return replace(self, bias=0.0, noise=0.0, ghost=0.0, edges=None)


def draw_acquisition(
    rng: np.random.Generator,
    *,
    thick_axis: int | None,
    thickness_mm: tuple[float, float] = (2.0, 6.0),
    in_plane_mm: tuple[float, float] = (0.8, 1.2),
    kspace: bool = True,
    misplaced_mm: float = 0.0,
) -> Acquisition:
    """Draw one acquisition: 3D when ``thick_axis`` is None, else slices across that axis."""
    in_plane = float(rng.uniform(*in_plane_mm))
    apodise = float(rng.uniform(0.3, 1.0))
    blur = float(rng.uniform(*EDGE_BLUR_MM))
    wrong = np.clip(rng.normal(0, 1, 3), -2, 2) * misplaced_mm
    axes = []
    for axis in range(3):
        if axis == thick_axis:
            spacing = float(rng.uniform(*thickness_mm))
            gap = float(rng.choice([0.0, rng.uniform(0, 0.25)]))
            width, kernel, window = spacing * (1 - gap), "slice", 1.0
        else:
            spacing = width = in_plane
            kernel, window = "kspace" if kspace else "slice", apodise
        offset = float(rng.uniform(0, 1))
        axes.append(AxisSampling(spacing, width, kernel, offset, window, blur, float(wrong[axis])))
    ghost = float(rng.uniform(0.3, 2.0)) if rng.random() < 0.08 else 0.0
    return Acquisition(
        (axes[0], axes[1], axes[2]),
        str(rng.choice(["linear", "lanczos"])),
        float(np.exp(rng.uniform(np.log(0.005), np.log(0.06)))),
        float(rng.choice([rng.uniform(0.0, 0.06), rng.uniform(0.04, 0.16)])),
        ghost,
        int(rng.integers(0, 2)),
    )


def acquire(
    rng: np.random.Generator, image: Field, acquisition: Acquisition, voxel_mm: float, reference: float
) -> Field:
    """Scan an image and bring it back to its own grid; ``reference`` is the signal that noise is relative to."""
    if acquisition.bias:
        image = image * bias_field(rng, image.shape, acquisition.bias)
    pairs = [
        sampling_matrices(n, voxel_mm, a, acquisition.interpolation)
        for n, a in zip(image.shape, acquisition.axes, strict=True)
    ]
    native = apply_separable(image, (pairs[0][0], pairs[1][0], pairs[2][0]))
    if acquisition.ghost:
        native = ghosted(rng, native, acquisition.ghost_axis, acquisition.ghost)
    native = rician(rng, native, acquisition.noise * reference)
    if acquisition.edges:
        slices = next((a for a, axis in enumerate(acquisition.axes) if axis.kernel == "slice"), None)
        native = acquisition.edges.apply(native, tuple(a.spacing_mm for a in acquisition.axes), slices)
    back = apply_separable(native, (pairs[0][1], pairs[1][1], pairs[2][1]))
    return np.maximum(back, 0, out=back)
