"""Multi-input perfusion networks saved by Keras as H5, turned into a bundle; nothing in the file is executed."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from willis.errors import BadInputError, invalid_option
from willis.io.colour_tables import COLOUR_TABLES, PUBLISHED
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.importers.keras_h5 import KerasLayer, KerasModel, read_keras_h5
from willis.models.manifest import Manifest, make_manifest
from willis.models.publish import write_bundle
from willis.models.store import user_folder
from willis.nets.registry import build_network, misfit

Arrays = dict[str, npt.NDArray[np.float32]]

MAPS = ("cbf", "cbv", "ttp", "tmax", "mip")  # in the published order
CLASSES = {4: ("background", "brain", "penumbra", "core"), 3: ("background", "penumbra", "core"),
           2: ("background", "core")}  # fmt: skip
COLOURS = ("blue", "green", "red")
SCALARS = ("nihss", "age", "sex")  # in the order of the published settings
FIELD_MM = 220.0  # of a slice; assumed
VGG_CONVS = (2, 2, 3, 3, 3)
_VGG = re.compile(r"block([1-5])_conv([1-3])_([a-z]+)")
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


@dataclass(frozen=True)
class FusionFile:
    """Configuration and weights of :mod:`willis.nets.vgg_fusion`, and the maps by name."""

    config: dict[str, object]
    weights: Arrays
    maps: tuple[str, ...]


def import_perfusion(
    path: Path,
    out: str | os.PathLike[str] | None = None,
    *,
    colours: str = PUBLISHED,
    half: bool = False,
    replace: bool = False,
) -> Bundle:
    """Make a bundle of one H5 file.

    Parameters
    ----------
    path
        A whole model as Keras 2 or 3 saves it, its encoders' layers named ``block1_conv1_cbf`` and so on.
    out
        The bundle's folder; in the user's store when not given.
    colours
        Colour table that the network's maps were painted in; every run paints them alike.
    half
        Store kernels as float16.
    replace
        Take the place of a bundle of this name.

    Raises
    ------
    BadInputError
        When the file isn't such a network; what was found and what is needed is said.
    BundleError
        When a bundle stands there already.
    """
    found = read_fusion(path)
    manifest = _manifest(path, found, colours)
    return write_bundle(
        out if out is not None else user_folder() / manifest.name,
        manifest,
        [found.weights],
        half=half,
        card=render_card(manifest),
        replace=replace,
    )


def read_fusion(path: Path) -> FusionFile:
    """Read one H5 file as configuration and weights.

    Raises
    ------
    BadInputError
        When layers are missing, left over, or of unlike shapes.
    """
    model = read_keras_h5(path)
    if not model.has_graph:
        raise BadInputError(
            f"{path} holds weights without their graph; save the whole model (model.save) and give that."
        )
    seen = _Seen(model)
    maps = tuple(name for name in MAPS if name in seen.maps)
    if len(maps) not in (4, 5) or set(seen.maps) != set(maps):
        raise BadInputError(
            f"{path} has encoders of {', '.join(sorted(seen.maps)) or 'no map'}; a perfusion network has those of "
            f"{', '.join(MAPS[:4])}, with or without {MAPS[4]}."
        )
    weights: Arrays = {}
    for m, name in enumerate(maps):
        _take_encoder(weights, model, path, m, name)
        convs, norms = seen.branch(name)
        _need(path, f"convolutions behind the encoder of {name}", len(convs), 2)
        for n, layer in enumerate(convs):
            _take_conv(weights, f"branch.{m}.{n}", layer)
        for layer in norms:
            _take_norm(weights, f"branch_norm.{m}", layer)
    for n, layer in enumerate(seen.dense):
        if "bias" not in layer.arrays:
            raise BadInputError(f"the dense layer {layer.name} has no bias; the published one has.")
        weights[f"scalar.{n}.weight"] = np.ascontiguousarray(layer.arrays["kernel"].T)
        weights[f"scalar.{n}.bias"] = layer.arrays["bias"]
    names = ["bottom", *(f"up.{s}.{n}" for s in range(4) for n in range(3)), *(f"head.{n}" for n in range(3))]
    _need(path, "convolutions of the decoder", len(seen.decoder), len(names))
    for name, layer in zip(names, seen.decoder, strict=True):
        _take_conv(weights, name, layer)
    for n, layer in enumerate(seen.head_norms):
        _take_norm(weights, f"head_norm.{n}", layer)
    config = _config(path, weights, len(maps), bool(seen.head_norms))
    with torch.device("meta"):
        network = build_network("vgg_fusion", config)
    if reason := misfit(network, {name: torch.from_numpy(np.asarray(array)) for name, array in weights.items()}):
        raise BadInputError(f"{path} isn't the published network: {reason}, as willis names its layers.")
    return FusionFile(config, weights, maps)


class _Seen:
    """The layers of a graph by what they do: encoders, branches of one map, dense layers, the decoder in order."""

    def __init__(self, model: KerasModel) -> None:
        self.model = model
        self.upstream: dict[str, frozenset[str]] = {}
        self.depth: dict[str, int] = {}
        for name in model.layers:
            self._visit(name)
        weighted = [layer for layer in model.layers.values() if layer.arrays and not _VGG.fullmatch(layer.name)]
        weighted.sort(key=lambda layer: self.depth[layer.name])
        self.maps = {match[3] for name in model.layers if (match := _VGG.fullmatch(name))}
        self._branches = [layer for layer in weighted if len(self.upstream[layer.name]) == 1]
        self.dense = [layer for layer in weighted if not self.upstream[layer.name] and _is_dense(layer)]
        joined = [layer for layer in weighted if len(self.upstream[layer.name]) > 1]
        self.decoder = [layer for layer in joined if "kernel" in layer.arrays]
        self.head_norms = [layer for layer in joined if "gamma" in layer.arrays]

    def _visit(self, start: str) -> None:
        """Maps above each layer, and how many layers with weights lie above it; without recursion."""
        stack = [start]
        while stack:
            name = stack[-1]
            if name in self.depth:
                stack.pop()
                continue
            inputs = [source for source in self.model.layers[name].inputs if source in self.model.layers]
            waiting = [source for source in inputs if source not in self.depth]
            if waiting:
                stack += waiting
                continue
            match = _VGG.fullmatch(name)
            own = frozenset([match[3]]) if match else frozenset[str]()
            self.upstream[name] = own.union(*(self.upstream[source] for source in inputs))
            above = max((self.depth[source] for source in inputs), default=0)
            self.depth[name] = above + bool(self.model.layers[name].arrays)
            stack.pop()

    def branch(self, name: str) -> tuple[list[KerasLayer], list[KerasLayer]]:
        """Convolutions and norms behind one map's encoder."""
        mine = [layer for layer in self._branches if self.upstream[layer.name] == {name}]
        return [x for x in mine if "kernel" in x.arrays], [x for x in mine if "gamma" in x.arrays]


