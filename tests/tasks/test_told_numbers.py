"""Rounded numbers in words: none lies on the other side of a cutoff, and none reads 0 where something was found."""

from types import SimpleNamespace

import numpy as np
import pytest

from willis.findings import Lesion, Measurement
from willis.models.manifest import Rule
from willis.report.words import interval, measured, quantity
from willis.tasks.chronic import interpret as chronic
from willis.tasks.fvv import decision as fvv
from willis.tasks.fvv.interpret import describe_lesions, measure
from willis.tasks.fvv.votes import OtherSide, Votes, without_what_b0_hides
from willis.tasks.lvo import interpret as lvo
from willis.tasks.lvo.judge import Judged
from willis.tasks.perfusion import interpret as perfusion
from willis.tasks.perfusion.interpret import Thresholds
from willis.tasks.perfusion.trials import BOUNDS, criteria
from willis.tasks.spread import Spread
from willis.tasks.wmh import interpret as wmh
from willis.volume.grid import Grid

SHAPE = (6, 6, 6)
GRID = Grid(SHAPE, np.diag([10.0, 10.0, 10.0, 1.0]))


def votes(*visible_ml: float) -> Votes:
    lesion = np.zeros(SHAPE, bool)
    lesion[2:4, 2:4, 2:4] = True
    return Votes(GRID, np.ones(SHAPE, bool), lesion, lesion.astype(np.uint8), len(visible_ml), visible_ml, 8.0)


@pytest.mark.parametrize(
    ("volumes", "said"),
    [
        ((0.498,), "is 0.498 ml, below 0.5 ml"),
        ((0.49999,), "is 0.49999 ml, below 0.5 ml"),
        ((0.5,), "is 0.50 ml, not below 0.5 ml"),
        ((0.502,), "is 0.502 ml, not below 0.5 ml"),
        ((2.124,), "is 2.12 ml, not below 0.5 ml"),
        ((0.0,), "is 0.00 ml, below 0.5 ml"),
        ((0.497, 0.8), "0.497 to 0.80 ml"),
    ],
)
def test_a_visible_volume_stays_on_its_side_of_the_cutoff(volumes, said):
    found = votes(*volumes)
    assert said in fvv.decide(found).reason
    summary = fvv.summarise(fvv.decide(found), measure(found, [], None, {}))
    assert f"FLAIR Visibility Volume {fvv.told_ml(found.fvv_ml)} ml" in summary


@pytest.mark.parametrize(("ratio", "said"), [(1.0823, "is 1.082 times"), (1.08311, "is 1.0831 times")])
def test_a_ratio_stays_on_its_side_of_the_least(ratio, said):
    other = OtherSide(ratio, 1.0830, 0.05, (1.0,))
    assert said in other.told
    assert other.hidden == ("below 1.083" in other.told)


@pytest.mark.parametrize(
    ("ratio", "doubt", "why"),
    [
        (1.12, "near the cutoff of b0's ratio to the other side", "That ratio is near its cutoff"),
        (None, "unconfirmed", "Nothing confirms the network's volume, which may be 0.00 to 34.00 ml"),
    ],
)
def test_a_large_visible_volume_is_not_called_near_the_cutoff_of_volumes(ratio, doubt, why):
    rule = Rule(value=1.1, spread=0.05, origin="made up")
    found = without_what_b0_hides(votes(34.0), ratio, rule)
    decision = fvv.decide(found)
    assert not decision.certain and why in decision.reason
    summary = fvv.summarise(decision, measure(found, [], None, {}), doubt=fvv.doubt_of(found))
    assert summary.startswith(f"No DWI-FLAIR mismatch, {doubt}: FLAIR Visibility Volume 34.00 ml")


def test_a_small_visible_share_of_a_part_is_no_0_percent():
    lesion = np.ones((10, 10, 10), bool)
    visible = lesion & (np.arange(1000).reshape(10, 10, 10) < 3)
    (part,) = describe_lesions(lesion, visible, lesion.astype(np.float32), lesion, Grid((10, 10, 10), np.eye(4)))
    assert part.region.endswith("0.3 % visible")


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.5496, "is not suspected: probability 0.5496 (not calibrated), threshold 0.5500."),
        (0.55, "is suspected: probability 0.55 (not calibrated), threshold 0.55."),
    ],
)
def test_an_occlusions_probability_stays_on_its_side_of_the_threshold(probability, said):
    assert said in lvo.decide(Judged(probability, 0.55), SimpleNamespace(calibration=None), []).reason


