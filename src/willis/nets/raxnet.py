"""RAX-NET, the residual attention Xception network for chronic stroke on T1 slices.

State-dict layout (stable; the importer maps Keras's layers onto it). ``B`` counts blocks, ``n`` the units in one:

==================================================  ==============================================================
``entry.conv.weight/bias``, ``entry_norm.*``         3 × 3, stride 2, and its normalisation
``down.B.unit.n.conv.conv.*``, ``.norm.*``           plain convolutions of a down block
``down.B.unit.n.depthwise.weight``, ``.pointwise.*``  separable ones: even ``n`` are plain, odd ones separable
``down.B.residual.weight/bias``                      1 × 1, stride 2, of the block's input
``up.B.unit.n.conv.*``, ``up.B.unit.n.norm.*``       transposed convolutions of stride 1
``up.B.from_below.*``, ``.from_skip.*``              1 × 1 of the block's upsampled input and of the skip
``up.B.mix.*``, ``up.B.norm.*``                      1 × 1 and normalisation of their gated sum
``head.weight/bias``                                 1 × 1 to the outputs
==================================================  ==============================================================

``norm.*`` are ``weight`` and ``bias``, and of batch normalisation ``running_mean`` and ``running_var``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.blocks.norm import BatchNorm, InstanceNorm
from willis.nets.blocks.planar import SameConv, SliceNetwork, max_pool_same, upsample_nearest
from willis.settings import Settings


class RaxNetConfig(Settings):
    """Size of a :class:`RaxNet`; the defaults are the published network with 4,837,473 parameters.

    Parameters
    ----------
    inputs, outputs
        Channels in, logits out.
    filters
        Width of the entry and of each down block.
    down_units, up_units
        Convolutions of each down block (in pairs of a plain and a separable one), and of each up block, deepest first.
    norm
        ``batch`` as published, or ``instance``: no statistics are kept, and slices are run at the size of training.
    norm_eps, norm_momentum
        Of the normalisation; Keras's defaults. The momentum is the batch normalisation's.
    """

    inputs: int = Field(1, ge=1)
    outputs: int = Field(1, ge=1)
    filters: tuple[int, ...] = (32, 64, 128, 256)
    down_units: tuple[int, ...] = (2, 4, 4)
    up_units: tuple[int, ...] = (4, 4, 2, 2)
    norm: Literal["batch", "instance"] = "batch"
    norm_eps: float = Field(1e-3, gt=0.0)
    norm_momentum: float = Field(0.01, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _check(self) -> RaxNetConfig:
        depth = len(self.filters)
        if depth < 2 or min(self.filters) < 1:
            raise ValueError("filters needs at least two widths, each of at least 1")
        if len(self.down_units) != depth - 1 or len(self.up_units) != depth:
            raise ValueError(f"{depth} filters need {depth - 1} down_units and {depth} up_units")
        if any(n < 2 or n % 2 for n in self.down_units) or min(self.up_units) < 1:
            raise ValueError("down_units are even and at least 2, up_units at least 1")
        return self

    def make_norm(self, channels: int) -> BatchNorm | InstanceNorm:
        """The normalisation of so many channels."""
        if self.norm == "instance":
            return InstanceNorm(channels, self.norm_eps)
        return BatchNorm(channels, self.norm_eps, self.norm_momentum)


class RaxNet(SliceNetwork):
    """Xception-like encoder, decoder of transposed convolutions, and skips that enter by a gated residual.

    Takes (N, inputs, H, W[, S]) with sides that are multiples of 16 as published; gives logits (N, outputs, H, W[, S]).

    References
    ----------
    .. [1] Mousavi 2025, doi:10.1101/2025.09.26.25336733
    .. [2] Chollet 2017 (Xception), arXiv:1610.02357
    """

    def __init__(self, config: RaxNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RaxNetConfig()  # type: ignore[call-arg]
        self.multiple_of = 1 << len(config.filters)
        widths = config.filters
        self.entry = SameConv(config.inputs, widths[0], 3, 2)
        self.entry_norm = config.make_norm(widths[0])
        self.down = nn.ModuleList(
            DownBlock(before, width, units, config)
            for before, width, units in zip(widths, widths[1:], config.down_units, strict=False)
        )
        outward = tuple(reversed(widths))
        skips = (*outward[1:], config.inputs)
        below = (widths[-1], *outward[:-1])
        self.up = nn.ModuleList(
            UpBlock(before, skip, width, units, config)
            for before, skip, width, units in zip(below, skips, outward, config.up_units, strict=True)
        )
        self.head = nn.Conv2d(widths[0], config.outputs, 1)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, H, W) of slices (N, inputs, H, W)."""
        skips = [x]
        x = functional.relu(self.entry_norm(self.entry(x)))
        for block in self.down:
            skips.append(x)
            x = block(x)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            x = block(x, skip)
        out: Tensor = self.head(x)
        return out


