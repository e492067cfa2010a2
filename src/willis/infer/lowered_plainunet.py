"""nnU-Net's U-Nets in the form that runs fastest: upsampling and the convolution after it as one operation.

A transposed convolution, a concatenation and a convolution are the sum of two convolutions: one of the skip, and one
transposed of the map below, whose kernel is the product of both. Of a 3³ kernel after an upsampling by 2 that takes 8
products for each output voxel and channel below instead of 27 for each of half as many channels, and neither the
upsampled map nor the concatenation is ever made.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.plainunet import SLOPE, ConvNormRelu, PlainUNet, encoded


class LoweredPlainUNet(nn.Module):
    """A :class:`~willis.nets.plainunet.PlainUNet` of any encoder: same input, same output within rounding."""

    def __init__(self, network: PlainUNet) -> None:
        super().__init__()
        self.config = network.config
        self.encoder = deepcopy(network.encoder)
        stages = [list(cast(nn.Sequential, stage)) for stage in network.decoder]
        self.joins = nn.ModuleList(
            Join(cast(nn.ConvTranspose3d, up), cast(ConvNormRelu, units[0]))
            for up, units in zip(network.up, stages, strict=True)
        )
        self.decoder = nn.ModuleList(nn.Sequential(*deepcopy(units[1:])) for units in stages)
        self.head = deepcopy(network.head)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, I, J, K) of images (N, inputs, I, J, K) whose sides the strides divide."""
        *skips, x = encoded(self.encoder, x)
        for join, stage in zip(self.joins, self.decoder, strict=True):
            x = stage(join(x, skips.pop()))
        logits: Tensor = self.head(x)
        return logits


class Join(nn.Module):
    """Upsample by a transposed convolution, concatenate with the skip, convolve, normalise and rectify.

    Parameters
    ----------
    up
        The transposed convolution, whose stride is its kernel.
    unit
        The convolution after the concatenation, whose first inputs are the upsampled ones, and its normalisation.
    """

    def __init__(self, up: nn.ConvTranspose3d, unit: ConvNormRelu) -> None:
        super().__init__()
        conv, above = unit.conv, up.out_channels
        weight = conv.weight.detach()
        self.stride, self.padding = conv.stride, cast(tuple[int, ...], conv.padding)
        self.up_stride = up.stride
        self.up = nn.Parameter(product_of_kernels(up.weight.detach(), weight[:, :above]))
        self.skip = nn.Parameter(weight[:, above:].clone())
        self.bias = None if conv.bias is None else nn.Parameter(conv.bias.detach().clone())
        self.lifted = None
        if up.bias is not None:  # what the upsampling's bias becomes is less at the border, where zeros are beside it
            self.lifted = nn.Parameter(torch.einsum("ocijk,c->oijk", weight[:, :above], up.bias.detach())[:, None])
        self.norm = deepcopy(unit.norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, below, i, j, k) and (N, C, I, J, K) to (N, out, I, J, K)."""
        y = functional.conv3d(skip, self.skip, self.bias, padding=self.padding)
        y = y + functional.conv_transpose3d(x, self.up, None, self.up_stride, self.padding)
        if self.lifted is not None:
            y = y + functional.conv3d(torch.ones_like(skip[:1, :1]), self.lifted, padding=self.padding)
        return functional.leaky_relu(self.norm(y), SLOPE)


def product_of_kernels(up: Tensor, weight: Tensor) -> Tensor:
    """The transposed kernel (below, out, s + k - 1, …) that upsamples by one of stride s and convolves by one of k.

    ``up`` is (below, above, s, …) and ``weight`` (out, above, k, …). Output ``s i + u + (k - 1) / 2 - t`` is seen by
    input i through tap u of the first and tap t of the second.
    """
    return functional.conv_transpose3d(up, weight.flip(2, 3, 4).transpose(0, 1).contiguous())
