"""Votes and decisions with answers that can be counted by hand."""

import numpy as np
import pytest

from willis.tasks.fvv.interpret import count_votes, decide, describe_lesions, measure, summarise
from willis.tasks.fvv.published import heatmap, outline, synthesis_text, votes_of_ten
from willis.volume.grid import Grid

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
    assert not count_votes([answer], GRID, adc=np.full(SHAPE, 0.8e-3)).lesion.any()


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
    assert measure(votes, lesions, 0.6e-3, {})["lesion_left_share"].value == pytest.approx(100 * 8 / 9)
    assert measure(votes, lesions, 0.6e-3, {})["lesion_adc"].value == pytest.approx(0.6)


def test_ten_members_votes_stay_their_number() -> None:
    votes = count_votes([member(8)] * 3 + [member(0)] * 7, GRID)
    assert set(np.unique(votes_of_ten(votes))) == {0, 3}


def test_the_heat_map_does_not_overflow() -> None:
    image = np.linspace(0, 1000, 400 * 10).reshape(SHAPE)
    native = {name: np.zeros(SHAPE, np.uint8) for name in ("brain", "lesion", "visible")}
    plain = heatmap(image, native)
    assert plain.reshape(-1, 3)[-1].tolist() == [255, 255, 255]
    native["visible"][5, 5, 5] = 10
    changed = heatmap(image, native)
    assert changed[5, 5, 5, 0] > plain[5, 5, 5, 0]
    assert changed[5, 5, 5, 1] == plain[5, 5, 5, 1]


def test_outlines_are_two_voxels_wide_and_in_the_plane() -> None:
    mask = np.zeros((11, 11, 3), dtype=bool)
    mask[5, 5, 1] = True
    rim = outline(mask)
    assert rim[:, :, 1].sum() == 24
    assert not rim[:, :, [0, 2]].any() and not rim[5, 5, 1]


def test_the_published_keys_are_all_there() -> None:
    text = synthesis_text(count_votes([member(4), member(2)], GRID), [{"stage": "predict", "wall_s": 1.5}])
    values = dict(line.split("=") for line in text.splitlines())
    assert float(values["FlairVizVoxels"]) == 3
    assert float(values["FlairVizArea"]) == pytest.approx(3 * 0.125)
    assert float(values["StrokeBlobVolume"]) == pytest.approx(1.0)
    assert float(values["Time-5-Inference"]) == 1.5
    assert {"BrainMaskVoxels", "StrokeBlobVoxels", "VoxVolume", "BrainMaskVolume"} <= set(values)
