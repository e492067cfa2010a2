from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from willis.tasks.clusters import ClusterRules, describe_lesions, find_lesions
from willis.tasks.spread import Spread
from willis.tasks.wmh.interpret import measure, region_table, summarise
from willis.tasks.wmh.spec import REGIONS
from willis.volume.grid import Grid

SHAPE = (40, 40, 20)
GRID = Grid(SHAPE, np.diag([1.0, 1.0, 3.0, 1.0]))
BRAIN = np.ones(SHAPE, dtype=bool)
RULES = ClusterRules(threshold=0.5, min_mm3=3.0, connectivity=26, max_outside_brain=0.25)


def blob(start, size, value=0.9):
    probability = np.zeros(SHAPE, dtype=np.float32)
    probability[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))] = value
    return probability


def test_lesions_are_numbered_by_falling_size_and_measured_in_ml():
    probability = blob((2, 2, 2), (2, 2, 2)) + blob((20, 20, 10), (4, 4, 4), 0.6)
    labels, count = find_lesions(probability, BRAIN, GRID, RULES)
    lesions = describe_lesions(labels, count, probability, GRID, [])
    assert [lesion.volume_ml for lesion in lesions] == pytest.approx([64 * 0.003, 8 * 0.003])
    assert lesions[0].centroid_mm == pytest.approx((21.5, 21.5, 34.5))
    assert [lesion.probability for lesion in lesions] == pytest.approx([0.6, 0.9])


def test_threshold_is_the_least_probability_that_counts():
    at, below = blob((5, 5, 5), (2, 2, 2), 0.5), blob((5, 5, 5), (2, 2, 2), 0.4999)
    assert find_lesions(at, BRAIN, GRID, RULES)[1] == 1
    assert find_lesions(below, BRAIN, GRID, RULES)[1] == 0


def test_a_cluster_below_the_least_size_is_dropped_by_volume_not_by_voxels():
    probability = blob((5, 5, 5), (1, 1, 1)) + blob((20, 20, 10), (1, 1, 2))
    assert find_lesions(probability, BRAIN, GRID, RULES)[1] == 2
    stricter = ClusterRules(0.5, 3.5, 26, 0.25)
    labels, count = find_lesions(probability, BRAIN, GRID, stricter)
    assert count == 1
    assert labels[20, 20, 10] == 1
    assert labels[5, 5, 5] == 0