class DownBlock(nn.Module):
    """Pairs of a plain and a separable convolution, pooled, and a strided 1 × 1 of what came in."""

    def __init__(self, channels_in: int, channels_out: int, units: int, config: RaxNetConfig) -> None:
        super().__init__()
        widths = (channels_in, *(channels_out,) * units)
        self.unit = nn.ModuleList(
            PlainUnit(widths[n], widths[n + 1], config)
            if n % 2 == 0
            else SeparableUnit(widths[n], widths[n + 1], config)
            for n in range(units)
        )
        self.residual = nn.Conv2d(channels_in, channels_out, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H / 2, W / 2)."""
        y = x
        for unit in self.unit:
            y = unit(y)
        out: Tensor = max_pool_same(y) + self.residual(x)
        return out


class UpBlock(nn.Module):
    """Transposed convolutions, upsampled, and a gated sum of what came in and of the skip."""

    def __init__(
        self, channels_in: int, channels_skip: int, channels_out: int, units: int, config: RaxNetConfig
    ) -> None:
        super().__init__()
        widths = (channels_in, *(channels_out,) * units)
        self.unit = nn.ModuleList(TransposedUnit(a, b, config) for a, b in pairwise(widths))
        self.from_below = nn.Conv2d(channels_in, channels_out, 1)
        self.from_skip = nn.Conv2d(channels_skip, channels_out, 1)
        self.mix = nn.Conv2d(channels_out, channels_out, 1)
        self.norm = config.make_norm(channels_out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, H, W) and (N, skip, 2 H, 2 W) to (N, out, 2 H, 2 W)."""
        y = x
        for unit in self.unit:
            y = unit(y)
        # a 1 × 1 convolution and nearest upsampling commute: the convolution first costs a quarter
        gate = functional.relu(upsample_nearest(self.from_below(x)) + self.from_skip(skip))
        out: Tensor = upsample_nearest(y) + self.norm(self.mix(gate))
        return out


class PlainUnit(nn.Module):
    """ReLU, 3 × 3 convolution, normalisation."""

    def __init__(self, channels_in: int, channels_out: int, config: RaxNetConfig) -> None:
        super().__init__()
        self.conv = SameConv(channels_in, channels_out, 3)
        self.norm = config.make_norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        out: Tensor = self.norm(self.conv(functional.relu(x)))
        return out


class SeparableUnit(nn.Module):
    """ReLU, depthwise 3 × 3 and pointwise 1 × 1 convolution, normalisation."""

    def __init__(self, channels_in: int, channels_out: int, config: RaxNetConfig) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False)
        self.pointwise = nn.Conv2d(channels_in, channels_out, 1)
        self.norm = config.make_norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        out: Tensor = self.norm(self.pointwise(self.depthwise(functional.relu(x))))
        return out


class TransposedUnit(nn.Module):
    """ReLU, 3 × 3 transposed convolution of stride 1, normalisation."""

    def __init__(self, channels_in: int, channels_out: int, config: RaxNetConfig) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels_in, channels_out, 3, padding=1)
        self.norm = config.make_norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        out: Tensor = self.norm(self.conv(functional.relu(x)))
        return out
