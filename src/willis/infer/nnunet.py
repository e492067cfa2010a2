"""Prediction as nnU-Net's plans say: crop, values, resampling, tiles with a Gaussian weight, mirroring, and back.

Isensee 2021, doi:10.1038/s41592-020-01008-z. All sums are float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.infer.protocol import Engine
from willis.models.nnunet_plan import ChannelValues, NnunetPlan

Float = npt.NDArray[np.float32]
Real = npt.NDArray[np.floating]
Shape = tuple[int, ...]
STEP = 0.5  # of a patch, between neighbouring tiles at most
SIGMA = 1 / 8  # of a patch's side
ANISOTROPY = 3.0  # largest over least spacing from which slices are thick
STD_FLOOR = 1e-8


def predict_labels(
    engines: Sequence[Engine], images: npt.NDArray[np.floating], spacing_mm: Sequence[float], plan: NnunetPlan,
    *, mirror: bool = True,
) -> npt.NDArray[np.uint8]:  # fmt: skip
    """Labels of an image by the mean logits of all members.

    Parameters
    ----------
    engines
        One for each fold.
    images
        (C, I, J, K) in the axes of the file.
    spacing_mm
        Along I, J, K.
    plan
        What to do.
    mirror
        Whether to average over the plan's mirror axes.

    Returns
    -------
    labels
        (I, J, K), the place of the largest logit.
    """
    placed = placed_image(images, spacing_mm, plan)
    logits = placed_logits(engines, placed.data, plan, mirror=mirror)
    inner = tuple(part.stop - part.start for part in placed.box)
    back = resampled(logits, inner, placed.spacing_mm, placed.own_mm, plan, image=False)
    labels = np.zeros(placed.shape, dtype=np.uint8)
    labels[placed.box] = back.argmax(axis=0)
    labels = labels.transpose(np.argsort(plan.transpose))
    return np.ascontiguousarray(labels.transpose(2, 1, 0))


def placed_logits(engines: Iterable[Engine], data: Float, plan: NnunetPlan, *, mirror: bool = True) -> Float:
    """(L, …) mean logits of all members for an image (C, …) in the plan's axes, spacing and values."""
    answers = (_tiled(engine, data, plan, plan.mirror if mirror else ()) for engine in engines)
    total, count = next(answers), 1
    for answer in answers:
        total, count = total + answer, count + 1
    return np.asarray(total, dtype=np.float32) / np.float32(count)


@dataclass(frozen=True)
class PlacedImage:
    """An image as a plan's network sees it.

    Parameters
    ----------
    data
        (C, …) in the network's axes and spacing, values scaled.
    spacing_mm, own_mm
        Along the network's axes: of ``data``, and of the image.
    shape
        Of the image along the network's axes.
    box
        Part of it that ``data`` shows.
    """

    data: Float
    spacing_mm: tuple[float, ...]
    own_mm: tuple[float, ...]
    shape: Shape
    box: tuple[slice, ...]


def placed_image(images: npt.NDArray[np.floating], spacing_mm: Sequence[float], plan: NnunetPlan) -> PlacedImage:
    """An image (C, I, J, K) of a file's axes, cropped, scaled and resampled as a plan says."""
    case = _turned(np.asarray(images, dtype=np.float32), plan)
    own = tuple(float(spacing_mm[2 - axis]) for axis in plan.transpose)
    box = nonzero_box(case)
    cropped = case[(slice(None), *box)]
    target = (own[0], *plan.spacing_mm[1:]) if plan.flat else plan.spacing_mm
    shape = tuple(round(s / t * n) for s, t, n in zip(own, target, cropped.shape[1:], strict=True))
    data = resampled(normalised(cropped, plan.values), shape, own, target, plan, image=True)
    return PlacedImage(data, target, own, case.shape[1:], box)