@pytest.mark.parametrize(
    ("core", "late", "found"),
    [
        (69.97, 200.0, {"core volume": "69.97 ml", "mismatch ratio": "2.86"}),
        (70.02, 85.03, {"core volume": "70.02 ml", "mismatch volume": "15.01 ml"}),
        (50.0, 89.8, {"core volume": "50 ml", "mismatch ratio": "1.796", "mismatch volume": "39.8 ml"}),
        (0.05, 80.0, {"core volume": "0.05 ml", "mismatch ratio": "1600"}),
        (0.0, 80.0, {"core volume": "0 ml", "mismatch ratio": "no core"}),
    ],
)
def test_trials_figures_stay_on_their_side_of_the_criterion(core, late, found):
    volumes = {"core_volume": core, "penumbra_volume": late - core, "hypoperfused_volume": late}
    rows = criteria({k: Measurement(k, v, "ml") for k, v in volumes.items()}, 12.0, 71.5)
    said = {row["figure"]: row["found"] for row in rows if row["trial"] == "DEFUSE 3"}
    assert said | found == said
    assert (said["NIHSS"], said["age"]) == ("12", "71.5 years")


def test_what_was_found_is_never_called_0():
    lesion = Lesion(1, 0.03, (0.0, 0.0, 0.0), "deep left", 0.9)
    spread = Spread((0.01, 0.2), "by member")
    found = wmh.measure([lesion], 1_200.0, spread, None)
    said = wmh.summarise([lesion], found, spread)
    assert said.startswith("0.03 ml of white matter hyperintensity (0.01 to 0.2 by member) in 1 lesion, 0.003 %")
    told = {"lesion_volume": found["wmh_volume"], "lesion_brain_share": found["wmh_brain_share"]}
    said = chronic.summarise([lesion], told, None, None)
    assert said.startswith("0.03 ml of chronic stroke lesion in 1 lesion, 0.003 %")
    volumes = {"hypoperfused_volume": 30.0, "core_volume": 0.04, "penumbra_volume": 29.96}
    rows = {k: Measurement(k, v, "ml") for k, v in volumes.items()}
    assert "Core 0.04 ml and penumbra 30.0 ml" in perfusion.summarise(rows, [], Thresholds(0.3, 6.0, 1.0))


@pytest.mark.parametrize(("ml", "shown"), [(0.498, "0.498"), (0.502, "0.502"), (0.5, "0.50"), (2.124, "2.12")])
def test_a_key_number_stays_on_its_side_of_the_cutoff(ml, shown):
    """The decision said 0.498 ml, below 0.5 ml, and the large number beneath it 0.50 ml."""
    found = measure(votes(ml, ml), [], None, {})["flair_visibility_volume"]
    assert quantity(found) == f"{shown} ml" and interval(found) == f"{shown} to {shown}"


def test_a_probability_stays_on_its_side_of_the_threshold():
    volume = SimpleNamespace(volume_ml=1200.0)
    prepared = SimpleNamespace(head=SimpleNamespace(grid=GRID, brain=volume))
    judged = Judged(0.4984, 0.5, None, {"left": 0.4984, "right": 0.1})
    found = lvo.measure(prepared, [], np.zeros(SHAPE, bool), {}, judged)
    assert [measured(found[name]) for name in ("lvo_probability", "lvo_left_probability")] == ["0.498"] * 2


@pytest.mark.parametrize(
    ("core", "late", "said", "key"),
    [
        (69.97, 300.0, "Core 69.97 ml and penumbra 230.0 ml by thresholds; mismatch ratio 4.3.", "69.97"),
        (30.997, 300.0, "Core 30.997 ml and penumbra 269.0 ml by thresholds; mismatch ratio 9.7.", "30.997"),
        (50.0, 89.9, "Core 50.0 ml and penumbra 39.9 ml by thresholds; mismatch ratio 1.798.", "50.0"),
        (20.0, 34.996, "Core 20.0 ml and penumbra 14.996 ml by thresholds; mismatch ratio 1.7.", "20.0"),
    ],
)
def test_core_and_mismatch_stay_on_their_sides_of_the_trials_cutoffs(core, late, said, key):
    """The summary said 1.8, and the table below it that at least 1.8 isn't met."""
    values = {
        "core_volume": core,
        "penumbra_volume": late - core,
        "hypoperfused_volume": late,
        "mismatch_ratio": late / core,
    }
    found = {name: Measurement(name, value, "ml", bounds=BOUNDS.get(name, ())) for name, value in values.items()}
    assert perfusion.summarise(found, [], Thresholds(0.3, 6.0, 1.0)) == said
    assert measured(found["core_volume"]) == key
    rows = {row["figure"]: row for row in criteria(found, 12, 70)}
    assert rows["core volume"]["found"] == f"{float(key):g} ml"
    assert rows["mismatch ratio"]["met"] == ("met" if late / core >= 1.8 else "not met")
