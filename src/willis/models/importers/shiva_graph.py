"""The layers of a SHIVA file in the order in which an image passes them, checked to be the published network's."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from willis.errors import BadInputError
from willis.models.importers.keras_h5 import KerasLayer, KerasModel
from willis.units import counted

NORM_EPSILON = 1e-3  # Keras' default, which files without a graph don't state
_SWISH = {"swish", "silu"}
_CONV, _NORM, _SWISHED, _POOL, _UP, _PAD, _JOIN, _SIGMOID = "CNSPUZJG"
_UNIT = "CNS"
_PUBLISHED = re.compile(rf"(?:(?:{_UNIT}){{2}}P)+(?:UZ?J(?:{_UNIT}){{2}})+(?:{_UNIT}){{2}}CG?")
_NAMES = {
    _CONV: "convolution",
    _NORM: "normalisation",
    _SWISHED: "swish",
    _POOL: "pooling",
    _UP: "upsampling",
    _PAD: "padding",
    _JOIN: "concatenation",
    _SIGMOID: "sigmoid",
}


@dataclass(frozen=True)
class ShivaLayers:
    """Convolutions and normalisations in order of application, and what the file does or does not say of the rest."""

    convolutions: tuple[KerasLayer, ...]
    norms: tuple[KerasLayer, ...]
    shape: tuple[int, int, int] | None
    epsilon: float
    notes: tuple[str, ...]


def shiva_layers(model: KerasModel) -> ShivaLayers:
    """Put the layers of a file in order and check that they are the published network's.

    Raises
    ------
    BadInputError
        When a layer is of another kind, stands elsewhere, or is set otherwise than in the published network.
    """
    if model.has_graph:
        return _from_graph(model)
    weighted = [layer for layer in model.layers.values() if layer.arrays]
    return ShivaLayers(
        tuple(layer for layer in weighted if "kernel" in layer.arrays),
        tuple(layer for layer in weighted if "kernel" not in layer.arrays),
        None,
        NORM_EPSILON,
        ("The file held weights without their graph: activations, padding and the order of layers are as published.",),
    )


def _from_graph(model: KerasModel) -> ShivaLayers:
    chain = _chain(model)
    letters = [_letter(layer, model) for layer in chain]
    kept = [(letter, layer) for letter, layer in zip(letters, chain, strict=True) if letter]
    word = "".join(letter for letter, _ in kept)
    if not _PUBLISHED.fullmatch(word):
        raise BadInputError(
            f"{model.path}: its layers are not those of the published SHIVA U-Net: {_in_words(word)}. "
            "Newer models (ResUnet) can't be imported."
        )
    off_chain = sorted({n for n, layer in model.layers.items() if layer.arrays} - {layer.name for layer in chain})
    if off_chain:
        raise BadInputError(
            f"{model.path}: layers with weights lie beside the path of the image: {', '.join(off_chain)}."
        )
    *inner, head = (layer for letter, layer in kept if letter == _CONV)
    for layer in inner:
        _check(layer, model, {"activation": "linear"})
    if word.endswith(_SIGMOID) == (_activation(head) == "sigmoid"):
        raise BadInputError(f"{model.path}: its last convolution must be followed by one sigmoid.")
    _check_skips(kept, model)
    norms = tuple(layer for letter, layer in kept if letter == _NORM)
    epsilons = {float(layer.config.get("epsilon", NORM_EPSILON)) for layer in norms}
    if len(epsilons) != 1:
        raise BadInputError(f"{model.path}: its normalisations differ in epsilon: {sorted(epsilons)}.")
    return ShivaLayers(
        tuple(layer for letter, layer in kept if letter == _CONV),
        norms,
        _input_shape(chain[0]),
        epsilons.pop(),
        tuple(_notes(kept)),
    )


def _chain(model: KerasModel) -> list[KerasLayer]:
    """Layers from the image to the output, along the first input of each: at a concatenation, the upsampled one."""
    chain: list[KerasLayer] = []
    name = model.output
    while name:
        layer = model.layers.get(name)
        if layer is None or len(chain) > len(model.layers):
            raise BadInputError(f"{model.path}: its graph leads to {name!r}, which is no layer of it, or in a circle.")
        chain.append(layer)
        name = layer.inputs[0] if layer.inputs else ""
    return chain[::-1]


def _letter(layer: KerasLayer, model: KerasModel) -> str:
    """One letter for what a layer does, nothing for those that do nothing when predicting; refuses all other kinds."""
    config = layer.config
    match layer.kind:
        case "InputLayer" | "Dropout" | "SpatialDropout3D":
            return ""
        case "Conv3D":
            padding = {"same", "valid"} if set(config.get("kernel_size", ())) == {1} else "same"
            ours = {"strides": 1, "dilation_rate": 1, "groups": 1, "padding": padding, "data_format": "channels_last"}
            _check(layer, model, ours)
            return _CONV
        case "BatchNormalization":
            _check(layer, model, {"axis": {-1, 4}})
            return _NORM
        case "Activation":
            name = _activation(layer)
            if name in _SWISH:
                return _SWISHED
            if name == "sigmoid":
                return _SIGMOID
            raise BadInputError(f"{model.path}: {layer.name} applies {name!r}; the published network has swish.")
        case "MaxPooling3D":
            _check(layer, model, {"pool_size": 2, "strides": {2, None}, "padding": "valid"})
            return _POOL
        case "UpSampling3D":
            _check(layer, model, {"size": 2})
            return _UP
        case "ZeroPadding3D":
            if any(not 0 <= after - before <= 1 for before, after in config["padding"]):
                raise BadInputError(
                    f"{model.path}: {layer.name} pads {config['padding']}, not half before, half after."
                )
            return _PAD
        case "Concatenate":
            _check(layer, model, {"axis": {-1, 4}})
            return _JOIN
        case "Lambda" | "TFOpLambda":
            return _unread(layer, model)
    raise BadInputError(
        f"{model.path}: {layer.name} is of the kind {layer.kind}, which the published SHIVA U-Net does not have. "
        "Newer models (ResUnet) can't be imported."
    )


def _unread(layer: KerasLayer, model: KerasModel) -> str:
    """What a layer with a function of its own must be, from where it stands; the function itself is not looked at."""
    before = model.layers[layer.inputs[0]].kind if layer.inputs else ""
    if before == "BatchNormalization":
        return _SWISHED
    if before == "UpSampling3D":
        return _PAD
    raise BadInputError(
        f"{model.path}: the function of {layer.name} stands after a {before or 'nothing'}; it is accepted only after a "
        "normalisation (as swish) or an upsampling (as padding), for it is never executed."
    )


def _activation(layer: KerasLayer) -> str:
    value = layer.config.get("activation")
    if isinstance(value, Mapping):
        value = value.get("config") or value.get("registered_name")
    return str(value)


def _check(layer: KerasLayer, model: KerasModel, allowed: Mapping[str, Any]) -> None:
    """Compare settings of a layer; those along the three axes must be the same on each."""
    for key, wanted in allowed.items():
        if key not in layer.config:
            continue
        value = layer.config[key]
        values = set(value) if isinstance(value, list) else {value}
        if not values <= (wanted if isinstance(wanted, set) else {wanted}):
            raise BadInputError(f"{model.path}: {layer.name} has {key} {value}; the published network has {wanted}.")


def _check_skips(kept: Iterable[tuple[str, KerasLayer]], model: KerasModel) -> None:
    """Each concatenation must take, second, what entered the pooling of its level."""
    skips: list[str] = []
    for letter, layer in kept:
        if letter == _POOL:
            skips.append(layer.inputs[0])
        elif letter == _JOIN:
            wanted = skips.pop() if skips else "nothing"
            if layer.inputs[1:] != (wanted,):
                raise BadInputError(f"{model.path}: {layer.name} joins {layer.inputs}; its second must be {wanted}.")
    if skips:
        raise BadInputError(f"{model.path}: {counted(len(skips), 'level')} that pool aren't joined again.")


def _input_shape(layer: KerasLayer) -> tuple[int, int, int] | None:
    stated = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
    if not isinstance(stated, list) or len(stated) != 5 or not all(isinstance(n, int) for n in stated[1:4]):
        return None
    return stated[1], stated[2], stated[3]


def _notes(kept: Iterable[tuple[str, KerasLayer]]) -> Iterable[str]:
    unread = {letter for letter, layer in kept if layer.kind in ("Lambda", "TFOpLambda")}
    if _SWISHED in unread:
        yield "The file held its activation as a function, never executed; the published swish is put in its place."
    if _PAD in unread:
        yield "The file held its padding as a function, never executed; the published one is put in its place."


def _in_words(word: str) -> str:
    return " ".join(_NAMES[letter] for letter in word[:12]) + (" …" if len(word) > 12 else "")
