"""Slices cover the brain and go where the lesion is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from willis.draw.slices import bounds_of, choose_slices, foreground, parts_by_slice
from willis.volume.grid import Grid
from willis.volume.volume import Volume


def column(filled: range, depth: int = 60) -> np.ndarray:
    mask = np.zeros((3, 3, depth), bool)
    mask[:, :, filled.start : filled.stop] = True
    return mask


@given(st.integers(0, 30), st.integers(1, 30), st.integers(1, 25), st.integers(0, 2**20 - 1))
def test_chosen_slices_are_distinct_rising_and_inside(low, length, count, bits):
    extent = column(range(low, low + length))
    lesion = np.zeros((3, 3, 60), bool)
    lesion[0, 0, :20] = [bool(bits >> k & 1) for k in range(20)]
    chosen = choose_slices(extent, lesion, count)
    assert chosen == sorted(set(chosen))
    assert 1 <= len(chosen) <= count
    assert all(low <= k < low + length for k in chosen)
    trimmed = length - 2 * round(0.04 * length)
    assert len(chosen) == min(count, trimmed)


def test_without_lesion_the_steps_are_even():
    steps = np.diff(choose_slices(column(range(5, 55)), None, 12))
    assert steps.max() - steps.min() <= 1


def test_lesion_draws_slices_and_its_largest_slice_is_shown():
    extent, lesion = column(range(60)), np.zeros((3, 3, 60), bool)
    lesion[0, 0, 40:46] = True
    lesion[:, :, 43] = True
    chosen = choose_slices(extent, lesion, 12)
    assert 43 in chosen
    assert sum(40 <= k < 46 for k in chosen) >= 5
    assert min(chosen) < 12 and max(chosen) > 50, "the rest of the brain is no longer covered"


def test_an_empty_extent_shows_the_whole_stack():
    assert choose_slices(np.zeros((2, 2, 5), bool), None, 9) == [0, 1, 2, 3, 4]


def test_bounds_keep_a_margin_in_mm_and_stay_inside():
    mask = np.zeros((30, 30, 30), bool)
    mask[10:12, 0:30, 28] = True
    assert bounds_of(mask, (1.0, 1.0, 2.0), margin_mm=4.0) == (slice(6, 16), slice(0, 30), slice(26, 30))


def test_foreground_is_what_isnt_air():
    data = np.zeros((4, 4, 4))
    data[1:3] = 100.0
    data[0, 0, 0] = 1.0
    grid = Grid((4, 4, 4), np.eye(4))
    np.testing.assert_array_equal(foreground(Volume(data, grid)), data == 100)
    np.testing.assert_array_equal(foreground(Volume(data * 10 - 1000, grid, "ncct", "HU")), data == 100)
    assert foreground(Volume(np.zeros((4, 4, 4)), grid)).all()


@pytest.mark.parametrize("lowest", [0, 57])
@pytest.mark.parametrize("count", [4, 12, 56])
def test_a_lesion_at_the_vertex_or_the_base_is_shown(lowest, count):
    lesion = np.zeros((3, 3, 60), bool)
    lesion[1, 1, lowest : lowest + 2] = True
    chosen = choose_slices(column(range(60)), lesion, count)
    assert {lowest, lowest + 1} & set(chosen)
    assert len(chosen) == count


def test_every_small_lesion_beside_a_large_one_is_shown():
    extent, lesion = np.ones((40, 40, 150), bool), np.zeros((40, 40, 150), bool)
    lesion[20:, 20:, 60:90] = True
    heights = (20, 31, 47, 52, 66, 88, 97, 113, 126)
    for place, height in enumerate(heights):
        lesion[2 * place, 0, height] = True
    chosen = choose_slices(extent, lesion, 20)
    assert set(heights) <= set(chosen)
    assert len(chosen) == 20 and min(chosen) < 25 and max(chosen) > 125


def test_of_more_lesions_than_slices_the_largest_are_shown_and_the_brain_stays_covered():
    lesion = np.zeros((300, 9, 300), bool)
    for number in range(150):
        lesion[2 * number, : 1 + (number % 7 == 0), 2 * number] = True
    chosen = choose_slices(np.ones(lesion.shape, bool), lesion, 20)
    assert np.diff(chosen).max() < 60
    assert chosen[0] < 30 and chosen[-1] > 270
    held = parts_by_slice(lesion)[:, chosen].any(axis=1)
    assert held[:10].all(), "the largest stand first"


def test_a_tiny_lesion_doesnt_crowd_out_the_rest_of_the_brain():
    lesion = np.zeros((3, 3, 100), bool)
    lesion[1, 1, 50] = True
    steps = np.diff(choose_slices(column(range(100), 100), lesion, 20))
    assert steps.max() <= 6
