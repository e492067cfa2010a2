import pytest
import torch
from torch.nn import functional

from willis.infer.lowered import LoweredUNet3d, lower, upsampling_kernel
from willis.infer.lowered_raxnet import LoweredRaxNet
from willis.nets.blocks.norm import BatchNorm
from willis.nets.registry import build_network


@pytest.mark.parametrize("more", [(0, 0, 0), (1, 0, 1), (1, 1, 1)])
def test_the_kernel_upsamples_pads_and_convolves_in_one(more):
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(1, 3, 4, 5, 3, generator=generator)
    weight = torch.randn(2, 3, 3, 3, 3, generator=generator)
    up = functional.interpolate(x, scale_factor=2.0, mode="nearest")
    up = functional.pad(up, [0, more[2], 0, more[1], 0, more[0]])
    expected = functional.conv3d(up, weight, padding=1)
    kernel = upsampling_kernel(weight).transpose(0, 1).contiguous()
    found = functional.conv_transpose3d(x, kernel, None, 2, 1, list(more))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(16, 16, 16), (21, 26, 17), (15, 31, 8)])
@pytest.mark.parametrize(
    "changes", [{}, {"decoder": "slim"}, {"convs": 1}, {"final": []}, {"convs": 3}, {"norm": "instance"}]
)
def test_a_lowered_network_is_the_same_network(shape, changes):
    config = {"inputs": 2, "outputs": 2, "filters": [4, 6, 10], "final": [4]} | changes
    torch.manual_seed(2)
    network = build_network("unet3d", config).train()
    with torch.no_grad():
        network(torch.rand(2, 2, 16, 16, 16))
    for name, value in network.state_dict().items():
        if "norm" in name:
            value.mul_(1 + 0.3 * torch.rand_like(value))
    network.eval()
    x = torch.rand(1, 2, *shape)
    with torch.no_grad():
        expected = network(x)
        found = lower(network)(x)
    assert isinstance(lower(network), LoweredUNet3d)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert expected.std() > 1e-3


def test_lowering_leaves_the_network_as_it_was():
    torch.manual_seed(3)
    network = build_network("unet3d", {"filters": [4, 6], "final": [4]})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lowered = lower(network)
    with torch.no_grad():
        for value in lowered.parameters():
            value.zero_()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_another_network_is_left_alone():
    other = torch.nn.Conv3d(2, 1, 1)
    assert lower(other) is other


def random_raxnet(config):
    """A RAX-NET whose running statistics and scales are not those of a new one."""
    torch.manual_seed(4)
    network = build_network("raxnet", config).train()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "norm" in name:
                value.add_(0.3 * torch.randn_like(value))
        for module in network.modules():
            if hasattr(module, "momentum"):
                module.momentum = 0.5
        for _ in range(4):
            network(torch.rand(3, network.config.inputs, 32, 48))
    return network.eval()


SMALL = {"filters": [3, 4, 6], "down_units": [2, 4], "up_units": [2, 1, 2]}


@pytest.mark.parametrize(
    "config",
    [SMALL, SMALL | {"norm": "instance"}, SMALL | {"inputs": 2, "outputs": 3}, SMALL | {"up_units": [1, 1, 1]}],
)
def test_a_lowered_raxnet_is_the_same_network(config):
    network = random_raxnet(config)
    x = torch.rand(2, network.config.inputs, 24, 40, 3)
    with torch.no_grad():
        expected = network(x)
        found = lower(network)(x)
    assert isinstance(lower(network), LoweredRaxNet)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert expected.std() > 0.05


def test_the_last_block_of_a_lowered_raxnet_has_one_channel_for_each_output():
    lowered = lower(random_raxnet(SMALL | {"outputs": 2}))
    assert lowered.last.mix.weight.shape[:2] == (2, 3)
    assert not any(isinstance(module, torch.nn.ConvTranspose2d | BatchNorm) for module in lowered.modules())


def test_lowering_leaves_a_raxnet_as_it_was():
    network = random_raxnet(SMALL | {"norm": "instance"})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        for value in lower(network).parameters():
            value.zero_()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
