"""The published SHIVA models of white matter hyperintensities, one H5 file a fold, as one bundle.

References
----------
.. [1] Tsuchida et al. 2024, doi:10.1002/hbm.26548
.. [2] The models' home: https://github.com/pboutinaud/SHIVA_WMH
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from willis.errors import BadInputError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.importers.keras_h5 import KerasLayer, read_keras_h5
from willis.models.importers.shiva_files import ShivaFiles, find_shiva_files
from willis.models.importers.shiva_graph import ShivaLayers, shiva_layers
from willis.models.importers.shiva_manifest import Scheme, shiva_manifest
from willis.models.store import user_folder, write_bundle
from willis.nets.registry import build_network
from willis.units import counted

Arrays = dict[str, npt.NDArray[np.float32]]
_NORM_KEYS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


@dataclass(frozen=True)
class Fold:
    """One fold as our network takes it: configuration, weights by state-dict name, and what the file left unsaid."""

    config: dict[str, object]
    weights: Arrays
    shape: tuple[int, int, int] | None
    notes: tuple[str, ...]


def import_shiva(
    folder: Path,
    out: Path | None = None,
    *,
    modalities: Sequence[str] | None = None,
    info: Path | None = None,
    scheme: Scheme = "p99",
    half: bool = False,
    replace: bool = False,
) -> Bundle:
    """Make one bundle of the published files of one model.

    Parameters
    ----------
    folder
        Holds the H5 files, here or below, and perhaps their `model_info*.json`, whose md5 sums are then checked.
    out
        The bundle's folder; in the user's store under its own name when not given.
    modalities
        Channels in order, when neither the JSON nor the files' names tell them.
    info
        The `model_info*.json` to go by, when there are several.
    scheme
        Intensities as the models' README has them ("p99"), or as the pipeline SHiVAi has them ("p99-capped").
    half
        Store kernels as float16: half the size, and probabilities that differ a little from the published ones.
    replace
        Take the place of a bundle of this name.

    Raises
    ------
    BadInputError
        When files are absent, not as published, or of another sum than the JSON says.
    BundleError
        When a bundle stands there already.
    MissingExtraError
        When h5py is not installed.
    """
    files = find_shiva_files(folder, modalities=modalities, info=info)
    first = read_fold(files.folds[0])
    _check_inputs(files, first)
    manifest = shiva_manifest(files, first.config, first.shape, first.notes, scheme)
    return write_bundle(
        out if out is not None else user_folder() / manifest.name,
        manifest,
        _weights_of_folds(files.folds, first),
        half=half,
        card=render_card(manifest),
        replace=replace,
    )


def read_fold(path: Path) -> Fold:
    """Read one H5 file as configuration and weights of `nets.unet3d`.

    Raises
    ------
    BadInputError
        When an array is missing, left over, or of another shape than the network's.
    """
    layers = shiva_layers(read_keras_h5(path))
    config = _configuration(path, layers)
    weights = _weights(path, layers, len(_widths(layers)))
    _check_shapes(path, config, weights)
    return Fold(config, weights, layers.shape, layers.notes)


def _weights_of_folds(paths: Sequence[Path], first: Fold) -> Iterator[Arrays]:
    """Weights of one fold after the other, each of the first one's network."""
    yield first.weights
    for path in paths[1:]:
        fold = read_fold(path)
        if (fold.config, fold.shape, fold.notes) != (first.config, first.shape, first.notes):
            raise BadInputError(f"{path} differs from {paths[0]} in its network, its size or the way it was saved.")
        yield fold.weights


def _check_inputs(files: ShivaFiles, fold: Fold) -> None:
    wanted = fold.config["inputs"]
    if len(files.channels) != wanted:
        raise BadInputError(
            f"{files.folds[0]} takes {counted(int(str(wanted)), 'image')}; {' and '.join(files.channels)} were "
            f"named by {files.channels_from}. Name them in order with --modalities."
        )


def _kernel(path: Path, layer: KerasLayer) -> npt.NDArray[np.float32]:
    kernel = layer.arrays["kernel"]
    if kernel.ndim != 5:
        raise BadInputError(f"{path}: {layer.name} is no 3D convolution; its kernel has the shape {kernel.shape}.")
    return kernel


def _widths(layers: ShivaLayers) -> tuple[int, ...]:
    """Filters of each level: there are 2 convolutions a level on each way, 2 at the end, and the head."""
    levels = (len(layers.convolutions) - 3) // 4
    return tuple(layer.arrays["kernel"].shape[-1] for layer in layers.convolutions[1 : 2 * levels : 2])


def _configuration(path: Path, layers: ShivaLayers) -> dict[str, object]:
    count = len(layers.convolutions)
    if count < 7 or (count - 3) % 4:
        raise BadInputError(
            f"{path} has {counted(count, 'convolution')}; a SHIVA U-Net of L levels has 4 L + 3 (31 as published)."
        )
    if len(layers.norms) != count - 1:
        raise BadInputError(f"{path} has {counted(len(layers.norms), 'normalisation')}; {count - 1} are needed.")
    kernels = [_kernel(path, layer) for layer in layers.convolutions]
    return {
        "inputs": kernels[0].shape[3],
        "outputs": kernels[-1].shape[4],
        "filters": list(_widths(layers)),
        "final": [kernel.shape[4] for kernel in kernels[-3:-1]],
        "decoder": "published",
        "norm_eps": layers.epsilon,
    }


def _weights(path: Path, layers: ShivaLayers, levels: int) -> Arrays:
    """Arrays under the names of `nets.unet3d`; its docstring has the layout."""
    names = [f"encoder.{level}.{n}" for level in range(levels) for n in (0, 1)]
    names += [f"decoder.{level}.{n}" for level in reversed(range(levels)) for n in (0, 1)]
    names += ["final.0", "final.1"]
    found: Arrays = {}
    for name, conv, norm in zip(names, layers.convolutions[:-1], layers.norms, strict=True):
        found[f"{name}.conv.weight"] = _taken(path, conv, {"kernel"})["kernel"]
        values = _taken(path, norm, set(_NORM_KEYS))
        found |= {f"{name}.norm.{ours}": values[theirs] for theirs, ours in _NORM_KEYS.items()}
    head = _taken(path, layers.convolutions[-1], {"kernel", "bias"})
    return found | {"head.weight": head["kernel"], "head.bias": head["bias"]}


def _taken(path: Path, layer: KerasLayer, roles: set[str]) -> Mapping[str, npt.NDArray[np.float32]]:
    """All arrays of a layer, none missing and none left over; a kernel (3, 3, 3, in, out) as (out, in, 3, 3, 3)."""
    if set(layer.arrays) != roles:
        raise BadInputError(
            f"{path}: {layer.name} holds {sorted(layer.arrays)}; the published network has {sorted(roles)}."
        )
    return {
        role: np.ascontiguousarray(array.transpose(4, 3, 0, 1, 2)) if role == "kernel" else array
        for role, array in layer.arrays.items()
    }


def _check_shapes(path: Path, config: Mapping[str, object], weights: Arrays) -> None:
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in build_network("unet3d", config).state_dict().items()}
    if set(wanted) != set(weights):
        raise BadInputError(f"{path}: arrays without a counterpart: {', '.join(sorted(set(wanted) ^ set(weights)))}.")
    for name, array in weights.items():
        if array.shape != wanted[name]:
            raise BadInputError(f"{path}: {name} has the shape {array.shape}; {wanted[name]} is needed.")
        if not np.isfinite(array).all():
            raise BadInputError(f"{path}: {name} holds values that are not finite.")
