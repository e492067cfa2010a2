"""FVV's network: seven slices in, the middle one's logits out; a 3D encoder and the 2D decoder of DeepLabV3+.

References
----------
.. [1] Chen et al. 2018, arXiv:1802.02611
.. [2] Benzakoun et al. 2025, doi:10.1177/23969873251362712
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from willis.errors import BadInputError
from willis.nets.blocks.norm import BatchNorm
from willis.nets.efficientnet3d import EfficientNet3d
from willis.settings import Settings

SLICES = 7
MULTIPLE_OF = 16
TAKEN = (3, 3, 2, 2, 1, 1)  # slice of each of the encoder's features that the decoder sees
RATES = (12, 24, 36)  # dilations of the pyramid
WIDTH, SKIP_WIDTH = 256, 48
SKIP_CHANNELS, DEEP_CHANNELS = 24, 320
DROPOUT = 0.5
NORM_EPS, NORM_MOMENTUM = 1e-5, 0.1


class DeepLab25dConfig(Settings):
    """Channels in (published: b1000, b0) and logits out (brain, infarct, FLAIR-visible)."""

    inputs: int = Field(2, ge=1)
    outputs: int = Field(3, ge=1)


class Point(nn.Module):
    """1 × 1 convolution without bias, norm, rectifier. State: ``conv.weight``, ``norm.*``."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 1, bias=False)
        self.norm = BatchNorm(channels_out, NORM_EPS, NORM_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        return functional.relu(self.norm(self.conv(x)))


class Separable(nn.Module):
    """3 × 3 convolution of each channel, then 1 × 1, norm, rectifier. State: ``depth.weight``, ``point.*``."""

    def __init__(self, channels_in: int, channels_out: int, dilation: int = 1) -> None:
        super().__init__()
        self.depth = nn.Conv2d(
            channels_in, channels_in, 3, padding=dilation, dilation=dilation, groups=channels_in, bias=False
        )
        self.point = Point(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, H, W)."""
        out: Tensor = self.point(self.depth(x))
        return out


class Pyramid(nn.Module):
    """Five views of a map, near and far, joined. State: ``near.*``, ``atrous.0-2.*``, ``whole.*``, ``join.*``."""

    def __init__(self) -> None:
        super().__init__()
        self.near = Point(DEEP_CHANNELS, WIDTH)
        self.atrous = nn.ModuleList(Separable(DEEP_CHANNELS, WIDTH, rate) for rate in RATES)
        self.whole = Point(DEEP_CHANNELS, WIDTH)
        self.join = Point((len(RATES) + 2) * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 320, H, W) to (N, 256, H, W)."""
        mean = self.whole(functional.adaptive_avg_pool2d(x, 1))
        views = [self.near(x), *(view(x) for view in self.atrous), mean.expand(-1, -1, *x.shape[2:])]
        return functional.dropout(self.join(torch.cat(views, dim=1)), DROPOUT, self.training)


class Decoder(nn.Module):
    """DeepLabV3+'s decoder. State: ``pyramid.*``, ``smooth.*``, ``skip.*``, ``fuse.*``."""

    def __init__(self) -> None:
        super().__init__()
        self.pyramid = Pyramid()
        self.smooth = Separable(WIDTH, WIDTH)
        self.skip = Point(SKIP_CHANNELS, SKIP_WIDTH)
        self.fuse = Separable(SKIP_WIDTH + WIDTH, WIDTH)

    def forward(self, fine: Tensor, deep: Tensor) -> Tensor:
        """(N, 24, H, W) and (N, 320, H / 4, W / 4) to (N, 256, H, W)."""
        up = functional.interpolate(
            self.smooth(self.pyramid(deep)), scale_factor=4.0, mode="bilinear", align_corners=True
        )
        out: Tensor = self.fuse(torch.cat([up, self.skip(fine)], dim=1))
        return out


class DeepLab25d(nn.Module):
    """Takes (N, inputs, 7, H, W) with sides that are multiples of 16; gives logits (N, outputs, H, W).

    State: ``encoder.*``, ``decoder.*``, ``head.weight``, ``head.bias``.
    """

    takes_stacks = True  # of slices, of which the middle one is found

    def __init__(self, config: DeepLab25dConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DeepLab25dConfig()  # type: ignore[call-arg]
        self.encoder = EfficientNet3d(config.inputs)
        self.decoder = Decoder()
        self.head = nn.Conv2d(WIDTH, config.outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, H, W) of the middle slices of stacks (N, inputs, 7, H, W)."""
        if x.ndim != 5 or x.shape[1:3] != (self.config.inputs, SLICES) or any(n % MULTIPLE_OF for n in x.shape[3:]):
            raise BadInputError(
                f"this network takes (N, {self.config.inputs}, {SLICES}, H, W) with sides that are multiples of "
                f"{MULTIPLE_OF}; found {tuple(x.shape)}."
            )
        flat = [feature[:, :, index] for feature, index in zip(self.encoder(x), TAKEN, strict=True)]
        logits = self.head(self.decoder(flat[2], flat[5]))
        return functional.interpolate(logits, scale_factor=4.0, mode="bilinear", align_corners=True)
