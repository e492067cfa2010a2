"""Chronic stroke: intensities as published, fusion, tables with and without empty slices, and a whole run."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from willis.errors import BundleError
from willis.findings import Findings
from willis.infer.ensemble import Prediction
from willis.models.manifest import make_manifest
from willis.models.store import open_bundle
from willis.phantom.anatomy import builtin_anatomy
from willis.phantom.chronic_patient import TEMPLATE_BRAIN_ML, chronic_case
from willis.phantom.labels import RIGHT_SIDE, SIDE_MASK, Tissue
from willis.study import Study
from willis.tasks.chronic import interpret
from willis.tasks.chronic.dataset import ChronicData, manifest_fields, sliced_case
from willis.tasks.chronic.fusion_scores import fusion_table, mean_scores
from willis.tasks.chronic.prepare import network_images, prepare, slice_scaled
from willis.tasks.chronic.published import published_tables
from willis.tasks.chronic.run import run
from willis.tasks.chronic.space import left_half, standard_grid, template
from willis.tasks.chronic.spec import SPEC
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

OPTIONS = SPEC.resolve_options({"bias_field": False})


def test_each_slice_is_scaled_to_255_and_an_empty_one_is_no_nan() -> None:
    data = np.random.default_rng(0).uniform(1, 50, (6, 7, 8)).astype(np.float32)
    data[:, 3] = 0
    scaled = slice_scaled(data, "coronal")
    tops = scaled.max(axis=(0, 2))
    np.testing.assert_allclose(np.delete(tops, 3), 255, rtol=1e-5)
    assert not scaled[:, 3].any()
    np.testing.assert_allclose(scaled[:, 2] / scaled[:, 2].max(), data[:, 2] / data[:, 2].max(), rtol=1e-5)


def test_fusion_by_mean_and_by_vote() -> None:
    planes = [np.array([0.9, 0.6, 0.4]), np.array([0.2, 0.6, 0.4]), np.array([0.2, 0.1, 0.9])]
    assert (interpret.fuse(planes, 0.5, "mean") >= 0.5).tolist() == [False, False, True]
    assert (interpret.fuse(planes, 0.5, "majority") >= 0.5).tolist() == [False, True, False]


def test_agreement_is_intersection_over_union() -> None:
    a, b = np.zeros((2, 4, 4, 4), dtype=bool)
    assert interpret.agreement([a, b]) is None
    a[:2], b[1:3] = True, True
    assert interpret.agreement([a, b]) == pytest.approx(1 / 3)


def test_empty_slices_count_as_perfect_in_the_published_mean_alone() -> None:
    found, reference = np.zeros((2, 10, 4, 4), dtype=bool)
    found[0], reference[0] = True, True
    found[1, :2], reference[1] = True, True
    scores = mean_scores(found, reference, 0)
    halved = 2 * 8 / (8 + 16)
    assert scores["counted"] == 2
    assert scores["dice"] == pytest.approx((1 + halved) / 2)
    assert scores["dice_published"] == pytest.approx((1 + (2 * 8 + 1) / (8 + 16 + 1) + 8) / 10)
    assert (scores["precision"], scores["recall"]) == (1.0, 0.75)
    assert (scores["precision_published"], scores["counted_published"]) == (1.0, 10)
    nothing = mean_scores(found & False, reference & False, 0)
    assert nothing["dice"] is None
    assert nothing["dice_published"] == 1.0


def test_fusion_is_compared_by_slices_and_in_3d_before_and_after() -> None:
    reference, alone, fused = np.zeros((3, 6, 4, 4), dtype=bool)
    reference[1:3], fused[1:3], alone[1] = True, True, True
    grid = Grid((6, 4, 4), np.diag([2.0, 1.0, 1.0, 1.0]))
    rows = {(row["of"], row["fusion"]): row for row in fusion_table({"sagittal": alone}, fused, reference, grid)}
    assert rows["sagittal slices", "before"]["dice"] == pytest.approx(0.5)
    assert rows["sagittal slices", "before"]["dice_sd"] == pytest.approx(np.std([1, 0], ddof=1))
    assert rows["sagittal slices", "after"]["dice"] == 1.0
    assert rows["volume, sagittal alone", "before"]["dice"] == pytest.approx(2 * 16 / 48)
    assert rows["volume, sagittal alone", "before"]["difference_ml"] == pytest.approx(-0.032)
    assert rows["volume", "after"]["difference_ml"] == 0
    assert rows["sagittal slices", "before"]["counted"] == 2
    assert rows["sagittal slices", "before"]["counted_published"] == 6
    assert rows["sagittal slices", "before"]["recall_published"] == pytest.approx((1 + 1 / 17 + 4) / 6)


def test_the_published_tables_have_every_slice_and_both_ways_of_counting() -> None:
    reference, alone, fused = np.zeros((3, 4, 5, 6), dtype=bool)
    reference[:, :, 2], fused[:, :, 2], alone[:2, :, 2:4] = True, True, True
    made = published_tables({"axial": alone}, fused, reference, "RAS", "sub-01")
    tables = {table.name: list(csv.DictReader(io.StringIO(table.content.decode()))) for table in made}
    assert list(tables) == [
        "axial_before_fusion.csv", "axial_after_fusion.csv", "axial_comparison_before_after_fusion.csv",
        "fusion_evaluation.csv",
    ]  # fmt: skip
    before = tables["axial_before_fusion.csv"]
    assert [row["slice"] for row in before] == ["0", "1", "2", "3", "4", "5"]
    assert (before[0]["dice"], before[0]["dice_not_empty"]) == ("1", "")
    assert float(before[2]["dice"]) == pytest.approx((2 * 10 + 1) / (10 + 20 + 1), abs=1e-5)
    assert float(before[2]["dice_not_empty"]) == pytest.approx(2 * 10 / 30, abs=1e-5)
    assert (before[3]["precision_not_empty"], before[3]["recall_not_empty"]) == ("0", "")
    compared = {row[""]: row for row in tables["axial_comparison_before_after_fusion.csv"]}
    assert list(compared) == ["before_mean", "before_std", "after_mean", "after_std", "difference"]
    mean = np.mean([float(row["dice"]) for row in before])
    assert float(compared["before_mean"]["dice"]) == pytest.approx(mean, abs=1e-5)
    assert float(compared["difference"]["dice"]) == pytest.approx(1 - mean, abs=1e-5)
    assert float(compared["after_mean"]["dice_not_empty"]) == 1
    (whole,) = tables["fusion_evaluation.csv"]
    assert (whole["subject"], whole["dice"], whole["volume_difference"]) == ("sub-01", "1", "0")


def test_regions_follow_the_template() -> None:
    shape = (10, 10, 10)
    labels = np.zeros(shape, dtype=np.int32)
    labels[1:3, 1:3, 1:3], labels[6:8, 6:8, 6:8] = 1, 2
    maps = {name: np.zeros(shape, dtype=bool) for name in ("cortex", "cerebellum", "brainstem", "left")}
    maps["left"][:5], maps["cortex"][1, 1:3, 1:3] = True, True
    maps["cerebellum"][6:8, 6:8, 6:8] = True
    assert interpret.assign_regions(labels, 2, maps) == ["cortical left", "cerebellar right"]


def test_the_template_is_a_brain_in_mni_space() -> None:
    average = template()
    assert average.t1.grid.same_as(standard_grid())
    assert 1100 < average.brain.volume_ml < 1900
    inside = average.t1.grid.to_mm(np.argwhere(average.brain.data > 0))
    low, high = inside.min(axis=0), inside.max(axis=0)
    assert np.abs(low - (-70, -104, -65)).max() < 12  # a brain in MNI space, roughly
    assert np.abs(high - (70, 74, 80)).max() < 12
    left = left_half(average.t1.grid)
    assert average.t1.grid.to_mm(np.argwhere(left & (average.brain.data > 0)))[:, 0].mean() < -15
    sided = (average.tissue.data & SIDE_MASK) == Tissue.WHITE_MATTER
    right = (average.tissue.data & RIGHT_SIDE) > 0
    assert (left == ~right)[sided].mean() > 0.99  # the plane lies where the head's own sides meet


def test_the_left_is_told_by_the_place_on_any_grid() -> None:
    grid = Grid((4, 2, 3), np.array([[-3.0, 0, 0, 4], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]))  # x: 4, 1, -2, -5
    assert left_half(grid)[:, 0, 0].tolist() == [False, False, True, True]
    shift = np.eye(4)
    shift[0, 3] = -3
    assert left_half(grid, shift)[:, 0, 0].tolist() == [False, True, True, True]


def test_a_training_head_lies_as_a_scan_laid_on_the_template() -> None:
    average = template().brain
    made = chronic_case(np.random.default_rng(3), [builtin_anatomy()])
    wanted, found = (np.argwhere(mask > 0) for mask in (average.data, made.brain))
    assert len(found) == pytest.approx(len(wanted), rel=0.15)
    assert np.abs(found.mean(axis=0) - wanted.mean(axis=0)).max() < 6  # mm
    assert average.volume_ml == pytest.approx(TEMPLATE_BRAIN_ML, rel=0.01)


def _patient(turn_deg: float, spacing: float = 2.0) -> tuple[Study, Grid]:
    """The template brain as a patient lies: turned, shifted, larger, on a coarser grid."""
    angle = np.radians(turn_deg)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine[:3, :3] *= spacing
    affine[:3, 3] = affine[:3, :3] @ (-(np.array((100, 118, 96)) - 1) / 2) + (6.0, -12.0, 14.0)
    grid = Grid((100, 118, 96), affine)
    larger = np.diag([0.95, 0.95, 0.95, 1.0])
    average = template()
    t1 = resample_to(average.t1, grid, world_transform=larger)
    brain = resample_to(average.brain, grid, "nearest", world_transform=larger)
    return Study({"t1": Volume(t1.data * 300, grid, role="t1"), "brain": brain}), grid


def _never(image: Volume) -> Volume:
    raise AssertionError("the study has a brain mask of its own")


def test_a_turned_brain_is_laid_on_the_template_and_back() -> None:
    study, grid = _patient(8.0)
    manifest = make_manifest(manifest_fields({}), "test")
    prepared = prepare(study, manifest, OPTIONS, _never)
    assert prepared.fit is not None
    assert prepared.fit.correlation > 0.95
    points = grid.to_mm(np.argwhere(study["brain"].data > 0)[::500])
    there = points @ prepared.to_prepared[:3, :3].T + prepared.to_prepared[:3, 3]
    assert np.abs(there - 0.95 * points).max() < 3.0  # mm; the true map is the scaling alone
    assert prepared.images["axial"].shape == (1, *standard_grid().shape)
    assert not prepared.images["axial"][0][~prepared.mask].any()


def test_one_that_is_on_the_template_s_grid_is_left_there() -> None:
    average = template()
    study = Study({"t1": average.t1, "brain": average.brain})
    prepared = prepare(study, make_manifest(manifest_fields({}), "test"), OPTIONS, _never)
    assert prepared.fit is None
    np.testing.assert_array_equal(prepared.to_prepared, np.eye(4))


def test_training_sees_what_a_patient_s_scan_becomes() -> None:
    average = template()
    data = ChronicData.parse({"planes": ["coronal"], "intensity": {"scheme": "slice-max"}}, "test")
    lesion = np.zeros(average.t1.grid.shape, np.uint8)
    lesion[60:70, 100:120, 90:100] = 1
    brain = average.brain.data > 0
    case = sliced_case(average.t1.data, lesion, brain, data, "coronal", "x")
    assert case.image.shape == (1, 208, 208, 233)
    manifest = make_manifest(manifest_fields(data.model_dump()), "test")
    seen = network_images(average.t1.data, brain, manifest)["coronal"]
    np.testing.assert_array_equal(case.image[0, 5:202, 9:198, 110], seen[0, :, 110, :])
    assert case.target.sum() == (lesion * brain).sum()


def test_a_model_for_three_planes_comes_with_willis() -> None:
    bundle = open_bundle(str(SPEC.default_bundle), "chronic")
    assert [view.plane for view in bundle.manifest.planes] == ["axial", "sagittal", "coronal"]
    assert {view.shape for view in bundle.manifest.planes} == {bundle.manifest.window.shape[:2]}
    assert bundle.manifest.training is not None
    assert bundle.manifest.training.data == "phantoms"
    assert sum(path.stat().st_size for path in bundle.folder.iterdir()) < 10e6


def test_a_bundle_of_another_task_is_refused() -> None:
    study = Study({"t1": Volume(np.ones((4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4)), role="t1")})
    with pytest.raises(BundleError, match="is a bundle for the task 'wmh'"):
        run(study, OPTIONS, settings=RunSettings(bundle="wmh"))


def test_cropped_slices_hold_the_whole_brain_of_the_template() -> None:
    average = template()
    data = ChronicData.parse({"view": "cropped"}, "test")
    for plane in data.planes:
        case = sliced_case(average.t1.data, average.brain.data, average.brain.data > 0, data, plane, "x")
        assert case.image.shape[1:3] == (192, 192)
        assert case.target.sum() == average.brain.data.sum()


def _run_on_ball(monkeypatch: pytest.MonkeyPatch, centre_mm: tuple[float, float, float]) -> Findings:
    """A run on the template in which every plane sees a ball of 12 mm."""
    average = template()
    study = Study({"t1": average.t1, "brain": average.brain})
    at = average.t1.grid.to_mm(np.moveaxis(np.indices(average.t1.grid.shape), 0, -1))
    ball = (np.linalg.norm(at - centre_mm, axis=-1) < 12).astype(np.float32)[None]
    seen = Prediction(ball, (ball.astype(np.float16),) * 3, 0 * ball, "made up", "float32", 0.1, 0.0)
    monkeypatch.setattr("willis.tasks.chronic.run.predict_planes", lambda *_args, **_named: seen)
    monkeypatch.setattr("willis.tasks.chronic.run.figures.make", lambda *_args: [])
    return run(study, OPTIONS, settings=RunSettings())


@pytest.mark.parametrize(("x_mm", "side", "other"), [(48.0, "right", "left"), (-48.0, "left", "right")])
def test_sulci_of_a_lesion_are_on_its_own_side(
    monkeypatch: pytest.MonkeyPatch, x_mm: float, side: str, other: str
) -> None:
    found = _run_on_ball(monkeypatch, (x_mm, -12.0, 22.0))
    assert found.measurements[f"lesion_{side}_volume"].value > 5
    assert found.measurements[f"lesion_{other}_volume"].value == pytest.approx(0, abs=1e-9)
    shares = [row["lesion_volume_ml"] for row in found.tables["territories"] if row["side"] == other]
    assert shares == [0] * len(shares)


def test_a_vote_of_two_planes_needs_both() -> None:
    planes = [np.array([0.9, 0.9, 0.1]), np.array([0.1, 0.9, 0.1])]
    assert (interpret.fuse(planes, 0.5, "majority") >= interpret.majority(2)).tolist() == [False, True, False]
    three = interpret.fuse([*planes, planes[0]], 0.5, "majority")
    assert (three >= interpret.majority(3)).tolist() == [True, True, False]


def test_a_lesion_is_told_by_its_artery_s_territory(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _run_on_ball(monkeypatch, (-48.0, -12.0, 22.0))
    rows = {(row["side"], row["territory"]): row for row in found.tables["territories"]}
    assert rows["left", "MCA"]["lesion_share_percent"] > 80
    assert rows["right", "MCA"]["lesion_volume_ml"] == 0
    assert sum(row["lesion_volume_ml"] for row in rows.values()) <= found.measurements["lesion_volume"].value + 1e-6
    assert "lies in the left MCA territory" in found.summary


@pytest.mark.slow
def test_a_whole_run_gives_masks_on_the_t1_s_grid(tmp_path: Path) -> None:
    import torch

    from willis.models.publish import write_bundle
    from willis.nets.registry import build_network
    from willis.report.write import write

    config = {"filters": [2, 2, 2, 2], "down_units": [2, 2, 2], "up_units": [1, 1, 1, 1]}
    manifest = make_manifest({**manifest_fields({}), "network": {"name": "raxnet", "config": config}}, "test")
    torch.manual_seed(0)
    write_bundle(tmp_path / "bundle", manifest, [build_network("raxnet", config).state_dict()])
    study, grid = _patient(5.0)
    found = run(study, OPTIONS, settings=RunSettings(bundle=str(tmp_path / "bundle"), engine="torch", threads=1))
    labels = [mask.label for mask in found.masks]
    assert labels == ["lesion", "brain", "lesionaxial", "lesionsagittal", "lesioncoronal"]
    assert all(mask.volume.grid.same_as(grid) for mask in found.masks)
    assert found.measurements["lesion_volume"].value == pytest.approx(found.masks[0].volume.volume_ml)
    assert write(found, tmp_path / "out").is_file()
