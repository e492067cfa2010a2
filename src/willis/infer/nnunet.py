"""Prediction as nnU-Net's plans say: tiles with a Gaussian weight, mirroring, labels on the image's own grid.

Isensee 2021, doi:10.1038/s41592-020-01008-z. All sums are float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.infer.nnunet_space import Float, Labels, PlacedImage, Shape, placed_image, resized
from willis.infer.protocol import Engine
from willis.models.nnunet_plan import NnunetPlan

STEP = 0.5  # of a patch, between neighbouring tiles at most
SIGMA = 1 / 8  # of a patch's side


def predict_labels(
    engines: Iterable[Engine], images: npt.NDArray[np.floating], spacing_mm: Sequence[float], plan: NnunetPlan,
    codes: Sequence[int] | None = None, *, mirror: bool = True, found: Labels | None = None,
) -> Labels:  # fmt: skip
    """Labels of an image by the mean logits of all members.

    Parameters
    ----------
    engines
        One for each fold; of an iterator, one is opened when the one before has answered.
    images
        (C, I, J, K) in the axes of the file.
    spacing_mm
        Along I, J, K.
    plan
        What to do.
    codes
        Of each of the model's labels in the result, 0 for one that is left out; 1, 2, 3… when None.
    mirror
        Whether to average over the plan's mirror axes.
    found
        Of a cascade: (I, J, K) the labels of the stage before, coded as :attr:`NnunetPlan.previous` has it.

    Returns
    -------
    labels
        (I, J, K), as :attr:`NnunetPlan.regions` has it.
    """
    placed = placed_image(images, spacing_mm, plan, found)
    logits = placed_logits(engines, placed.data, plan, mirror=mirror)
    labels = np.zeros(placed.shape, dtype=np.uint8)
    labels[placed.box] = _labelled(logits, placed, plan, codes or range(1, len(logits) + plan.regions))
    labels = labels.transpose(np.argsort(plan.transpose))
    return np.ascontiguousarray(labels.transpose(2, 1, 0))


def _labelled(logits: Float, placed: PlacedImage, plan: NnunetPlan, codes: Sequence[int]) -> Labels:
    """Codes on the grid of the image's box, from logits (L, …) on the network's; one map is brought there at a time."""
    inner = tuple(part.stop - part.start for part in placed.box)
    labels = np.zeros(inner, dtype=np.uint8)
    best: Float | None = None
    for code, one in zip(codes if plan.regions else (0, *codes), logits, strict=True):
        there = resized(one, inner, placed.spacing_mm, placed.own_mm, plan, image=False)
        if plan.regions:
            labels[there > 0] = code if code else labels[there > 0]
        elif best is None:
            best = np.array(there)
        else:
            labels[there > best] = code
            np.maximum(best, there, out=best)
    return labels


def placed_logits(engines: Iterable[Engine], data: Float, plan: NnunetPlan, *, mirror: bool = True) -> Float:
    """(L, …) mean logits of all members for an image (C, …) in the plan's axes, spacing and values."""
    padded, inner = _padded(data, plan.patch)
    weight = gaussian(plan.patch)
    total: Float | None = None
    members = 0
    for engine in engines:
        for tile in _tiles(padded.shape[1:], plan):
            logits = _mirrored(engine, padded[(slice(None), *tile)][None], plan.mirror if mirror else (), plan.flat)[0]
            if total is None:
                total = np.zeros((len(logits), *padded.shape[1:]), dtype=np.float32)
            total[(slice(None), *tile)] += logits * weight
        members += 1
        del engine  # its memory is given back before the next one is opened
    assert total is not None
    weights = np.zeros(padded.shape[1:], dtype=np.float32)
    for tile in _tiles(padded.shape[1:], plan):
        weights[tile] += weight
    total /= weights * np.float32(members)
    return total[(slice(None), *inner)]


def _tiles(shape: Shape, plan: NnunetPlan) -> Iterator[tuple[slice, ...]]:
    for start in product(*tile_starts(shape, plan)):
        yield tuple(slice(a, a + n) for a, n in zip(start, plan.patch, strict=True))


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
    return np.pad(data, pads) if any(map(any, pads)) else data, tuple(inner)
