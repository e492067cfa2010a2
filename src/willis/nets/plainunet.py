"""The plain convolutional U-Net of nnU-Net (Isensee 2021, doi:10.1038/s41592-020-01008-z), any depth and kernel.

A 2D network is one of 3D with kernels, strides and patches of 1 along its first axis.

State-dict layout (stable; importers map foreign weights onto it). ``S`` counts stages from full size down in the
encoder, and in the order of application in the decoder; ``N`` counts convolutions within a stage:

=========================================  ====================================================
``encoder.S.N.conv.weight`` / ``.bias``    (out, in, *kernel)
``encoder.S.N.norm.weight`` / ``.bias``    (out,)
``up.S.weight``, ``decoder.S.N.*``         transposed convolution (in, out, *stride); as above
``head.weight``, ``head.bias``             (outputs, in, 1, 1, 1), (outputs,)
=========================================  ====================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from willis.settings import Settings

Triple = tuple[int, int, int]
SAME: Triple = (1, 1, 1)  # a stride that keeps the size, a kernel that sees one voxel
SLOPE = 0.01  # of leaky ReLU below 0


class PlainUNetConfig(Settings):
    """Size of a :class:`PlainUNet`.

    Parameters
    ----------
    inputs, outputs
        Channels in, logits out (background first).
    features, kernels, strides
        Of each stage; the stride is that of its first convolution.
    convs, decoder_convs
        Convolutions in each stage of the encoder and of the decoder.
    bias
        Whether convolutions have one.
    norm_eps, norm_affine
        Of instance normalisation.
    plan
        How the network is to be run; not its concern.
    """

    inputs: int = Field(1, ge=1)
    outputs: int = Field(2, ge=1)
    features: tuple[int, ...] = (32, 64, 128)
    kernels: tuple[Triple, ...] = ((3, 3, 3),) * 3
    strides: tuple[Triple, ...] = ((1, 1, 1), (2, 2, 2), (2, 2, 2))
    convs: tuple[int, ...] = (2, 2, 2)
    decoder_convs: tuple[int, ...] = (2, 2)
    bias: bool = True
    norm_eps: float = 1e-5
    norm_affine: bool = True
    plan: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> PlainUNetConfig:
        stages = len(self.features)
        if not stages == len(self.kernels) == len(self.strides) == len(self.convs) == len(self.decoder_convs) + 1:
            raise ValueError("features, kernels, strides and convs need one entry a stage, decoder_convs one less")
        return self


class ConvNorm(nn.Module):
    """Convolution and instance normalisation; ``bias`` where it isn't the configuration's."""

    def __init__(
        self, inputs: int, outputs: int, kernel: Triple, stride: Triple, config: PlainUNetConfig,
        *, bias: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        padding = ((kernel[0] - 1) // 2, (kernel[1] - 1) // 2, (kernel[2] - 1) // 2)
        biased = config.bias if bias is None else bias
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=biased)
        self.norm = nn.InstanceNorm3d(outputs, eps=config.norm_eps, affine=config.norm_affine)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, I, J, K) to (N, outputs, …)."""
        out: Tensor = self.norm(self.conv(x))
        return out


class ConvNormRelu(ConvNorm):
    """Convolution, instance normalisation, leaky ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, I, J, K) to (N, outputs, …)."""
        return functional.leaky_relu(super().forward(x), SLOPE)


class PlainUNet(nn.Module):
    """Logits for each voxel."""

    def __init__(self, config: PlainUNetConfig) -> None:
        super().__init__()
        self.config = config
        before = (config.inputs, *config.features[:-1])
        self.encoder = nn.ModuleList(
            self._encoder_stage(number, inputs, config) for number, inputs in enumerate(before)
        )
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for step, count in enumerate(config.decoder_convs, start=1):
            below, skip = config.features[-step], config.features[-step - 1]
            stride = config.strides[-step]
            self.up.append(nn.ConvTranspose3d(below, skip, stride, stride, bias=config.bias))
            self.decoder.append(_stage(2 * skip, skip, config.kernels[-step - 1], SAME, count, config))
        self.head = nn.Conv3d(config.features[0], config.outputs, 1)

    def _encoder_stage(self, number: int, inputs: int, config: PlainUNetConfig) -> nn.Sequential:
        kernel, stride = config.kernels[number], config.strides[number]
        return _stage(inputs, config.features[number], kernel, stride, config.convs[number], config)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, I, J, K) of images (N, inputs, I, J, K) whose sides the strides divide."""
        *skips, x = encoded(self.encoder, x)
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(torch.cat([up(x), skips.pop()], dim=1))
        logits: Tensor = self.head(x)
        return logits


def encoded(stages: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """The maps of all stages of an encoder, the finest first."""
    maps = [x]
    for stage in stages:
        maps.append(stage(maps[-1]))
    return maps[1:]


def _stage(
    inputs: int, outputs: int, kernel: Triple, stride: Triple, count: int, config: PlainUNetConfig
) -> nn.Sequential:
    units = [
        ConvNormRelu(inputs if place == 0 else outputs, outputs, kernel, stride if place == 0 else SAME, config)
        for place in range(count)
    ]
    return nn.Sequential(*units)
