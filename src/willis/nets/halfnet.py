"""One half of a head against the other: a U-Net for the maps, and a logistic model of measures of the half.

The U-Net gives vessels, clot and ischaemia at each voxel. Measures of the whole half, some of its values and some of
its maps (:func:`measures`), tell that the half is occluded, and where. Linear in its weights, that part can be fitted
to the optimum in seconds; its gradient doesn't reach the U-Net.

State-dict layout: ``maps.*`` as :mod:`willis.nets.unet3d` has it; ``told.weight`` (told, F), ``told.bias``; ``mean``,
``scale`` (F,) of the measures.
"""

from __future__ import annotations

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.unet3d import UNet3d, UNet3dConfig
from willis.settings import Settings

TISSUE = (0.17, 0.75)  # of the shown range: no fat, air, calcium or bone
SOFT = 0.03  # of the shown range: how sharply the densest voxels are taken
SEGMENTS = 3  # first of the priors, along which density and clot are measured
NEAR_VOXELS = 3  # side of the box by which priors are widened and values are smoothed
LEAST_PRIOR = 0.05
LEAST_CHANCE = 0.2  # of a map, below which a voxel doesn't count
RARE = -4.0  # bias of the maps at the start: most voxels are none of them
OWN_MEASURES, SEGMENT_MEASURES = 5, 10  # beside those of the cells: of the half, and of each segment


class HalfNetConfig(Settings):
    """Size of a :class:`HalfNet`.

    Parameters
    ----------
    inputs
        Own half, mirrored other half, smoothed difference (positive where darker), and priors of vessels.
    outputs
        Maps: one for each prior, clot, ischaemia.
    told
        Logits that hold for the whole half, given at every voxel after those of the maps.
    side, cell
        Voxels of a side of the input, and of each part of it whose darkness is measured.
    filters
        Width of each level of the U-Net.
    """

    inputs: int = Field(7, ge=3 + SEGMENTS)
    outputs: int = Field(6, ge=2 + SEGMENTS)
    told: int = Field(4, ge=1)
    side: int = Field(56, ge=16)
    cell: int = Field(14, ge=2)
    filters: tuple[int, ...] = (8, 16, 32, 64)

    @model_validator(mode="after")
    def _check(self) -> HalfNetConfig:
        if self.outputs != self.inputs - 3 + 2:
            raise ValueError("outputs must be one for each prior, clot and ischaemia")
        return self

    @property
    def measures(self) -> int:
        """Number of measures of a half."""
        return 2 * (self.side // self.cell) ** 3 + OWN_MEASURES + SEGMENT_MEASURES * SEGMENTS


class HalfNet(nn.Module):
    """Takes (N, C, I, J, K), gives (N, L + told, I, J, K): L maps, and ``told`` values at every voxel alike."""

    mean: Tensor
    scale: Tensor

    def __init__(self, config: HalfNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HalfNetConfig()  # type: ignore[call-arg]
        self.maps = UNet3d(
            UNet3dConfig.parse(
                {
                    "inputs": config.inputs, "outputs": config.outputs, "filters": config.filters, "decoder": "slim",
                    "final": (), "dropout": (0.0,), "decoder_dropout": 0.0,
                },
                "the U-Net of halfnet",
            )
        )  # fmt: skip
        nn.init.constant_(self.maps.head.bias, RARE)  # type: ignore[arg-type]
        self.told = nn.Linear(config.measures, config.told)
        self.register_buffer("mean", torch.zeros(config.measures))
        self.register_buffer("scale", torch.ones(config.measures))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        maps = self.maps(x)
        found = measures(x.float(), maps.detach().float().sigmoid(), self.config.cell)
        told = self.told((found - self.mean) / self.scale)
        return torch.cat([maps, told[:, :, None, None, None].expand(-1, -1, *maps.shape[2:]).to(maps.dtype)], dim=1)


def measures(x: Tensor, chances: Tensor, cell: int) -> Tensor:
    """(N, F) of a half (N, C, I, J, K) and its maps (N, L, I, J, K) as probabilities.

    Darkness of each cell and of all; ischaemia of each cell and of all; clot; then density, clot and extent along each
    segment.
    """
    own, other, darker = x[:, 0:1], x[:, 1:2], x[:, 2:3]
    clot, ischaemia = chances[:, -2:-1], chances[:, -1:]
    tissue = _is_tissue(own) * _is_tissue(other)
    cells = functional.avg_pool3d(darker * tissue, cell) / functional.avg_pool3d(tissue, cell).clamp_min(0.1)
    whole = _mean_of(darker, tissue)
    middle = _mean_of(own, tissue)
    sure = functional.relu(clot - LEAST_CHANCE)
    fallen = ischaemia.mean((1, 2, 3, 4))
    found = [
        cells.flatten(1), whole[:, None],
        functional.avg_pool3d(ischaemia, cell).flatten(1), fallen[:, None], torch.log(fallen + 1e-3)[:, None],
        torch.log1p(sure.sum((1, 2, 3, 4)))[:, None], _smoothed(clot).amax((1, 2, 3, 4))[:, None],
    ]  # fmt: skip
    for segment in range(SEGMENTS):
        near = functional.max_pool3d(x[:, 3 + segment : 4 + segment], NEAR_VOXELS, 1, NEAR_VOXELS // 2)
        weight = functional.relu(near - LEAST_PRIOR)
        for smooth in (False, True):
            here, there = (_densest(v * _is_tissue(v), weight, smooth) for v in (own, other))
            found += [(here - there)[:, None], (here - middle)[:, None]]
        found.append(_mean_of((own - other) * tissue, weight)[:, None])
        vessel = functional.relu(chances[:, segment : segment + 1] - LEAST_CHANCE)
        held = vessel.sum((1, 2, 3, 4))
        found += [
            _mean_of(own - middle[:, None, None, None, None], vessel)[:, None],
            torch.log1p(held)[:, None],
            torch.log1p((vessel * sure).sum((1, 2, 3, 4)))[:, None],
            torch.log1p((weight * sure).sum((1, 2, 3, 4)))[:, None],
            (_smoothed(clot) * (weight > 0)).amax((1, 2, 3, 4))[:, None],
        ]
    return torch.cat(found, dim=1)


def _mean_of(values: Tensor, weight: Tensor) -> Tensor:
    """(N,) weighted mean, drawn to 0 where the weights are less than a voxel's."""
    axes = (1, 2, 3, 4)
    return (values * weight).sum(axes) / weight.sum(axes).clamp_min(1.0)


def _is_tissue(values: Tensor) -> Tensor:
    return ((values > TISSUE[0]) & (values < TISSUE[1])).to(values.dtype)


def _smoothed(values: Tensor) -> Tensor:
    return functional.avg_pool3d(values, NEAR_VOXELS, 1, NEAR_VOXELS // 2)


def _densest(values: Tensor, weight: Tensor, smooth: bool) -> Tensor:
    """(N,) a soft maximum of values, each counted by its weight."""
    if smooth:
        values = _smoothed(values)
    exponent = torch.exp(values.clamp(max=TISSUE[1]) / SOFT)
    share = (weight * exponent).sum((1, 2, 3, 4)) / weight.sum((1, 2, 3, 4)).clamp_min(1e-3)
    return SOFT * torch.log(share + 1e-6)
