"""Scores of slices, cases and groups: those counted by hand, whatever the order of axes."""

import numpy as np
import pytest

from willis.measure.by_group import (
    axis_between_head_and_feet,
    count_slices,
    scores_by_slice,
    scores_of_case,
    scores_of_group,
)
from willis.volume.grid import Grid


def masks():
    true, found = np.zeros((4, 1, 3), bool), np.zeros((4, 1, 3), bool)
    true[:4, 0, 0], found[:2, 0, 0] = True, True  # Dice 2 · 2 / (4 + 2)
    true[:1, 0, 1], found[:1, 0, 1] = True, True  # Dice 1
    found[0, 0, 2] = True  # where there is nothing
    return true, found


def test_scores_are_those_counted_by_hand():
    counts = count_slices(*masks(), voxel_ml=2.0)
    assert [row["dice"] for row in scores_by_slice(counts)] == [pytest.approx(2 / 3), 1.0, None]
    case = scores_of_case(counts)
    assert (case["true_ml"], case["found_ml"], case["dice"]) == (10.0, 8.0, pytest.approx(6 / 9))
    assert (case["precision"], case["sensitivity"]) == (3 / 4, 3 / 5)
    true, found = masks()
    false = count_slices(np.zeros_like(true), found, voxel_ml=2.0)
    group = scores_of_group([counts, false])
    assert (group["patients"], group["with_label"], group["false_patients"]) == (2, 1, 1)
    assert group["dice_patients"] == case["dice"] and group["dice_patients_sd"] is None
    assert group["dice_slices"] == pytest.approx((2 / 3 + 1) / 2)
    assert group["dice_voxels"] == pytest.approx(6 / (5 + 8)) and group["largest_false_ml"] == 8.0


def test_a_miss_lowers_every_mean_and_a_slice_without_lesion_enters_none():
    true, _ = masks()
    good, missed = count_slices(true, true, 1.0), count_slices(true, np.zeros_like(true), 1.0)
    before, after = scores_of_group([good]), scores_of_group([good, missed])
    for name in ("dice_slices", "dice_patients", "dice_voxels", "sensitivity_voxels"):
        assert after[name] < before[name]
    nothing = count_slices(np.zeros_like(true), np.zeros_like(true), 1.0)
    assert scores_of_group([good, nothing])["dice_slices"] == before["dice_slices"]
    assert scores_of_group([nothing])["dice_patients"] is None


def test_slices_lie_between_head_and_feet_whatever_the_order_of_axes():
    true, found = masks()
    grid = Grid((3, 4, 1), np.array([[0, 1, 0, 0], [0, 0, 1, 0], [-1, 0, 0, 0], [0, 0, 0, 1.0]]))
    axis = axis_between_head_and_feet(grid)
    turned = count_slices(true.transpose(2, 0, 1), found.transpose(2, 0, 1), 1.0, axis)
    assert axis == 0 and np.array_equal(turned.voxels, count_slices(true, found, 1.0).voxels)
