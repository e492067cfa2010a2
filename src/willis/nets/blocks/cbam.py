"""CBAM: what and where to look at, as two gates on a map (Woo 2018, doi:10.1007/978-3-030-01234-2_1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelGate(nn.Module):
    """Weighs channels by their global average, through a bottleneck without biases."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.reduce = nn.Conv3d(channels, channels // reduction, 1, bias=False)
        self.expand = nn.Conv3d(channels // reduction, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to the same shape."""
        average = x.mean(dim=(2, 3, 4), keepdim=True)
        gated: Tensor = x * torch.sigmoid(self.expand(torch.relu(self.reduce(average))))
        return gated


class SpatialGate(nn.Module):
    """Weighs places by a convolution of the channels' mean and maximum."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to the same shape."""
        told = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        gated: Tensor = x * torch.sigmoid(self.conv(told))
        return gated


class Cbam(nn.Module):
    """Channel gate, then spatial gate."""

    def __init__(self, channels: int, reduction: int = 16, kernel: int = 7) -> None:
        super().__init__()
        self.channel = ChannelGate(channels, reduction)
        self.spatial = SpatialGate(kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, I, J, K) to the same shape."""
        gated: Tensor = self.spatial(self.channel(x))
        return gated
