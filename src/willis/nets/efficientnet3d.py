"""EfficientNet-b0 in 3D for stacks of a few slices, as FVV's encoder has it: planes halved, slices lost at the rims.

The published code pads before each strided convolution with one tuple applied to the axes in reverse order, so that the
slices, which aren't strided, get one voxel less than their kernel needs: 7 become 6, 5, 4, 3. Weights were trained so,
and it is kept.

References
----------
.. [1] Tan and Le 2019, arXiv:1905.11946
.. [2] Benzakoun et al. 2025, doi:10.1177/23969873251362712
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.blocks.norm import BatchNorm

NORM_EPS, NORM_MOMENTUM = 1e-3, 0.01
SQUEEZE = 0.25  # of a block's input channels
DROP_CONNECT = 0.2  # of the last block, rising from 0
STEM, HEAD = 32, 1280


class Stage(NamedTuple):
    """Blocks of one kind: how many, side of the kernel, whether the first halves the plane, expansion, channels out."""

    repeats: int
    kernel: int
    strided: bool
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, False, 1, 16),
    Stage(2, 3, True, 6, 24),
    Stage(2, 5, True, 6, 40),
    Stage(3, 3, True, 6, 80),
    Stage(3, 5, False, 6, 112),
    Stage(4, 5, True, 6, 192),
    Stage(1, 3, False, 6, 320),
)
DILATED_FROM = 9  # block from which planes are no longer halved; kernels are spread by 2 instead
FEATURES = (2, 4, 8)  # blocks after which a feature is taken, beside input, stem and end


class PaddedConv(nn.Module):
    """A 3D convolution without bias and its norm. State: ``conv.weight``, ``norm.*``.

    Strided, it halves height and width of even sides and takes kernel // 2 slices off the depth less what its kernel
    would keep; else the size is kept.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *, strided: bool = False, dilation: int = 1,
        groups: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        stride = (1, 2, 2) if strided else (1, 1, 1)
        reach = kernel // 2 * dilation
        short = ((kernel - 2) // 2, kernel - 2 - (kernel - 2) // 2)  # of an even side that is halved
        self.pads = (*short, reach, reach, *short) if strided else (reach,) * 6
        self.conv = nn.Conv3d(channels_in, channels_out, kernel, stride, dilation=dilation, groups=groups, bias=False)
        self.norm = BatchNorm(channels_out, NORM_EPS, NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, D, H, W) to (N, out, D', H', W')."""
        padded = functional.pad(x, self.pads) if any(self.pads) else x
        out: Tensor = self.norm(self.conv(padded))
        return out


class InvertedBottleneck(nn.Module):
    """Widen, filter each channel, weigh the channels, narrow; the input is added where shapes agree.

    State: ``expand.*`` (absent without expansion), ``depthwise.*``, ``reduce.*``, ``widen.*``, ``project.*``.
    """

    def __init__(self, channels_in: int, stage: Stage, *, first: bool, dilated: bool, drop: float) -> None:
        super().__init__()
        wide = channels_in * stage.expand
        self.drop = drop
        self.adds = not first and channels_in == stage.channels
        self.expand = PaddedConv(channels_in, wide, 1) if stage.expand > 1 else None
        self.depthwise = PaddedConv(
            wide, wide, stage.kernel, strided=first and stage.strided and not dilated, dilation=2 if dilated else 1,
            groups=wide,
        )  # fmt: skip
        squeezed = max(1, int(channels_in * SQUEEZE))
        self.reduce = nn.Conv3d(wide, squeezed, 1)
        self.widen = nn.Conv3d(squeezed, wide, 1)
        self.project = PaddedConv(wide, stage.channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, D, H, W) to (N, out, D', H', W')."""
        y = x if self.expand is None else functional.silu(self.expand(x))
        y = functional.silu(self.depthwise(y))
        weights = self.widen(functional.silu(self.reduce(functional.adaptive_avg_pool3d(y, 1))))
        y = self.project(torch.sigmoid(weights) * y)
        if self.adds and self.training and self.drop:
            kept = torch.rand(len(y), 1, 1, 1, 1, device=y.device, dtype=y.dtype) >= self.drop
            y = y * kept / (1 - self.drop)
        out: Tensor = y + x if self.adds else y
        return out


class EfficientNet3d(nn.Module):
    """The encoder: six features of a stack (N, inputs, 7, H, W), the sides of its planes multiples of 16.

    State: ``stem.*``, ``blocks.N.*`` for N of 0 to 15, ``head.*``; the head is carried for the published weights' sake
    and isn't run.
    """

    def __init__(self, inputs: int = 2) -> None:
        super().__init__()
        self.stem = PaddedConv(inputs, STEM, 3, strided=True)
        blocks: list[nn.Module] = []
        channels, total = STEM, sum(stage.repeats for stage in STAGES)
        for stage in STAGES:
            for repeat in range(stage.repeats):
                drop = DROP_CONNECT * len(blocks) / total
                dilated = len(blocks) >= DILATED_FROM
                blocks.append(InvertedBottleneck(channels, stage, first=repeat == 0, dilated=dilated, drop=drop))
                channels = stage.channels
        self.blocks = nn.ModuleList(blocks)
        self.head = PaddedConv(channels, HEAD, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Input, stem, and what three blocks and the end give: channels 2, 32, 24, 40, 112, 320."""
        features = [x]
        x = functional.silu(self.stem(x))
        features.append(x)
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in FEATURES:
                features.append(x)
        return [*features, x]
