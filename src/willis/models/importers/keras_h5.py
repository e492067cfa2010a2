"""Keras H5 files read as data: arrays by layer, and the graph as JSON. Nothing in them is ever executed or unpickled.

Three layouts are read: a whole model as Keras 2 or 3 saves it (`model_config`, and arrays like
`model_weights/conv3d/conv3d/kernel:0`), Keras 2's `save_weights` (the same without the graph), and Keras 3's
`.weights.h5` (`layers/conv3d_1/vars/0`).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError, MissingExtraError
from willis.units import counted

LARGEST_ARRAY = 100_000_000  # values; the largest published kernel has 12 million
_ROLES_BY_SIZE = {
    1: ("kernel",),
    2: ("kernel", "bias"),
    4: ("gamma", "beta", "moving_mean", "moving_variance"),
}
"""Keras 3's `.weights.h5` numbers a layer's arrays instead of naming them; their number tells which they are."""


@dataclass(frozen=True)
class KerasLayer:
    """One layer: its arrays by role (kernel, bias, gamma…), and where the file has the graph its kind and inputs."""

    name: str
    arrays: Mapping[str, npt.NDArray[np.float32]]
    kind: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class KerasModel:
    """The layers of a file; `has_graph` tells whether their kinds and inputs are known, `output` names the last."""

    path: Path
    layers: Mapping[str, KerasLayer]
    has_graph: bool
    output: str = ""


def read_keras_h5(path: Path) -> KerasModel:
    """Read the layers of a Keras H5 file, in the order in which the model holds them.

    Raises
    ------
    MissingExtraError
        When h5py is not installed.
    BadInputError
        When it is not an HDF5 file, holds no Keras weights, or refers to data outside itself.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtraError("h5py", "h5", "read Keras H5 files") from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise BadInputError(f"{path} can't be read as HDF5: {error}.") from None
    with file:
        weights = file.get("model_weights", file)
        if "layers" in weights and "layer_names" not in weights.attrs:
            arrays = dict(_numbered_layers(weights["layers"], path))
        else:
            arrays = {name: _named_arrays(weights, name, path) for name in _names(weights, "layer_names", path)}
        config = file.attrs.get("model_config")
    if config is None:
        return KerasModel(path, {name: KerasLayer(name, found) for name, found in arrays.items()}, has_graph=False)
    return _with_graph(path, _text(config), arrays)


def _names(group: Any, attribute: str, path: Path) -> list[str]:
    """Names in an attribute, which Keras cuts into `attribute0`, `attribute1`… when it passes HDF5's limit."""
    parts = [attribute] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(f"{attribute}{len(parts)}")
    if not parts:
        raise BadInputError(f"{path} holds no Keras weights: {group.name} has no {attribute}.")
    return [_text(name) for part in parts for name in group.attrs[part]]


def _named_arrays(weights: Any, layer: str, path: Path) -> dict[str, npt.NDArray[np.float32]]:
    group = weights[layer]
    found = {}
    for name in _names(group, "weight_names", path):
        role = name.rsplit("/", 1)[-1].split(":")[0]
        if role in found:
            raise BadInputError(f"{path}: layer {layer} holds two arrays called {role}.")
        found[role] = _array(group, name, path)
    return found


def _numbered_layers(layers: Any, path: Path) -> Iterator[tuple[str, dict[str, npt.NDArray[np.float32]]]]:
    """Layers of a `.weights.h5`, whose names are a kind and the number of the layer among its kind."""
    for name in sorted(layers, key=_by_kind_and_number):
        held = layers[name].get("vars", {})
        if len(held) and len(held) not in _ROLES_BY_SIZE:
            raise BadInputError(
                f"{path}: layer {name} holds {counted(len(held), 'array')}; a convolution has 1 or 2, a norm 4."
            )
        roles = _ROLES_BY_SIZE.get(len(held), ())
        yield name, {role: _array(held, str(index), path) for index, role in enumerate(roles)}


def _by_kind_and_number(name: str) -> tuple[str, int]:
    kind, number = re.fullmatch(r"(.*?)(?:_(\d+))?", name).groups()  # type: ignore[union-attr]
    return kind, int(number or 0)


def _array(group: Any, name: str, path: Path) -> npt.NDArray[np.float32]:
    data = group.get(name)
    if data is None or not hasattr(data, "dtype"):
        raise BadInputError(f"{path}: the array {group.name}/{name} is absent.")
    if data.file.id != group.file.id or data.external or data.is_virtual:
        raise BadInputError(f"{path}: the array {group.name}/{name} lies in another file, which is not followed.")
    if data.size > LARGEST_ARRAY:
        raise BadInputError(
            f"{path}: the array {group.name}/{name} has the shape {data.shape}, too large to be a kernel."
        )
    if data.dtype.kind != "f":
        raise BadInputError(f"{path}: the array {group.name}/{name} is of type {data.dtype}; floating point is needed.")
    return np.asarray(data, dtype=np.float32)


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _with_graph(path: Path, config: str, arrays: Mapping[str, Mapping[str, npt.NDArray[np.float32]]]) -> KerasModel:
    try:
        described = json.loads(config)["config"]
        layers = {entry["config"]["name"]: entry for entry in described["layers"]}
        outputs = [name for name, *_ in _tensors(described.get("output_layers", []))]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise BadInputError(f"{path}: its model_config is not that of a Keras functional model ({error}).") from None
    if len(outputs) != 1:
        raise BadInputError(f"{path}: the model has {counted(len(outputs), 'output')}; one is needed.")
    unknown = sorted(set(arrays) - set(layers))
    if unknown:
        raise BadInputError(f"{path}: there are arrays of layers that its graph does not have: {', '.join(unknown)}.")
    found = {
        name: KerasLayer(
            name,
            arrays.get(name, {}),
            str(entry["class_name"]),
            entry["config"],
            tuple(source for source, *_ in _tensors(entry.get("inbound_nodes", []))),
        )
        for name, entry in layers.items()
    }
    return KerasModel(path, found, has_graph=True, output=outputs[0])


def _tensors(value: Any) -> Iterator[tuple[str, int, int]]:
    """Tensors named anywhere in a piece of the graph, as (layer, node, tensor), by Keras 2's or 3's way of writing."""
    if isinstance(value, Mapping):
        history = value.get("keras_history")
        yield from _tensors(history if history is not None else list(value.values()))
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and all(isinstance(n, int) for n in value[1:3]):
            yield value[0], value[1], value[2]
        else:
            for part in value:
                yield from _tensors(part)
