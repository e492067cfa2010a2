"""The measures of a half against the other one, and the network about them."""

import numpy as np
import pytest
import torch

from willis.errors import BadInputError
from willis.nets.halfnet import OWN_MEASURES, SEGMENT_MEASURES, HalfNet, HalfNetConfig, measures
from willis.nets.registry import build_network

CELLS = 64


def halves(own: float = 0.4, other: float = 0.45) -> torch.Tensor:
    x = torch.zeros(1, 7, 56, 56, 56)
    x[:, 0], x[:, 1], x[:, 2] = own, other, 4 * (other - own)
    x[:, 3:6, 26:30, 6:50, 26:30] = 1.0
    return x


def nothing() -> torch.Tensor:
    return torch.zeros(1, 6, 56, 56, 56)


def of_segments(found: torch.Tensor) -> torch.Tensor:
    return found[0, 2 * CELLS + OWN_MEASURES :].reshape(3, SEGMENT_MEASURES)


def test_darkness_is_measured_where_it_is():
    x = halves()
    x[:, 2] = 0
    x[:, 2, 14:28, 0:14, 42:56] = 0.6
    found = measures(x, nothing(), 14)[0].numpy()
    cells = found[:CELLS].reshape(4, 4, 4)
    assert cells[1, 0, 3] == pytest.approx(0.6, rel=1e-4)
    assert np.count_nonzero(np.abs(cells) > 1e-6) == 1
    assert found[CELLS] == pytest.approx(0.6 / 64, rel=1e-3)


def test_bone_and_air_do_not_count():
    x = halves()
    x[:, 0, :28] = 1.0
    x[:, 2, :28] = -0.9
    assert measures(x, nothing(), 14)[0, CELLS].item() == pytest.approx(0.2, rel=1e-3)


def test_ischaemia_is_measured_where_it_is():
    seen = nothing()
    seen[:, 5, 0:14, 28:42, 14:28] = 0.8
    found = measures(halves(), seen, 14)[0].numpy()
    cells = found[CELLS + 1 : 2 * CELLS + 1].reshape(4, 4, 4)
    assert cells[0, 2, 1] == pytest.approx(0.8, rel=1e-4)
    assert np.count_nonzero(cells > 1e-6) == 1
    assert found[2 * CELLS + 1] == pytest.approx(0.8 / 64, rel=1e-3)


def one_prior_each() -> torch.Tensor:
    x = halves()
    x[:, 3:6] = 0
    x[:, 4, 26:30, 6:50, 26:30] = 1.0
    x[:, 3, 2:6, 2:6, 2:6] = x[:, 5, 50:54, 50:54, 2:6] = 1.0
    return x


def test_a_dense_vessel_raises_its_own_measure_alone():
    plain, dense = one_prior_each(), one_prior_each()
    dense[:, 0, 27:29, 16:28, 27:29] = 0.65
    change = of_segments(measures(dense, nothing(), 14) - measures(plain, nothing(), 14))
    assert (change[1, :4] > 0.02).all()
    assert change[[0, 2]].abs().max() < 0.01


def test_a_clot_raises_the_measures_of_the_segment_that_holds_it():
    x, seen = one_prior_each(), nothing()
    seen[:, 1, 26:30, 6:50, 26:30] = 0.9
    before = measures(x, seen, 14)
    seen[:, 4, 27:29, 16:28, 27:29] = 0.9
    change = of_segments(measures(x, seen, 14) - before)
    assert (change[1, -3:] > 0.1).all()
    assert change[[0, 2]].abs().max() < 1e-5


def test_what_is_told_is_the_same_at_every_voxel_and_does_not_train_the_maps():
    torch.manual_seed(0)
    network = build_network("halfnet", {"filters": [4, 8]}).eval()
    assert isinstance(network, HalfNet)
    y = network(halves() + 0.02 * torch.rand(1, 7, 56, 56, 56))
    assert y.shape == (1, 10, 56, 56, 56)
    assert (y[:, 6:].amax((2, 3, 4)) - y[:, 6:].amin((2, 3, 4))).abs().max() == 0
    y[:, 6:].sum().backward()
    assert network.told.weight.grad is not None
    assert all(p.grad is None or not p.grad.any() for p in network.maps.parameters())
    assert HalfNetConfig().measures == measures(halves(), nothing(), 14).shape[1]  # type: ignore[call-arg]


def test_maps_are_those_of_the_priors_with_clot_and_ischaemia():
    with pytest.raises(BadInputError, match="one for each prior, clot and ischaemia"):
        build_network("halfnet", {"outputs": 5})
