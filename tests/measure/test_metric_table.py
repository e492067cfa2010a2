"""What empty masks give: the table in code is what happens, and no miss improves a mean."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from willis.errors import BadInputError
from willis.measure.case import METRICS
from willis.measure.overlap import dice
from willis.measure.pair import MaskPair

SHAPE = (7, 6, 5)
SPACING = (0.8, 1.0, 3.0)
EMPTY = np.zeros(SHAPE, dtype=bool)
MASKS = arrays(bool, SHAPE, elements=st.booleans(), fill=st.just(False))


def one_voxel() -> np.ndarray:
    mask = EMPTY.copy()
    mask[3, 3, 2] = True
    return mask


EXPECTED = {  # (empty prediction, empty reference, both empty), of one voxel of 2.4 mm³
    "dice": (0, 0, 1),
    "jaccard": (0, 0, 1),
    "sensitivity": (0, math.nan, math.nan),
    "precision": (0, 0, 1),
    "volume_difference_ml": (-0.0024, 0.0024, 0),
    "absolute_volume_difference_ml": (0.0024, 0.0024, 0),
    "volume_difference_percent": (-100, math.nan, math.nan),
    "absolute_volume_difference_percent": (100, math.nan, math.nan),
    "hd95_mm": (math.sqrt(5.6**2 + 6**2 + 15**2), math.sqrt(5.6**2 + 6**2 + 15**2), 0),
    "assd_mm": (math.sqrt(5.6**2 + 6**2 + 15**2), math.sqrt(5.6**2 + 6**2 + 15**2), 0),
    "lesion_sensitivity": (0, math.nan, math.nan),
    "lesion_precision": (0, 0, 1),
    "lesion_f1": (0, 0, 1),
    "lesion_count_difference": (-1, 1, 0),
    "absolute_lesion_count_difference": (1, 1, 0),
    "recognition_quality": (0, 0, 1),
    "segmentation_quality": (0, 0, 1),
    "panoptic_quality": (0, 0, 1),
}


def test_every_metric_is_expected_here() -> None:
    assert [metric.name for metric in METRICS] == list(EXPECTED)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_empty_cases(metric) -> None:
    found = (
        metric(EMPTY, one_voxel(), SPACING),
        metric(one_voxel(), EMPTY, SPACING),
        metric(EMPTY, EMPTY, SPACING),
    )
    assert found == pytest.approx(EXPECTED[metric.name], nan_ok=True)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@settings(max_examples=40, deadline=None)
@given(prediction=MASKS, reference=MASKS)
def test_whether_a_case_counts_depends_on_its_reference_alone(metric, prediction, reference) -> None:
    assert math.isnan(metric(prediction, reference)) == math.isnan(metric(EMPTY, reference))


@pytest.mark.parametrize(
    "metric", [m for m in METRICS if m.better != "zero" and "difference" not in m.name], ids=lambda metric: metric.name
)
@settings(max_examples=60, deadline=None)
@given(prediction=MASKS, reference=MASKS.filter(np.any))
def test_missing_everything_is_never_better_than_any_find(metric, prediction, reference) -> None:
    missed, found = metric(EMPTY, reference, SPACING), metric(prediction, reference, SPACING)
    assert missed <= found if metric.better == "higher" else missed >= found


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_perfect_prediction_has_the_best_value(metric) -> None:
    mask = np.random.default_rng(3).random(SHAPE) > 0.7
    assert metric(mask, mask, SPACING) == {"higher": 1, "lower": 0, "zero": 0}[metric.better]


def test_a_table_that_lets_misses_leave_the_mean_is_refused() -> None:
    with pytest.raises(BadInputError, match="empty prediction may not be undefined"):
        replace(dice, empty_prediction="undefined")
    with pytest.raises(BadInputError, match="every prediction is undefined or none"):
        replace(dice, empty_reference="undefined")


def test_pairs_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"\(7, 6, 5\) and \(5, 6, 7\)"):
        MaskPair(EMPTY, EMPTY.T)
    with pytest.raises(BadInputError, match=r"prediction isn't a binary mask: it holds 1 values \(0\.5\)"):
        dice(EMPTY + 0.5, EMPTY)
    with pytest.raises(BadInputError, match="three axes"):
        dice(EMPTY[0], EMPTY[0])
    with pytest.raises(BadInputError, match="above 0"):
        dice(EMPTY, EMPTY, (1.0, 0.0, 1.0))
    with pytest.raises(BadInputError, match="reference isn't a binary mask"):
        dice(EMPTY, np.full(SHAPE, np.nan))


@given(prediction=MASKS, reference=MASKS)
def test_padding_with_background_changes_nothing_but_the_penalty(prediction, reference) -> None:
    wide = [np.pad(mask, 2) for mask in (prediction, reference)]
    for metric in METRICS:
        if "diagonal" in (metric.empty_prediction, metric.empty_reference) and prediction.any() != reference.any():
            continue
        small, large = metric(prediction, reference, SPACING), metric(*wide, SPACING)
        assert small == pytest.approx(large, nan_ok=True), metric.name
