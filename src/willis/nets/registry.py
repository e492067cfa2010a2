"""Networks by name, as manifests and recipes speak of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from willis.errors import invalid_option
from willis.nets.unet3d import UNet3d, UNet3dConfig


def _unet3d(config: Mapping[str, Any]) -> nn.Module:
    return UNet3d(UNet3dConfig.parse(config, "the configuration of unet3d"))


NETWORKS = {"unet3d": _unet3d}


def build_network(name: str, config: Mapping[str, Any]) -> nn.Module:
    """Make a network with untrained weights.

    Parameters
    ----------
    name
        One of :data:`NETWORKS`.
    config
        Fields of its configuration model; absent ones take their defaults.

    Raises
    ------
    BadInputError
        When the name or a field isn't known.
    """
    if name not in NETWORKS:
        raise invalid_option("network", name, NETWORKS)
    return NETWORKS[name](config)
