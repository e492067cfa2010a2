"""The unit that most networks here are made of: convolution, normalisation, swish."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Callable[[int], nn.Module]  # makes the normalisation of so many channels


class ConvNormSwish(nn.Module):
    """3³ convolution without bias, normalisation, swish; the size is kept.

    State: ``conv.weight`` (out, in, 3, 3, 3) and ``norm.*``.
    """

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False)
        self.norm = norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, I, J, K) to (N, out, I, J, K)."""
        return functional.silu(self.norm(self.conv(x)), inplace=not torch.is_grad_enabled())


def conv_sequence(widths: Sequence[int], norm: Norm) -> nn.Sequential:
    """One unit for each step between neighbouring widths; names ``0``, ``1``…"""
    return nn.Sequential(*(ConvNormSwish(a, b, norm) for a, b in itertools.pairwise(widths)))
