"""Augmentation: `make_params` draws, `apply` is deterministic, and the drawn parameters are plain values to record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from willis.learn.recipe import AugmentationSettings

Shape3 = tuple[int, int, int]
Spacing = tuple[float, float, float]
BIAS_KNOTS = 4  # control points of a bias field along each axis


@dataclass(frozen=True)
class Params:
    """What is done to one patch; None or empty: nothing.

    Parameters
    ----------
    flips
        Axes that are mirrored.
    affine, shift
        (3, 3) rows and 3 voxels: index of the output patch to index of the input patch, both from their centres.
    gamma, contrast, brightness, offset, noise_std, blur_voxels
        One value for each channel; 1, 1, 1, 0, 0, 0 change nothing.
    contrast_about
        ``mean`` or ``min`` of the channel.
    noise_seed
        Of the noise.
    bias
        Logarithm of the bias field at BIAS_KNOTS³ points of each channel, flat.
    dropped
        Channel that is zeroed.
    """

    flips: tuple[int, ...] = ()
    affine: tuple[tuple[float, ...], ...] | None = None
    shift: tuple[float, ...] = ()
    gamma: tuple[float, ...] = ()
    contrast: tuple[float, ...] = ()
    contrast_about: Literal["mean", "min"] = "mean"
    brightness: tuple[float, ...] = ()
    offset: tuple[float, ...] = ()
    noise_std: tuple[float, ...] = ()
    noise_seed: int = 0
    blur_voxels: tuple[float, ...] = ()
    bias: tuple[tuple[float, ...], ...] = ()
    dropped: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, without those that change nothing."""
        usual = Params()
        plain = {name: value for name, value in asdict(self).items() if value != getattr(usual, name)}
        if not self.contrast:
            plain.pop("contrast_about", None)
        return plain


def make_params(
    settings: AugmentationSettings,
    channels: int,
    patch: Shape3,
    rng: np.random.Generator,
    spacing_mm: Spacing = (1.0, 1.0, 1.0),
) -> Params:
    """Draw the parameters for one patch.

    Parameters
    ----------
    settings
        What may happen, how often and how much.
    channels, patch
        Of the patch, and its voxels along I, J, K.
    rng
        The only source of chance.
    spacing_mm
        Edges of a voxel: rotation and shear are of the head, not of its voxels.
    """

    def happens(probability: float) -> bool:
        return bool(rng.random() < probability)

    def each(low: float, high: float) -> tuple[float, ...]:
        return tuple(float(v) for v in rng.uniform(low, high, channels))

    flips = tuple(axis for axis in settings.flip_axes if happens(settings.flip))
    affine = _draw_affine(settings, rng, spacing_mm) if happens(settings.affine) else None
    bias: tuple[tuple[float, ...], ...] = ()
    if happens(settings.bias):
        knots = rng.uniform(-settings.bias_log, settings.bias_log, (channels, BIAS_KNOTS**3))
        bias = tuple(tuple(float(v) for v in row) for row in knots)
    gamma: tuple[float, ...] = ()
    if happens(settings.gamma):
        gamma = tuple(math.exp(v) for v in each(*(math.log(g) for g in settings.gamma_range)))
    dropped = None
    if happens(settings.channel_dropout) and channels > 1:
        droppable = settings.droppable or tuple(range(channels))
        dropped = int(droppable[int(rng.integers(len(droppable)))])
    drawn = Params(
        flips=flips,
        affine=affine,
        gamma=gamma,
        contrast=each(*settings.contrast_range) if happens(settings.contrast) else (),
        contrast_about=settings.contrast_about,
        brightness=each(*settings.brightness_range) if happens(settings.brightness) else (),
        noise_std=each(0.0, settings.noise_std) if happens(settings.noise) else (),
        noise_seed=int(rng.integers(2**31)),
        blur_voxels=each(0.0, settings.blur_voxels) if happens(settings.blur) else (),
        bias=bias,
        dropped=dropped,
    )
    if settings.offset and happens(settings.offset):
        drawn = replace(drawn, offset=each(*settings.offset_range))
    if settings.translate and affine is not None:
        parts = rng.uniform(-settings.translate, settings.translate, 3) * np.array(patch) * _moving(settings)
        drawn = replace(drawn, shift=tuple(float(v) for v in parts))
    return drawn


def source_shape(params: Params, patch: Shape3) -> Shape3:
    """Voxels to cut out of the case so that the affine's corners have something to read."""
    if params.affine is None:
        return patch
    reach = np.abs(np.array(params.affine)) @ (np.array(patch) / 2) + np.abs(np.array(params.shift or (0, 0, 0)))
    i, j, k = (max(p, 2 * math.ceil(r) + 1) for p, r in zip(patch, reach, strict=True))
    return i, j, k


