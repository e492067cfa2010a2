import pytest
import torch

from willis.errors import BadInputError
from willis.nets.registry import build_network
from willis.nets.unet3d import UNet3d, UNet3dConfig, pad_to


def numbers(network: torch.nn.Module) -> int:
    return sum(tensor.numel() for tensor in network.state_dict().values())


@pytest.mark.parametrize(("inputs", "expected"), [(1, 39_854_657), (2, 39_854_927)])
def test_published_number_of_weights(inputs: int, expected: int) -> None:
    with torch.device("meta"):
        assert numbers(build_network("unet3d", {"inputs": inputs})) == expected


def test_published_widths_and_sizes() -> None:
    assert UNet3dConfig().widths == (10, 18, 32, 58, 104, 187, 337)
    assert UNet3dConfig().dropout_rates == (0.05, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    with torch.device("meta"):
        network, x = UNet3d().eval(), torch.zeros(1, 2, 160, 214, 176)
    seen = []
    for level in network.encoder:
        level.register_forward_hook(lambda _module, _inputs, out: seen.append(tuple(out.shape[2:])))
    with torch.no_grad():
        assert network(x).shape == (1, 1, 160, 214, 176)
    assert seen == [(160, 214, 176), (80, 107, 88), (40, 53, 44), (20, 26, 22), (10, 13, 11), (5, 6, 5), (2, 3, 2)]


def test_padding_is_floor_before_ceil_after() -> None:
    padded = pad_to(torch.ones(1, 1, 2, 2, 2), (3, 4, 5))
    assert padded.sum() == 8
    assert padded[0, 0, 0:2, 1:3, 1:3].sum() == 8


@pytest.mark.parametrize("decoder", ["published", "slim"])
def test_small_network_takes_odd_sizes_and_has_several_outputs(decoder: str) -> None:
    network = build_network(
        "unet3d", {"inputs": 3, "outputs": 2, "filters": (4, 6, 8), "decoder": decoder, "final": (4,)}
    )
    assert network(torch.rand(2, 3, 11, 14, 9)).shape == (2, 2, 11, 14, 9)


def test_first_decoder_convolution_by_kind() -> None:
    keys = {"filters": (4, 6), "inputs": 1}
    published = build_network("unet3d", {**keys, "decoder": "published"}).state_dict()
    slim = build_network("unet3d", {**keys, "decoder": "slim"}).state_dict()
    assert published["decoder.0.0.conv.weight"].shape == (10, 10, 3, 3, 3)
    assert slim["decoder.0.0.conv.weight"].shape == (4, 10, 3, 3, 3)


def test_state_layout_is_the_documented_one() -> None:
    network = build_network("unet3d", {"inputs": 1, "filters": (4, 6), "final": (5,)})
    units = [f"{part}.{level}.{n}" for part in ("encoder", "decoder") for level in (0, 1) for n in (0, 1)] + ["final.0"]
    names = ("conv.weight", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var")
    expected = {f"{unit}.{name}" for unit in units for name in names} | {"head.weight", "head.bias"}
    assert set(network.state_dict()) == expected
    assert network.load_state_dict(dict(network.state_dict()), strict=True)


def test_memory_format_does_not_change_the_answer() -> None:
    torch.manual_seed(0)
    network = build_network("unet3d", {"inputs": 2, "filters": (4, 8)}).eval()
    x = torch.rand(1, 2, 9, 8, 10)
    with torch.no_grad():
        plain = network(x)
        network.to(memory_format=torch.channels_last_3d)
        assert torch.allclose(network(x.to(memory_format=torch.channels_last_3d)), plain, atol=1e-5)


def test_what_it_refuses() -> None:
    network = build_network("unet3d", {"inputs": 2, "filters": (4, 8)})
    with pytest.raises(BadInputError, match="at least 4 voxels"):
        network(torch.rand(1, 2, 3, 8, 8))
    with pytest.raises(BadInputError, match="network is 'unet4d'; allowed are 'vgg_fusion', 'unet3d', 'mcresnet'"):
        build_network("unet4d", {})
    with pytest.raises(BadInputError, match="width is not a setting; allowed are convs, decoder"):
        build_network("unet3d", {"width": 3})
    with pytest.raises(BadInputError, match="dropout"):
        build_network("unet3d", {"dropout": [1.5]})
