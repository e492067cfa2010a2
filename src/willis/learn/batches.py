"""Batches: the patches of a step, which depend on the seed and the step's number alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from willis.infer.slices import neighbours_as_channels
from willis.learn.augment import apply, make_params, source_shape
from willis.learn.pool import CasePool
from willis.learn.recipe import Recipe
from willis.learn.sampling import Shape3, cut, draw_centre, place


@dataclass(frozen=True)
class Batch:
    """Patches of one step.

    Parameters
    ----------
    image, target, mask
        (N, C, i, j, k) float32, (N, L, i, j, k) uint8, (N, 1, i, j, k) uint8.
    drawn
        For each patch its case, first voxel and augmentation, as plain values.
    """

    image: Tensor
    target: Tensor
    mask: Tensor
    drawn: tuple[dict[str, Any], ...]

    def part(self, index: int, count: int) -> Batch:
        """Part ``index`` of ``count`` equal parts."""
        size = len(self.image) // count
        piece = slice(index * size, (index + 1) * size)
        return Batch(self.image[piece], self.target[piece], self.mask[piece], self.drawn[piece])


def make_batch(recipe: Recipe, pool: CasePool, step: int, samples: Sequence[int], *, other: int = 0) -> Batch:
    """Cut and augment the patches with the given numbers (0 … batch − 1) of a step; ``other`` > 0: different ones."""
    made = [_sample(recipe, pool, step, number, (other,) if other else ()) for number in samples]
    images, labels, drawn = zip(*made, strict=True)
    stacked = torch.stack(labels)
    return Batch(torch.stack(images), stacked[:, :-1], stacked[:, -1:], tuple(drawn))


def _sample(
    recipe: Recipe, pool: CasePool, step: int, number: int, other: tuple[int, ...]
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    rng = np.random.default_rng((recipe.training.seed, step, number, *other))
    patch: Shape3 = recipe.sampling.patch
    planned = pool.planned(step, number)
    if planned is not None:
        index, centre = planned
        case = pool.get(index)
    else:
        indices = pool.indices(step)
        index = int(rng.integers(indices.start, indices.stop))
        case = pool.get(index)
        centre = draw_centre(case, patch, recipe.sampling.foreground_share, rng)
    inner = place(centre, patch, _spatial(case.mask.shape))
    reach = case.stack // 2
    deep: Shape3 = (patch[0], patch[1], patch[2] + 2 * reach)  # alike on both sides: a mirrored slice keeps its place
    params = make_params(recipe.augmentation, case.image.shape[0], deep, rng, case.spacing_mm)
    shape = source_shape(params, deep)
    first = (inner[0], inner[1], inner[2] - reach)
    start = tuple(a - (s - p) // 2 for a, s, p in zip(first, shape, deep, strict=True))
    piece = cut(case, (start[0], start[1], start[2]), shape)
    labels = np.concatenate([piece.target, piece.mask[None].astype(np.uint8)])
    image, moved = apply(
        params,
        torch.from_numpy(piece.image),
        torch.from_numpy(labels),
        deep,
        keep_zero=recipe.augmentation.keep_zero,
    )
    own = range(reach, reach + patch[2])
    image = torch.from_numpy(neighbours_as_channels(image.numpy(), case.stack, own)).contiguous()
    return (
        image,
        moved[..., own.start : own.stop].contiguous(),
        {"case": index, "start": list(inner), **params.to_json()},
    )


def _spatial(shape: tuple[int, ...]) -> Shape3:
    return shape[0], shape[1], shape[2]