@pytest.mark.parametrize("turn_deg", range(1, 20, 2))
def test_the_rounding_of_an_oblique_affine_drops_no_cluster_of_the_least_size(turn_deg):
    turn = Rotation.from_euler("xyz", (turn_deg, -turn_deg / 2, 3), degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = turn.astype(np.float32)
    grid = Grid(SHAPE, affine)
    probability = blob((5, 5, 5), (1, 1, 3)) + blob((20, 20, 10), (1, 1, 2))
    agreed = ClusterRules(0.5, 3.0, 26, 0.25, agreed_mm3=3.0)
    labels, count = find_lesions(probability, BRAIN, grid, agreed, [probability])
    assert count == 1
    assert labels[5, 5, 5] == 1


def test_a_cluster_mostly_outside_the_brain_is_dropped():
    brain = BRAIN.copy()
    brain[:7] = False
    probability = blob((5, 5, 5), (4, 2, 2))
    assert find_lesions(probability, brain, GRID, RULES)[1] == 0
    assert find_lesions(probability, brain, GRID, ClusterRules(0.5, 3.0, 26, 0.5))[1] == 1


def test_each_member_must_find_part_of_a_cluster_by_itself():
    first, second = blob((5, 5, 5), (4, 4, 2)), blob((5, 5, 5), (1, 2, 1)) + blob((20, 20, 10), (4, 4, 2))
    mean = blob((5, 5, 5), (4, 4, 2), 0.6) + blob((20, 20, 10), (4, 4, 2), 0.6)
    agreed = ClusterRules(0.5, 3.0, 26, 0.25, agreed_mm3=6.0)
    labels, count = find_lesions(mean, BRAIN, GRID, agreed, [first, second])
    assert count == 1
    assert np.array_equal(labels > 0, blob((5, 5, 5), (4, 4, 2)) > 0)  # whole, though one member finds 6 mm³ of it
    assert find_lesions(mean, BRAIN, GRID, agreed)[1] == 2
    assert find_lesions(mean, BRAIN, GRID, RULES, [first, second])[1] == 2
    stricter = ClusterRules(0.5, 3.0, 26, 0.25, agreed_mm3=6.1)
    assert find_lesions(mean, BRAIN, GRID, stricter, [first, second])[1] == 0


def test_a_cluster_of_which_the_network_is_not_sure_is_dropped():
    sure, unsure = blob((5, 5, 5), (4, 4, 2), 0.6), blob((20, 20, 10), (4, 4, 2), 0.55)
    unsure[20, 20, 10] = 0.99  # one voxel doesn't make it a lesion
    rules = ClusterRules(0.5, 3.0, 26, 0.25, least_mean=0.6)
    labels, count = find_lesions(sure + unsure, BRAIN, GRID, rules)
    assert count == 1
    assert np.array_equal(labels > 0, sure > 0)
    assert find_lesions(sure + unsure, BRAIN, GRID, RULES)[1] == 2
    assert find_lesions(unsure, BRAIN, GRID, rules)[1] == 0


def test_a_large_cluster_stays_though_the_network_is_not_sure_of_it():
    large, small = blob((5, 5, 5), (4, 4, 2), 0.55), blob((20, 20, 10), (4, 4, 1), 0.55)
    volume_mm3 = 32 * 3.0
    spared = ClusterRules(0.5, 3.0, 26, 0.25, least_mean=0.6, spared_mm3=volume_mm3)
    labels, count = find_lesions(large + small, BRAIN, GRID, spared)
    assert count == 1
    assert np.array_equal(labels > 0, large > 0)
    assert find_lesions(large, BRAIN, GRID, replace(spared, spared_mm3=volume_mm3 + 0.1))[1] == 0
    assert find_lesions(large, BRAIN, GRID, replace(spared, min_mm3=volume_mm3 + 1))[1] == 0  # other rules still hold


def test_no_lesion_is_a_finding_with_zeros():
    assert find_lesions(np.zeros(SHAPE, np.float32), BRAIN, GRID, RULES)[1] == 0
    measurements = measure([], 1200.0, Spread((0.0, 0.2), "by member"), dict.fromkeys(REGIONS, 0.0))
    assert measurements["wmh_volume"].value == 0
    assert measurements["wmh_volume"].interval == (0.0, 0.2)
    assert measurements["wmh_count"].value == 0
    assert summarise([], measurements, None) == "No white matter hyperintensity was found."
    assert [row["volume_ml"] for row in region_table(measurements)] == [0] * len(REGIONS)


def test_shares_and_rows_follow_from_the_lesions_and_their_regions():
    probability = blob((5, 20, 10), (3, 3, 3)) + blob((32, 33, 10), (2, 2, 2))
    labels, count = find_lesions(probability, BRAIN, GRID, RULES)
    lesions = describe_lesions(labels, count, probability, GRID, ["deep left", "juxtacortical right"])
    volumes = {**dict.fromkeys(REGIONS, 0.0), "deep left": 0.081, "juxtacortical right": 0.024}
    measurements = measure(lesions, 1000.0, None, volumes)
    rows = {row["region"]: row for row in region_table(measurements)}
    assert rows["deep left"] == {"region": "deep left", "volume_ml": 0.081, "count": 1}
    assert rows["juxtacortical right"]["count"] == 1
    assert sum(row["count"] for row in rows.values()) == measurements["wmh_count"].value == 2
    assert measurements["wmh_volume"].interval is None
    assert measurements["wmh_brain_share"].value == pytest.approx(measurements["wmh_volume"].value / 10)


def test_the_summary_says_between_what_ends_the_volume_lies():
    probability = blob((5, 20, 10), (5, 5, 5))
    labels, count = find_lesions(probability, BRAIN, GRID, RULES)
    lesions = describe_lesions(labels, count, probability, GRID, [])
    spread = Spread((0.2, 0.9), "by member")
    measurements = measure(lesions, 1000.0, spread, None)
    assert measurements["wmh_volume"].interval == (0.2, 0.9)
    assert measurements["wmh_brain_share"].interval == pytest.approx((0.02, 0.09))
    words = summarise(lesions, measurements, spread)
    assert words.startswith("0.4 ml of white matter hyperintensity (0.2 to 0.9 by member) in 1 lesion")
