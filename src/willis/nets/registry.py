"""Networks by name, as manifests and recipes speak of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from willis.errors import invalid_option
from willis.nets.clcinet import ClciNet, ClciNetConfig
from willis.nets.deeplab25d import DeepLab25d, DeepLab25dConfig
from willis.nets.dunet import DUNet, DUNetConfig
from willis.nets.mcresnet import McResNet, McResNetConfig
from willis.nets.plainunet import PlainUNet, PlainUNetConfig
from willis.nets.raxnet import RaxNet, RaxNetConfig
from willis.nets.unet3d import UNet3d, UNet3dConfig
from willis.nets.vgg_fusion import VggFusion, VggFusionConfig
from willis.nets.xnet import XNet, XNetConfig


def _unet3d(config: Mapping[str, Any]) -> nn.Module:
    return UNet3d(UNet3dConfig.parse(config, "the configuration of unet3d"))


def _raxnet(config: Mapping[str, Any]) -> nn.Module:
    return RaxNet(RaxNetConfig.parse(config, "the configuration of raxnet"))


def _mcresnet(config: Mapping[str, Any]) -> nn.Module:
    return McResNet(McResNetConfig.parse(config, "the configuration of mcresnet"))


def _deeplab25d(config: Mapping[str, Any]) -> nn.Module:
    return DeepLab25d(DeepLab25dConfig.parse(config, "the configuration of deeplab25d"))


def _plainunet(config: Mapping[str, Any]) -> nn.Module:
    return PlainUNet(PlainUNetConfig.parse(config, "the configuration of plainunet"))


def _xnet(config: Mapping[str, Any]) -> nn.Module:
    return XNet(XNetConfig.parse(config, "the configuration of xnet"))


def _clcinet(config: Mapping[str, Any]) -> nn.Module:
    return ClciNet(ClciNetConfig.parse(config, "the configuration of clcinet"))


def _dunet(config: Mapping[str, Any]) -> nn.Module:
    return DUNet(DUNetConfig.parse(config, "the configuration of dunet"))


def _vgg_fusion(config: Mapping[str, Any]) -> nn.Module:
    return VggFusion(VggFusionConfig.parse(config, "the configuration of vgg_fusion"))


NETWORKS = {
    "vgg_fusion": _vgg_fusion,
    "unet3d": _unet3d,
    "mcresnet": _mcresnet,
    "plainunet": _plainunet,
    "raxnet": _raxnet,
    "xnet": _xnet,
    "clcinet": _clcinet,
    "dunet": _dunet,
    "deeplab25d": _deeplab25d,
}


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
