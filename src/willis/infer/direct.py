"""Networks of nnU-Net's kind as torch runs them fastest on a processor: all convolutions by oneDNN, plain layout.

Of one image, torch gives a 3D convolution to oneDNN only from a size on that it reckons without the last axis; single
slices and deep stages fall below it and take up to three times as long. Instance normalisation wants plain layout.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from willis.nets.plainunet import PlainUNet


class DirectConv3d(nn.Module):
    """A convolution that goes to oneDNN where it can: float32 on a processor. Same answers within rounding."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """As the convolution."""
        conv, padding = self.conv, self.conv.padding
        possible = x.is_cpu and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        if isinstance(padding, str) or not possible or torch.is_autocast_enabled("cpu"):
            out: Tensor = conv(x)
            return out
        return torch.mkldnn_convolution(x, conv.weight, conv.bias, padding, conv.stride, conv.dilation, conv.groups)


def is_direct(network: nn.Module) -> bool:
    """Whether a network is one of those that :func:`direct` makes faster."""
    return isinstance(network, PlainUNet)


def direct(network: nn.Module) -> nn.Module:
    """A network of the same parameters, its 3D convolutions in :class:`DirectConv3d`; the given one stays as it is."""
    kept = {id(value): value for value in (*network.parameters(), *network.buffers())}
    copied = deepcopy(network, kept)
    for module in list(copied.modules()):
        for name, conv in module.named_children():
            if isinstance(conv, nn.Conv3d):
                setattr(module, name, DirectConv3d(conv))
    return copied
