"""CLCI-Net: cross-level fusion of features, atrous pyramid pooling, and convolutional LSTMs in the decoder.

Facts from the paper and its authors' published code (https://github.com/YH0517/CLCI_Net), which state no number
of parameters; here are 36,838,305, statistics of the normalisations included.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.blocks.norm import BatchNorm
from willis.nets.blocks.planar import SameConv, SliceNetwork, upsample_nearest
from willis.settings import Settings

DROPOUT = 0.5  # at the deepest level and after the pyramid, as published
DILATIONS = (2, 4, 6)


class ClciNetConfig(Settings):
    """Size of a :class:`ClciNet`; the defaults are the published network.

    Parameters
    ----------
    inputs, outputs
        Channels in, logits out.
    filters
        Width of each level.
    pyramid
        Width of each branch of the pyramid.
    expand
        Factor by which the fusions widen.
    """

    inputs: int = Field(1, ge=1)
    outputs: int = Field(1, ge=1)
    filters: tuple[int, ...] = (32, 64, 128, 256, 512)
    pyramid: int = Field(256, ge=1)
    expand: int = Field(4, ge=1)


class ClciNet(SliceNetwork):
    """Takes (N, inputs, H, W[, S]) with sides that are multiples of 16 as published; gives logits of the same size.

    References
    ----------
    .. [1] Yang et al. 2019, doi:10.1007/978-3-030-32248-9_30
    """

    def __init__(self, config: ClciNetConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ClciNetConfig()  # type: ignore[call-arg]
        widths, expand = config.filters, config.expand
        self.multiple_of = 1 << (len(widths) - 1)
        entering = (config.inputs, *(width * expand for width in widths[1:]))
        self.encoder = nn.ModuleList(Twice(a, b) for a, b in zip(entering, widths, strict=True))
        self.fuse = nn.ModuleList(CrossLevel(widths, level, expand) for level in range(1, len(widths)))
        self.pyramid = Pyramid(widths, config.pyramid, expand)
        outward = tuple(reversed(widths[:-1]))
        below = (config.pyramid * expand, *outward[:-1])
        self.rise = nn.ModuleList(ConvNormRelu(a, b, 2) for a, b in zip(below, outward, strict=True))
        self.skip = nn.ModuleList(ConvNormRelu(width, width, 1) for width in outward)
        self.context = nn.ModuleList(ConvLstm(width) for width in outward)
        self.decoder = nn.ModuleList(Twice(width, width) for width in outward)
        self.head = nn.Conv2d(widths[0], config.outputs, 1)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, H, W) of slices (N, inputs, H, W)."""
        levels = [self.encoder[0](x)]
        for fuse, block in zip(self.fuse, list(self.encoder)[1:], strict=True):
            levels.append(block(fuse(levels)))
        *skips, deepest = levels
        x = self.pyramid(functional.dropout(deepest, DROPOUT, self.training), skips)
        x = functional.dropout(x, DROPOUT, self.training)
        parts = zip(self.rise, self.skip, self.context, self.decoder, reversed(skips), strict=True)
        for rise, beside, context, block, skip in parts:
            x = block(context(rise(upsample_nearest(x)), beside(skip)))
        out: Tensor = self.head(x)
        return out


class ConvNormRelu(nn.Module):
    """Convolution with "same" padding, normalisation, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = SameConv(channels_in, channels_out, kernel, stride)
        self.norm = BatchNorm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H / stride, W / stride)."""
        return functional.relu(self.norm(self.conv(x)))


class Twice(nn.Module):
    """Two 3 × 3 convolutions, each with normalisation and ReLU."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = ConvNormRelu(channels_in, channels_out, 3)
        self.second = ConvNormRelu(channels_out, channels_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        out: Tensor = self.second(self.first(x))
        return out


class CrossLevel(nn.Module):
    """What enters a level: the level above, pooled, and every level above, brought there by strided convolutions."""

    def __init__(self, widths: tuple[int, ...], level: int, expand: int) -> None:
        super().__init__()
        before = widths[level - 1]
        self.bring = nn.ModuleList(
            ConvNormRelu(widths[above], before, 3, 1 << (level - above)) for above in range(level)
        )
        self.fuse = ConvNormRelu(before * (level + 1), widths[level] * expand, 1)

    def forward(self, levels: list[Tensor]) -> Tensor:
        """Maps of all levels above to one of the next level's size."""
        brought = [bring(x) for bring, x in zip(self.bring, levels, strict=True)]
        out: Tensor = self.fuse(torch.cat([*reversed(brought), functional.max_pool2d(levels[-1], 2)], dim=1))
        return out


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling of the deepest level, with every level above beside it."""

    def __init__(self, widths: tuple[int, ...], width: int, expand: int) -> None:
        super().__init__()
        *above, deepest = widths
        self.levels = nn.ModuleList(
            ConvNormRelu(w, width, 3, 1 << (len(above) - level)) for level, w in enumerate(above)
        )
        self.plain = ConvNormRelu(deepest, width, 1)
        self.dilated = nn.ModuleList(nn.Conv2d(deepest, width, 3, padding=d, dilation=d) for d in DILATIONS)
        self.norms = nn.ModuleList(BatchNorm(width) for _ in DILATIONS)
        self.image = ConvNormRelu(deepest, width, 1)
        self.fuse = ConvNormRelu(width * (len(above) + 2 + len(DILATIONS)), width * expand, 1)

    def forward(self, x: Tensor, above: list[Tensor]) -> Tensor:
        """(N, deepest, h, w) and the maps above to (N, width · expand, h, w)."""
        branches = [bring(level) for bring, level in zip(self.levels, above, strict=True)]
        branches.append(self.plain(x))
        branches += [functional.relu(norm(conv(x))) for conv, norm in zip(self.dilated, self.norms, strict=True)]
        branches.append(self.image(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[2:]))
        out: Tensor = self.fuse(torch.cat(branches, dim=1))
        return out


class ConvLstm(nn.Module):
    """A convolutional LSTM over two maps; its last hidden state. Gates i, f, c, o by hard sigmoid as in Keras 2.

    References
    ----------
    Shi et al. 2015, arXiv:1506.04214.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, 4 * channels, 3, padding=1)
        self.recur = nn.Conv2d(channels, 4 * channels, 3, padding=1, bias=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two maps (N, C, H, W) to one."""
        hidden, cell = self._step(self.enter(first), None)
        hidden, _ = self._step(self.enter(second) + self.recur(hidden), cell)
        return hidden

    def _step(self, gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
        i, f, c, o = gates.chunk(4, dim=1)
        new = hard_sigmoid(i) * torch.tanh(c)
        cell = new if cell is None else hard_sigmoid(f) * cell + new
        return hard_sigmoid(o) * torch.tanh(cell), cell


def hard_sigmoid(x: Tensor) -> Tensor:
    """0.2 x + 0.5 between 0 and 1, Keras 2's default recurrent activation."""
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)
