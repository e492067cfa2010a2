"""An image in the axes, spacing and values of nnU-Net's plans, and maps brought to another grid as it does.

Isensee 2021, doi:10.1038/s41592-020-01008-z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BundleError
from willis.models.nnunet_plan import ChannelValues, NnunetPlan

Float = npt.NDArray[np.float32]
Real = npt.NDArray[np.floating]
Labels = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.int16]
Number = TypeVar("Number", bound=np.generic)
Shape = tuple[int, ...]
ANISOTROPY = 3.0  # largest over least spacing from which slices are thick
STD_FLOOR = 1e-8
OUTSIDE = -1  # label of what is 0 about an image


@dataclass(frozen=True)
class PlacedImage:
    """An image as a plan's network sees it.

    Parameters
    ----------
    data
        (C, …) in the network's axes and spacing, values scaled; of a cascade, after them the labels found before.
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


def placed_image(
    images: npt.NDArray[np.floating],
    spacing_mm: Sequence[float],
    plan: NnunetPlan,
    found: Labels | None = None,
) -> PlacedImage:
    """An image (C, I, J, K) of a file's axes, cropped, scaled and resampled as a plan says.

    ``found`` are (I, J, K) the labels of the stage before, coded as :attr:`NnunetPlan.previous` has it.

    Raises
    ------
    BundleError
        When a cascade's plan is given no labels, or another plan some.
    """
    if (plan.previous is None) != (found is None):
        raise BundleError(
            "labels of an earlier stage are for the plan of a cascade, which needs them; "
            f"{'none' if found is None else 'some'} were given."
        )
    case = _turned(np.asarray(images, dtype=np.float32), plan)
    own, target = spacings(spacing_mm, plan)
    inside = np.asarray(ndimage.binary_fill_holes((case != 0).any(axis=0)))
    box = _box(inside)
    cropped, inside = case[(slice(None), *box)], inside[box]
    shape = shape_at(cropped.shape[1:], own, target)
    if plan.previous is None or found is None:
        data = resampled(normalised(cropped, plan.values, inside), shape, own, target, plan, image=True)
        return PlacedImage(data, target, own, case.shape[1:], box)
    before = _turned(found[None], plan)[0][box]
    labels = np.where(inside | (before > 0), before.astype(np.int16), np.int16(OUTSIDE))
    data = np.empty((len(case) + plan.previous.channels, *shape), dtype=np.float32)
    scaled = normalised(cropped, plan.values, labels != OUTSIDE)
    data[: len(case)] = resampled(scaled, shape, own, target, plan, image=True)
    del scaled
    there = resized_labels(labels, shape, plan.previous.order, thick_axis(own, target, plan.separate))
    data[len(case) :] = there == np.arange(1, plan.previous.channels + 1)[:, None, None, None]
    return PlacedImage(data, target, own, case.shape[1:], box)


def spacings(spacing_mm: Sequence[float], plan: NnunetPlan) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Of a file's image along the network's axes, and what the network sees it in."""
    own = tuple(float(spacing_mm[2 - axis]) for axis in plan.transpose)
    return own, ((own[0], *plan.spacing_mm[1:]) if plan.flat else plan.spacing_mm)


def shape_at(shape: Shape, own: Sequence[float], target: Sequence[float]) -> Shape:
    """Sides in voxels of an image that is brought from its own spacing to another."""
    return tuple(round(s / t * n) for s, t, n in zip(own, target, shape, strict=True))


def placed_labels(
    labels: npt.NDArray[np.integer], count: int, placed: PlacedImage, plan: NnunetPlan
) -> npt.NDArray[np.uint8]:
    """(1 + count, …) maps of the background and of each label 1 to ``count`` of (I, J, K), beside a placed image."""
    maps = np.stack([labels == code for code in range(count + 1)]).astype(np.float32)
    cropped = _turned(maps, plan)[(slice(None), *placed.box)]
    there = resampled(cropped, placed.data.shape[1:], placed.own_mm, placed.spacing_mm, plan, image=False)
    return np.asarray(there.argmax(axis=0) == np.arange(count + 1)[:, None, None, None], dtype=np.uint8)


def _turned(images: npt.NDArray[Number], plan: NnunetPlan) -> npt.NDArray[Number]:
    """(C, I, J, K) of a file's axes in the network's; nnU-Net reads files with the slowest axis first."""
    return images.transpose(0, 3, 2, 1).transpose(0, *(axis + 1 for axis in plan.transpose))


def _box(inside: npt.NDArray[np.bool_]) -> tuple[slice, ...]:
    """The box of what is inside; everything when nothing is."""
    found = ndimage.find_objects(np.asarray(inside, dtype=np.uint8))
    return found[0] if found else tuple(slice(0, n) for n in inside.shape)


def normalised(case: Float, values: Sequence[ChannelValues], inside: npt.NDArray[np.bool_]) -> Float:
    """(C, …) each channel as its scheme says; ``inside`` are the voxels that aren't 0 in all, cavities filled."""
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
    out = np.empty((len(data), *shape), dtype=np.float32)
    for number, one in enumerate(data):
        out[number] = resized(one, shape, old_mm, new_mm, plan, image=image)
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


