"""The unit that most networks here are made of: convolution, batch normalisation, swish."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from willis.nets.blocks.norm import BatchNorm


class ConvNormSwish(nn.Module):
    """3³ convolution without bias, batch normalisation, swish; the size is kept.

    State: ``conv.weight`` (out, in, 3, 3, 3) and ``norm.*``.
    """

    def __init__(self, channels_in: int, channels_out: int, eps: float = 1e-3, momentum: float = 0.01) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = BatchNorm(channels_out, eps, momentum)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, I, J, K) to (N, out, I, J, K)."""
        return functional.silu(self.norm(self.conv(x)), inplace=not torch.is_grad_enabled())


def conv_sequence(widths: Sequence[int], eps: float, momentum: float) -> nn.Sequential:
    """One unit for each step between neighbouring widths; names ``0``, ``1``…"""
    return nn.Sequential(*(ConvNormSwish(a, b, eps, momentum) for a, b in itertools.pairwise(widths)))
