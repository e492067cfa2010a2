"""Convolutions that go to oneDNN directly answer as torch's own, and keep what the engine asks of a network."""

import numpy as np
import pytest
import torch
from torch import nn

from willis.infer.direct import DirectConv3d, direct
from willis.infer.torch_engine import TorchEngine
from willis.nets.registry import build_network

FLAT = {"inputs": 2, "outputs": 3, "features": [4, 6], "kernels": [[1, 3, 3]] * 2, "strides": [[1, 1, 1], [1, 2, 2]],
        "convs": [2, 2], "decoder_convs": [1]}  # fmt: skip
SHAPE = (1, 2, 1, 16, 12)


@pytest.fixture(params=["plainunet", "resencunet"])
def network(request) -> nn.Module:
    torch.manual_seed(0)
    return build_network(request.param, FLAT).eval()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_convolution_is_direct_and_answers_alike(network, precision):
    x = torch.randn(SHAPE)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        expected = network(x).float()
    engine = TorchEngine(network, precision=precision, threads=1)
    holders = [module for module in engine.network.modules() if any(type(c) is nn.Conv3d for c in module.children())]
    assert {type(holder) for holder in holders} == {DirectConv3d}
    torch.testing.assert_close(torch.from_numpy(engine(x.numpy())), expected, atol=1e-5, rtol=0)
    assert engine.needed_bytes(SHAPE) > 0


def test_the_network_in_training_keeps_its_names_and_is_seen_as_it_learns(network):
    names = list(network.state_dict())
    engine = TorchEngine(network, threads=1)
    x = torch.randn(SHAPE)
    before = engine(x.numpy())
    assert list(network.state_dict()) == names
    with torch.no_grad():
        network.head.bias += 1
    np.testing.assert_allclose(engine(x.numpy()), before + 1, atol=1e-5)


def test_strides_groups_and_dilations_are_kept():
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv3d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2, bias=False))
    x = torch.randn(1, 4, 9, 8, 7)
    with torch.inference_mode():
        expected = conv(x)
        torch.testing.assert_close(direct(conv)(x), expected, atol=1e-5, rtol=1e-5)
