import pytest
import torch

from willis.infer.moments import MomentNorm, by_moments
from willis.nets.blocks.norm import InstanceNorm
from willis.nets.registry import build_network

ov = pytest.importorskip("openvino")

CONFIG = {"filters": [3, 4, 6], "down_units": [2, 2], "up_units": [2, 1, 2], "norm": "instance"}

PLAIN = {
    "inputs": 1, "outputs": 2, "features": [4, 6], "kernels": [[3] * 3] * 2, "strides": [[1] * 3, [2] * 3],
    "convs": [1, 2], "decoder_convs": [2],
}  # fmt: skip
NETWORKS = [
    ("raxnet", CONFIG, (2, 1, 32, 48, 1)),
    ("unet3d", {"inputs": 1, "outputs": 1, "filters": [4, 6], "final": [], "norm": "instance"}, (1, 1, 16, 12, 8)),
    ("plainunet", PLAIN, (1, 1, 16, 12, 8)),
]


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


@pytest.mark.parametrize("affine", [False, True])
def test_it_is_torch_s_own_normalisation(affine):
    torch.manual_seed(4)
    norm = torch.nn.InstanceNorm3d(3, eps=1e-4, affine=affine)
    x = 5 * torch.randn(2, 3, 4, 6, 5) + 2
    with torch.no_grad():
        if affine:
            scaled(norm)
        torch.testing.assert_close(MomentNorm(norm)(x), norm(x), atol=1e-5, rtol=1e-4)
    assert isinstance(by_moments(torch.nn.Sequential(norm))[0], MomentNorm)


def test_the_network_that_was_given_keeps_its_own():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.Sequential(InstanceNorm(2)))
    changed = by_moments(network)
    assert isinstance(network[1][0], InstanceNorm)
    assert isinstance(changed[1][0], MomentNorm)
    assert isinstance(by_moments(InstanceNorm(2)), MomentNorm)


@pytest.mark.parametrize(("name", "config", "shape"), NETWORKS)
def test_openvino_finds_the_normalisations_of_a_network_and_gives_its_answers(name, config, shape):
    torch.manual_seed(2)
    network = build_network(name, config).eval()
    x = torch.rand(shape)
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
