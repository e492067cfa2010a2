"""X-Net: a U-Net of depthwise separable convolutions with a non-local module at its deepest level.

Facts from the paper and its authors' published code (https://github.com/Andrewsher/X-Net), which states 15.1 M
parameters; here are 15,117,646, statistics of the normalisations included.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.blocks.norm import BatchNorm
from willis.nets.blocks.planar import SliceNetwork, upsample_nearest
from willis.settings import Settings


class XNetConfig(Settings):
    """Size of an :class:`XNet`; the defaults are the published network.

    Parameters
    ----------
    inputs, outputs
        Channels in, logits out.
    filters
        Width of each level.
    squeeze
        Factor by which the non-local module narrows the deepest level.
    """

    inputs: int = Field(1, ge=1)
    outputs: int = Field(1, ge=1)
    filters: tuple[int, ...] = (64, 128, 256, 512, 1024)
    squeeze: int = Field(8, ge=1)


class XNet(SliceNetwork):
    """Takes (N, inputs, H, W[, S]) with sides that are multiples of 16 as published; gives logits of the same size.

    References
    ----------
    .. [1] Qi et al. 2019, doi:10.1007/978-3-030-32248-9_28
    """

    def __init__(self, config: XNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or XNetConfig()  # type: ignore[call-arg]
        widths = config.filters
        self.multiple_of = 1 << (len(widths) - 1)
        self.encoder = nn.ModuleList(XBlock(a, b) for a, b in zip((config.inputs, *widths), widths, strict=False))
        self.similarity = FeatureSimilarity(widths[-1], config.squeeze)
        outward = tuple(reversed(widths))
        self.rise = nn.ModuleList(ConvNormRelu(a, b, 3) for a, b in pairwise(outward))
        self.decoder = nn.ModuleList(XBlock(2 * width, width) for width in outward[1:])
        self.head = nn.Conv2d(widths[0], config.outputs, 1)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, H, W) of slices (N, inputs, H, W)."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(functional.max_pool2d(x, 2) if level else x)
            skips.append(x)
        x = self.similarity(skips.pop())
        for rise, block in zip(self.rise, self.decoder, strict=True):
            x = block(torch.cat([skips.pop(), rise(upsample_nearest(x))], dim=1))
        out: Tensor = self.head(x)
        return out


class ConvNormRelu(nn.Module):
    """Convolution of odd kernel, normalisation, ReLU; the size is kept."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        self.norm = BatchNorm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        return functional.relu(self.norm(self.conv(x)))


class DepthwiseUnit(nn.Module):
    """Depthwise 3 × 3, normalisation, ReLU, then 1 × 1, normalisation, ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False)
        self.norm = BatchNorm(channels_in)
        self.pointwise = ConvNormRelu(channels_in, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        out: Tensor = self.pointwise(functional.relu(self.norm(self.depthwise(x))))
        return out


class XBlock(nn.Module):
    """Three depthwise units beside a 1 × 1 convolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.residual = ConvNormRelu(channels_in, channels_out, 1)
        self.units = nn.Sequential(
            DepthwiseUnit(channels_in, channels_out),
            DepthwiseUnit(channels_out, channels_out),
            DepthwiseUnit(channels_out, channels_out),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        out: Tensor = self.units(x) + self.residual(x)
        return out


class FeatureSimilarity(nn.Module):
    """The feature similarity module: every position takes in all others by how alike they are (eq. 1 of the paper)."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        narrow = max(channels // squeeze, 2)
        self.enter = ConvNormRelu(channels, narrow, 3)
        self.theta, self.phi, self.g = (nn.Conv2d(narrow, narrow // 2, 1, bias=False) for _ in range(3))
        self.back = nn.Conv2d(narrow // 2, narrow, 1, bias=False)
        self.leave = ConvNormRelu(narrow, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        narrow = self.enter(x)
        theta, phi, g = (part(narrow).flatten(2) for part in (self.theta, self.phi, self.g))
        alike = theta.transpose(1, 2) @ phi / theta.shape[2]
        taken = (g @ alike.transpose(1, 2)).unflatten(2, narrow.shape[2:])
        out: Tensor = self.leave(narrow + self.back(taken)) + x
        return out
