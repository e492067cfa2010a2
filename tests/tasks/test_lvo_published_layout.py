"""What a run would give the published network is written as files, trained on as the same channels, and calibrated."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.io.nifti import read_nifti, write_nifti
from willis.io.tables import write_table
from willis.models.manifest import Manifest, make_manifest
from willis.models.publish import write_bundle
from willis.models.store import open_bundle
from willis.nets.registry import build_network
from willis.tasks.lvo import calibrate, dataset, judge, labelled_scans, occlusion, occlusion_cases, write_scans
from willis.tasks.lvo.calibrate import Road, find_heads, judge_heads
from willis.tasks.lvo.labelled_scans import FILES, NEGATIVES, POSITIVES
from willis.tasks.lvo.prepare import PreparedHead
from willis.tasks.lvo.spec import PUBLISHED_AXES
from willis.tasks.lvo.validated import best_threshold
from willis.volume.volume import Volume

SHAPE = (32, 33, 34)
NET = {"widths": [4, 4, 8, 8], "hidden": 4, "reduction": 2, "kernel": 3}
COUNT = 12  # patients, every other one occluded


def uneven(head: PreparedHead) -> PreparedHead:
    """Its halves differ by something else in each voxel."""
    apart = np.random.default_rng(5).uniform(1, 9, head.difference.absolute.shape).astype(np.float32)
    return replace(head, difference=replace(head.difference, absolute=apart * (head.difference.absolute > 0)))


@pytest.fixture
def prepared(make_head, monkeypatch) -> list[dict[str, object]]:
    """The road of a run leads every CT to one made-up head with the vessels that were asked for; what was asked."""
    asked: list[dict[str, object]] = []

    def road(study: object, options: dict[str, object]) -> PreparedHead:
        asked.append(options)
        head = uneven(make_head())
        labels = None if options["vessels"] is None else read_nifti(options["vessels"], allow_empty=True)
        return replace(head, vessels=labels)

    for module in (write_scans, calibrate):
        monkeypatch.setattr(module, "prepare", road)
    for module in (occlusion, occlusion_cases):
        monkeypatch.setattr(module, "PUBLISHED_SHAPE", SHAPE)
    return asked


@pytest.fixture
def folder(tmp_path: Path, make_head) -> Path:
    """A BIDS folder as phantoms come in."""
    root = tmp_path / "bids"
    ct = make_head().ct
    labels = np.zeros(ct.grid.shape, np.uint8)
    labels[4:7, 8:12, 5:9], labels[12:15, 8:12, 5:9] = 2, 3
    rows = []
    for number in range(COUNT):
        subject = f"sub-{number:02d}"
        truth = root / "derivatives" / "truth" / subject / "anat"
        for place in (root / subject / "anat", truth):
            place.mkdir(parents=True)
        write_nifti(ct, root / subject / "anat" / f"{subject}_ncct.nii.gz")
        write_nifti(Volume(labels, ct.grid), truth / f"{subject}_label-vessels_dseg.nii.gz")
        shut = number % 2 == 0
        rows.append(
            {"participant_id": subject, "segment": "m1" if shut else "none", "side": "left" if shut else "none"}
        )
    write_table(rows, root / "truth.tsv")
    return root


def published_manifest() -> Manifest:
    fields = {**dataset.manifest_fields({"stage": "occlusion", "input": "published"}), "task": "lvo"}
    return make_manifest({**fields, "network": {"name": "mcresnet", "config": NET}}, "made")


def test_what_is_trained_on_is_what_a_run_would_give_the_network(folder, prepared, make_head, tmp_path):
    out = tmp_path / "scans"
    assert call(["export", "lvo-scans", str(folder), "-o", str(out), "--deformation", "demons"]) == 0
    source = dataset.training_cases({"stage": "occlusion", "input": "published", "folder": str(out)})
    labels = read_nifti(next(folder.rglob("*vessels_dseg.nii.gz")))
    wanted = occlusion.network_input(replace(uneven(make_head()), vessels=labels), published_manifest())
    assert all(channel.any() for channel in wanted)
    for index in (0, len(source) - 1):
        np.testing.assert_array_equal(source.case(index).image, wanted)
    assert source.case(0).target.any()
    assert not source.case(len(source) - 1).target.any()
    assert {str(one["deformation"]) for one in prepared} == {"demons"}
    assert {read_nifti(path).grid.orientation for path in out.rglob("*.nii.gz")} == {PUBLISHED_AXES}
    blood = read_nifti(next((out / POSITIVES).rglob(FILES["vessels"])))
    assert set(np.unique(blood.data)) == {0, 2, 3}, "segments keep their codes"


def test_tables_share_out_each_kind_and_the_folder_tells_the_label(folder, prepared, tmp_path):
    out = tmp_path / "scans"
    parts, left_out = write_scans.write_scans(folder, out, validation_share=0.3, test_share=0.2, seed=3)
    assert {part: len(names) for part, names in parts.items()} == {"training": 6, "validation": 4, "test": 2}
    assert left_out == []
    for part, names in parts.items():
        told = labelled_scans.read_labels(out / labelled_scans.TABLES[part])
        assert told == {name: (out / POSITIVES / name).is_dir() for name in names}
        assert sum(told.values()) == len(names) / 2
    assert write_scans.share_out(dict.fromkeys("ab", True) | dict.fromkeys("cd", False), 0, 0, 0)["validation"] == []


def test_scans_that_the_published_input_does_not_hold_are_left_out_by_name(folder, prepared, tmp_path):
    place = folder / "sub-03" / "anat" / "sub-03_ncct.nii.gz"
    ct = read_nifti(place)
    place.unlink()
    write_nifti(Volume(np.repeat(ct.data, 3, axis=2), ct.grid.shifted((0, 0, 0), (20, 24, 48))), place)
    parts, left_out = write_scans.write_scans(folder, tmp_path / "scans")
    assert left_out == ["sub-03"]
    assert "sub-03" not in {name for names in parts.values() for name in names}


def test_shares_that_leave_no_training_are_refused_before_anything_is_written(folder, prepared, tmp_path):
    for shares in ((0.5, 0.5), (-0.1, 0.2), (0.5, 0.45)):
        with pytest.raises(BadInputError, match=r"below 1|too few for these shares"):
            write_scans.write_scans(folder, tmp_path / "x", validation_share=shares[0], test_share=shares[1])
    assert not prepared
    assert not (tmp_path / "x").exists()


def test_a_head_that_can_not_be_prepared_is_named_and_nothing_is_left(folder, monkeypatch, tmp_path):
    def refuse(*_given: object) -> None:
        raise BadInputError("no head.")

    monkeypatch.setattr(write_scans, "prepare", refuse)
    with pytest.raises(BadInputError, match="sub-00 can't be written: no head"):
        write_scans.write_scans(folder, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["bids"]


def written_bundle(place: Path) -> Path:
    network = build_network("mcresnet", NET).state_dict()
    return write_bundle(place, published_manifest(), [network], half=False).folder


def answers(monkeypatch: pytest.MonkeyPatch, logits: list[float]) -> None:
    left = iter(logits)
    monkeypatch.setattr(calibrate, "uncalibrated_logit", lambda *_given: next(left))


def test_a_bundle_is_calibrated_through_the_road_of_a_run(folder, prepared, monkeypatch, tmp_path, capsys):
    bundle = written_bundle(tmp_path / "b")
    logits = [3.0, -2.0, 2.0, -1.0, 1.0, 0.5, 0.2, -3.0, 4.0, -2.5, 2.5, -0.5]
    answers(monkeypatch, logits)
    table = tmp_path / "rows.csv"
    made = tmp_path / "calibrated"
    command = ["models", "calibrate", str(bundle), "--data", str(folder), "-o", str(made), "--table", str(table)]
    assert call(command) == 0
    manifest = open_bundle(str(made), "lvo").manifest
    assert manifest.calibration.slope > 0
    road = "12 patients of bids, through the road of a run (labelled vessels, demons, willis"
    assert manifest.calibration.origin.startswith(road)
    assert manifest.threshold.origin.startswith(f"largest sum of sensitivity and specificity on {road}")
    assert all(str(one["vessels"]).endswith("label-vessels_dseg.nii.gz") for one in prepared)
    printed = capsys.readouterr().out
    assert "before: sensitivity 1.000" in printed
    assert "before: specificity 0.833" in printed
    assert table.read_text().splitlines()[0] == "Patient ID,Ground Truth,Probability,Prediction"
    assert open_bundle(str(bundle), "lvo").manifest.calibration is None, "the bundle itself stays"
    assert call(command) == 2


def test_the_logit_is_what_a_run_turns_into_its_probability(folder, prepared, tmp_path):
    bundle = open_bundle(str(written_bundle(tmp_path / "b")), "lvo")
    head = find_heads(folder)[0]
    [scan] = judge_heads(bundle, [head], Road())
    _, said = judge.judge(Road().walk(head), bundle, Road().settings)
    assert said.probability == pytest.approx(1 / (1 + np.exp(-scan.logit)))


def test_vessels_of_a_bundle_take_the_place_of_labels(folder, prepared, monkeypatch):
    found = []
    monkeypatch.setattr(calibrate, "find_vessels", lambda ct, bundle, settings: found.append(bundle) or ct)
    vessels = Manifest.model_construct(name="finder")
    road = Road(vessel_bundle=vessels)
    walked = road.walk(find_heads(folder)[0])
    assert found == [vessels]
    assert walked.vessels is walked.ct
    assert prepared[0]["vessels"] is None
    assert "vessels by finder" in road.told(find_heads(folder))


def test_answers_that_fall_with_an_occlusion_are_not_calibrated(folder, prepared, monkeypatch, tmp_path, capsys):
    answers(monkeypatch, [-1.0, 1.0] * (COUNT // 2))
    bundle = written_bundle(tmp_path / "b")
    assert call(["models", "calibrate", str(bundle), "--data", str(folder), "-o", str(tmp_path / "c")]) == 2
    assert "don't rise with an occlusion" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_patients_of_the_validation_table_calibrate_and_too_few_are_refused(folder, prepared, tmp_path):
    out = tmp_path / "scans"
    write_scans.write_scans(folder, out, validation_share=0.8, test_share=0.0)
    heads = find_heads(out)
    assert sorted(head.subject for head in heads) == sorted(labelled_scans.read_labels(out / "val_labels.csv"))
    assert {head.vessels.name for head in heads} == {FILES["vessels"]}
    (out / "val_labels.csv").unlink()
    (out / "train_labels.csv").unlink()
    assert len(find_heads(out)) == COUNT
    for scan in sorted((out / NEGATIVES).iterdir())[:2]:
        (scan / FILES["ncct"]).rename(scan / "kept")
        scan.rename(tmp_path / scan.name)
    with pytest.raises(BadInputError, match=r"6 patients with and 4 without an occlusion .* at least 5 of each"):
        find_heads(out)


def test_the_threshold_is_where_both_shares_are_largest():
    assert best_threshold(np.array([0.9, 0.6, 0.5, 0.1]), np.array([True, True, False, False])) == 0.55
