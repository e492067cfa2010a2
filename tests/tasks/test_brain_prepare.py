"""A CT's surroundings reach the brain network as air, however they were written."""

import numpy as np
import pytest

from willis.tasks.brain.prepare import blank_around, network_input, prepare
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SHAPE = (24, 24, 20)
HEAD = np.linalg.norm(np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2, axis=-1).T < 8


@pytest.fixture
def tissue_hu():
    return np.random.default_rng(3).normal(32, 6, SHAPE)


@pytest.mark.parametrize("blank", [-1000.0, -3024.0, 0.0, 0.2])
def test_all_kinds_of_blank_give_the_same_input(tissue_hu, blank):
    expected = network_input(np.where(HEAD, tissue_hu, -1000.0), "HU")
    found = network_input(np.where(HEAD, tissue_hu, blank), "HU")
    np.testing.assert_array_equal(found, expected)
    assert found[0, 0, 0] == 0 and found[12, 12, 10] > 0.2


def test_fluid_inside_a_head_keeps_its_value(tissue_hu):
    hounsfield = np.where(HEAD, tissue_hu, 0.0)
    hounsfield[10:14, 10:14, 8:12] = 0.0
    blank = blank_around(hounsfield)
    np.testing.assert_array_equal(blank, ~HEAD)
    assert network_input(hounsfield, "HU")[12, 12, 10] == pytest.approx(1 / 3, abs=1e-6)


def test_tissue_that_reaches_the_field_of_view_is_not_blank(tissue_hu):
    assert not blank_around(tissue_hu).any()


def test_other_units_are_scaled_by_their_own_range(tissue_hu):
    image = np.where(HEAD, tissue_hu, 0.0)
    assert network_input(image, "")[12, 12, 10] > 0.5


def test_a_small_field_of_view_does_not_hide_the_blank(tissue_hu):
    """Beyond the field of view lies air, from which what was blanked within is reached."""
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
    blanked = Volume(np.where(HEAD, tissue_hu, 0.0).astype(np.float32), grid, role="ncct", unit="HU")
    found, lattice = prepare(blanked)
    aired, _ = prepare(blanked.with_data(np.where(HEAD, tissue_hu, -1000.0).astype(np.float32)))
    assert found.shape == (1, *lattice.shape)
    far = found[0] == 0
    assert far.mean() > 0.95
    assert np.abs(found - aired)[aired > 0.4].max() < 1e-3


@pytest.mark.parametrize("background", [-100.0, -2.5, 1000.0])
def test_beyond_the_field_of_view_lies_the_image_s_own_background(background):
    grid = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
    values = np.where(HEAD, np.random.default_rng(4).uniform(50, 150, SHAPE), 0.0).astype(np.float32)
    expected, _ = prepare(Volume(values, grid, role="t1"))
    found, _ = prepare(Volume(values + np.float32(background), grid, role="t1"))
    np.testing.assert_allclose(found, expected, atol=1e-4)
