"""D-UNet: a 2D U-Net over four neighbouring slices whose first levels are fused with a small 3D encoder.

Facts from the paper and its authors' published code (https://github.com/SZUHvern/D-UNet), which states 8,640,163
parameters; the same number is here.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.blocks.norm import BatchNorm
from willis.nets.blocks.planar import SameConv, SliceNetwork, upsample_nearest
from willis.settings import Settings

DROPOUT = 0.3  # after the two deepest levels, as published


class DUNetConfig(Settings):
    """Size of a :class:`DUNet`; the defaults are the published network.

    Parameters
    ----------
    inputs, outputs
        Neighbouring slices in (a multiple of 4, for the 3D encoder pools twice), logits out.
    filters
        Width of each level.
    ratio
        Of the squeeze and excitation.
    """

    inputs: int = Field(4, ge=4, multiple_of=4)
    outputs: int = Field(1, ge=1)
    filters: tuple[int, int, int, int, int] = (32, 64, 128, 256, 512)
    ratio: int = Field(16, ge=1)


class DUNet(SliceNetwork):
    """Takes (N, inputs, H, W[, S]) with sides that are multiples of 16, neighbouring slices as channels.

    Of four it finds the third: see :func:`willis.infer.slices.neighbours_as_channels`.

    References
    ----------
    .. [1] Zhou et al. 2019, arXiv:1908.05104
    """

    multiple_of = 16

    def __init__(self, config: DUNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DUNetConfig()  # type: ignore[call-arg]
        widths = config.filters
        self.deep = nn.ModuleList(Twice3d(a, b) for a, b in zip((1, *widths[:2]), widths[:3], strict=True))
        self.encoder = nn.ModuleList(Twice(a, b) for a, b in zip((config.inputs, *widths), widths, strict=False))
        depths = (config.inputs // 2, config.inputs // 4)
        self.fuse = nn.ModuleList(
            Fusion(width, depth, config.ratio) for width, depth in zip(widths[1:3], depths, strict=True)
        )
        outward = tuple(reversed(widths))
        self.rise = nn.ModuleList(SameConv(a, b, 2) for a, b in pairwise(outward))
        self.decoder = nn.ModuleList(Twice(2 * width, width) for width in outward[1:])
        self.head = nn.Conv2d(widths[0], config.outputs, 1)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, H, W) of slices (N, inputs, H, W)."""
        deep = x.permute(0, 2, 3, 1).unsqueeze(1)
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(functional.max_pool2d(x, 2) if level else x)
            if level < len(self.deep):
                deep = self.deep[level](functional.max_pool3d(deep, 2) if level else deep)
            if 0 < level < len(self.deep):
                x = self.fuse[level - 1](deep, x)
            if level >= len(self.encoder) - 2:
                x = functional.dropout(x, DROPOUT, self.training)
            skips.append(x)
        x = skips.pop()
        for rise, block in zip(self.rise, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), functional.relu(rise(upsample_nearest(x)))], dim=1))
        out: Tensor = self.head(x)
        return out


class Twice(nn.Module):
    """Two 3 × 3 convolutions, each with normalisation and ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv2d(a, channels_out, 3, padding=1) for a in (channels_in, channels_out))
        self.norm = nn.ModuleList(BatchNorm(channels_out) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        for conv, norm in zip(self.conv, self.norm, strict=True):
            x = functional.relu(norm(conv(x)))
        return x


class Twice3d(nn.Module):
    """Two 3³ convolutions, each with normalisation and ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv3d(a, channels_out, 3, padding=1) for a in (channels_in, channels_out))
        self.norm = nn.ModuleList(BatchNorm(channels_out) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W, D) to (N, out, H, W, D)."""
        for conv, norm in zip(self.conv, self.norm, strict=True):
            x = functional.relu(norm(conv(x)))
        return x


class Excitation(nn.Module):
    """Squeeze and excitation (Hu 2018, arXiv:1709.01507) without biases."""

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, max(channels // ratio, 1), 1, bias=False)
        self.excite = nn.Conv2d(max(channels // ratio, 1), channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), each channel weighed."""
        mean = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.excite(functional.relu(self.squeeze(mean))))


class Fusion(nn.Module):
    """The dimension transform: a 3D map squeezed to 2D, both weighed by their channels and added."""

    def __init__(self, channels: int, depth: int, ratio: int) -> None:
        super().__init__()
        self.flatten = nn.Conv3d(channels, 1, 1)
        self.conv = nn.Conv2d(depth, channels, 3, padding=1)
        self.weigh_deep, self.weigh_flat = Excitation(channels, ratio), Excitation(channels, ratio)

    def forward(self, deep: Tensor, flat: Tensor) -> Tensor:
        """(N, C, H, W, D) and (N, C, H, W) to (N, C, H, W)."""
        across = self.flatten(deep).squeeze(1).permute(0, 3, 1, 2)
        out: Tensor = self.weigh_deep(functional.relu(self.conv(across))) + self.weigh_flat(flat)
        return out
