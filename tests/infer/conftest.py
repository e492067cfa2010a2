"""Small bundles with calibrated random weights, and a cache of their own for converted networks."""

import os
from pathlib import Path

import numpy as np
import pytest

from willis.models.manifest import make_manifest
from willis.models.store import Bundle, write_bundle
from willis.nets.registry import build_network

CONFIG = {"inputs": 2, "outputs": 2, "filters": [4, 6, 10], "final": [4]}
SHAPE = (21, 26, 17)


def random_network(seed: int, config: dict | None = None):
    """A U-Net whose batch statistics fit its random weights, so that its logits are of order one."""
    import torch

    torch.manual_seed(seed)
    network = build_network("unet3d", config or CONFIG)
    network.train()
    for module in network.modules():
        if hasattr(module, "momentum"):
            module.momentum = 1.0
    with torch.no_grad():
        network(torch.rand(2, 2, 24, 24, 24))
        for name, value in network.named_parameters():
            if "norm" in name:
                value.add_(0.3 * torch.randn_like(value))
        network.head.weight.mul_(8)
    return network.eval()


def small_manifest(**changes):
    """A manifest for :data:`CONFIG`."""
    values = {
        "name": "small",
        "title": "A small bundle",
        "task": "wmh",
        "network": {"name": "unet3d", "config": CONFIG},
        "channels": ["t1", "flair"],
        "outputs": ["wmh", "other"],
        "spacing_mm": [1, 1, 1],
        "intensity": {"scheme": "p99"},
        "threshold": {"value": 0.5, "origin": "a test"},
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
    }
    return make_manifest(values | changes, "a test")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Converted networks go to a folder of the test run."""
    before = os.environ.get("WILLIS_CACHE")
    os.environ["WILLIS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield Path(os.environ["WILLIS_CACHE"])
    os.environ.pop("WILLIS_CACHE")
    if before is not None:
        os.environ["WILLIS_CACHE"] = before


@pytest.fixture(scope="session")
def networks():
    """Three members."""
    return [random_network(seed) for seed in range(3)]


@pytest.fixture(scope="session")
def make_bundle(networks, tmp_path_factory):
    """Write a bundle of the first ``count`` members, with changes to its manifest."""

    def make(count: int = 1, **changes) -> Bundle:
        folder = tmp_path_factory.mktemp("bundle") / "small"
        states = [network.state_dict() for network in networks[:count]]
        return write_bundle(folder, small_manifest(**changes), states, half=False)

    return make


@pytest.fixture(scope="session")
def manifest_maker():
    """:func:`small_manifest`, for tests that make bundles of their own."""
    return small_manifest


@pytest.fixture(scope="session")
def image():
    """(2, I, J, K) float32, odd and even sides."""
    return np.random.default_rng(5).random((2, *SHAPE), dtype=np.float32)
