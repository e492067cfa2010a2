"""Instance normalisation in plain sums and products, which OpenVINO runs in the layout of the convolutions about it.

As PyTorch exports it, every instance normalisation is a batch normalisation between two reshapes; between convolutions
over slices each reshape turns the whole map into another layout and back, and of volumes it passes three times more
over the map than OpenVINO's own normalisation by mean and variance, as which these sums and products are known.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from willis.nets.blocks.norm import InstanceNorm

Normalisation = InstanceNorm | nn.InstanceNorm2d | nn.InstanceNorm3d


class MomentNorm(nn.Module):
    """An instance normalisation, learnt scale and shift or none, by mean and variance over each channel's voxels."""

    def __init__(self, norm: Normalisation) -> None:
        super().__init__()
        self.eps = norm.eps
        self.weight, self.bias = deepcopy(norm.weight), deepcopy(norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, *spatial) to the same shape."""
        axes = tuple(range(2, x.ndim))
        shape = (1, -1) + (1,) * len(axes)
        centred = x - x.mean(axes, keepdim=True)
        normed = centred / torch.sqrt(centred.pow(2).mean(axes, keepdim=True) + self.eps)
        return normed if self.weight is None else normed * self.weight.view(shape) + self.bias.view(shape)


def by_moments(network: nn.Module) -> nn.Module:
    """A copy of a network whose instance normalisations are :class:`MomentNorm`; same output within rounding."""
    copied = deepcopy(network)
    for module in list(copied.modules()):
        for name, child in module.named_children():
            if isinstance(child, Normalisation):
                setattr(module, name, MomentNorm(child))
    return MomentNorm(copied) if isinstance(copied, Normalisation) else copied
