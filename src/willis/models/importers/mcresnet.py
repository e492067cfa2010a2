"""The published McResNet's weights (``.pth``) as a bundle of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from willis.errors import BadInputError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.importers.checkpoint import read_checkpoint, state_of
from willis.models.manifest import make_manifest
from willis.models.store import user_folder, write_bundle
from willis.nets.mcresnet import McResNet, McResNetConfig
from willis.units import counted

PUBLISHED = McResNetConfig.parse({}, "the published network")
AXES = "LAS"  # assumed: of axial slices as dcm2niix writes them; the authors name none
SHAPE = (512, 512, 200)
CHANNELS = ("ncct", "vessels", "prior", "difference")
_BLOCK = re.compile(r"^(layer[1-4])\.(\d+)\.(.+)$")
_PLAIN = re.compile(r"^(conv1|bn1|conv2|bn2|downsample\.[01])\.(weight|bias|running_mean|running_var)$")
_SHORTCUT = re.compile(r"^(?:shortcut|skip)\.([01])\.")
INTENDED_USE = "Research on acute stroke. Not a medical device: not for diagnosis, triage or treatment."
PECULIARITIES = (
    "Reads the scan on its own voxels, zero-padded to 512 × 512 × 200; a larger scan can't be read.",
    "CT values above 70 HU are set to 0, not cut at 70.",
    "The prior keeps its own values, those of the built-in territory unless --prior gives the published map.",
    "The difference is that of one half alone: the patient's right one by the affine of the published half mask, "
    "which calls it left.",
    "The CT is that of the brain alone.",
    "Spacing in this manifest is nominal: the published method never resamples.",
)


def import_mcresnet(
    file: Path, out: Path | None = None, *, name: str = "mcresnet", licence: str = "unknown", axes: str = AXES,
    replace: bool = False,
) -> Bundle:  # fmt: skip
    """Make a bundle of a checkpoint of the published network.

    Nothing in the file is executed. Names may start with ``module.``; the weights of CBAM and of the head, which
    others name as they like, are known by their shapes.

    Parameters
    ----------
    file
        A state_dict, or a checkpoint that holds one.
    out
        The bundle's folder; in the user's store under its name when not given.
    name, licence
        Of the bundle; the authors state no licence.
    axes
        Orientation of the files that it was trained on; a scan is turned to it.

    Raises
    ------
    BadInputError
        When the file holds other weights.
    """
    weights = renamed(state_of(read_checkpoint(file), file), file)
    manifest = make_manifest(
        {
            "name": name,
            "task": "lvo",
            "title": "Large vessel occlusion on non-contrast CT (McResNet)",
            "network": {"name": "mcresnet"},
            "channels": CHANNELS,
            "outputs": ("lvo",),
            "spacing_mm": (1.0, 1.0, 1.0),
            "axes": axes.upper(),
            "shape": SHAPE,
            "intensity": {"scheme": "range"},
            "threshold": {"value": 0.5, "origin": "as published: 0.5 on the sigmoid"},
            "licence": licence,
            "intended_use": INTENDED_USE,
            "source": file.name,
            "peculiarities": PECULIARITIES,
        },
        f"the bundle of {file.name}",
    )
    folder = out if out is not None else user_folder() / name
    return write_bundle(folder, manifest, [weights], half=False, card=render_card(manifest), replace=replace)


def renamed(state: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The weights under our names.

    Raises
    ------
    BadInputError
        When one is missing, unknown, or of another shape.
    """
    wanted = {name: tuple(value.shape) for name, value in McResNet(PUBLISHED).state_dict().items()}
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        ours = _our_name(name, tuple(value.shape))
        if ours not in wanted or ours in found:
            raise BadInputError(f"{file} holds {name} {tuple(value.shape)}, which McResNet has no place for.")
        if value.numel() != _size(wanted[ours]):
            raise BadInputError(f"{file}: {name} has shape {tuple(value.shape)}; McResNet's is {wanted[ours]}.")
        found[ours] = value.reshape(wanted[ours])
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise BadInputError(f"{file} lacks {counted(len(missing), 'weight')} of McResNet, the first {missing[0]}.")
    return {name: found[name] for name in wanted}


def _our_name(name: str, shape: tuple[int, ...]) -> str:
    block = _BLOCK.match(name)
    if block is None:
        return _outer_name(name, shape)
    layer, number, rest = block.groups()
    rest = _SHORTCUT.sub(r"downsample.\1.", rest)
    if _PLAIN.match(rest):
        return f"{layer}.{number}.{rest}"
    return f"{layer}.{number}.cbam.{_gate(shape)}.weight"


def _outer_name(name: str, shape: tuple[int, ...]) -> str:
    if name.startswith(("conv1.", "bn1.")):
        return name
    kind = name.rpartition(".")[2]
    hidden = PUBLISHED.hidden
    first = shape in ((hidden, 512), (hidden,))
    return f"{'fc1' if first else 'fc2'}.{kind}" if kind in ("weight", "bias") else name


def _gate(shape: tuple[int, ...]) -> str:
    """Which of CBAM's three weights has that shape; linear layers and 1³ convolutions are one."""
    if len(shape) == 5 and shape[2:] == (7, 7, 7):
        return "spatial.conv"
    return "channel.reduce" if shape[0] < shape[1] else "channel.expand"


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for side in shape:
        size *= side
    return size
