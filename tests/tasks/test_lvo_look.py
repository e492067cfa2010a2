"""The default network's way: halves side by side, what it says of each, and back to the scan."""

import numpy as np
import pytest
import torch

from willis.models.manifest import make_manifest
from willis.models.publish import write_bundle
from willis.nets.registry import build_network
from willis.tasks.lvo import look
from willis.tasks.lvo.half_cases import PhantomSource, manifest_fields
from willis.tasks.lvo.halves import SHAPE, half, joined, network_input, prior, scaled_part, willis_grid
from willis.tasks.lvo.judge import judge
from willis.tasks.lvo.spec import OUTPUTS, SEGMENTS, VESSELS
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GRID = Grid((90, 60, 24), np.array([[2.0, 0, 0, -89], [0, 2.0, 0, -62], [0, 0, 4.0, -48], [0, 0, 0, 1.0]]))
CONFIG = {"filters": [4, 8]}
MIRROR = np.diag([-1.0, 1, 1, 1])


def made_bundle(folder, **changes):
    torch.manual_seed(3)
    network = build_network("halfnet", CONFIG)
    torch.nn.init.normal_(network.told.weight, std=0.2)
    fields = {**manifest_fields({}), "task": "lvo", "network": {"name": "halfnet", "config": CONFIG}, **changes}
    return write_bundle(folder, make_manifest(fields, "made"), [network.state_dict()], half=False)


@pytest.fixture(scope="module")
def ct() -> Volume:
    rng = np.random.default_rng(0)
    coarse = rng.normal(33, 12, (9, 6, 6)).repeat(10, 0).repeat(10, 1).repeat(4, 2)
    return Volume((coarse + rng.normal(0, 3, GRID.shape)).astype(np.float32), GRID, role="ncct", unit="HU")


@pytest.fixture(scope="module")
def source() -> PhantomSource:
    return PhantomSource(anatomies_of(PhantomSettings()), 5)


def test_halves_are_taken_apart_and_joined():
    both = np.random.default_rng(1).random((3, *SHAPE))
    np.testing.assert_array_equal(joined(half(both, "left"), half(both, "right")), both)
    np.testing.assert_array_equal(half(both, "right"), half(both[:, ::-1], "left"))


def test_each_half_gets_the_other_one_mirrored(ct):
    both = scaled_part(ct, np.eye(4))
    left, right = network_input(both, "left"), network_input(both, "right")
    np.testing.assert_array_equal(left[0], right[1])
    np.testing.assert_array_equal(left[1], right[0])
    np.testing.assert_allclose(left[2], -right[2], atol=1e-6)
    np.testing.assert_array_equal(left[3:], right[3:])


def test_priors_lie_where_the_vessels_of_a_left_half_are():
    places = [willis_grid().to_mm(np.argwhere(p > 0.3)).mean(axis=0) for p in prior()[:3]]
    for place, wanted in zip(places, ((-13.5, 5, -20), (-25, 5, -16.5), (-40, 0, -4)), strict=True):
        np.testing.assert_allclose(place, wanted, atol=3)


def test_a_mirrored_head_swaps_the_sides_of_every_answer(ct, tmp_path):
    bundle, settings = made_bundle(tmp_path / "b"), RunSettings(threads=1, engine="torch")
    mirror_about = np.eye(4)
    turned = ct.with_data(np.ascontiguousarray(ct.data[::-1]))  # about x = 0, the middle of its grid
    one = look.look(ct, np.eye(4), bundle, settings)
    other = look.look(turned, MIRROR @ mirror_about @ MIRROR, bundle, settings)
    for here, there in zip(one.looks, other.looks, strict=True):
        assert here["left"].occluded == pytest.approx(there["right"].occluded, abs=1e-4)
        assert here["right"].shut == pytest.approx(there["left"].shut, abs=1e-4)
    np.testing.assert_allclose(one.maps, other.maps[:, ::-1], atol=1e-4)
    assert look.judge(one, bundle.manifest).side != look.judge(other, bundle.manifest).side


def test_the_likelier_side_stands_for_the_head_and_is_calibrated(ct, tmp_path):
    settings = RunSettings(threads=1, engine="torch")
    calibration = {"slope": 2.0, "intercept": -0.5, "origin": "made"}
    tuned = made_bundle(tmp_path / "b", calibration=calibration)
    seen = look.look(ct, np.eye(4), tuned, settings)
    said = look.judge(seen, tuned.manifest)
    logits = look.side_logits(seen.looks, tuned.manifest)
    assert logits[said.side] == max(logits.values())
    assert said.probability == pytest.approx(1 / (1 + np.exp(-(2 * max(logits.values()) - 0.5))))
    assert len(said.looks) == len(look.VIEWS_MM)


