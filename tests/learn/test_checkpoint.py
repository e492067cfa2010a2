from pathlib import Path

import pytest
import torch

from willis.errors import BadInputError
from willis.learn.average import MovingAverage
from willis.learn.checkpoint import (
    load_state,
    optimiser_tensors,
    restore_optimiser,
    save_state,
    with_prefix,
    without_prefix,
)
from willis.nets.blocks.norm import BatchNorm


def test_round_trip(tmp_path: Path) -> None:
    tensors = {"a.b": torch.rand(3, 4).t(), "n": torch.tensor(7), "half": torch.rand(2).bfloat16()}
    save_state(tmp_path / "x.safetensors", tensors, {"step": 3, "best": None})
    got, values = load_state(tmp_path / "x.safetensors")
    assert values == {"step": 3, "best": None}
    assert got.keys() == tensors.keys() and all(torch.equal(got[k], tensors[k]) for k in got)
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_prefixes() -> None:
    tensors = {"w": torch.zeros(1), "x.w": torch.ones(1)}
    joined = with_prefix("net", tensors) | with_prefix("network", tensors)
    assert without_prefix("net", joined) == tensors


@pytest.mark.parametrize("make", [torch.optim.AdamW, lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)])
def test_an_optimiser_goes_on_as_if_nothing_had_been(tmp_path: Path, make: object) -> None:
    def run(weights: torch.Tensor, optimiser: torch.optim.Optimizer, steps: int) -> None:
        for _ in range(steps):
            optimiser.zero_grad()
            (weights**3).sum().backward()
            optimiser.step()

    whole = torch.linspace(-1, 1, 5).requires_grad_()
    run(whole, make([whole]), 6)  # type: ignore[operator]
    cut = torch.linspace(-1, 1, 5).requires_grad_()
    first = make([cut])  # type: ignore[operator]
    run(cut, first, 3)
    save_state(tmp_path / "x", optimiser_tensors(first), {})
    second = make([cut])  # type: ignore[operator]
    restore_optimiser(second, load_state(tmp_path / "x")[0])
    run(cut, second, 3)
    assert torch.equal(whole, cut)


def test_what_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="there is no checkpoint"):
        load_state(tmp_path / "none")
    (tmp_path / "bad").write_bytes(b"something else altogether")
    with pytest.raises(BadInputError, match="isn't a checkpoint of willis"):
        load_state(tmp_path / "bad")


def test_moving_average_of_weights_and_statistics() -> None:
    network = BatchNorm(2)
    average = MovingAverage(network, 0.5)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(1.0)
    average.update(network, 1000)
    assert torch.equal(average.network.weight, torch.full((2,), 2.0))
    assert torch.equal(average.network.running_mean, torch.full((2,), 0.5))
    average.update(network, 0)
    assert torch.allclose(average.network.weight, torch.tensor(0.1 * 2.0 + 0.9 * 3.0))
    assert not any(p.requires_grad for p in average.network.parameters())