def placed_labels(
    labels: npt.NDArray[np.integer], count: int, placed: PlacedImage, plan: NnunetPlan
) -> npt.NDArray[np.uint8]:
    """(1 + count, …) maps of the background and of each label 1 to ``count`` of (I, J, K), beside a placed image."""
    maps = np.stack([labels == code for code in range(count + 1)]).astype(np.float32)
    cropped = _turned(maps, plan)[(slice(None), *placed.box)]
    there = resampled(cropped, placed.data.shape[1:], placed.own_mm, placed.spacing_mm, plan, image=False)
    return np.asarray(there.argmax(axis=0) == np.arange(count + 1)[:, None, None, None], dtype=np.uint8)


def _turned(images: Float, plan: NnunetPlan) -> Float:
    """(C, I, J, K) of a file's axes in the network's; nnU-Net reads files with the slowest axis first."""
    return images.transpose(0, 3, 2, 1).transpose(0, *(axis + 1 for axis in plan.transpose))


def nonzero_box(case: Float) -> tuple[slice, ...]:
    """The box of voxels that aren't 0 in all channels, cavities filled; everything when all are 0."""
    inside = ndimage.binary_fill_holes((case != 0).any(axis=0))
    found = ndimage.find_objects(np.asarray(inside, dtype=np.uint8))
    return found[0] if found else tuple(slice(0, n) for n in case.shape[1:])


def normalised(case: Float, values: Sequence[ChannelValues]) -> Float:
    """(C, …) each channel as its scheme says."""
    inside = np.asarray(ndimage.binary_fill_holes((case != 0).any(axis=0)))
    return np.stack([_normalised(one, rule, inside) for one, rule in zip(case, values, strict=True)])


def _normalised(image: Float, rule: ChannelValues, inside: npt.NDArray[np.bool_]) -> Float:
    if rule.scheme == "CTNormalization":
        return ((np.clip(image, rule.low, rule.high) - rule.mean) / max(rule.std, STD_FLOOR)).astype(np.float32)
    if rule.scheme == "RescaleTo01Normalization":
        shifted = image - image.min()
        return np.asarray(shifted / max(float(shifted.max()), STD_FLOOR), dtype=np.float32)
    if rule.scheme == "NoNormalization":
        return image
    counted = inside if rule.inside else np.ones_like(inside)
    scaled = (image - image[counted].mean()) / max(float(image[counted].std()), STD_FLOOR)
    return np.where(counted, scaled, image if rule.inside else 0).astype(np.float32)


def resampled(
    data: Float, shape: Shape, old_mm: Sequence[float], new_mm: Sequence[float], plan: NnunetPlan, *, image: bool
) -> Float:
    """(C, …) brought to a shape: splines in all axes, or within slices and, of another order, across them."""
    if data.shape[1:] == tuple(shape):
        return data
    order, order_z = (plan.image_order, plan.image_order_z) if image else (plan.result_order, plan.result_order_z)
    axis = thick_axis(old_mm, new_mm, plan.separate)
    exact = np.dtype(np.float64 if image else np.float32)  # maps of classes are many
    out = np.empty((len(data), *shape), dtype=np.float32)
    for number, one in enumerate(data):
        out[number] = _resized(one.astype(exact), shape, order, order_z, axis)
    return out


def thick_axis(old_mm: Sequence[float], new_mm: Sequence[float], separate: bool | None) -> int | None:
    """The axis across thick slices, where there is just one; None: all axes are treated alike."""
    if separate is False:
        return None
    for spacing in (old_mm,) if separate else (old_mm, new_mm):
        if separate or max(spacing) / min(spacing) > ANISOTROPY:
            thick = [axis for axis, mm in enumerate(spacing) if mm == max(spacing)]
            return thick[0] if len(thick) == 1 else None
    return None