def _is_dense(layer: KerasLayer) -> bool:
    return "kernel" in layer.arrays and layer.arrays["kernel"].ndim == 2


def _need(path: Path, what: str, found: int, needed: int) -> None:
    if found != needed:
        raise BadInputError(f"{path} has {found} {what}; the published network has {needed}.")


def _take_encoder(weights: Arrays, model: KerasModel, path: Path, m: int, name: str) -> None:
    for b, count in enumerate(VGG_CONVS):
        for n in range(count):
            layer = model.layers.get(f"block{b + 1}_conv{n + 1}_{name}")
            if layer is None:
                raise BadInputError(f"{path} lacks the layer block{b + 1}_conv{n + 1}_{name} of a VGG-16.")
            _take_conv(weights, f"vgg.{m}.{b}.{n}", layer)


def _take_conv(weights: Arrays, name: str, layer: KerasLayer) -> None:
    kernel, bias = layer.arrays.get("kernel"), layer.arrays.get("bias")
    if kernel is None or bias is None or kernel.ndim != 4:
        raise BadInputError(f"the layer {layer.name} is no convolution with a bias.")
    weights[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    weights[f"{name}.bias"] = bias


def _take_norm(weights: Arrays, name: str, layer: KerasLayer) -> None:
    for theirs, ours in _NORM.items():
        if theirs not in layer.arrays:
            raise BadInputError(f"the normalisation {layer.name} has no {theirs}; the published one has.")
        weights[f"{name}.{ours}"] = layer.arrays[theirs]
    weights[f"{name}.num_batches_tracked"] = np.array(0, dtype=np.int64)


def _config(path: Path, weights: Mapping[str, npt.NDArray[np.float32]], maps: int, batch: bool) -> dict[str, object]:
    """The configuration that these arrays are of."""

    def out(name: str) -> int:
        return int(weights[f"{name}.bias"].shape[0])

    ups = [out(f"up.{s}.0") for s in range(4)]
    if any(width % maps for width in ups):
        raise BadInputError(f"{path} has decoder widths {ups}, which {maps} maps don't share evenly.")
    config: dict[str, object] = {
        "maps": maps,
        "scalars": 0,
        "outputs": out("head.2"),
        "vgg": [out(f"vgg.0.{b}.0") for b in range(5)],
        "branch": out("branch.0.0"),
        "bottom": out("bottom"),
        "up": [width // maps for width in ups],
        "head": out("head.0"),
        "batch_norm": batch,
    }
    if "scalar.0.weight" in weights:
        cells = out("scalar.1")
        side = round(cells**0.5)
        if side * side != cells:
            raise BadInputError(f"{path}: its dense layers give {cells} values, which fill no square.")
        config |= {"scalars": int(weights["scalar.0.weight"].shape[1]), "dense": out("scalar.0"), "size": 32 * side}
    return config


def _manifest(path: Path, found: FusionFile, colours: str) -> Manifest:
    if colours not in COLOUR_TABLES:
        raise invalid_option("--colours", colours, COLOUR_TABLES)
    painted = "" if colours == PUBLISHED else f"-{colours}"
    classes = int(str(found.config["outputs"]))
    if classes not in CLASSES:
        raise BadInputError(f"{path} has {classes} classes; allowed are {', '.join(map(str, CLASSES))}.")
    scalars = int(str(found.config["scalars"]))
    size = int(str(found.config.get("size", 512)))
    return make_manifest(
        {
            "name": f"perfusion-{'-'.join(found.maps)}{painted}" + (f"-scalars{scalars}" if scalars else ""),
            "title": f"Multi-input perfusion network, {', '.join(name.upper() for name in found.maps)}",
            "task": "perfusion",
            "network": {"name": "vgg_fusion", "config": found.config},
            "channels": (*(f"{m}{painted}-{c}" for m in found.maps for c in COLOURS), *SCALARS[:scalars]),
            "outputs": CLASSES[classes],
            "activation": "softmax",
            "spacing_mm": (FIELD_MM / size, FIELD_MM / size, 5.0),
            "window": {"mode": "sliding", "shape": (size, size, 1), "overlap": 0.0},
            "intensity": {"scheme": "none"},
            "threshold": {"value": 0.5, "origin": "not used: the class of highest probability is taken, as published"},
            "licence": "not stated in the file; ask its authors",
            "citation": ("Tomasetti et al. 2022, NLDL. doi:10.7557/18.6223",),
            "intended_use": "Research, as the publication's. Not for diagnosis or treatment.",
            "source": path.name,
            "peculiarities": (
                f"Maps are pictures in the colour table {colours}, blue, green and red from 0 to 255, not normalised; "
                "the file doesn't say in which table they were painted.",
                f"The pixel spacing that it was trained at isn't in the file; a field of {FIELD_MM:g} mm is assumed.",
                f"Clinical scalars are taken to be {', '.join(SCALARS[:scalars])}; unknown ones are 0, as published."
                if scalars
                else "It takes no clinical scalars.",
            ),
        },
        f"the manifest of {path.name}",
    )
