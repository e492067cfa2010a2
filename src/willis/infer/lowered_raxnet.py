"""RAX-NET in the form that runs fastest: batch normalisation folded in, and the last block straight to its output.

A transposed convolution of stride 1 is a convolution with its kernel turned round. The output's 1 × 1 convolution is
taken before the last upsampling and the last sum, so that the widest maps are never made; with batch normalisation it
is multiplied into the convolutions before it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.blocks.norm import BatchNorm
from willis.nets.blocks.planar import SliceNetwork, max_pool_same, pad_same, upsample_nearest
from willis.nets.raxnet import DownBlock, PlainUnit, RaxNet, SeparableUnit, TransposedUnit, UpBlock


class LoweredRaxNet(SliceNetwork):
    """A :class:`~willis.nets.raxnet.RaxNet` in evaluation mode: same input, same output within rounding."""

    def __init__(self, network: RaxNet) -> None:
        super().__init__()
        self.multiple_of = network.multiple_of
        self.entry = _normed(network.entry.conv, network.entry_norm)
        self.down = nn.ModuleList(LoweredDown(cast(DownBlock, block)) for block in network.down)
        *inner, last = (cast(UpBlock, block) for block in network.up)
        self.up = nn.ModuleList(LoweredUp(block) for block in inner)
        self.last = _to_outputs(LoweredUp(last), network.head)

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, H, W) of slices (N, inputs, H, W)."""
        skips = [x]
        x = functional.relu(self.entry(pad_same(x, 3, 2)))
        for block in self.down:
            skips.append(x)
            x = block(x)
        for block in self.up:
            x = block(x, skips.pop())
        out: Tensor = self.last(x, skips.pop())
        return out


class LoweredDown(nn.Module):
    """A down block whose plain convolutions normalise too."""

    def __init__(self, block: DownBlock) -> None:
        super().__init__()
        self.unit = nn.Sequential(*(_lowered_unit(unit) for unit in block.unit))
        self.residual = deepcopy(block.residual)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H / 2, W / 2)."""
        out: Tensor = max_pool_same(self.unit(x)) + self.residual(x)
        return out


class LoweredUp(nn.Module):
    """An up block of plain convolutions that normalise too."""

    def __init__(self, block: UpBlock) -> None:
        super().__init__()
        self.unit = nn.Sequential(*(_lowered_unit(unit) for unit in block.unit))
        self.from_below, self.from_skip = deepcopy(block.from_below), deepcopy(block.from_skip)
        self.mix = _normed(block.mix, block.norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, in, H, W) and (N, skip, 2 H, 2 W) to (N, out, 2 H, 2 W)."""
        gate = functional.relu(upsample_nearest(self.from_below(x)) + self.from_skip(skip))
        out: Tensor = upsample_nearest(self.unit(x)) + self.mix(gate)
        return out


def _to_outputs(block: LoweredUp, head: nn.Conv2d) -> LoweredUp:
    """The last up block giving logits: the output's 1 × 1 convolution is taken before its sum."""
    assert head.bias is not None
    *units, (rectify, conv) = (cast(nn.Sequential, unit) for unit in block.unit)
    below = _made(head.weight, torch.zeros_like(head.bias))
    block.unit = nn.Sequential(*units, nn.Sequential(rectify, _then(conv, below)))
    block.mix = _then(block.mix, _made(head.weight, head.bias))
    return block


def _lowered_unit(unit: nn.Module) -> nn.Sequential:
    """ReLU, convolution and what of the normalisation was not folded into it."""
    if isinstance(unit, SeparableUnit):
        return nn.Sequential(nn.ReLU(), deepcopy(unit.depthwise), _normed(unit.pointwise, unit.norm))
    if isinstance(unit, TransposedUnit):
        return nn.Sequential(nn.ReLU(), _normed(_turned(unit.conv), unit.norm))
    assert isinstance(unit, PlainUnit)
    return nn.Sequential(nn.ReLU(), _normed(unit.conv.conv, unit.norm, padding=1))


def _turned(conv: nn.ConvTranspose2d) -> nn.Conv2d:
    """The convolution that a 3 × 3 transposed one of stride 1 is."""
    assert conv.bias is not None
    return _made(conv.weight.transpose(0, 1).flip(2, 3), conv.bias)


def _normed(conv: nn.Conv2d, norm: nn.Module, padding: int | None = None) -> nn.Module:
    """A convolution that does its batch normalisation too, or that is followed by its instance normalisation."""
    assert conv.bias is not None
    padding = int(conv.padding[0]) if padding is None else padding
    weight, bias, stride = conv.weight, conv.bias, conv.stride[0]
    if not isinstance(norm, BatchNorm):
        return nn.Sequential(_made(weight, bias, stride, padding), deepcopy(norm))
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() + (bias.double() - norm.running_mean.double()) * scale
    return _made(weight.double() * scale.view(-1, 1, 1, 1), shift, stride, padding)


def _then(conv: nn.Module, head: nn.Conv2d) -> nn.Module:
    """A convolution and the 1 × 1 convolution after it, as one; one after the other if an instance norm is between."""
    if not isinstance(conv, nn.Conv2d):
        return nn.Sequential(conv, head)
    assert conv.bias is not None and head.bias is not None
    across = head.weight[:, :, 0, 0].double()
    weight = torch.einsum("oc,cihw->oihw", across, conv.weight.double())
    bias = across @ conv.bias.double() + head.bias.double()
    return _made(weight, bias, conv.stride[0], int(conv.padding[0]))


def _made(weight: Tensor, bias: Tensor, stride: int = 1, padding: int | None = None) -> nn.Conv2d:
    """A convolution of these numbers; padded to the image's own size unless told otherwise."""
    out, inner, side, _ = weight.shape
    pads = side // 2 if padding is None else padding
    made = nn.Conv2d(inner, out, side, stride, pads, device="meta")
    state = {"weight": weight, "bias": bias}
    own = {name: value.detach().to(torch.float32, copy=True).contiguous() for name, value in state.items()}
    made.load_state_dict(own, assign=True)
    return made
