"""Votes and decisions with answers that can be counted by hand."""

from pathlib import Path

import numpy as np
import pytest

from willis.models.manifest import Rule
from willis.tasks.fvv.decision import decide, summarise
from willis.tasks.fvv.interpret import describe_lesions, left_share, mean_adc, measure, score_rater
from willis.tasks.fvv.spec import SPEC
from willis.tasks.fvv.votes import LOWERED_ADC, count_votes, without_what_b0_hides
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume

SHAPE = (20, 20, 10)
GRID = Grid(SHAPE, np.diag([5.0, 5.0, 5.0, 1.0]))  # 0.125 ml a voxel
BRAIN, LESION, VISIBLE = 0, 1, 2


def member(visible: int, *, lesion: bool = True, speck: bool = False) -> np.ndarray:
    """A brain box, a lesion of 8 voxels in a row, of which the first ``visible`` are visible."""
    answer = np.zeros((3, *SHAPE), dtype=np.float32)
    answer[BRAIN, 2:18, 2:18, 1:9] = 0.9
    if speck:
        answer[BRAIN, 0, 0, 0] = 0.9
    if lesion:
        answer[LESION, 4:12, 8, 4] = 0.8
    answer[VISIBLE, 4 : 4 + visible, 8, 4] = 0.7
    answer[VISIBLE, 15, 15, 4] = 0.7  # outside the lesion: never counted
    return answer


def test_votes_are_counted_as_published() -> None:
    votes = count_votes([member(8), member(4), member(0, lesion=False), member(2, speck=True)], GRID)
    assert votes.members == 4
    assert votes.lesion.sum() == 8  # three of four
    assert votes.visible[4:12, 8, 4].tolist() == [3, 3, 2, 2, 1, 1, 1, 1]
    assert votes.visible_ml == pytest.approx((1.0, 0.5, 0.0, 0.25))
    assert votes.fvv_ml == pytest.approx(0.4375)
    assert votes.interval_ml == pytest.approx((0.0, 1.0))
    assert votes.visible_mask.sum() == 4  # at least half of the members
    assert not votes.brain[0, 0, 0]  # of each member the largest part alone


def test_half_of_the_members_are_enough_and_less_is_not() -> None:
    some = [member(8), member(8, lesion=False), member(8, lesion=False), member(8)]
    assert count_votes(some, GRID).lesion.sum() == 8
    assert not count_votes([*some, member(8, lesion=False)], GRID).lesion.any()


def test_the_threshold_itself_does_not_count() -> None:
    answer = member(8)
    answer[LESION][answer[LESION] > 0] = 0.5
    assert not count_votes([answer], GRID).lesion.any()


def test_small_parts_are_dropped_when_asked() -> None:
    answer = member(8)
    answer[LESION, 14, 4, 4] = 0.9
    assert count_votes([answer], GRID).lesion.sum() == 9
    assert count_votes([answer], GRID, min_voxels=2).lesion.sum() == 8


def test_parts_without_lowered_adc_are_dropped_when_asked() -> None:
    answer = member(8)
    answer[LESION, 14, 4:8, 4] = 0.9
    adc = np.full(SHAPE, 0.8e-3)
    adc[4:12, 8, 4] = 0.5e-3
    votes = count_votes([answer], GRID, adc=adc)
    assert votes.lesion.sum() == 8 and not votes.lesion[14].any()
    assert votes.fvv_ml == pytest.approx(1.0)
    assert votes.dropped_ml == pytest.approx((0.5,))
    assert "1 part of 0.50 ml" in votes.told_dropped and f"{LOWERED_ADC:g} times" in votes.told_dropped
    assert not count_votes([answer], GRID).dropped_ml


def test_voxels_without_adc_tell_nothing_of_it() -> None:
    answer = member(8)
    answer[LESION, 14, 4:8, 4] = 0.9
    adc = np.full(SHAPE, 0.8e-3)
    adc[4:12, 8, 4] = 0.5e-3
    adc[5, 8, 4] = adc[14, 4:7, 4] = np.nan
    votes = count_votes([answer], GRID, adc=adc)
    assert votes.lesion.sum() == 8 and votes.dropped_ml == pytest.approx((0.5,))
    assert mean_adc(votes.lesion, adc) == pytest.approx(0.5e-3)
    adc[14, 4:8, 4] = np.nan
    unknown = count_votes([answer], GRID, adc=adc)
    assert unknown.lesion.sum() == 12 and not unknown.dropped_ml
    assert mean_adc(unknown.lesion & np.isnan(adc), adc) is None


def test_when_all_is_dropped_the_reason_and_the_summary_say_so() -> None:
    answer = member(8)
    answer[LESION, 14, 4:8, 4] = 0.9
    votes = count_votes([answer], GRID, adc=np.full(SHAPE, 0.8e-3))
    assert not votes.lesion.any()
    assert votes.dropped_ml == pytest.approx((1.0, 0.5))
    decision = decide(votes)
    assert decision.answer == "no decision"
    assert "2 parts of 1.50 ml" in decision.reason and f"{LOWERED_ADC:g} times" in decision.reason
    told = summarise(decision, measure(votes, [], None, {}), dropped=True)
    assert "dropped" in told and "was found" not in told


@pytest.mark.parametrize(
    ("visible", "answer", "certain"),
    [
        ((3, 3), "mismatch", True),
        ((5, 5), "no mismatch", True),
        ((2, 5), "mismatch", False),
        ((1, 8), "no mismatch", False),
    ],
)
def test_the_decision_and_how_sure_it_is(visible: tuple[int, int], answer: str, certain: bool) -> None:
    decision = decide(count_votes([member(n) for n in visible], GRID))
    assert (decision.answer, decision.certain) == (answer, certain)
    assert ("near the cutoff" in decision.reason) is not certain


