"""The measures of a half against the other one, and the network about them."""

import numpy as np
import pytest
import torch

from willis.nets.halfnet import HalfNet, HalfNetConfig, measures
from willis.nets.registry import build_network


def halves(own: float = 0.4, other: float = 0.45) -> torch.Tensor:
    x = torch.zeros(1, 7, 40, 40, 40)
    x[:, 0], x[:, 1], x[:, 2] = own, other, 4 * (other - own)
    x[:, 3:6, 18:22, 4:36, 18:22] = 1.0
    return x


def test_darkness_is_measured_where_it_is():
    x = halves()
    x[:, 2] = 0
    x[:, 2, 8:16, 0:8, 32:40] = 0.6
    found = measures(x, 8)[0].numpy()
    cells = found[:125].reshape(5, 5, 5)
    assert cells[1, 0, 4] == pytest.approx(0.6, rel=1e-4)
    assert np.count_nonzero(np.abs(cells) > 1e-6) == 1
    assert found[125] == pytest.approx(0.6 / 125, rel=1e-3)


def test_bone_and_air_do_not_count():
    x = halves()
    x[:, 0, :20] = 1.0
    x[:, 2, :20] = -0.9
    assert measures(x, 8)[0, 125].item() == pytest.approx(0.2, rel=1e-3)


def test_a_dense_vessel_raises_its_own_measure_alone():
    plain, dense = halves(), halves()
    dense[:, 3:6] = plain[:, 3:6] = 0
    for x in (plain, dense):
        x[:, 4, 18:22, 4:36, 18:22] = 1.0
        x[:, 3, 2:6, 2:6, 2:6] = x[:, 5, 34:38, 34:38, 2:6] = 1.0
    dense[:, 0, 19:21, 10:20, 19:21] = 0.65
    change = (measures(dense, 8) - measures(plain, 8))[0, 126:].reshape(3, 5)
    assert (change[1, :4] > 0.02).all()
    assert change[[0, 2]].abs().max() < 0.01


def test_what_is_told_is_the_same_at_every_voxel_and_follows_the_maps():
    torch.manual_seed(0)
    network = build_network("halfnet", {}).eval()
    assert isinstance(network, HalfNet)
    x = halves() + 0.02 * torch.rand(1, 7, 40, 40, 40)
    y = network(x)
    assert y.shape == (1, 10, 40, 40, 40)
    moved = network(torch.cat([x[:, :1] + 0.1, x[:, 1:]], 1))
    assert (y[:, :6] - moved[:, :6]).abs().amax((2, 3, 4)).min() > 0
    assert (y[:, 6:].amax((2, 3, 4)) - y[:, 6:].amin((2, 3, 4))).abs().max() == 0
    assert HalfNetConfig().measures == measures(x, 8).shape[1]  # type: ignore[call-arg]
