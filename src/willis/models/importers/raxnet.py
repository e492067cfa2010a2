"""The published RAX-NET files, one Keras H5 for each plane, as one bundle.

Layers are put in order by the numbers that Keras gives them as they are made, told apart by kind, and checked against
the published network's shapes. Nothing in the files is executed.

References
----------
.. [1] Mousavi 2025, doi:10.1101/2025.09.26.25336733
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from willis.errors import BadInputError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.importers.keras_h5 import KerasLayer, KerasModel, read_keras_h5
from willis.models.importers.raxnet_manifest import raxnet_manifest
from willis.models.store import user_folder, write_bundle
from willis.nets.raxnet import RaxNetConfig
from willis.nets.registry import build_network
from willis.volume.plane import PLANES, Plane

Arrays = dict[str, npt.NDArray[np.float32]]
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
_NUMBER = re.compile(r"_(\d+)$")


def import_raxnet(folder: Path, out: Path | None = None, *, half: bool = False, replace: bool = False) -> Bundle:
    """Make one bundle of ``axial.h5``, ``sagittal.h5`` and ``coronal.h5``, or of those of them that are there.

    Parameters
    ----------
    folder
        Holds the files.
    out
        The bundle's folder; in the user's store under its own name when not given.
    half
        Store kernels as float16: half the size, and probabilities that differ a little from the published ones.
    replace
        Take the place of a bundle of this name.

    Raises
    ------
    BadInputError
        When there is no such file, or one isn't as published.
    BundleError
        When a bundle stands there already.
    MissingExtraError
        When h5py is not installed.
    """
    files = {plane: folder / f"{plane}.h5" for plane in PLANES if (folder / f"{plane}.h5").is_file()}
    if not files:
        raise BadInputError(f"{folder} holds none of axial.h5, sagittal.h5 and coronal.h5.")
    config = RaxNetConfig()  # type: ignore[call-arg]
    manifest = raxnet_manifest(tuple(files), tuple(path.name for path in files.values()), config)
    return write_bundle(
        out if out is not None else user_folder() / manifest.name,
        manifest,
        _members(files, config),
        half=half,
        card=render_card(manifest),
        replace=replace,
    )


def _members(files: Mapping[Plane, Path], config: RaxNetConfig) -> Iterator[Arrays]:
    for path in files.values():
        yield read_raxnet(path, config)


def read_raxnet(path: Path, config: RaxNetConfig | None = None) -> Arrays:
    """Read one H5 file as weights of ``nets.raxnet``; its docstring has the layout.

    Raises
    ------
    BadInputError
        When an array is missing, left over, or of another shape than the network's.
    """
    config = config or RaxNetConfig()  # type: ignore[call-arg]
    model = read_keras_h5(path)
    _check_graph(model)
    weights = _weights(_Kinds(model), config)
    _check_shapes(path, config, weights)
    return weights


class _Kinds:
    """The layers of a file by kind, in the order in which they were made, taken one after the other."""

    def __init__(self, model: KerasModel) -> None:
        self.path = model.path
        held = [layer for layer in model.layers.values() if layer.arrays]
        held.sort(key=lambda layer: int(found.group(1)) if (found := _NUMBER.search(layer.name)) else -1)
        self._left: dict[str, list[KerasLayer]] = {"norm": [], "separable": [], "transposed": [], "3": [], "1": []}
        for layer in held:
            self._left[self._kind(layer)].append(layer)

    def _kind(self, layer: KerasLayer) -> str:
        if "gamma" in layer.arrays:
            return "norm"
        if "depthwise_kernel" in layer.arrays:
            return "separable"
        kernel = layer.arrays.get("kernel")
        if kernel is None or kernel.ndim != 4 or kernel.shape[0] not in (1, 3):
            raise BadInputError(f"{self.path}: {layer.name} is no layer of the published RAX-NET.")
        if layer.kind == "Conv2DTranspose" or (not layer.kind and "transpose" in layer.name):
            return "transposed"
        return str(kernel.shape[0])

    def take(self, kind: str) -> KerasLayer:
        """The next layer of a kind."""
        if not self._left[kind]:
            raise BadInputError(f"{self.path} has fewer layers than the published RAX-NET.")
        return self._left[kind].pop(0)

    def take_pair(self, inputs: int) -> tuple[KerasLayer, KerasLayer]:
        """The next two 1 × 1 convolutions, that with ``inputs`` channels first."""
        one, other = self.take("1"), self.take("1")
        return (one, other) if one.arrays["kernel"].shape[2] == inputs else (other, one)

    def finish(self) -> None:
        """Refuse what is left over."""
        if left := [layer.name for layers in self._left.values() for layer in layers]:
            raise BadInputError(f"{self.path} has layers that the published RAX-NET has not: {', '.join(left)}.")


def _weights(kinds: _Kinds, config: RaxNetConfig) -> Arrays:
    found: Arrays = {}
    found |= _conv("entry.conv", kinds.take("3")) | _norm("entry_norm", kinds.take("norm"))
    for block, units in enumerate(config.down_units):
        for n in range(units):
            name = f"down.{block}.unit.{n}"
            found |= _separable(name, kinds.take("separable")) if n % 2 else _conv(f"{name}.conv.conv", kinds.take("3"))
            found |= _norm(f"{name}.norm", kinds.take("norm"))
        found |= _conv(f"down.{block}.residual", kinds.take("1"))
    below = config.filters[-1]
    for block, (units, width) in enumerate(zip(config.up_units, reversed(config.filters), strict=True)):
        for n in range(units):
            found |= _conv(f"up.{block}.unit.{n}.conv", kinds.take("transposed"))
            found |= _norm(f"up.{block}.unit.{n}.norm", kinds.take("norm"))
        for name, layer in zip(("from_below", "from_skip"), kinds.take_pair(below), strict=True):
            found |= _conv(f"up.{block}.{name}", layer)
        found |= _conv(f"up.{block}.mix", kinds.take("1")) | _norm(f"up.{block}.norm", kinds.take("norm"))
        below = width
    found |= _conv("head", kinds.take("1"))
    kinds.finish()
    return found


def _conv(name: str, layer: KerasLayer) -> Arrays:
    """Keras's (3, 3, in, out) as (out, in, 3, 3); of a transposed one (3, 3, out, in) as (in, out, 3, 3)."""
    kernel, bias = layer.arrays["kernel"], layer.arrays.get("bias")
    if bias is None:
        raise BadInputError(f"{layer.name} has no bias; every convolution of the published RAX-NET has one.")
    return {f"{name}.weight": np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), f"{name}.bias": bias}


