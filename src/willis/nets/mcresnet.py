"""McResNet: a 3D ResNet-18 with CBAM after each block's addition, one logit for a whole scan.

State-dict layout (stable; importers map foreign weights onto it):

==============================================  =====================================================
``conv1.weight``, ``bn1.*``                     (64, in, 7, 7, 7); weight, bias, running_mean, running_var
``layerL.B.conv1.weight``, ``.bn1.*``           L 1 to 4, B 0 and 1: (out, in, 3, 3, 3)
``layerL.B.conv2.weight``, ``.bn2.*``           (out, out, 3, 3, 3)
``layerL.B.downsample.0.weight``, ``.1.*``      (out, in, 1, 1, 1), where the shape changes
``layerL.B.cbam.channel.reduce.weight``         (out / 16, out, 1, 1, 1)
``layerL.B.cbam.channel.expand.weight``         (out, out / 16, 1, 1, 1)
``layerL.B.cbam.spatial.conv.weight``           (1, 2, 7, 7, 7)
``fc1.*``, ``fc2.*``                            (64, 512) and (1, 64), with biases
==============================================  =====================================================

There are no counters and no other entries.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from willis.nets.blocks.cbam import Cbam
from willis.nets.blocks.norm import BatchNorm
from willis.settings import Settings

EPS, MOMENTUM = 1e-5, 0.1  # of batch normalisation: PyTorch's own


def _norm(channels: int) -> BatchNorm:
    return BatchNorm(channels, EPS, MOMENTUM)


class McResNetConfig(Settings):
    """Size of a :class:`McResNet`; the defaults are the published network.

    Parameters
    ----------
    inputs
        Channels in: CT, vessels, prior, difference of the halves.
    widths
        Channels of the four layers; the stem has the first of them.
    blocks
        Residual blocks in each layer.
    hidden
        Width of the layer before the logit.
    dropout
        Rate before the logit.
    reduction, kernel
        Of CBAM.
    """

    inputs: int = Field(4, ge=1)
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    hidden: int = Field(64, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    reduction: int = Field(16, ge=1)
    kernel: int = Field(7, ge=1)


class ResidualBlock(nn.Module):
    """Two convolutions, the identity added, then CBAM, then ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int, config: McResNetConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = _norm(outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = _norm(outputs)
        self.cbam = Cbam(outputs, config.reduction, config.kernel)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False), _norm(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, I, J, K) to (N, outputs, I / stride, …)."""
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y)) + self.downsample(x)
        gated: Tensor = torch.relu(self.cbam(y))
        return gated


class McResNet(nn.Module):
    """One logit for a whole scan: is a large vessel occluded?"""

    one_answer = True  # for a whole scan, none for its voxels

    def __init__(self, config: McResNetConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.conv1 = nn.Conv3d(config.inputs, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = _norm(widths[0])
        self.pool = nn.MaxPool3d(3, stride=2, padding=1)
        before = (widths[0], *widths[:3])
        for number, (inputs, outputs, count) in enumerate(zip(before, widths, config.blocks, strict=True), start=1):
            strides = (1 if number == 1 else 2, *(1,) * (count - 1))
            blocks = [
                ResidualBlock(inputs if place == 0 else outputs, outputs, stride, config)
                for place, stride in enumerate(strides)
            ]
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.fc1 = nn.Linear(widths[3], config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.fc2 = nn.Linear(config.hidden, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 1) of images (N, inputs, I, J, K)."""
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        x = x.mean(dim=(2, 3, 4))
        logits: Tensor = self.fc2(self.dropout(torch.relu(self.fc1(x))))
        return logits
