"""VGG-16's ImageNet weights from a file that the user has, for the encoders of the perfusion network.

Two files are read: Keras' ``vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5`` and torchvision's checkpoint. Keras'
weights take blue, green and red from 0 to 255, as the perfusion network does; the mean that they were trained with is
not subtracted, as published. Torchvision's take red, green and blue, scaled and normalised; order and scale are folded
into the first kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from willis.errors import BadInputError
from willis.models.importers.checkpoint import read_checkpoint, state_of
from willis.models.importers.keras_h5 import read_keras_h5
from willis.nets.registry import build_network
from willis.nets.vgg_fusion import VGG_CONVS

Layers = dict[tuple[int, int], tuple[Tensor, Tensor]]

WIDTHS = (64, 128, 256, 512, 512)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's input, red, green, blue


def imagenet_start(path: Path, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """Weights of a perfusion network whose encoders are ImageNet's and whose other layers are random.

    Parameters
    ----------
    path
        ``.h5`` of Keras, or a checkpoint of torchvision.
    config
        Of :mod:`willis.nets.vgg_fusion`.

    Raises
    ------
    BadInputError
        When a layer is missing or of another shape.
    """
    layers = read_vgg16(path)
    weights = dict(build_network("vgg_fusion", config).state_dict())
    maps = sum(1 for name in weights if name.endswith(".0.0.weight") and name.startswith("vgg."))
    for (block, conv), (kernel, bias) in layers.items():
        for m in range(maps):
            name = f"vgg.{m}.{block}.{conv}"
            if weights[f"{name}.weight"].shape != kernel.shape:
                raise BadInputError(
                    f"the recipe's encoders have {tuple(weights[f'{name}.weight'].shape)} at block {block + 1}, "
                    f"convolution {conv + 1}; VGG-16 has {tuple(kernel.shape)}. Leave network.config.vgg as it is."
                )
            weights[f"{name}.weight"], weights[f"{name}.bias"] = kernel.clone(), bias.clone()
    return weights


def read_vgg16(path: Path) -> Layers:
    """Kernels (out, in, 3, 3) and biases by block and convolution, from 0; for blue, green, red from 0 to 255.

    Raises
    ------
    BadInputError
        When a layer is missing or of another shape.
    """
    layers = _of_keras(path) if path.suffix.lower() in (".h5", ".hdf5") else _of_torchvision(path)
    before = 3
    for block, (count, width) in enumerate(zip(VGG_CONVS, WIDTHS, strict=True)):
        for conv in range(count):
            found = tuple(layers[block, conv][0].shape)
            if found != (width, before, 3, 3) or layers[block, conv][1].shape != (width,):
                raise BadInputError(
                    f"{path}: block {block + 1}, convolution {conv + 1} has shape {found}; VGG-16 has "
                    f"{(width, before, 3, 3)}."
                )
            before = width
    return layers


def _of_keras(path: Path) -> Layers:
    model = read_keras_h5(path)
    layers: Layers = {}
    for block, count in enumerate(VGG_CONVS):
        for conv in range(count):
            name = f"block{block + 1}_conv{conv + 1}"
            arrays = model.layers[name].arrays if name in model.layers else {}
            if "kernel" not in arrays or "bias" not in arrays:
                raise BadInputError(f"{path} has no layer {name} with kernel and bias; give Keras' VGG-16 weights.")
            kernel = np.ascontiguousarray(arrays["kernel"].transpose(3, 2, 0, 1))
            layers[block, conv] = (torch.from_numpy(kernel), torch.from_numpy(np.array(arrays["bias"])))
    return layers


def _of_torchvision(path: Path) -> Layers:
    state = state_of(read_checkpoint(path), path)
    layers: Layers = {}
    place = 0  # in torchvision's list of convolutions, activations and poolings
    for block, count in enumerate(VGG_CONVS):
        for conv in range(count):
            names = (f"features.{place}.weight", f"features.{place}.bias")
            missing = [name for name in names if name not in state]
            if missing:
                raise BadInputError(
                    f"{path} has no {missing[0]}; give torchvision's vgg16 without batch normalisation."
                )
            layers[block, conv] = (state[names[0]].float(), state[names[1]].float())
            place += 2
        place += 1
    kernel, bias = layers[0, 0]
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    layers[0, 0] = ((kernel / (255 * std)).flip(1), bias - (kernel * mean / std).sum((1, 2, 3)))
    return layers