def _separable(name: str, layer: KerasLayer) -> Arrays:
    depthwise, pointwise = layer.arrays["depthwise_kernel"], layer.arrays["pointwise_kernel"]
    return {
        f"{name}.depthwise.weight": np.ascontiguousarray(depthwise.transpose(2, 3, 0, 1)),
        f"{name}.pointwise.weight": np.ascontiguousarray(pointwise.transpose(3, 2, 0, 1)),
        f"{name}.pointwise.bias": layer.arrays["bias"],
    }


def _norm(name: str, layer: KerasLayer) -> Arrays:
    return {f"{name}.{ours}": layer.arrays[theirs] for theirs, ours in _NORM.items()}


def _check_graph(model: KerasModel) -> None:
    """Where the file has the graph, its convolutions must pad as published and its output be one sigmoid."""
    for layer in model.layers.values():
        if layer.arrays and "kernel_size" in layer.config and layer.config.get("padding") != "same":
            one = all(side == 1 for side in layer.config["kernel_size"])
            if not one:
                raise BadInputError(f"{model.path}: {layer.name} pads {layer.config.get('padding')!r}, not 'same'.")
    if model.has_graph:
        last = model.layers[model.output]
        if last.config.get("activation") != "sigmoid":
            raise BadInputError(f"{model.path}: its last layer {last.name} is no sigmoid, as the published one is.")


def _check_shapes(path: Path, config: RaxNetConfig, weights: Arrays) -> None:
    with torch.device("meta"):
        network = build_network("raxnet", config.model_dump())
        wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    for name, shape in wanted.items():
        if name not in weights or weights[name].shape != shape:
            found: Sequence[int] | str = weights[name].shape if name in weights else "nothing"
            raise BadInputError(f"{path}: {name} has the shape {found}; {shape} is needed.")
        if not np.isfinite(weights[name]).all():
            raise BadInputError(f"{path}: {name} holds values that are not finite.")
