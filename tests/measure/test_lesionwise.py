"""Lesion counts against hand-made cases, panoptica's recorded answers and scikit-image."""

import json
from pathlib import Path

import numpy as np
import pytest

from willis.measure import lesionwise as lw
from willis.measure.overlap import dice, jaccard
from willis.measure.pair import MaskPair

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/measure/panoptica.json").read_text(encoding="utf-8"))


def paint(boxes: list, shape: tuple[int, ...] = (30, 12, 12)) -> np.ndarray:
    mask = np.zeros(shape, dtype=np.uint8)
    for start, stop in boxes:
        mask[tuple(slice(max(a, 0), b) for a, b in zip(start, stop, strict=True))] = 1
    return mask


def test_corner_neighbours_are_one_lesion() -> None:
    mask = paint([((1, 1, 1), (3, 3, 3)), ((3, 3, 3), (5, 5, 5))])
    assert lw.match_lesions(MaskPair(mask, mask)).referenced == 1


def test_a_touch_finds_a_lesion_but_does_not_match_it() -> None:
    reference = paint([((1, 1, 1), (5, 5, 5)), ((10, 1, 1), (14, 5, 5)), ((20, 1, 1), (24, 5, 5))])
    prediction = paint([((4, 4, 4), (6, 6, 6)), ((10, 1, 1), (14, 5, 4)), ((27, 8, 8), (29, 9, 9))])
    assert lw.lesion_sensitivity(prediction, reference) == pytest.approx(2 / 3)
    assert lw.lesion_precision(prediction, reference) == pytest.approx(2 / 3)
    assert lw.lesion_f1(prediction, reference) == pytest.approx(2 / 3)
    assert lw.recognition_quality(prediction, reference) == pytest.approx(1 / 3)
    assert lw.segmentation_quality(prediction, reference) == pytest.approx(0.75)
    assert lw.panoptic_quality(prediction, reference) == pytest.approx(0.25)


def test_one_prediction_over_two_lesions_finds_both() -> None:
    reference = paint([((1, 1, 1), (5, 5, 5)), ((7, 1, 1), (11, 5, 5))])
    prediction = paint([((1, 1, 1), (11, 5, 5))])
    assert lw.lesion_sensitivity(prediction, reference) == 1
    assert lw.lesion_count_difference(prediction, reference) == -1
    assert lw.absolute_lesion_count_difference(prediction, reference) == 1
    assert lw.panoptic_quality(prediction, reference) == 0


def test_lesions_that_never_meet() -> None:
    prediction, reference = paint([((1, 1, 1), (3, 3, 3))]), paint([((8, 1, 1), (9, 3, 3))])
    for metric in (lw.lesion_sensitivity, lw.lesion_precision, lw.lesion_f1, lw.segmentation_quality):
        assert metric(prediction, reference) == 0


def test_finding_one_more_lesion_never_lowers_the_scores() -> None:
    boxes = [((3 * n, 1, 1), (3 * n + 2, 4, 4)) for n in range(8)]
    reference = paint(boxes)
    scores = [[m(paint(boxes[:n]), reference) for m in (lw.lesion_f1, lw.panoptic_quality)] for n in range(9)]
    assert np.all(np.diff(scores, axis=0) > 0)
    assert scores[-1] == [1, 1]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=range(len(GOLDEN["cases"])))
def test_panoptica_agrees(case: dict) -> None:
    shape = tuple(GOLDEN["shape"])
    prediction, reference = paint(case["prediction"], shape), paint(case["reference"], shape)
    match, judge = lw.match_lesions(MaskPair(prediction, reference)), case["panoptica"]
    counts = (match.predicted, match.referenced, match.matched_iou.size)
    assert counts == (judge["n_pred_instances"], judge["n_ref_instances"], judge["tp"])
    assert lw.recognition_quality(prediction, reference) == pytest.approx(judge["rq"])
    assert lw.segmentation_quality(prediction, reference) == pytest.approx(judge["sq"])
    assert lw.panoptic_quality(prediction, reference) == pytest.approx(judge["pq"])
    assert dice(prediction, reference) == pytest.approx(judge["global_bin_dsc"])
    assert jaccard(prediction, reference) == pytest.approx(judge["global_bin_iou"])


def test_the_recorded_cases_hold_matches_and_misses() -> None:
    matches = [case["panoptica"]["tp"] for case in GOLDEN["cases"]]
    assert 0 in matches
    assert max(matches) >= 3


@pytest.mark.parametrize("seed", range(4))
def test_detection_counted_lesion_by_lesion(seed: int) -> None:
    measure = pytest.importorskip("skimage.measure")
    p, r = np.random.default_rng(seed).random((2, 14, 13, 12)) > 0.97
    ours, theirs = measure.label(p, connectivity=3), measure.label(r, connectivity=3)
    found = [bool(p[theirs == n].any()) for n in range(1, theirs.max() + 1)]
    right = [bool(r[ours == n].any()) for n in range(1, ours.max() + 1)]
    assert lw.lesion_sensitivity(p, r) == pytest.approx(np.mean(found))
    assert lw.lesion_precision(p, r) == pytest.approx(np.mean(right))
