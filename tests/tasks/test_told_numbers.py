"""Rounded numbers in words: none lies on the other side of a cutoff, and none reads 0 where something was found."""

from types import SimpleNamespace

import numpy as np
import pytest

from willis.findings import Lesion, Measurement
from willis.models.manifest import Rule
from willis.tasks.chronic import interpret as chronic
from willis.tasks.fvv import decision as fvv
from willis.tasks.fvv.interpret import describe_lesions, measure
from willis.tasks.fvv.votes import OtherSide, Votes, without_what_b0_hides
from willis.tasks.lvo import interpret as lvo
from willis.tasks.lvo.judge import Judged
from willis.tasks.perfusion import interpret as perfusion
from willis.tasks.perfusion.interpret import Thresholds
from willis.tasks.perfusion.trials import criteria
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