RATIO = Rule(value=1.1, spread=0.05, origin="made up")


@pytest.mark.parametrize(
    ("ratio", "fvv_ml", "interval_ml", "answer", "certain"),
    [
        (1.4, 1.0, (1.0, 1.0), "no mismatch", True),
        (1.12, 1.0, (0.0, 1.0), "no mismatch", False),
        (1.08, 0.0, (0.0, 1.0), "mismatch", False),
        (0.95, 0.0, (0.0, 0.0), "mismatch", True),
    ],
)
def test_what_b0_does_not_show_is_not_visible(ratio, fvv_ml, interval_ml, answer, certain) -> None:
    votes = without_what_b0_hides(count_votes([member(8), member(8)], GRID), ratio, RATIO)
    assert votes.fvv_ml == pytest.approx(fvv_ml)
    assert votes.interval_ml == pytest.approx(interval_ml)
    assert votes.visible.any() == (fvv_ml > 0) and votes.lesion.sum() == 8
    decision = decide(votes)
    assert (decision.answer, decision.certain) == (answer, certain)
    assert f"{ratio:.2f} times as bright" in decision.reason
    assert ("1.00 ml visible" in decision.reason) == (fvv_ml == 0)
    assert measure(votes, [], None, {})["b0_ratio"].value == ratio


@pytest.mark.parametrize(("ratio", "rule", "lesion"), [(0.9, None, True), (None, RATIO, False)])
def test_without_a_rule_or_an_infarct_the_members_alone_count(ratio, rule, lesion) -> None:
    votes = count_votes([member(8, lesion=lesion)], GRID)
    assert without_what_b0_hides(votes, ratio, rule) is votes
    assert "other side" not in decide(votes).reason


@pytest.mark.parametrize(("visible", "answer", "certain"), [(8, "no mismatch", False), (3, "mismatch", True)])
def test_what_cannot_be_compared_is_doubtful(visible, answer, certain) -> None:
    votes = without_what_b0_hides(count_votes([member(visible)], GRID), None, RATIO)
    assert votes.fvv_ml == pytest.approx(visible / 8)
    assert votes.interval_ml == (0.0, pytest.approx(visible / 8))
    decision = decide(votes)
    assert (decision.answer, decision.certain) == (answer, certain)
    assert "could not be compared with the other side" in decision.reason
    assert measure(votes, [], None, {})["b0_ratio"].value is None


def test_no_lesion_gives_no_decision_and_says_why() -> None:
    votes = count_votes([member(8, lesion=False)], GRID)
    decision = decide(votes)
    assert decision.answer == "no decision"
    assert "No acute infarct was found" in decision.reason
    found = measure(votes, [], None, {})
    assert found["flair_visibility_volume"].value == 0
    assert found["visible_share"].value is None
    assert "No acute infarct" in summarise(decision, found)


def test_sides_are_the_patients() -> None:
    answer = member(8)
    answer[LESION, 14, 4, 4] = 0.9
    votes = count_votes([answer], GRID)
    lesions = describe_lesions(votes.lesion, votes.visible_mask, answer[LESION], votes.brain, GRID)
    assert [lesion.region for lesion in lesions] == ["left, 100 % visible", "right, 0 % visible"]
    assert measure(votes, lesions, 0.6e-3, {})["lesion_left_share"].value == pytest.approx(100 * 6 / 9)
    assert measure(votes, lesions, 0.6e-3, {})["lesion_adc"].value == pytest.approx(0.6)


def across(first: int, last: int) -> np.ndarray:
    """One part in a row of voxels along x, in a brain whose middle lies between voxels 9 and 10."""
    answer = member(0, lesion=False)
    answer[LESION, first : last + 1, 8, 4] = 0.8
    return answer


@pytest.mark.parametrize("code", ORIENTATIONS[::7])
def test_a_part_across_the_middle_is_divided_between_the_sides(code: str) -> None:
    turned = [reorient(Volume(channel, GRID), code) for channel in across(5, 13)]
    votes = count_votes([np.stack([volume.data for volume in turned])], turned[0].grid)
    assert left_share(votes) == pytest.approx(100 * 5 / 9)


def test_voxels_on_the_middle_count_half() -> None:
    answer = across(9, 9)
    answer[BRAIN, 17] = 0  # the middle is now that of voxel 9
    assert left_share(count_votes([answer], GRID)) == pytest.approx(50)


def test_every_unit_is_in_the_reference() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "outputs.md"
    told = page.read_text(encoding="utf-8")
    assert [m.unit for m in SPEC.measurements if f"`{m.unit}`" not in told] == []


def test_a_raters_mask_keeps_its_volume_whatever_is_found() -> None:
    rater = np.zeros(SHAPE, np.uint8)
    rater[8:16, 8, 4] = 1
    mask = Volume(rater, GRID)
    found, missed = (count_votes([member(8, lesion=lesion)], GRID) for lesion in (True, False))
    scores = [score_rater(v.visible_mask, v.lesion, mask, mask.volume_ml) for v in (found, missed)]
    assert [score["volume_ml"] for score in scores] == pytest.approx([1.0, 1.0])
    assert [score["in_lesion_ml"] for score in scores] == pytest.approx([0.5, 0.0])
    assert [score["dice"] for score in scores] == pytest.approx([0.5, 0.0])
    told = measure(missed, [], None, scores[1])
    assert told["rater_volume"].value == pytest.approx(1.0) and told["rater_in_lesion_volume"].value == 0
