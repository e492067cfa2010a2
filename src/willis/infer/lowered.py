"""A U-Net in the form that runs fastest: batch normalisation folded in, upsampling and convolution as one operation.

A 3³ convolution of a nearest-neighbour upsampled map multiplies each low-resolution voxel up to 27 times; as a
transposed convolution of stride 2 with a 4³ kernel it gives the same numbers with 8 products for each output voxel and
input channel, and neither the upsampled map nor its concatenation with the skip is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn import functional

from willis.infer.lowered_raxnet import LoweredRaxNet
from willis.nets.blocks.conv import ConvNormSwish
from willis.nets.blocks.norm import BatchNorm
from willis.nets.raxnet import RaxNet
from willis.nets.unet3d import UNet3d, check_input


def lower(network: nn.Module) -> nn.Module:
    """The fastest form of a network for prediction; the network itself where there is none."""
    if isinstance(network, UNet3d):
        return LoweredUNet3d(network).eval()
    return LoweredRaxNet(network).eval() if isinstance(network, RaxNet) else network.eval()


class LoweredUNet3d(nn.Module):
    """A :class:`~willis.nets.unet3d.UNet3d` in evaluation mode: same input, same output within rounding."""

    def __init__(self, network: UNet3d) -> None:
        super().__init__()
        self.config = network.config
        encoder, decoder = [_units(level) for level in network.encoder], [_units(level) for level in network.decoder]
        self.encoder = nn.ModuleList(folded_sequence(units) for units in encoder)
        self.joins = nn.ModuleList(
            UpJoin(units[0], units[0].conv.in_channels - skip[-1].conv.out_channels)
            for units, skip in zip(decoder, encoder, strict=True)
        )
        self.decoder = nn.ModuleList(folded_sequence(units[1:]) for units in decoder)
        self.final = folded_sequence(_units(network.final))
        self.head = deepcopy(network.head)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, I, J, K) of images (N, inputs, I, J, K)."""
        check_input(x.shape, self.config)
        skips = []
        for level in self.encoder:
            x = level(x)
            skips.append(x)
            x = functional.max_pool3d(x, 2)
        for join, level in zip(reversed(self.joins), reversed(self.decoder), strict=True):
            x = level(join(x, skips.pop()))
        out: Tensor = self.head(self.final(x))
        return out


class UpJoin(nn.Module):
    """Upsample, zero-pad to the skip's size, concatenate, convolve, normalise, swish: in one sum of two convolutions.

    Parameters
    ----------
    unit
        The convolution after the concatenation, whose first ``above`` inputs are the upsampled ones.
    above
        Channels of the map that is upsampled.
    """

    def __init__(self, unit: ConvNormSwish, above: int) -> None:
        super().__init__()
        weight, bias = folded(unit)
        self.norm = remaining_norm(unit)
        self.up = nn.Parameter(upsampling_kernel(weight[:, :above]).transpose(0, 1).contiguous())
        self.skip = nn.Parameter(weight[:, above:].contiguous())
        self.bias = None if bias is None else nn.Parameter(bias)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, above, i, j, k) and (N, C, I, J, K) to (N, out, I, J, K), where I is 2·i or 2·i + 1."""
        more = [want - 2 * have for have, want in zip(x.shape[2:], skip.shape[2:], strict=True)]
        y = functional.conv3d(skip, self.skip, self.bias, padding=1)
        y += functional.conv_transpose3d(x, self.up, None, 2, 1, more)
        return functional.silu(self.norm(y), inplace=True)


def _units(level: nn.Module) -> list[ConvNormSwish]:
    return [unit for unit in level.children() if isinstance(unit, ConvNormSwish)]


def folded(unit: ConvNormSwish) -> tuple[Tensor, Tensor | None]:
    """Weight (out, in, 3, 3, 3) and bias (out,) of a convolution that does its batch normalisation too.

    Instance normalisation depends on the image and stays apart: its convolution keeps its weight and has no bias.
    """
    norm = unit.norm
    if not isinstance(norm, BatchNorm):
        return unit.conv.weight.detach(), None
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = unit.conv.weight.detach() * scale.float().view(-1, 1, 1, 1, 1)
    bias = norm.bias.double() - norm.running_mean.double() * scale
    return weight, bias.detach().float()


def remaining_norm(unit: ConvNormSwish) -> nn.Module:
    """What of the normalisation was not folded in."""
    return nn.Identity() if isinstance(unit.norm, BatchNorm) else deepcopy(unit.norm)


def folded_sequence(units: Sequence[ConvNormSwish]) -> nn.Sequential:
    """The same units with their batch normalisation folded into their convolutions."""
    steps: list[nn.Module] = []
    for unit in units:
        weight, bias = folded(unit)
        conv = nn.Conv3d(weight.shape[1], weight.shape[0], 3, padding=1, bias=bias is not None, device="meta")
        conv.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}), assign=True)
        steps += [conv, remaining_norm(unit), nn.SiLU(inplace=True)]
    return nn.Sequential(*steps)


def upsampling_kernel(weight: Tensor) -> Tensor:
    """The 4³ kernel of stride 2 that upsamples twofold (nearest neighbour) and convolves with a 3³ kernel.

    Along one axis, input i is seen by outputs 2i - 1 … 2i + 2, through the taps w2, w1 + w2, w0 + w1, w0.
    """
    taps = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    cube = torch.kron(taps, torch.kron(taps, taps))
    return (weight.flatten(2) @ cube.T).reshape(*weight.shape[:2], 4, 4, 4)
