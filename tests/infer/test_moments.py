import pytest
import torch

from willis.infer.moments import MomentNorm, by_moments
from willis.nets.blocks.norm import InstanceNorm
from willis.nets.registry import build_network

ov = pytest.importorskip("openvino")

CONFIG = {"filters": [3, 4, 6], "down_units": [2, 2], "up_units": [2, 1, 2], "norm": "instance"}


def scaled(norm: InstanceNorm) -> InstanceNorm:
    with torch.no_grad():
        norm.weight.copy_(torch.rand(norm.weight.shape) + 0.5)
        norm.bias.copy_(torch.randn(norm.bias.shape))
    return norm


@pytest.mark.parametrize("shape", [(3, 4, 9, 7), (2, 4, 5, 6, 7)])
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_it_is_the_same_normalisation(shape, offset):
    torch.manual_seed(1)
    norm = scaled(InstanceNorm(4))
    x = torch.randn(shape) * torch.tensor([1.0, 3.0, 0.1, 0.0]).view(1, 4, *[1] * (len(shape) - 2)) + offset
    with torch.no_grad():
        torch.testing.assert_close(MomentNorm(norm)(x), norm(x), atol=2e-4 if offset else 1e-5, rtol=1e-4)


def test_the_network_that_was_given_keeps_its_own():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.Sequential(InstanceNorm(2)))
    changed = by_moments(network)
    assert isinstance(network[1][0], InstanceNorm)
    assert isinstance(changed[1][0], MomentNorm)
    assert isinstance(by_moments(InstanceNorm(2)), MomentNorm)


def test_openvino_finds_the_normalisations_of_a_network_over_slices_and_gives_its_answers():
    torch.manual_seed(2)
    network = build_network("raxnet", CONFIG).eval()
    x = torch.rand(2, 1, 32, 48, 1)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "norm" in name:
                value.add_(0.3 * torch.randn_like(value))
        expected = network(x).numpy()
    from willis.infer.torch_export import convert

    model = convert(network, tuple(x.shape))
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": ov.Type.f32})
    found = compiled([x.numpy()])[0]
    assert abs(found - expected).max() <= 1e-4
    assert expected.std() > 0.05
    kinds = [node.get_rt_info()["layerType"].astype(str) for node in compiled.get_runtime_model().get_ops()]
    assert "MVN" in kinds