def _resized(image: Real, shape: Shape, order: int, order_z: int, axis: int | None) -> Real:
    """One map brought to a shape, in its own precision."""
    if axis is None:
        return _zoomed(image, shape, order)
    flat = tuple(n for place, n in enumerate(shape) if place != axis)
    layers = [_zoomed(layer, flat, order) for layer in np.moveaxis(image, axis, 0)]
    stacked = np.stack(layers, axis=axis)
    if stacked.shape == tuple(shape):
        return stacked
    at = (np.arange(shape[axis]) + 0.5) * stacked.shape[axis] / shape[axis] - 0.5
    columns = np.moveaxis(stacked, axis, 0)
    index = np.stack(np.meshgrid(at, *(np.arange(n) for n in columns.shape[1:]), indexing="ij"))
    moved = ndimage.map_coordinates(columns, index, order=order_z, mode="nearest")  # type: ignore[call-overload]
    return np.moveaxis(moved, 0, axis)


def _zoomed(image: Real, shape: Shape, order: int) -> Real:
    """Spline zoom about voxel edges, kept within the image's own range."""
    if image.shape == tuple(shape):
        return image
    factors = [new / old for new, old in zip(shape, image.shape, strict=True)]
    out = ndimage.zoom(image, factors, order=order, mode="nearest", grid_mode=True)  # type: ignore[call-overload]
    return np.asarray(np.clip(out, image.min(), image.max()))


def _tiled(engine: Engine, data: Float, plan: NnunetPlan, mirror: Sequence[int]) -> Float:
    """(L, …) logits of an image (C, …), tiles weighted by a Gaussian."""
    padded, inner = _padded(data, plan.patch)
    weight = gaussian(plan.patch)
    total: Float | None = None
    weights = np.zeros(padded.shape[1:], dtype=np.float32)
    for start in product(*tile_starts(padded.shape[1:], plan)):
        tile = tuple(slice(a, a + n) for a, n in zip(start, plan.patch, strict=True))
        logits = _mirrored(engine, padded[(slice(None), *tile)][None], mirror, plan.flat)[0]
        if total is None:
            total = np.zeros((len(logits), *padded.shape[1:]), dtype=np.float32)
        total[(slice(None), *tile)] += logits * weight
        weights[tile] += weight
    assert total is not None
    return (total / weights)[(slice(None), *inner)]


def tile_starts(shape: Shape, plan: NnunetPlan) -> list[list[int]]:
    """Where tiles begin along each axis: evenly spread, at most half a patch apart; each slice by itself in 2D."""
    starts = []
    for axis, (n, side) in enumerate(zip(shape, plan.patch, strict=True)):
        if plan.flat and axis == 0:
            starts.append(list(range(n)))
            continue
        count = int(np.ceil((n - side) / (side * STEP))) + 1
        step = (n - side) / (count - 1) if count > 1 else 0.0
        starts.append([int(np.round(step * k)) for k in range(count)])
    return starts


def gaussian(patch: Shape) -> Float:
    """(patch) weights of a tile's voxels: 1 in the middle, never 0."""
    peak = np.zeros(patch)
    peak[tuple(n // 2 for n in patch)] = 1
    weight = ndimage.gaussian_filter(peak, [n * SIGMA for n in patch], mode="constant", cval=0)
    weight /= weight.max()
    weight[weight == 0] = weight[weight > 0].min()
    return weight.astype(np.float32)


def _mirrored(engine: Engine, x: Float, axes: Sequence[int], flat: bool) -> Float:
    """Mean of the logits of an image and of its mirror images, each mirrored back; 2D axes count without slices."""
    where = [axis + 2 + flat for axis in axes]
    chosen = [c for count in range(len(where) + 1) for c in combinations(where, count)]
    total = sum(np.flip(engine(np.ascontiguousarray(np.flip(x, c))), c) for c in chosen)
    return np.asarray(total, dtype=np.float32) / np.float32(len(chosen))


def _padded(data: Float, patch: Shape) -> tuple[Float, tuple[slice, ...]]:
    """The image with zeros about it where it is smaller than a patch, and where it lies in that."""
    pads, inner = [(0, 0)], []
    for n, side in zip(data.shape[1:], patch, strict=True):
        missing = max(side - n, 0)
        below = missing // 2
        pads.append((below, missing - below))
        inner.append(slice(below, below + n))
    return np.pad(data, pads), tuple(inner)