def resized(
    one: Float, shape: Shape, old_mm: Sequence[float], new_mm: Sequence[float], plan: NnunetPlan, *, image: bool
) -> Real:
    """One map of :func:`resampled`: an image in float64, logits, which are many, in float32."""
    order, order_z = (plan.image_order, plan.image_order_z) if image else (plan.result_order, plan.result_order_z)
    exact: Real = one.astype(np.float64 if image else np.float32, order="C", copy=False)
    axis = thick_axis(old_mm, new_mm, plan.separate)
    if axis is None or one.shape == tuple(shape):
        return _zoomed(exact, shape, order)
    flat = tuple(n for place, n in enumerate(shape) if place != axis)
    layers = np.empty((one.shape[axis], *flat), exact.dtype)
    for number, layer in enumerate(np.moveaxis(exact, axis, 0)):
        layers[number] = _zoomed(layer, flat, order)
    return np.moveaxis(_spread(layers, shape[axis], order_z), 0, axis)


def resized_labels(labels: Codes, shape: Shape, order: int, axis: int | None) -> Codes:
    """Labels brought to a shape; across the axis of thick slices, where there is one, each is the nearest slice's."""
    if axis is None or labels.shape == tuple(shape):
        return _zoomed_labels(labels, shape, order)
    flat = tuple(n for place, n in enumerate(shape) if place != axis)
    layers = np.stack([_zoomed_labels(layer, flat, order) for layer in np.moveaxis(labels, axis, 0)])
    return np.moveaxis(_spread(layers, shape[axis], 0), 0, axis)


def _zoomed_labels(labels: Codes, shape: Shape, order: int) -> Codes:
    """The label whose own map, zoomed, is largest; of several such the nearest voxel's, else the first.

    Rounding decides between equals, so that scipy's own zoom is taken.
    """
    if labels.shape == tuple(shape):
        return labels
    nearest = _interpolated(labels.astype(np.float64), shape, 0).astype(labels.dtype)
    if order == 0:
        return nearest
    winner, best, at_nearest = np.zeros_like(nearest), np.full(shape, -np.inf), np.empty(shape)
    for code in np.unique(labels):
        score = _interpolated((labels == code).astype(np.float64), shape, order)
        winner[score > best] = code
        np.maximum(best, score, out=best)
        np.copyto(at_nearest, score, where=nearest == code)
        del score  # its memory is given back before the next one is made
    return np.where(at_nearest == best, nearest, winner)


def _spread(layers: npt.NDArray[Number], count: int, order: int) -> npt.NDArray[Number]:
    """(S, M, N) layers brought to (count, M, N), by rows, whose coordinates are few."""
    if len(layers) == count:
        return layers
    at = len(layers) / count * (np.arange(count) + 0.5) - 0.5  # in this order: rounding decides between two nearest
    index = np.stack(np.meshgrid(at, np.arange(layers.shape[2]), indexing="ij"))
    out = np.empty((count, *layers.shape[1:]), layers.dtype)
    for row in range(layers.shape[1]):
        moved = ndimage.map_coordinates(layers[:, row], index, order=order, mode="nearest")  # type: ignore[call-overload]
        out[:, row] = moved
    return out


def _zoomed(image: Real, shape: Shape, order: int) -> Real:
    """Spline zoom about voxel edges, kept within the image's own range; one axis after the other, shrinking ones first.

    A spline over a grid is the product of splines along its axes. The weights of an axis are what scipy, by which
    nnU-Net zooms, makes of each unit impulse: the same within rounding, with fewer products.
    """
    out = image
    for axis in zooming_order(image.shape, shape):
        old, new = image.shape[axis], shape[axis]
        weights = _interpolated(np.eye(old), (new, old), order).astype(image.dtype)
        out = _along(weights, out, axis)
    return out if out is image else np.asarray(np.clip(out, image.min(), image.max(), out=out))


def zooming_order(old: Shape, new: Shape) -> list[int]:
    """The axes whose sides change, the one that shrinks most first."""
    changed = [axis for axis in range(len(old)) if old[axis] != new[axis]]
    return sorted(changed, key=lambda axis: new[axis] / old[axis])


def _along(weights: Real, image: Real, axis: int) -> Real:
    """(new, old) weights applied to one axis, as products of matrices in which nothing is turned."""
    before, after = image.shape[:axis], image.shape[axis + 1 :]
    if not after:
        return np.asarray(image @ weights.T)
    moved = np.matmul(weights, image.reshape(*before, image.shape[axis], -1))
    return np.asarray(moved.reshape(*before, len(weights), *after))


def _interpolated(image: Real, shape: Shape, order: int) -> Real:
    factors = [new / old for new, old in zip(shape, image.shape, strict=True)]
    return np.asarray(
        ndimage.zoom(image, factors, order=order, mode="nearest", grid_mode=True)  # type: ignore[call-overload]
    )
