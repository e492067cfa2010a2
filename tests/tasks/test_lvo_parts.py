"""The parts of the LVO task: values, territories, vessels, channels, words."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from willis.errors import BadInputError, GeometryError
from willis.io.nifti import write_nifti
from willis.models.importers.mcresnet import CHANNELS, SHAPE
from willis.models.manifest import Calibration
from willis.tasks.ct_template import read_territories
from willis.tasks.lvo import interpret
from willis.tasks.lvo.hounsfield import as_hounsfield, check_brain_values
from willis.tasks.lvo.judge import Judged
from willis.tasks.lvo.occlusion import CHANNELS as KNOWN
from willis.tasks.lvo.occlusion import PUBLISHED_SHAPE, network_input, scaled_ct, scaled_difference
from willis.tasks.lvo.prepare import left_of
from willis.tasks.lvo.vessels import contrast_note, length_mm, measure_vessels, read_vessels
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GRID = Grid((20, 24, 16), np.array([[1.5, 0, 0, -14.25], [0, 1.5, 0, -18], [0, 0, 1.5, -12], [0, 0, 0, 1.0]]))


JUDGED = Judged(0.8, 0.5, (0.7, 0.9), {"left": 0.8, "right": 0.1}, "left", "c7+m1", {"c7+m1": 0.6, "m1": 0.4})


def manifest(calibration: Calibration | None = None) -> SimpleNamespace:
    return SimpleNamespace(calibration=calibration)


def ct_of(values: np.ndarray) -> Volume:
    return Volume(values.astype(np.float32), GRID, role="ncct")


def head_values(rng: np.random.Generator) -> np.ndarray:
    values = np.full(GRID.shape, -1000.0)
    values[2:18, 2:22, 2:14] = rng.normal(33, 4, (16, 20, 12))
    return values


def test_hounsfield_units_are_taken_and_others_named():
    rng = np.random.default_rng(0)
    values = head_values(rng)
    assert as_hounsfield(ct_of(values)).unit == "HU"
    stripped = np.where(values > -500, np.maximum(values, 1), 0)
    assert as_hounsfield(ct_of(stripped)).unit == "HU"
    with pytest.raises(BadInputError, match="without its rescale intercept"):
        as_hounsfield(ct_of(np.maximum(values + 1024, 0)))
    with pytest.raises(BadInputError, match="isn't a CT"):
        as_hounsfield(ct_of(rng.uniform(0, 900, GRID.shape)))


def test_values_of_the_brain_are_judged():
    brain = Volume((head_values(np.random.default_rng(0)) > -500).astype(np.uint8), GRID)
    ct = ct_of(head_values(np.random.default_rng(0)))
    assert check_brain_values(ct, brain) == ()
    with pytest.raises(BadInputError, match="median"):
        check_brain_values(ct.with_data(ct.data + 100), brain)
    fine = Grid((60, 60, 60), np.eye(4))
    inside = Volume(np.ones(fine.shape, np.uint8), fine)
    inside.data[:2] = 0
    values = np.full(fine.shape, 35.0, np.float32)
    values[25:45, 25:45, 25:40] = 150
    assert "contrast agent" in check_brain_values(Volume(values, fine, role="ncct"), inside)[0]


def test_the_built_in_map_has_both_sides_alike():
    codes = read_territories(None)
    assert set(np.unique(codes.data)) == {0, 1, 2, 3, 4, 11, 12, 13, 14}
    middle = codes.data.shape[0] // 2
    left, right = codes.data[:middle], codes.data[:middle:-1]
    assert np.mean(left % 10 == right % 10) > 0.999
    mm = codes.grid.to_mm(np.argwhere(codes.data > 10))
    assert (mm[:, 0] > 0).all()


def test_a_map_of_ones_own_gets_its_sides_from_its_affine(tmp_path):
    flipped = Grid((10, 6, 6), np.array([[-2.0, 0, 0, 9], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]))
    path = write_nifti(Volume(np.full(flipped.shape, 2, np.uint8), flipped), tmp_path / "map.nii.gz")
    codes = read_territories(path)
    assert (codes.data[:5] == 12).all()
    assert (codes.data[5:] == 2).all()
    wrong = write_nifti(Volume(np.full(flipped.shape, 7, np.uint8), flipped), tmp_path / "wrong.nii.gz")
    with pytest.raises(BadInputError, match="code 7"):
        read_territories(wrong)


@pytest.mark.real
def test_the_built_in_map_agrees_with_an_independent_atlas(real_data):
    from willis.io.nifti import read_nifti
    from willis.volume.resample import resample_to

    atlas = read_nifti(real_data / "arterial_atlas" / "ArterialAtlas136.nii.gz", allow_empty=True)
    ours = resample_to(read_territories(None), atlas.grid, "nearest").data
    groups = {1: range(1, 5), 2: range(5, 17), 3: range(17, 25)}  # as the atlas's own list groups its parts
    scores = {}
    for code, parts in groups.items():
        a, b = ours % 10 == code, np.isin(atlas.data, list(parts))
        scores[code] = 2 * (a & b).sum() / (a.sum() + b.sum())
    assert scores[2] >= 0.8
    assert scores[1] >= 0.7
    assert scores[3] >= 0.7


def test_vessel_labels_must_lie_on_the_scan(tmp_path):
    ct = ct_of(head_values(np.random.default_rng(1)))
    good = write_nifti(Volume(np.zeros(GRID.shape, np.uint8), GRID), tmp_path / "v.nii.gz")
    assert read_vessels(good, ct).data.dtype == np.uint8
    other = write_nifti(Volume(np.zeros((5, 5, 5), np.uint8), Grid((5, 5, 5), np.eye(4))), tmp_path / "o.nii.gz")
    with pytest.raises(GeometryError, match="vessel labels"):
        read_vessels(other, ct)
    many = write_nifti(Volume(np.full(GRID.shape, 9, np.uint8), GRID), tmp_path / "m.nii.gz")
    with pytest.raises(BadInputError, match="from 9 to 9"):
        read_vessels(many, ct)
    share = write_nifti(Volume(np.full(GRID.shape, 0.7, np.float32), GRID), tmp_path / "s.nii.gz")
    with pytest.raises(BadInputError, match="between whole numbers"):
        read_vessels(share, ct)


def test_the_length_of_a_tube_is_that_of_its_middle_line():
    mask = np.zeros((40, 10, 10), bool)
    mask[3:33, 5, 5] = True
    assert length_mm(mask, (0.5, 1, 1)) == pytest.approx(29 * 0.5)
    bent = np.zeros((30, 30, 5), bool)
    bent[2:20, 2, 2] = bent[19, 2:25, 2] = True
    assert length_mm(bent, (1.0, 1.0, 1.0)) == pytest.approx(17 + 22, abs=0.7)  # the corner is cut by a diagonal


def test_the_length_of_pieces_is_that_of_the_longest_wherever_it_lies():
    mask = np.zeros((40, 12, 12), bool)
    mask[2:5, 2, 2] = mask[10:30, 6, 6] = mask[35, 9, 9] = True
    for turned in (mask, mask[::-1], mask[:, ::-1, ::-1]):
        assert length_mm(turned, (0.5, 1, 1)) == pytest.approx(19 * 0.5)


def dense_head(left_hu: float, right_hu: float) -> tuple[Volume, Volume, np.ndarray]:
    values = np.full(GRID.shape, 30.0)
    labels = np.zeros(GRID.shape, np.uint8)
    for where, hu in ((slice(3, 8), left_hu), (slice(12, 17), right_hu)):
        labels[where, 10:12, 6:8] = 2
        values[where, 10:12, 6:8] = hu
    return ct_of(values), Volume(labels, GRID), left_of(GRID, GRID)


@pytest.mark.parametrize(
    ("left_hu", "right_hu", "sign"),
    [(58.0, 40.0, ["left M1"]), (40.0, 58.0, ["right M1"]), (45.0, 43.0, []), (36.0, 28.0, [])],
)
def test_the_hyperdense_vessel_sign_names_the_denser_side(left_hu, right_hu, sign):
    ct, vessels, left = dense_head(left_hu, right_hu)
    found = measure_vessels(vessels, ct, left)
    assert found["m1", "left"].density_hu == pytest.approx(left_hu)
    assert found["c7", "left"].volume_ml == 0
    assert found["c7", "left"].density_hu is None
    assert interpret.dense_vessels(found) == sign


def test_contrast_is_seen_in_the_vessels_themselves():
    for hu, seen in ((60.0, False), (85.0, False), (150.0, True), (400.0, True)):
        ct, vessels, _ = dense_head(hu, hu)
        note = contrast_note(vessels, ct)
        assert ("contrast agent" in note) == seen
        decision = interpret.decide(JUDGED, manifest(Calibration(slope=1.0, intercept=0.0, origin="x")), [], bool(note))
        assert decision.certain != seen
        assert ("contrast agent" in decision.reason) == seen
    ct, vessels, _ = dense_head(300.0, 50.0)  # one side clotted calcium
    ct.data[12:17, 8:16, 4:10] = 50
    vessels.data[12:17, 8:16, 4:10] = 2
    assert contrast_note(vessels, ct) == ""
    assert contrast_note(vessels.with_data(np.zeros_like(vessels.data)), ct) == ""


def test_ct_values_are_scaled_as_published():
    hu = np.array([[-5.0, 0.0, 10.0, 40.0, 70.0, 70.5, 300.0]], np.float32)
    np.testing.assert_allclose(scaled_ct(hu), [[0, 0, 0, 0.5, 1.0, 0, 0]])
    np.testing.assert_allclose(scaled_difference(np.array([0, 2.0, 4.0, 10.0], np.float32)), [0, 0, 0.25, 1.0])
    assert not scaled_difference(np.zeros(4, np.float32)).any()


@pytest.mark.parametrize(("half", "side", "other"), [(slice(0, 10), "left", "right"), (slice(10, 20), "right", "left")])
def test_the_darker_half_is_named_and_measured(half, side, other, make_head):
    prepared = make_head(half)
    darker = interpret.darker_mask(prepared, 4.0)
    territories = interpret.describe_territories(prepared, darker)
    found = interpret.measure(prepared, territories, darker, {}, JUDGED)
    half_ml = 8 * 20 * 12 * GRID.voxel_ml
    assert found[f"darker_{side}_volume"].value == pytest.approx(half_ml)
    assert found[f"darker_{other}_volume"].value == 0
    assert found[f"mca_{side}_difference"].value == pytest.approx(-6.0)
    assert found[f"aca_{side}_difference"].value is None
    assert found["lvo_probability"].interval == (0.7, 0.9)
    assert found["lvo_left_probability"].value == 0.8
    decision = interpret.decide(JUDGED, manifest(), [])
    words = interpret.summarise(decision, territories, darker, GRID.voxel_ml, 4.0)
    assert "not calibrated" in words
    assert f"{side} MCA" in words
    assert not interpret.darker_mask(prepared, 6.5).any()


def test_the_network_gets_the_channels_that_it_was_promised(make_head):
    assert CHANNELS == KNOWN
    assert SHAPE == PUBLISHED_SHAPE
    prepared = make_head()
    manifest = SimpleNamespace(name="made", channels=CHANNELS, shape=None, missing_channels="error")
    x = network_input(prepared, manifest)  # type: ignore[arg-type]
    assert x.shape == (4, *GRID.shape)
    inside = prepared.head.inside.data > 0
    assert x[0][inside].min() == 0  # of two values the lower one
    assert x[0][inside].max() == 1
    assert not x[:2, ~inside].any()
    np.testing.assert_allclose(x[1], x[0] * (x[1] > 0))
    with pytest.raises(BadInputError, match="needs vessels"):
        network_input(replace(prepared, vessels=None), manifest)  # type: ignore[arg-type]


def test_a_decision_says_what_it_rests_on():
    sure = interpret.decide(JUDGED, manifest(Calibration(slope=1.0, intercept=0.0, origin="100 phantoms")), ["left M1"])
    assert (sure.answer, sure.certain) == ("suspected", True)
    assert "0.80 (calibrated on 100 phantoms)" in sure.reason
    assert "most likely left ICA terminus and M1 (share 0.60 of the five answers)" in sure.reason
    assert "Hyperdense: left M1" in sure.reason
    loose = interpret.decide(replace(JUDGED, probability=0.2), manifest(), [])
    assert (loose.answer, loose.certain) == ("not suspected", False)
    assert "not calibrated" in loose.reason
    assert "most likely" not in loose.reason
    calibrated = manifest(Calibration(slope=1.0, intercept=0.0, origin="100 phantoms"))
    cut = interpret.decide(JUDGED, calibrated, [], cut=True)
    assert not cut.certain
    assert cut.reason.endswith("The scan doesn't show all vessels: the probability can't be trusted.")
    both = interpret.decide(JUDGED, calibrated, [], True, True)
    assert "Vessels hold contrast agent and the scan doesn't show all vessels: the" in both.reason
