"""nnU-Net's U-Nets with upsampling and convolution as one operation, against the networks as nnU-Net builds them."""

import pytest
import torch

from willis.infer.lowered_plainunet import LoweredPlainUNet
from willis.nets.registry import build_network

ISOTROPIC = {"kernels": [[3] * 3] * 3, "strides": [[1] * 3, [2] * 3, [2] * 3]}
THICK = {"kernels": [[1, 3, 3], [3] * 3, [3] * 3], "strides": [[1] * 3, [1, 2, 2], [2] * 3]}
FLAT = {"kernels": [[1, 3, 3]] * 3, "strides": [[1] * 3, [1, 2, 2], [1, 2, 2]]}


@pytest.mark.parametrize("name", ["plainunet", "resencunet"])
@pytest.mark.parametrize("shapes", [ISOTROPIC, THICK, FLAT])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_same_network_up_to_the_border(name, shapes, bias):
    config = {"inputs": 2, "outputs": 3, "features": [4, 6, 5], "convs": [2, 1, 2], "decoder_convs": [2, 1]}
    torch.manual_seed(1)
    network = build_network(name, {**config, **shapes, "bias": bias}).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        x = torch.randn(1, 2, 8, 16, 12)
        expected, found = network(x), LoweredPlainUNet(network).eval()(x)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-4)
    assert expected.std() > 0.1


def test_the_network_that_was_given_keeps_its_weights():
    torch.manual_seed(2)
    config = {"inputs": 1, "outputs": 2, "features": [4, 6, 5], "convs": [1, 1, 1], "decoder_convs": [1, 1]}
    network = build_network("plainunet", {**config, **ISOTROPIC})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lowered = LoweredPlainUNet(network)
    with torch.no_grad():
        for value in lowered.parameters():
            value.zero_()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
