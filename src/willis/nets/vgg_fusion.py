"""One VGG-16 for each perfusion map, fused into one decoder: multi-input core and penumbra segmentation.

State-dict layout (stable; importers map foreign weights onto it). ``m`` is the map, ``b`` a VGG block from 1, ``n`` its
convolution from 1, ``s`` a step of the decoder from 0:

======================================  ===============================================================
``vgg.m.b.n.weight`` / ``.bias``        Keras' ``block{b}_conv{n}`` of the map's encoder
``branch.m.0``, ``branch.m.1``          the two convolutions behind an encoder
``branch_norm.m``                       batch normalisation behind them, in the batch variant
``scalar.0``, ``scalar.1``              dense layers of the clinical scalars
``bottom``                              transposed convolution, which doubles the size
``up.s.0``, ``up.s.1``, ``up.s.2``      two convolutions and a transposed one
``head.0``, ``head.1``, ``head.2``      two convolutions and the 1 × 1 one of the classes
``head_norm.0``, ``head_norm.1``        in the batch variant
======================================  ===============================================================

A Keras kernel (3, 3, in, out) is transposed by ``(3, 2, 0, 1)``, which serves transposed ones too, whose kernel is
(2, 2, out, in).

References
----------
Tomasetti et al. 2022, doi:10.7557/18.6223.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from willis.errors import BadInputError
from willis.settings import Settings

VGG_CONVS = (2, 2, 3, 3, 3)  # of VGG-16's five blocks
MAP_CHANNELS = 3  # blue, green, red
REDUCTION = 32  # of the encoders, along each axis


class VggFusionConfig(Settings):
    """Size of a :class:`VggFusion`; the defaults are the published network with four maps and four classes.

    Parameters
    ----------
    maps
        Number of maps, each of three channels.
    scalars
        Number of clinical scalars, given as further channels that are the same everywhere.
    outputs
        Classes.
    size
        Pixels of a side of the slices or tiles; a multiple of 32. The dense layers of scalars depend on it.
    vgg
        Width of each block.
    branch, dense
        Widths behind each encoder and of the first dense layer.
    bottom
        Width of the first transposed convolution.
    up
        Width of each decoder step, for one map; multiplied by the number of maps.
    head
        Width of the two last convolutions.
    dropout
        Rate behind each encoder.
    batch_norm
        The published batch variant.
    """

    maps: int = Field(4, ge=1)
    scalars: int = Field(0, ge=0)
    outputs: int = Field(4, ge=1)
    size: int = Field(512, ge=32)
    vgg: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512)
    branch: int = Field(128, ge=1)
    dense: int = Field(100, ge=1)
    bottom: int = Field(256, ge=1)
    up: tuple[int, int, int, int] = (128, 64, 32, 16)
    head: int = Field(16, ge=1)
    dropout: float = Field(0.25, ge=0, lt=1)
    batch_norm: bool = False


class VggFusion(nn.Module):
    """Logits of each class from colour-coded maps.

    Parameters
    ----------
    config
        Its size.

    Raises
    ------
    BadInputError
        When the size isn't a multiple of 32.
    """

    def __init__(self, config: VggFusionConfig) -> None:
        super().__init__()
        if config.size % REDUCTION:
            raise BadInputError(f"the size is {config.size} pixels; it must be a multiple of {REDUCTION}.")
        self.config = config
        maps = config.maps
        self.vgg = nn.ModuleList([_encoder(config.vgg) for _ in range(maps)])
        self.branch = nn.ModuleList(
            [nn.ModuleList([_conv(config.vgg[4], config.branch), _conv(config.branch, config.branch)])
             for _ in range(maps)]
        )  # fmt: skip
        if config.batch_norm:
            self.branch_norm = nn.ModuleList([nn.BatchNorm2d(config.branch, 1e-3, 0.01) for _ in range(maps)])
            self.head_norm = nn.ModuleList([nn.BatchNorm2d(config.head, 1e-3, 0.01) for _ in range(2)])
        if config.scalars:
            cells = (config.size // REDUCTION) ** 2
            self.scalar = nn.ModuleList([nn.Linear(config.scalars, config.dense), nn.Linear(config.dense, cells)])
        self.bottom = _double(maps * config.branch + (1 if config.scalars else 0), config.bottom)
        before, steps = config.bottom, []
        for width, skip in zip(config.up, reversed(config.vgg[1:]), strict=True):
            out = width * maps
            steps.append(nn.ModuleList([_conv(before + maps * skip, out), _conv(out, out), _double(out, out)]))
            before = out
        self.up = nn.ModuleList(steps)
        self.head = nn.ModuleList(
            [_conv(before + maps * config.vgg[0], config.head), _conv(config.head, config.head),
             nn.Conv2d(config.head, config.outputs, 1)]
        )  # fmt: skip
        self._initialise()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, H, W), or (N, outputs, H, W, K) of a stack of slices.

        Parameters
        ----------
        x
            (N, 3 · maps + scalars, H, W[, K]): blue, green and red of each map, 0 to 255, then the scalars.
        """
        if x.ndim == 5:
            n, c, h, w, k = x.shape
            flat = self.forward(x.permute(0, 4, 1, 2, 3).reshape(n * k, c, h, w))
            return flat.reshape(n, k, -1, h, w).permute(0, 2, 3, 4, 1)
        skips: list[list[Tensor]] = []
        ends = []
        for m in range(self.config.maps):
            end, mine = self._encoded(x[:, MAP_CHANNELS * m : MAP_CHANNELS * (m + 1)], m)
            ends.append(end)
            skips.append(mine)
        if self.config.scalars:
            ends.append(self._scalar_cells(x[:, MAP_CHANNELS * self.config.maps :], ends[0]))
        y = functional.relu(self.bottom(torch.cat(ends, 1)))
        for s, step in enumerate(self.up):
            y = torch.cat([y, *[mine[4 - s] for mine in skips]], 1)
            for layer in step:  # type: ignore[attr-defined]
                y = functional.relu(layer(y))
        y = torch.cat([y, *[mine[0] for mine in skips]], 1)
        for n in range(2):
            y = functional.relu(self.head[n](y))
            y = self.head_norm[n](y) if self.config.batch_norm else y
        logits: Tensor = self.head[2](y)
        return logits

    def _encoded(self, x: Tensor, m: int) -> tuple[Tensor, list[Tensor]]:
        """One map behind its encoder and branch, and the last activation of each of its blocks."""
        kept = []
        for block in self.vgg[m]:  # type: ignore[attr-defined]
            for layer in block:
                x = functional.relu(layer(x))
            kept.append(x)
            x = functional.max_pool2d(x, 2)
        for layer in self.branch[m]:  # type: ignore[attr-defined]
            x = functional.relu(layer(x))
        if self.config.batch_norm:
            x = self.branch_norm[m](x)
        return functional.dropout(x, self.config.dropout, self.training), kept

    def _scalar_cells(self, channels: Tensor, like: Tensor) -> Tensor:
        values = channels.mean((2, 3))
        cells = functional.relu(self.scalar[1](functional.relu(self.scalar[0](values))))
        side = self.config.size // REDUCTION
        grid = cells.reshape(-1, 1, side, side)
        return grid if grid.shape[2:] == like.shape[2:] else functional.interpolate(grid, size=like.shape[2:])

    def encoder_layers(self) -> Iterator[nn.Module]:
        """The encoders' convolutions by depth, over all maps."""
        for b, count in enumerate(VGG_CONVS):
            for n in range(count):
                for encoder in self.vgg:
                    yield encoder[b][n]  # type: ignore[index]

    def parts(self) -> dict[str, list[nn.Module]]:
        """Layers that stages of a training may leave frozen: the encoders, and the first half of their layers."""
        layers = list(self.encoder_layers())
        return {"encoders": layers, "encoders-first-half": layers[: len(layers) // 2]}

    def regularised(self) -> Iterator[nn.Module]:
        """Convolutions that the publication adds to the encoders: those it penalises and holds to a norm."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not name.startswith("vgg."):
                yield module

    def _initialise(self) -> None:
        """Glorot's uniform weights and no bias, as published."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)


def _encoder(widths: tuple[int, ...]) -> nn.ModuleList:
    before, blocks = MAP_CHANNELS, []
    for width, count in zip(widths, VGG_CONVS, strict=True):
        blocks.append(nn.ModuleList([_conv(before if n == 0 else width, width) for n in range(count)]))
        before = width
    return nn.ModuleList(blocks)


def _conv(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1)


def _double(before: int, after: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 2, stride=2)