@torch.no_grad()
def apply(
    params: Params, image: Tensor, labels: Tensor, patch: Shape3, *, keep_zero: bool = True
) -> tuple[Tensor, Tensor]:
    """Augment one patch.

    Parameters
    ----------
    image
        (C, *source_shape(params, patch)) float32.
    labels
        (M, *source_shape) uint8: target maps and mask, moved with the image by nearest neighbour.
    patch
        Shape that comes back.
    keep_zero
        Voxels that are 0 in all channels stay 0.
    """
    if params.affine is not None:
        image, labels = _resample(params.affine, params.shift or (0.0, 0.0, 0.0), image, labels, patch)
    if params.flips:
        axes = [axis + 1 for axis in params.flips]
        image, labels = image.flip(axes), labels.flip(axes)
    inside = (image != 0).any(0) if keep_zero else None
    image = _intensity(params, image.clone())
    if inside is not None:
        image *= inside
    if params.dropped is not None:
        image[params.dropped] = 0
    return image.contiguous(), labels.contiguous()


def _intensity(params: Params, image: Tensor) -> Tensor:
    for channel, knots in enumerate(params.bias):
        field = torch.tensor(knots, dtype=torch.float32).view(1, 1, *(BIAS_KNOTS,) * 3)
        image[channel] *= functional.interpolate(field, image.shape[1:], mode="trilinear")[0, 0].exp_()
    for channel, sigma in enumerate(params.blur_voxels):
        image[channel] = _blurred(image[channel], sigma)
    for channel, factor in enumerate(params.contrast):
        low = image[channel].min()
        mean = image[channel].sum() / (image[channel] != 0).sum().clamp_min(1)
        fixed = mean if params.contrast_about == "mean" else low
        scaled = (image[channel] - fixed) * factor + fixed
        image[channel] = scaled.clamp_min_(0) if low >= 0 else scaled
    for channel, factor in enumerate(params.brightness):
        image[channel] *= factor
    for channel, value in enumerate(params.offset):
        image[channel] += value
    for channel, power in enumerate(params.gamma):
        low = image[channel].min().clamp_max(0)
        span = (image[channel].max() - low).clamp_min(1e-6)
        image[channel] = ((image[channel] - low) / span) ** power * span + low
    if params.noise_std:
        generator = torch.Generator().manual_seed(params.noise_seed)
        std = torch.tensor(params.noise_std).view(-1, 1, 1, 1)
        image += torch.randn(image.shape, generator=generator) * std
    return image


def _blurred(image: Tensor, sigma: float) -> Tensor:
    radius = math.ceil(3 * sigma)
    if radius < 1 or sigma < 0.1:
        return image
    x = torch.arange(-radius, radius + 1, dtype=torch.float32)
    kernel = torch.exp(-(x**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    out = functional.pad(image[None, None], (radius,) * 6, mode="replicate")
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[2 + axis] = 2 * radius + 1
        out = functional.conv3d(out, kernel.view(shape))
    return out[0, 0]


def _draw_affine(
    settings: AugmentationSettings, rng: np.random.Generator, spacing_mm: Spacing
) -> tuple[tuple[float, ...], ...]:
    moving = _moving(settings)
    matrix: npt.NDArray[np.float64] = np.eye(3)
    for axis, degrees in enumerate(rng.uniform(-settings.rotation_deg, settings.rotation_deg, 3)):
        a, b = [i for i in range(3) if i != axis]
        angle = math.radians(degrees) if moving[a] and moving[b] else 0.0
        c, s = math.cos(angle), math.sin(angle)
        turn = np.eye(3)
        turn[a, a], turn[a, b], turn[b, a], turn[b, b] = c, -s, s, c
        matrix = matrix @ turn
    shear = np.eye(3)
    rows, columns = np.triu_indices(3, 1)
    shear[rows, columns] = rng.uniform(-settings.shear, settings.shear, 3) * (moving[rows] & moving[columns])
    matrix = matrix @ shear @ np.diag(1 / np.where(moving, rng.uniform(*settings.scale, 3), 1.0))
    edges = np.array(spacing_mm) / spacing_mm[0]
    return tuple(tuple(float(v) for v in row) for row in matrix * edges / edges[:, None])


def _moving(settings: AugmentationSettings) -> npt.NDArray[np.bool_]:
    """(3,) whether an affine may move voxels along each axis."""
    return np.isin(range(3), settings.affine_axes)


def _resample(
    affine: tuple[tuple[float, ...], ...], shift: tuple[float, ...], image: Tensor, labels: Tensor, patch: Shape3
) -> tuple[Tensor, Tensor]:
    """Pull a patch through affine and shift about the centres of both arrays; grid_sample wants x, y, z = k, j, i."""
    matrix = np.array(affine)
    have = np.array(image.shape[1:], dtype=np.float64)
    scaled = np.diag(2 / have) @ matrix @ np.diag(np.array(patch) / 2)
    theta = torch.zeros(1, 3, 4)
    theta[0, :, :3] = torch.from_numpy(scaled[::-1, ::-1].copy())
    theta[0, :, 3] = torch.from_numpy((2 * np.array(shift) / have)[::-1].copy())
    grid = functional.affine_grid(theta, [1, 1, *patch], align_corners=False)
    moved = functional.grid_sample(image[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    kept = functional.grid_sample(labels[None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return moved, kept[0].to(labels.dtype)
