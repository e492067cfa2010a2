"""What networks over slices share: slices in and out, Keras's padding, and the layout that runs fastest."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from willis.errors import BadInputError


class SliceNetwork(nn.Module):
    """A 2D network that takes slices as volumes, so that training and prediction need know no other.

    Takes (N, C, H, W), or (N, C, H, W, S) with S slices that are seen one by one, and gives logits of the same rank;
    subclasses define :meth:`logits`.
    """

    multiple_of = 1  # what both sides of a slice must be divisible by

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, L, H, W[, S]) of slices (N, C, H, W[, S])."""
        deep = x.ndim == 5
        flat = x.permute(0, 4, 1, 2, 3).flatten(0, 1) if deep else x
        if any(side % self.multiple_of for side in flat.shape[2:]):
            raise BadInputError(
                f"this network takes slices whose sides are multiples of {self.multiple_of}; "
                f"found {tuple(flat.shape[2:])}. Pad them."
            )
        out = self.logits(flat)
        return out.view(x.shape[0], x.shape[4], *out.shape[1:]).permute(0, 2, 3, 4, 1) if deep else out

    def logits(self, x: Tensor) -> Tensor:
        """Logits (N, L, H, W) of slices (N, C, H, W)."""
        raise NotImplementedError


def pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """(N, C, H, W) padded as Keras's "same": to ⌈n / stride⌉ results a side, the odd one after the end.

    PyTorch's own symmetric padding shifts a strided kernel by one voxel on even sides.
    """
    pads: list[int] = []
    for side in reversed(x.shape[2:]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return functional.pad(x, pads, value=value) if any(pads) else x


class SameConv(nn.Module):
    """A convolution with Keras's "same" padding. State: ``conv.weight``, ``conv.bias``."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, *, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, ⌈H / stride⌉, ⌈W / stride⌉)."""
        out: Tensor = self.conv(pad_same(x, self.conv.kernel_size[0], self.conv.stride[0]))
        return out


def max_pool_same(x: Tensor) -> Tensor:
    """3 × 3 maxima with stride 2 and Keras's "same" padding: (N, C, H, W) to (N, C, ⌈H / 2⌉, ⌈W / 2⌉)."""
    return functional.max_pool2d(pad_same(x, 3, 2, float("-inf")), 3, 2)


def upsample_nearest(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2 H, 2 W), each value four times."""
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def in_fast_layout(network: nn.Module) -> nn.Module:
    """The network with its 2D and 3D kernels in the layout that processors multiply fastest: channels last."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        if parameter.ndim in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.ndim])
    return network
