"""One half of a head against the other: a U-Net finds vessels, and a few measures of the asymmetry tell the rest.

A U-Net with instance normalisation never sees how dark a half is as a whole: the mean is taken away. What a network
needs to tell an occlusion in hours is measured here instead, before any weight: how much darker than the other side
each part of a half is, and how dense the places are where its vessels run.

State-dict layout: ``unet.*`` as :mod:`willis.nets.unet3d` has it; ``mean``, ``scale`` (F,) of the measures;
``told.weight`` (told, F), ``told.bias`` (told,).
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.unet3d import UNet3d, UNet3dConfig
from willis.settings import Settings

TISSUE = (0.17, 0.75)  # of the shown range: no fat, air, calcium or bone
SOFT = 0.03  # of the shown range: how sharply the densest voxels are taken
SEGMENTS = 3  # first of the priors, whose density is measured
NEAR_VOXELS = 3  # side of the box by which priors are widened and values are smoothed
LEAST_PRIOR = 0.05


class HalfNetConfig(Settings):
    """Size of a :class:`HalfNet`.

    Parameters
    ----------
    unet
        Configuration of the U-Net; its inputs are own half, mirrored other half, smoothed difference (positive where
        darker), and priors of vessels.
    told
        Logits that hold for the whole half, given at every voxel after those of the U-Net.
    side, cell
        Voxels of a side of the input, and of each part of it whose darkness is measured.
    """

    unet: dict[str, Any] = Field(default_factory=dict)
    told: int = Field(4, ge=1)
    side: int = Field(40, ge=8)
    cell: int = Field(8, ge=2)

    @property
    def measures(self) -> int:
        """Number of measures of the asymmetry."""
        return (self.side // self.cell) ** 3 + 1 + 5 * SEGMENTS


class HalfNet(nn.Module):
    """Takes (N, C, I, J, K), gives (N, L + told, I, J, K): L maps, and ``told`` values at every voxel alike."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: HalfNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HalfNetConfig()  # type: ignore[call-arg]
        self.unet = UNet3d(UNet3dConfig.parse(config.unet, "the U-Net's configuration"))
        self.told = nn.Linear(config.measures, config.told)
        self.register_buffer("mean", torch.zeros(config.measures))
        self.register_buffer("scale", torch.ones(config.measures))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        maps = self.unet(x)
        told = self.told((measures(x, self.config.cell) - self.mean) / self.scale)
        return torch.cat([maps, told[:, :, None, None, None].expand(-1, -1, *maps.shape[2:])], dim=1)


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
