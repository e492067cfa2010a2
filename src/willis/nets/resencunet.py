"""The U-Net with a residual encoder of nnU-Net (Isensee 2024, doi:10.1007/978-3-031-72114-4_47).

Its blocks are those of ResNet-D (He 2019, doi:10.1109/CVPR.2019.00065): where a block strides, its shortcut averages.
The decoder is that of :class:`~willis.nets.plainunet.PlainUNet`.

State-dict layout as there, but for the encoder. Stage 0 begins with the stem, as its ``N`` = 0:

================================================  ==============================================
``encoder.0.0.conv.*``, ``encoder.0.0.norm.*``    stem: (features, inputs, *kernel), (features,)
``encoder.S.N.conv1.conv.*``, ``….norm.*``        as a convolution there; ``conv2`` likewise
``encoder.S.N.skip.conv.weight``, ``….norm.*``    (out, in, 1, 1, 1), (out,), where widths differ
================================================  ==============================================
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from willis.nets.plainunet import SAME, SLOPE, ConvNorm, ConvNormRelu, PlainUNet, PlainUNetConfig, Triple


class ResEncUNetConfig(PlainUNetConfig):
    """Size of a :class:`ResEncUNet`: that of a plain one, but ``convs`` counts residual blocks, of two convolutions."""


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which averages where the first strides and widens where it widens."""

    def __init__(self, inputs: int, outputs: int, kernel: Triple, stride: Triple, config: PlainUNetConfig) -> None:
        super().__init__()
        self.stride = stride
        self.conv1 = ConvNormRelu(inputs, outputs, kernel, stride, config)
        self.conv2 = ConvNorm(outputs, outputs, kernel, SAME, config)
        self.skip = ConvNorm(inputs, outputs, SAME, SAME, config, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, I, J, K) to (N, outputs, …)."""
        short = x if self.stride == SAME else functional.avg_pool3d(x, self.stride, self.stride)
        return functional.leaky_relu(self.conv2(self.conv1(x)) + self.skip(short), SLOPE)


class ResEncUNet(PlainUNet):
    """Logits for each voxel."""

    def _encoder_stage(self, number: int, inputs: int, config: PlainUNetConfig) -> nn.Sequential:
        outputs, kernel = config.features[number], config.kernels[number]
        units: list[nn.Module] = []
        if number == 0:
            units.append(ConvNormRelu(inputs, outputs, kernel, SAME, config))
            inputs = outputs
        for place in range(config.convs[number]):
            stride = config.strides[number] if place == 0 else SAME
            units.append(ResidualBlock(inputs if place == 0 else outputs, outputs, kernel, stride, config))
        return nn.Sequential(*units)
