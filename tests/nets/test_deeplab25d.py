"""FVV's network: the published counts, the published shapes, and the logits of other people's code."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from willis.errors import BadInputError
from willis.models.importers.fvv_names import our_name
from willis.nets.deeplab25d import DeepLab25d
from willis.nets.registry import build_network

GOLDEN = Path(__file__).parents[1] / "golden" / "fvv"


def golden_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_published_network", GOLDEN / "make_published_network.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def network() -> DeepLab25d:
    torch.manual_seed(0)
    return DeepLab25d().eval()


def test_parameters_are_as_many_as_published(network: DeepLab25d) -> None:
    counts = [sum(p.numel() for p in part.parameters()) for part in (network.encoder, network.decoder, network.head)]
    assert counts == [4_689_244, 899_664, 771]


def test_features_have_the_published_shapes(network: DeepLab25d) -> None:
    with torch.no_grad():
        shapes = [tuple(f.shape[1:]) for f in network.encoder(torch.zeros(1, 2, 7, 256, 256))]
    sides = (256, 128, 64, 32, 16, 16)
    expected = zip((2, 32, 24, 40, 112, 320), (7, 6, 5, 4, 3, 3), sides, sides, strict=True)
    assert shapes == list(expected)


def test_logits_are_those_of_the_published_libraries() -> None:
    golden, script = np.load(GOLDEN / "published_network.npz"), golden_script()
    shapes = {
        str(name): tuple(int(n) for n in str(shape).strip("(),").split(",") if n.strip())
        for name, shape in zip(golden["names"], golden["shapes"], strict=True)
    }
    state = script.made_up_state(shapes)
    ours = DeepLab25d().double().eval()  # summed in another order, float32 differs in its last digits
    ours.load_state_dict({our_name(k, Path("golden")): torch.from_numpy(v) for k, v in state.items()})
    with torch.no_grad():
        logits = ours(torch.from_numpy(script.made_up_input()).double()).numpy()
    assert golden["logits"].std() > 0.1
    assert np.allclose(logits, golden["logits"], atol=1e-4)


def test_a_slice_does_not_depend_on_its_batch(network: DeepLab25d) -> None:
    x = torch.randn(3, 2, 7, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together, alone = network(x), torch.cat([network(one[None]) for one in x])
    assert torch.allclose(together, alone, atol=1e-4)


def test_the_middle_slice_counts_most(network: DeepLab25d) -> None:
    """Through the shrinking depth the ends of the stack still reach the result, the network isn't flat."""
    x = torch.randn(1, 2, 7, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        base = network(x)
        for index in range(7):
            changed = x.clone()
            changed[:, :, index] += 1
            assert not torch.equal(network(changed), base)


@pytest.mark.parametrize("shape", [(1, 2, 7, 40, 32), (1, 2, 5, 32, 32), (1, 3, 7, 32, 32), (2, 7, 32, 32)])
def test_other_shapes_are_refused(network: DeepLab25d, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInputError, match="multiples of 16"):
        network(torch.zeros(shape))


def test_it_is_found_by_name() -> None:
    assert isinstance(build_network("deeplab25d", {}), DeepLab25d)