def test_what_lifts_both_sides_is_taken_away_where_the_bundle_says_so(tmp_path):
    said = {"left": look.SideLogits(2.0, (0.0, 0.0, 0.0)), "right": look.SideLogits(-1.0, (0.0, 0.0, 0.0))}
    both = {side: look.SideLogits(2.0, (0.0, 0.0, 0.0)) for side in look.SIDES}
    plain = made_bundle(tmp_path / "plain").manifest
    rules = {look.OTHER_SIDE: {"value": 0.5, "origin": "made"}}
    fair = made_bundle(tmp_path / "fair", rules=rules).manifest
    assert look.side_logits([said], plain) == {"left": 2.0, "right": -1.0}
    assert look.side_logits([said], fair) == {"left": 2.5, "right": -2.0}
    assert look.side_logits([said, both], fair) == {"left": 1.75, "right": -0.5}
    seen = look.Seen(np.zeros((5, *SHAPE), np.float32), (both,), np.eye(4))
    assert look.judge(seen, fair).probability == pytest.approx(1 / (1 + np.exp(-1.0)))
    assert look.judge(seen, fair).looks == (look.judge(seen, fair).probability,)


@pytest.mark.parametrize(
    ("shut", "answer"),
    [((-4, 3, -4), "m1"), ((-4, -2, 2), "m2"), ((3, -3, -4), "c7"), ((2, 2, -3), "c7+m1"), ((-3, 2, 2), "m1+m2")],
)
def test_the_segment_is_the_likeliest_of_the_five_answers(shut, answer):
    shares = look.segment_shares(shut)
    assert tuple(shares) == SEGMENTS
    assert max(shares, key=lambda name: shares[name]) == answer
    assert sum(shares.values()) == pytest.approx(1)


def test_vessels_go_back_to_where_they_lie_in_the_scan():
    maps = np.zeros((5, *SHAPE), np.float32)
    inside = np.linalg.norm(willis_grid().to_mm(np.moveaxis(np.indices(SHAPE), 0, -1)) - (-25, 5, -16), axis=-1) < 7
    maps[1][inside] = maps[4][inside] = 0.9
    matrix = np.eye(4)
    matrix[:3, 3] = (6.0, -4.0, 10.0)
    seen = look.Seen(maps, (), matrix)
    labels = look.vessels_on(seen, GRID)
    middle = GRID.to_mm(np.argwhere(labels.data == 2).mean(axis=0))
    np.testing.assert_allclose(middle, (-19, 1, -6), atol=1.5)
    assert set(np.unique(labels.data)) == {0, 2}
    left = GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))[..., 0] < 0
    assert look.clot_on(seen, GRID, "left", left).data.sum() == (labels.data == 2).sum()
    assert not look.clot_on(seen, GRID, "right", left).data.any()


def test_a_bundle_that_finds_vessels_hands_them_on(make_head, tmp_path):
    prepared = make_head()
    own = prepared.vessels
    prepared.head.fit = type("Fit", (), {"matrix": np.eye(4)})()
    kept, judged = judge(prepared, made_bundle(tmp_path / "b"), RunSettings(threads=1, engine="torch"))
    assert kept.vessels is own
    assert judged.side in ("left", "right")
    assert judged.interval[0] <= judged.probability <= judged.interval[1]
    assert (judged.place is not None) == (judged.probability >= judged.threshold)


def test_both_halves_of_a_phantom_are_cases_of_their_own(source):
    left, right = source.case(6), source.case(7)
    assert left.subject == right.subject
    np.testing.assert_array_equal(left.image[0], right.image[1])
    told = OUTPUTS.index("occluded")
    for case in (left, right):
        whole = case.target[told:].reshape(4, -1)
        assert (whole.min(axis=1) == whole.max(axis=1)).all()
    again = PhantomSource(source.anatomies, 5).case(6)
    np.testing.assert_array_equal(again.image, left.image)


def test_truth_lies_by_the_priors_and_only_the_clots_side_is_occluded(source):
    told, near = OUTPUTS.index("occluded"), []
    sides = 0
    for index in range(0, 16, 2):
        pair = source.case(index), source.case(index + 1)
        occluded = [int(case.target[told].max()) for case in pair]
        assert sum(occluded) <= 1
        for case, shut in zip(pair, occluded, strict=True):
            clot = case.target[OUTPUTS.index("clot")]
            assert bool(case.target[told + 1 :].any()) == bool(shut)
            assert shut or not clot.any()
            sides += shut
            for k in range(len(VESSELS) - 1):
                at = np.argwhere(case.target[k])
                if len(at) > 5:
                    near.append(np.linalg.norm(at.mean(axis=0) - np.argwhere(prior()[k] > 0.3).mean(axis=0)))
    assert sides >= 2
    assert np.median(near) < 4.9  # voxels of 1.25 mm: fits err, and heads differ
