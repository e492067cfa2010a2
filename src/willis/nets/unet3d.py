"""The 3D U-Net of SHIVA, as published, and smaller ones by its configuration.

State-dict layout (stable; importers map foreign weights onto it). ``L`` is the level, 0 at full size; ``n`` the
convolution within the level, in the order in which they are applied:

==========================================  =========================================================
``encoder.L.n.conv.weight``                 (out, in, 3, 3, 3), no bias
``encoder.L.n.norm.weight`` / ``.bias``     (out,): Keras' gamma / beta
``encoder.L.n.norm.running_mean/_var``      (out,): Keras' moving_mean / moving_variance; none for instance norm
``decoder.L.n.conv.weight``, ``.norm.*``    as above; the decoder runs from the deepest L to 0. Input channels of
                                            ``n`` = 0 are in the order upsampled, skip
``final.n.conv.weight``, ``final.n.norm.*`` as above
``head.weight``, ``head.bias``              (outputs, in, 1, 1, 1), (outputs,)
==========================================  =========================================================

In the order of application this is encoder 0…, decoder …0, final, head, which is also Keras' order of layers. A Keras
kernel (3, 3, 3, in, out) is transposed by ``(4, 3, 0, 1, 2)``. There are no counters and no other entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from willis.errors import BadInputError
from willis.nets.blocks.conv import conv_sequence
from willis.nets.blocks.norm import BatchNorm, InstanceNorm
from willis.settings import Settings


class UNet3dConfig(Settings):
    """Size of a :class:`UNet3d`; the defaults are the published network with two inputs.

    Parameters
    ----------
    inputs, outputs
        Channels in (published order T1, FLAIR) and logits out.
    filters
        Width of each level; its length is the number of levels. Wins over ``first``, ``levels``, ``growth``.
    first, levels, growth
        Width of level 0, number of levels, and factor from level to level (rounded each time): 10, 7, 1.8.
    convs
        Convolutions in each level.
    dropout
        Rate after each encoder level's pooling; one number short or a single number: the last one is repeated.
    decoder_dropout
        Rate after each decoder level.
    decoder
        ``"published"``: the first convolution of a decoder level keeps the width of the concatenation.
        ``"slim"``: it goes straight to the level's width.
    final
        Widths of the convolutions before the head; the published are (10, 10).
    norm
        ``"batch"`` as published; ``"instance"`` for small batches of unlike contrasts, run on windows of its patch.
    norm_eps, norm_momentum
        Of the normalisation; Keras' defaults.
    """

    inputs: int = Field(2, ge=1)
    outputs: int = Field(1, ge=1)
    filters: tuple[int, ...] = ()
    first: int = Field(10, ge=1)
    levels: int = Field(7, ge=1)
    growth: float = Field(1.8, ge=1.0)
    convs: int = Field(2, ge=1)
    dropout: tuple[float, ...] = (0.05, 0.5)
    decoder_dropout: float = Field(0.5, ge=0.0, lt=1.0)
    decoder: Literal["published", "slim"] = "published"
    final: tuple[int, ...] = (10, 10)
    norm: Literal["batch", "instance"] = "batch"
    norm_eps: float = Field(1e-3, gt=0.0)
    norm_momentum: float = Field(0.01, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _check(self) -> UNet3dConfig:
        if any(n < 1 for n in self.filters + self.final):
            raise ValueError("every width must be at least 1")
        if not self.dropout or any(not 0 <= rate < 1 for rate in self.dropout):
            raise ValueError("dropout needs at least one rate, each in [0, 1)")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters of each level."""
        if self.filters:
            return self.filters
        widths = [self.first]
        while len(widths) < self.levels:
            widths.append(round(widths[-1] * self.growth))
        return tuple(widths)

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """Dropout after each encoder level."""
        return tuple(self.dropout[min(level, len(self.dropout) - 1)] for level in range(len(self.widths)))

    def make_norm(self, channels: int) -> nn.Module:
        """The normalisation of so many channels."""
        if self.norm == "instance":
            return InstanceNorm(channels, self.norm_eps)
        return BatchNorm(channels, self.norm_eps, self.norm_momentum)

    @property
    def smallest_side(self) -> int:
        """Least number of voxels along each axis of an input: every level halves it."""
        return 1 << len(self.widths)


class UNet3d(nn.Module):
    """U-Net whose every level, the deepest too, pools; upsampled maps are zero-padded to their skip's size.

    Takes (N, inputs, I, J, K) of any size from ``config.smallest_side`` on; gives logits (N, outputs, I, J, K).

    References
    ----------
    .. [1] Boutinaud et al. 2021, doi:10.3389/fninf.2021.641600
    .. [2] Tsuchida et al. 2024, doi:10.1002/hbm.26548
    """

    def __init__(self, config: UNet3dConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or UNet3dConfig()  # type: ignore[call-arg]
        widths, norm = config.widths, config.make_norm
        below = (config.inputs, *widths)
        self.encoder = nn.ModuleList(
            conv_sequence((before, *(width,) * config.convs), norm)
            for before, width in zip(below, widths, strict=False)
        )
        above = (*widths[1:], widths[-1])
        self.decoder = nn.ModuleList(
            conv_sequence(_decoder_widths(up, width, config), norm) for up, width in zip(above, widths, strict=True)
        )
        self.final = conv_sequence((widths[0], *config.final), norm)
        self.head = nn.Conv3d(config.final[-1] if config.final else widths[0], config.outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, outputs, I, J, K) of images (N, inputs, I, J, K)."""
        check_input(x.shape, self.config)
        skips = []
        for level, rate in zip(self.encoder, self.config.dropout_rates, strict=True):
            x = level(x)
            skips.append(x)
            x = functional.dropout(functional.max_pool3d(x, 2), rate, self.training)
        for level, skip in zip(reversed(self.decoder), reversed(skips), strict=True):
            x = pad_to(functional.interpolate(x, scale_factor=2.0, mode="nearest"), skip.shape[2:])
            x = level(torch.cat([x, skip], dim=1))
            x = functional.dropout(x, self.config.decoder_dropout, self.training)
        out: Tensor = self.head(self.final(x))
        return out


def check_input(shape: Sequence[int], config: UNet3dConfig) -> None:
    """Raise BadInputError when a network of this configuration can't take (N, C, I, J, K)."""
    least = config.smallest_side
    if len(shape) != 5 or shape[1] != config.inputs or min(shape[2:]) < least:
        raise BadInputError(
            f"this network takes (N, {config.inputs}, I, J, K) with sides of at least {least} voxels; "
            f"found {tuple(shape)}. Pad the input, or use a network with fewer levels."
        )


def pad_to(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Zero-pad the spatial axes of (N, C, I, J, K) to ``shape``: floor of the difference before, ceil after."""
    pads: list[int] = []
    for have, want in zip(reversed(x.shape[2:]), reversed(shape), strict=True):
        before = (want - have) // 2
        pads += [before, want - have - before]
    return functional.pad(x, pads) if any(pads) else x


def _decoder_widths(up: int, width: int, config: UNet3dConfig) -> tuple[int, ...]:
    joined = up + width
    keeps = config.decoder == "published" and config.convs > 1
    first = joined if keeps else width
    return (joined, first, *(width,) * (config.convs - 1))
