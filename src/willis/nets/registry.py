"""Networks by name, as manifests and recipes speak of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from willis.errors import invalid_option
from willis.nets.clcinet import ClciNet, ClciNetConfig
from willis.nets.deeplab25d import DeepLab25d, DeepLab25dConfig
from willis.nets.dunet import DUNet, DUNetConfig
from willis.nets.halfnet import HalfNet, HalfNetConfig
from willis.nets.mcresnet import McResNet, McResNetConfig
from willis.nets.plainunet import PlainUNet, PlainUNetConfig
from willis.nets.raxnet import RaxNet, RaxNetConfig
from willis.nets.resencunet import ResEncUNet, ResEncUNetConfig
from willis.nets.unet3d import UNet3d, UNet3dConfig
from willis.nets.vgg_fusion import VggFusion, VggFusionConfig
from willis.nets.xnet import XNet, XNetConfig
from willis.settings import Settings
from willis.units import counted

NETWORKS: dict[str, tuple[Callable[..., nn.Module], type[Settings]]] = {
    "vgg_fusion": (VggFusion, VggFusionConfig),
    "unet3d": (UNet3d, UNet3dConfig),
    "mcresnet": (McResNet, McResNetConfig),
    "plainunet": (PlainUNet, PlainUNetConfig),
    "resencunet": (ResEncUNet, ResEncUNetConfig),
    "raxnet": (RaxNet, RaxNetConfig),
    "xnet": (XNet, XNetConfig),
    "clcinet": (ClciNet, ClciNetConfig),
    "dunet": (DUNet, DUNetConfig),
    "deeplab25d": (DeepLab25d, DeepLab25dConfig),
    "halfnet": (HalfNet, HalfNetConfig),
}


def inputs_of(name: str, config: Mapping[str, Any]) -> int | None:
    """Channels that a network takes; None where its configuration counts something else.

    Raises
    ------
    BadInputError
        When the name or a field isn't known.
    """
    inputs = getattr(_settings_of(name, config), "inputs", None)
    return None if inputs is None else int(inputs)


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
    settings = _settings_of(name, config)
    return NETWORKS[name][0](settings)


def misfit(network: nn.Module, weights: Mapping[str, Tensor]) -> str:
    """In words, why weights by name aren't a network's: one is missing, left over or of another shape; else empty."""
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    if missing := [name for name in wanted if name not in weights]:
        return f"{counted(len(missing), 'array')} missing, the first {missing[0]}"
    if unknown := [name for name in weights if name not in wanted]:
        return f"{counted(len(unknown), 'array')} left over, the first {unknown[0]}"
    for name, shape in wanted.items():
        if (found := tuple(weights[name].shape)) != shape:
            return f"{name} has the shape {found}; {shape} is needed"
    return ""


def _settings_of(name: str, config: Mapping[str, Any]) -> Settings:
    if name not in NETWORKS:
        raise invalid_option("network", name, NETWORKS)
    return NETWORKS[name][1].parse(config, f"the configuration of {name}")
