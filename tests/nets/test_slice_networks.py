"""RAX-NET and the networks it is compared with: sizes as published, Keras as the judge, padding as Keras's "same"."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from willis.errors import BadInputError
from willis.models.importers.raxnet import read_raxnet
from willis.nets.blocks.planar import SliceNetwork, pad_same
from willis.nets.clcinet import ClciNetConfig
from willis.nets.raxnet import RaxNet, RaxNetConfig
from willis.nets.registry import build_network

GOLDEN = Path(__file__).parents[1] / "golden" / "chronic"
SMALL = {
    "raxnet": {"filters": [4, 6, 8, 10]},
    "xnet": {"filters": [4, 6, 8, 10, 16]},
    "clcinet": {"filters": [4, 6, 8, 10, 12], "pyramid": 6},
    "dunet": {"filters": [4, 6, 8, 10, 12], "ratio": 2},
}


def _sizes(name: str) -> tuple[int, int]:
    with torch.device("meta"):
        network = build_network(name, {})
    trained = sum(p.numel() for p in network.parameters())
    return trained + sum(b.numel() for b in network.buffers()), trained


def test_raxnet_has_the_published_parameters() -> None:
    everything, trained = _sizes("raxnet")
    assert (everything, everything - trained) == (4_837_473, 7_808)


@pytest.mark.parametrize(("name", "published"), [("xnet", 15_100_000), ("dunet", 8_640_163), ("clcinet", 36_838_305)])
def test_the_compared_networks_are_as_large_as_their_authors_state(name: str, published: int) -> None:
    assert abs(_sizes(name)[0] - published) <= (50_000 if name == "xnet" else 0)


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    path = tmp_path / "narrow.h5"
    path.write_bytes(gzip.decompress((GOLDEN / "raxnet_narrow.h5.gz").read_bytes()))
    return path


def test_keras_says_the_same_of_an_imported_network(keras_file: Path) -> None:
    config = RaxNetConfig(filters=(3, 4, 6, 8))
    network = RaxNet(config)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in read_raxnet(keras_file, config).items()})
    golden = np.load(GOLDEN / "raxnet_narrow.npz")
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(golden["image"].transpose(0, 3, 1, 2)))
    judged = golden["probability"].transpose(0, 3, 1, 2)
    assert judged.std() > 0.01
    assert np.abs(torch.sigmoid(logits).numpy() - judged).max() < 1e-4


def test_a_file_of_another_size_is_refused(keras_file: Path) -> None:
    with pytest.raises(BadInputError, match=r"has the shape \(3, 1, 3, 3\); \(32, 1, 3, 3\) is needed"):
        read_raxnet(keras_file)


@pytest.mark.parametrize(("side", "before", "after"), [(8, 0, 1), (7, 1, 1)])
def test_strided_padding_is_keras_s(side: int, before: int, after: int) -> None:
    padded = pad_same(torch.ones(1, 1, side, side), 3, 2)
    line = padded[0, 0, before + 1]
    assert padded.shape[2:] == (side + before + after,) * 2
    assert line.tolist() == [0.0] * before + [1.0] * side + [0.0] * after


@pytest.mark.parametrize("name", SMALL)
def test_a_stack_of_slices_is_seen_slice_by_slice(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name, SMALL[name]).eval()
    assert isinstance(network, SliceNetwork)
    channels = 4 if name == "dunet" else 1
    stack = torch.rand(2, channels, 32, 48, 3)
    with torch.no_grad():
        together = network(stack)
        alone = torch.stack([network(stack[..., k]) for k in range(3)], dim=-1)
    assert together.shape == (2, 1, 32, 48, 3)
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.std() > 0


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(1)
    network = build_network(name, SMALL[name]).train()
    network(torch.rand(2, 4 if name == "dunet" else 1, 32, 32)).square().sum().backward()
    still = [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not still
    assert sum(float(p.grad.abs().sum()) > 0 for p in network.parameters()) > 0.7 * len(list(network.parameters()))


def test_sides_that_can_t_be_halved_are_refused() -> None:
    with pytest.raises(BadInputError, match="multiples of 16"):
        build_network("raxnet", SMALL["raxnet"])(torch.zeros(1, 1, 32, 40))


def test_a_configuration_names_its_units() -> None:
    with pytest.raises(BadInputError, match="4 filters need 3 down_units"):
        RaxNetConfig.parse({"down_units": [2, 2]}, "test")
    assert ClciNetConfig().filters == (32, 64, 128, 256, 512)
