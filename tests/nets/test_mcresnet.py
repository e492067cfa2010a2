"""McResNet has the published layers, and each does what its definition says."""

import torch
from torch.nn import functional

from willis.nets.mcresnet import McResNet, McResNetConfig
from willis.nets.registry import build_network

TINY = McResNetConfig(inputs=2, widths=(8, 8, 16, 16), hidden=4, reduction=4, kernel=3)
PUBLISHED = {"layer1": 445_276, "layer2": 1_563_228, "layer3": 6_246_236, "layer4": 24_975_708}


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_parameters_are_the_published_number_in_every_layer():
    with torch.device("meta"):
        network = build_network("mcresnet", {})
    assert count(network) == 33_351_281
    assert {name: count(getattr(network, name)) for name in PUBLISHED} == PUBLISHED
    assert count(network.fc1) + count(network.fc2) == 32_897


def test_maps_shrink_as_published():
    with torch.device("meta"):
        network = McResNet(McResNetConfig()).eval()
        x = torch.empty(1, 4, 512, 512, 200)
        sides = [tuple((x := network.pool(network.conv1(x))).shape[2:])]
        for number in range(1, 5):
            sides.append(tuple((x := getattr(network, f"layer{number}")(x)).shape[2:]))
    assert sides == [(128, 128, 50), (128, 128, 50), (64, 64, 25), (32, 32, 13), (16, 16, 7)]


def test_cbam_comes_after_the_addition_and_before_the_last_relu():
    torch.manual_seed(0)
    block = McResNet(TINY).eval().layer1[0]
    x = torch.randn(2, 8, 5, 6, 7)
    with torch.no_grad():
        y = functional.relu(block.bn1(block.conv1(x)))
        y = block.bn2(block.conv2(y)) + x
        gate = block.cbam.channel
        squeezed = functional.adaptive_avg_pool3d(y, 1)
        y = y * torch.sigmoid(gate.expand(functional.relu(gate.reduce(squeezed))))
        told = torch.stack([y.mean(1), y.max(1).values], dim=1)
        y = y * torch.sigmoid(functional.conv3d(told, block.cbam.spatial.conv.weight, padding=1))
        torch.testing.assert_close(block(x), functional.relu(y))


def test_batch_normalisation_is_pytorchs_own():
    torch.manual_seed(2)
    network = McResNet(TINY)
    judge = torch.nn.BatchNorm3d(8)
    x = 1e-3 * torch.randn(2, 8, 3, 4, 5)
    for mode in (True, False):
        torch.testing.assert_close(network.bn1.train(mode)(x), judge.train(mode)(x), atol=1e-5, rtol=2e-2)


def test_one_logit_for_each_scan_whatever_the_others_are():
    torch.manual_seed(1)
    network = McResNet(TINY).eval()
    x = torch.randn(3, 2, 24, 20, 16)
    with torch.no_grad():
        together = network(x)
        alone = torch.cat([network(one[None]) for one in x])
    assert together.shape == (3, 1)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert together.std() > 0
