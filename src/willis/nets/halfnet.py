"""One half of a head against the other: a logistic model of chosen measures, with about a thousand weights.

At each voxel, how dense it is against what lies about it, against the other side, and how near the usual course of each
vessel is, give vessels, clot and ischaemia. How much darker than the other side each part of a half is, and how dense
the places are where its vessels run, tell that the half is occluded, and where. Linear in its weights, it can be fitted
to the optimum in seconds.

State-dict layout: ``head.weight`` (outputs, V, 1, 1, 1), ``head.bias``; ``told.weight`` (told, F), ``told.bias``;
``voxel_mean``, ``voxel_scale`` (V,) and ``mean``, ``scale`` (F,) of the measures of a voxel and of a half.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from willis.settings import Settings

TISSUE = (0.17, 0.75)  # of the shown range: no fat, air, calcium or bone
SOFT = 0.03  # of the shown range: how sharply the densest voxels are taken
SEGMENTS = 3  # first of the priors, whose density is measured
NEAR_VOXELS = 3  # side of the box by which priors are widened and values are smoothed
LEAST_PRIOR = 0.05
RARE = -4.0  # bias of the maps at the start: most voxels are none of them
PLAIN, EACH_PRIOR = 7, 4  # measures of a voxel: by its values, and for each prior
FAR = 0.02  # prior below which a place is as far from the vessel as any


class HalfNetConfig(Settings):
    """Size of a :class:`HalfNet`.

    Parameters
    ----------
    inputs
        Own half, mirrored other half, smoothed difference (positive where darker), and priors of vessels.
    outputs
        Maps.
    told
        Logits that hold for the whole half, given at every voxel after those of the maps.
    side, cell
        Voxels of a side of the input, and of each part of it whose darkness is measured.
    """

    inputs: int = Field(7, ge=3 + SEGMENTS)
    outputs: int = Field(6, ge=1)
    told: int = Field(4, ge=1)
    side: int = Field(40, ge=8)
    cell: int = Field(8, ge=2)

    @property
    def measures(self) -> int:
        """Number of measures of the asymmetry."""
        return (self.side // self.cell) ** 3 + 1 + 5 * SEGMENTS

    @property
    def voxel_measures(self) -> int:
        """Number of measures of each voxel."""
        return PLAIN + EACH_PRIOR * (self.inputs - 3)


class HalfNet(nn.Module):
    """Takes (N, C, I, J, K), gives (N, L + told, I, J, K): L maps, and ``told`` values at every voxel alike."""

    voxel_mean: Tensor
    voxel_scale: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, config: HalfNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HalfNetConfig()  # type: ignore[call-arg]
        self.head = nn.Conv3d(config.voxel_measures, config.outputs, 1)
        nn.init.constant_(self.head.bias, RARE)  # type: ignore[arg-type]
        self.register_buffer("voxel_mean", torch.zeros(config.voxel_measures))
        self.register_buffer("voxel_scale", torch.ones(config.voxel_measures))
        self.told = nn.Linear(config.measures, config.told)
        self.register_buffer("mean", torch.zeros(config.measures))
        self.register_buffer("scale", torch.ones(config.measures))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        shape = (1, -1, 1, 1, 1)
        maps = self.head((voxel_measures(x) - self.voxel_mean.view(shape)) / self.voxel_scale.view(shape))
        told = self.told((measures(x, self.config.cell) - self.mean) / self.scale)
        return torch.cat([maps, told[:, :, None, None, None].expand(-1, -1, *maps.shape[2:])], dim=1)


def voxel_measures(x: Tensor) -> Tensor:
    """(N, V, I, J, K) of (N, C, I, J, K): density about each voxel, and nearness to the usual course of each vessel."""
    own, other, darker = x[:, 0:1], x[:, 1:2], x[:, 2:3]
    tissue = _is_tissue(own)
    middle = (own * tissue).sum((1, 2, 3, 4)) / tissue.sum((1, 2, 3, 4)).clamp_min(1.0)
    middle = middle[:, None, None, None, None]
    here = (own - middle) * tissue
    there = (other - middle) * _is_tissue(other)
    small, large = _mean(here, 3), _mean(here, 7)
    fine = small - large
    found = [here, small, here - _mean(here, 5), fine, _mean(there, 3), own - own * tissue, darker]
    for channel in range(3, x.shape[1]):
        prior = x[:, channel : channel + 1]
        wide = functional.max_pool3d(prior, 5, 1, 2)
        found += [torch.log(prior + FAR), torch.log(wide + FAR), wide * small, wide * fine]
    return torch.cat(found, dim=1)


def _mean(values: Tensor, side: int) -> Tensor:
    return functional.avg_pool3d(values, side, 1, side // 2)


def measures(x: Tensor, cell: int) -> Tensor:
    """(N, F) of (N, C, I, J, K): darkness of each cell and of all, then density along each vessel."""
    own, other, darker = x[:, 0:1], x[:, 1:2], x[:, 2:3]
    tissue = _is_tissue(own) * _is_tissue(other)
    cells = functional.avg_pool3d(darker * tissue, cell) / functional.avg_pool3d(tissue, cell).clamp_min(0.1)
    whole = (darker * tissue).mean((1, 2, 3, 4)) / tissue.mean((1, 2, 3, 4)).clamp_min(0.1)
    middle = (own * tissue).mean((1, 2, 3, 4)) / tissue.mean((1, 2, 3, 4)).clamp_min(0.1)
    found = [cells.flatten(1), whole[:, None]]
    for segment in range(3, 3 + SEGMENTS):
        near = functional.max_pool3d(x[:, segment : segment + 1], NEAR_VOXELS, 1, NEAR_VOXELS // 2)
        weight = functional.relu(near - LEAST_PRIOR)
        for smooth in (False, True):
            here, there = (_densest(v * _is_tissue(v), weight, smooth) for v in (own, other))
            found += [(here - there)[:, None], (here - middle)[:, None]]
        both = (own - other) * tissue * weight
        found.append((both.sum((1, 2, 3, 4)) / weight.sum((1, 2, 3, 4)).clamp_min(1e-3))[:, None])
    return torch.cat(found, dim=1)


def _is_tissue(values: Tensor) -> Tensor:
    return ((values > TISSUE[0]) & (values < TISSUE[1])).to(values.dtype)


def _densest(values: Tensor, weight: Tensor, smooth: bool) -> Tensor:
    """(N,) a soft maximum of values, each counted by its weight."""
    if smooth:
        values = functional.avg_pool3d(values, NEAR_VOXELS, 1, NEAR_VOXELS // 2)
    exponent = torch.exp(values.clamp(max=TISSUE[1]) / SOFT)
    share = (weight * exponent).sum((1, 2, 3, 4)) / weight.sum((1, 2, 3, 4)).clamp_min(1e-3)
    return SOFT * torch.log(share + 1e-6)
