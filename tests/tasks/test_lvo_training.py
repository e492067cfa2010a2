"""The first two stages are trained from folders, by recipes; folders that contradict themselves are refused."""

import importlib.util
import json
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.infer.nnunet_space import placed_image, placed_labels
from willis.io.nifti import read_nifti, write_nifti
from willis.io.tables import read_table
from willis.learn.recipe import FoldSettings, Recipe
from willis.measure.decision import share
from willis.models.manifest import Measured, make_manifest
from willis.models.nnunet_plan import NnunetPlan
from willis.models.store import open_bundle
from willis.tasks.lvo import dataset, headspace, occlusion, occlusion_cases, validated
from willis.tasks.lvo.find_vessels import find_vessels
from willis.tasks.lvo.labelled_scans import FILES, NEGATIVES, POSITIVES
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

RECIPES = Path(__file__).parents[2] / "recipes"
GRID = Grid((30, 26, 10), np.array([[0.8, 0, 0, -12], [0, 0.9, 0, -11], [0, 0, 3.5, -16], [0, 0, 0, 1.0]]))
SMALL = (32, 28, 12)
TRAINING = {"steps": 2, "batch": 2, "threads": 1, "precision": "float32", "validate_every": 2}


def ct_of(seed: int) -> Volume:
    rng = np.random.default_rng(seed)
    values = np.full(GRID.shape, -1000.0)
    values[2:-2, 2:-2, 1:-1] = rng.normal(35, 6, (26, 22, 8))
    return Volume(values.astype(np.float32), GRID, role="ncct")


def vessel_labels(seed: int) -> Volume:
    labels = np.zeros(GRID.shape, np.uint8)
    for code in range(1, 5):
        labels[6 * code - 2 : 6 * code + 2, 8 + seed : 13 + seed, 3:7] = code
    return Volume(labels, GRID)


@pytest.fixture
def vessel_folder(tmp_path: Path) -> Path:
    for name in ("imagesTr", "labelsTr"):
        (tmp_path / name).mkdir()
    for seed in range(4):
        write_nifti(ct_of(seed), tmp_path / "imagesTr" / f"NCCT{seed}_0000.nii.gz")
        write_nifti(vessel_labels(seed), tmp_path / "labelsTr" / f"NCCT{seed}.nii.gz")
    return tmp_path


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Six patients in the published layout, the first three occluded, with tables for training and validation."""
    root = tmp_path / "scans"
    for number in range(6):
        folder = root / (POSITIVES if number < 3 else NEGATIVES) / f"P{number}"
        folder.mkdir(parents=True)
        ct = ct_of(number).data
        values = {
            "ncct": np.maximum(ct, 0),
            "vessels": vessel_labels(0).data,
            "prior": np.full(GRID.shape, 0.5) * (ct > 0),
            "difference": np.abs(ct - 35) * (ct > 0),
        }
        for name, data in values.items():
            write_nifti(Volume(data.astype(np.float32), GRID), folder / FILES[name])
    write_labels(root, "train_labels.csv", {"P0": 1, "P1": 1, "P3": 0, "P4": 0})
    write_labels(root, "val_labels.csv", {"P2": 1, "P5": 0})
    return root


def write_labels(root: Path, name: str, labels: dict[str, int]) -> None:
    rows = "".join(f"{subject},{label}\n" for subject, label in labels.items())
    (root / name).write_text(f"Patient ID,Label\n{rows}", encoding="utf-8")


def changed(name: str, folder: Path, **sections: dict) -> Path:
    """A recipe of the house with a small network and few steps, as a file."""
    held = tomllib.loads((RECIPES / name).read_text(encoding="utf-8"))
    for section, values in {"training": TRAINING, **sections}.items():
        held[section] = {**held.get(section, {}), **values}
    path = folder / name
    path.write_text(toml_of(held), encoding="utf-8")
    return path


def toml_of(held: dict) -> str:
    """TOML of a recipe; inline tables are JSON with another sign between name and value."""

    def value(one: object) -> str:
        if isinstance(one, dict):
            return "{" + ", ".join(f"{name} = {value(x)}" for name, x in one.items()) + "}"
        return "[" + ", ".join(map(value, one)) + "]" if isinstance(one, list | tuple) else json.dumps(one)

    return "".join(f"{name} = {value(one)}\n" for name, one in held.items())


@pytest.mark.parametrize(
    "name", ["lvo.toml", "lvo-vessels.toml", "lvo-occlusion.toml", "lvo-occlusion-published.toml", "lvo-segment.toml"]
)
def test_recipes_of_all_stages_describe_bundles(name):
    recipe = Recipe.parse(tomllib.loads((RECIPES / name).read_text(encoding="utf-8")), name)
    fields = dataset.manifest_fields(recipe.data)
    assert recipe.network.config.get("inputs", len(fields["channels"])) == len(fields["channels"])
    assert recipe.network.config.get("outputs", len(fields["outputs"])) == len(fields["outputs"])
    assert not fields.get("shape") or tuple(fields["shape"]) == recipe.sampling.patch


@pytest.fixture
def vessel_recipe(tmp_path):
    plan = {"patch": [4, 16, 16], "spacing_mm": [3.5, 0.9, 0.8]}
    held = tomllib.loads((RECIPES / "lvo-vessels.toml").read_text(encoding="utf-8"))
    small = {"features": [4, 6, 8], "kernels": [[3, 3, 3]] * 3, "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
             "convs": [1, 1, 1], "decoder_convs": [1, 1]}  # fmt: skip
    return changed(
        "lvo-vessels.toml",
        tmp_path,
        network={"config": {"inputs": 1, "outputs": 5, **small}},
        data={"plan": {**held["data"]["plan"], **plan}},
        sampling={"patch": [4, 16, 16], "workers": 0},
    )


def test_vessels_are_trained_from_a_folder_and_found_by_the_bundle(vessel_folder, vessel_recipe, tmp_path):
    command = ["train", str(vessel_recipe), "--data", str(vessel_folder), "--folds", "4", "-o", str(tmp_path / "run")]
    assert call(command) == 0
    bundle = open_bundle(str(tmp_path / "run" / "bundle"), "lvo")
    assert bundle.manifest.activation == "softmax"
    assert bundle.manifest.network.config["plan"]["patch"] == [4, 16, 16]
    found = find_vessels(ct_of(9), bundle, RunSettings(engine="torch", threads=1))
    assert found.data.shape == GRID.shape
    assert found.data.max() <= 4


def test_a_split_made_of_the_folder_is_trained_by(vessel_folder, vessel_recipe, tmp_path):
    split = str(tmp_path / "split.json")
    made = [
        "dataset",
        "split",
        str(vessel_folder),
        "--task",
        "lvo",
        "--test",
        "0.25",
        "--validation",
        "0.25",
        "-o",
        split,
    ]
    assert call(made) == 0
    parts = {part["name"]: part["subjects"] for part in json.loads(Path(split).read_text())["parts"]}
    assert {name: len(held) for name, held in parts.items()} == {"train": 2, "validation": 1, "test": 1}
    command = ["train", str(vessel_recipe), "--data", str(vessel_folder), "--split", split, "-o", str(tmp_path / "run")]
    assert call(command) == 0

    def seen(folder):
        return {json.loads(path.read_text())["subject"] for path in (tmp_path / "run" / folder).glob("*/case.json")}

    assert seen("cases") == set(parts["train"])
    assert seen("validation-cases") == set(parts["validation"])
    assert "--split split.json" in open_bundle(str(tmp_path / "run" / "bundle"), "lvo").manifest.training.command


def turn_files(folder: Path, code: str) -> None:
    for path in folder.rglob("*.nii.gz"):
        turned = reorient(read_nifti(path, allow_empty=True), code)
        path.unlink()
        write_nifti(turned, path)


def test_cases_do_not_hang_on_how_files_lie(vessel_folder, scans, small_published):
    plan = {"flat": False, "transpose": [0, 1, 2], "spacing_mm": [3, 1, 1], "patch": [4, 8, 8],
            "values": [{"scheme": "NoNormalization"}]}  # fmt: skip
    of_vessels = {"stage": "vessels", "folder": str(vessel_folder), "plan": plan}
    for data, folder in ((of_vessels, vessel_folder), (published(scans), scans)):
        judge = dataset.training_cases(data).case(0)
        for code in ("LPS", "IRP"):
            turn_files(folder, code)
            case = dataset.training_cases(data).case(0)
            np.testing.assert_array_equal(case.image, judge.image)
            np.testing.assert_array_equal(case.target, judge.target)
    assert dataset.manifest_fields(of_vessels)["axes"] == "LPS"
    assert dataset.manifest_fields(published(scans))["axes"] == "LAS"


@pytest.mark.parametrize("flat", [False, True])
def test_labels_lie_beside_their_image_in_the_axes_of_the_plan(flat):
    plan = NnunetPlan.parse(
        {"flat": flat, "transpose": [1, 0, 2], "spacing_mm": [0.9, 1.75, 0.8], "patch": [4, 8, 8],
         "values": [{"scheme": "NoNormalization"}]}, "made",
    )  # fmt: skip
    labels = vessel_labels(0).data
    images = (1.0 + labels)[None]
    placed = placed_image(images, GRID.spacing_mm, plan)
    maps = placed_labels(labels, 4, placed, plan)
    assert maps.shape == (5, 26, 20, 30)
    assert (maps.sum(axis=0) == 1).all()
    assert np.mean(np.rint(placed.data[0] - 1) == maps.argmax(axis=0)) > 0.97


def test_vessel_folders_that_do_not_fit_are_refused(vessel_folder):
    data = {"stage": "vessels", "folder": str(vessel_folder), "plan": {
        "flat": False, "transpose": [0, 1, 2], "spacing_mm": [3, 1, 1], "patch": [4, 8, 8],
        "values": [{"scheme": "NoNormalization"}]}}  # fmt: skip
    assert len(dataset.training_cases(data)) == 4
    (vessel_folder / "dataset.json").write_text('{"labels": {"background": 0, "m1": 1, "c7": 2}}')
    with pytest.raises(BadInputError, match="Number the labels so"):
        dataset.training_cases(data)
    (vessel_folder / "dataset.json").unlink()
    (vessel_folder / "imagesTr" / "NCCT2_0000.nii.gz").unlink()
    with pytest.raises(BadInputError, match=r"NCCT2 .* has no image in imagesTr"):
        dataset.training_cases(data)
    with pytest.raises(BadInputError, match="--data"):
        dataset.training_cases({**data, "folder": ""})


@pytest.fixture
def small_published(monkeypatch):
    """The published input, but for its size."""
    monkeypatch.setattr(occlusion, "PUBLISHED_SHAPE", SMALL)
    monkeypatch.setattr(occlusion_cases, "PUBLISHED_SHAPE", SMALL)


SMALL_NET = {"widths": [4, 4, 8, 8], "hidden": 4, "reduction": 2, "kernel": 3}


def test_the_occlusion_is_trained_from_the_published_layout(scans, small_published, tmp_path):
    recipe = changed(
        "lvo-occlusion-published.toml",
        tmp_path,
        network={"config": SMALL_NET},
        sampling={"patch": list(SMALL), "workers": 0},
    )
    assert call(["train", str(recipe), "--data", str(scans), "-o", str(tmp_path / "run")]) == 0
    manifest = open_bundle(str(tmp_path / "run" / "bundle"), "lvo").manifest
    assert manifest.channels == occlusion.CHANNELS
    assert manifest.shape == SMALL
    assert manifest.missing_channels == "error"
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    judged = next(row for row in log if "accuracy" in row)
    assert judged["accuracy"] in (0.0, 0.5, 1.0)
    assert judged["sensitivity"] + judged["specificity"] == pytest.approx(2 * judged["accuracy"])
    rows = read_table(tmp_path / "run" / "validation-scans.tsv")
    assert [(row["subject"], row["reference"]) for row in rows] == [("P2", "1"), ("P5", "0")]


def test_the_occlusion_is_trained_on_the_midplane_as_a_run_prepares_it(scans, make_head, monkeypatch, tmp_path):
    head, seen = make_head(), []
    monkeypatch.setattr(headspace, "SHAPE", head.head.grid.shape)
    monkeypatch.setattr(occlusion_cases, "prepare", lambda study, options: seen.append(options["vessels"]) or head)
    shape = list(head.head.grid.shape)
    recipe = changed(
        "lvo-occlusion.toml", tmp_path, network={"config": {"inputs": 4, **SMALL_NET}},
        sampling={"patch": shape, "workers": 0},
    )  # fmt: skip
    assert call(["train", str(recipe), "--data", str(scans), "-o", str(tmp_path / "run")]) == 0
    assert {path.name for path in seen} == {FILES["vessels"]}
    manifest = open_bundle(str(tmp_path / "run" / "bundle"), "lvo").manifest
    said = occlusion.judge_occlusion(head, open_bundle(str(tmp_path / "run" / "bundle"), "lvo"), RunSettings(threads=1))
    assert 0 < said.probability < 1
    np.testing.assert_array_equal(
        dataset.training_cases({"stage": "occlusion", "folder": str(scans)}).case(0).image,
        occlusion.network_input(head, manifest),
    )


def published(scans: Path, **changes: object) -> dict[str, object]:
    return {"stage": "occlusion", "input": "published", "folder": str(scans), **changes}


def test_channels_are_those_of_the_files_and_the_label_that_of_the_folder(scans, small_published):
    source = dataset.training_cases(published(scans))
    assert [scan.occluded for scan in source.scans] == [True, True, False, False]
    case = source.case(0)
    ct = np.maximum(ct_of(0).data, 0)
    inner = tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(SMALL, GRID.shape, strict=True))
    np.testing.assert_allclose(case.image[0][inner], occlusion.scaled_ct(ct)[::-1])  # the files are RAS, the input LAS
    np.testing.assert_allclose(case.image[1], case.image[0] * (case.image[1] > 0))
    assert set(np.unique(case.image[2])) == {0.0, 0.5}
    assert case.image[3].max() == 1
    assert np.count_nonzero(case.image) == np.count_nonzero(case.image[(slice(None), *inner)])
    assert case.target.any()
    assert not source.case(3).target.any()


def test_both_kinds_alternate_where_they_are_to_be_balanced(scans):
    source = dataset.training_cases(published(scans))
    drawn = [source.planned(step, number)[0] for step in range(20) for number in range(2)]
    assert [source.scans[index].occluded for index in drawn] == [bool((s + n) % 2) for s in range(20) for n in range(2)]
    assert set(drawn) == {0, 1, 2, 3}
    assert dataset.training_cases(published(scans, balanced=False)).planned(0, 0) is None


def test_folds_share_out_all_but_the_test_patients(scans):
    write_labels(scans, "train_labels.csv", {"P0": 1, "P1": 1, "P3": 0})
    write_labels(scans, "test_labels.csv", {"P4": 0})
    parts = [dataset.training_cases(published(scans), FoldSettings(count=5, index=n)).scans for n in range(5)]
    assert all(len(part) == 4 for part in parts)
    assert {scan.subject for part in parts for scan in part} == {"P0", "P1", "P2", "P3", "P5"}


@pytest.mark.parametrize(
    ("name", "labels", "words"),
    [
        ("train_labels.csv", {"P0": 0, "P3": 0}, "train_labels.csv labels P0 0, but it lies in train_nii_close"),
        ("val_labels.csv", {"P2": 1, "P5": 1}, "val_labels.csv labels P5 1, but it lies in train_nii_nc"),
        ("test_labels.csv", {"P7": 1}, "lists P7, which is neither"),
        ("test_labels.csv", {"P2": 1}, "P2 is listed in val_labels.csv and test_labels.csv"),
        ("val_labels.csv", {"P2": 2}, "labels P2 '2'; allowed are 1"),
        (
            "train_labels.csv",
            {"P0": 1, "P1": 1},
            r"P3 of .* is listed in no table \(train_labels.csv and val_labels.csv\)",
        ),
    ],
)
def test_tables_that_disagree_with_the_folders_are_refused(scans, name, labels, words):
    write_labels(scans, name, labels)
    with pytest.raises(BadInputError, match=words):
        dataset.training_cases(published(scans))


def test_sessions_of_a_patient_in_the_test_table_are_not_trained_on(scans):
    for old, new in (("P0", "P0_ses-1"), ("P1", "P0_ses-2")):
        (scans / "train_nii_close" / old).rename(scans / "train_nii_close" / new)
    for table in ("train_labels.csv", "val_labels.csv"):
        (scans / table).unlink()
    write_labels(scans, "test_labels.csv", {"P0_ses-1": 1})
    with pytest.raises(BadInputError, match=r"sessions of P0 are listed in test_labels.csv and in no table"):
        dataset.training_cases(published(scans), FoldSettings(count=2, index=0))


def test_patients_without_an_occlusion_are_needed_and_a_test_table_alone_leaves_the_others_free(scans):
    write_labels(scans, "train_labels.csv", {"P0": 1, "P1": 1})
    write_labels(scans, "val_labels.csv", {"P2": 1, "P3": 0, "P4": 0, "P5": 0})
    with pytest.raises(BadInputError, match="no patient without an occlusion"):
        dataset.training_cases(published(scans))
    (scans / "train_labels.csv").unlink()
    with pytest.raises(BadInputError, match=r"P0 of .* is listed in no table \(val_labels.csv\)"):
        dataset.training_cases(published(scans))
    (scans / "val_labels.csv").rename(scans / "test_labels.csv")
    write_labels(scans, "test_labels.csv", {"P2": 1})
    source = dataset.training_cases(published(scans), FoldSettings(count=5, index=0))
    assert "P2" not in {scan.subject for scan in source.scans}


@pytest.mark.parametrize("name", ["vessels", "prior", "difference"])
def test_a_missing_channel_is_an_error_or_a_trained_for_option(name, scans, small_published):
    (scans / POSITIVES / "P1" / FILES[name]).unlink()
    with pytest.raises(BadInputError, match=f"P1 has no {FILES[name]}.*another image never stands in for it"):
        dataset.training_cases(published(scans))
    spared = dataset.training_cases(published(scans, missing="zero"))
    image = spared.case(1).image
    channel = occlusion.CHANNELS.index(name)
    assert not image[channel].any()
    assert image[0].any()
    assert dataset.manifest_fields(published(scans, missing="zero"))["missing_channels"] == "zero"
    fewer = [c for c in occlusion.CHANNELS if c != name]
    assert dataset.training_cases(published(scans, channels=fewer)).case(1).image.shape[0] == 3


def test_a_patient_without_ct_is_refused_whatever_is_asked_for(scans):
    (scans / POSITIVES / "P1" / FILES["ncct"]).unlink()
    with pytest.raises(BadInputError, match=r"P1 has no NCCT.nii.gz"):
        dataset.training_cases(published(scans, missing="zero"))


def test_a_bundle_trained_without_vessels_runs_without_them(prepared_head, tmp_path):
    fields = {**dataset.manifest_fields({"stage": "occlusion", "missing": "zero"}), "task": "lvo"}
    manifest = make_manifest({**fields, "network": {"name": "mcresnet"}}, "made")
    image = occlusion.network_input(replace(prepared_head, vessels=None), manifest)
    assert not image[1].any()
    with pytest.raises(BadInputError, match="needs vessels"):
        occlusion.network_input(replace(prepared_head, vessels=None), manifest.changed(missing_channels="error"))


def test_the_stage_must_be_known():
    with pytest.raises(BadInputError, match="stage"):
        dataset.training_cases({"stage": "where"})


def judged(logits: list[float], positives: int) -> list[validated.JudgedScan]:
    return [validated.JudgedScan(f"P{n}", n < positives, logit) for n, logit in enumerate(logits)]


def test_patients_left_out_give_a_table_figures_and_a_calibration():
    fields = {**dataset.manifest_fields({"stage": "occlusion"}), "task": "lvo", "network": {"name": "mcresnet"}}
    manifest = make_manifest(fields, "made")
    scans = judged([2.0, 1.0, 0.5, -1.0, -2.0, 0.8, -1.5, -3.0], 4)
    rows = validated.scan_rows(scans, manifest)
    assert list(rows[0]) == ["Patient ID", "Ground Truth", "Probability", "Prediction"]
    assert [row["Prediction"] for row in rows] == [1, 1, 1, 0, 0, 1, 0, 0]
    figures = {figure.name: figure for figure in validated.scan_figures(scans, manifest, np.random.default_rng(0))}
    assert figures["sensitivity"].value == figures["specificity"].value == 0.75
    assert figures["auc"].value == 14 / 16
    assert figures["auc"].interval[0] < 14 / 16 <= figures["auc"].interval[1]
    fitted = validated.calibration_of(scans, "FOLDER")
    assert fitted.origin == "8 patients of FOLDER, 4 occluded, by Platt scaling"
    tuned = validated.scan_rows(scans, manifest.changed(calibration=fitted))
    assert np.mean([row["Probability"] for row in tuned]) == pytest.approx(0.5, abs=1e-3)


def test_the_benchmark_keeps_every_figure_that_it_prints(capsys, monkeypatch):
    spec = importlib.util.spec_from_file_location("phantom_lvo", RECIPES.parent / "benchmarks" / "phantom_lvo.py")
    benchmark = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, benchmark)
    spec.loader.exec_module(benchmark)
    named = [("m1", 0.9, "m1"), ("m1", 0.8, "c7+m1"), ("m2", 0.2, "m2"), *[("none", 0.1, "m1")] * 3]
    outcomes = [benchmark.Outcome(true, "left", said, segment, "left", (0.5,) * 4) for true, said, segment in named]
    figures = benchmark.tell(outcomes, 0.5, 5.0, "made")
    found = {figure["figure"]: figure["value"] for figure in figures}
    low, high = share([1, 1, 0]).interval
    assert found[f"sensitivity at 0.50 ({low:.3f} to {high:.3f})"] == 0.6667
    assert found["specificity at 0.50 (0.439 to 1.000)"] == 1.0
    cells = {name: value for name, value in found.items() if name.startswith("occluded")}
    assert cells == {"occluded m1 named m1": 1, "occluded m1 named c7+m1": 1, "occluded m2 named m2": 1}
    assert found["at least one vessel of the segment right, of the occluded (0.439 to 1.000)"] == 1.0
    assert "true \\ said" in capsys.readouterr().out
    for figure in figures:
        Measured(**figure)


def test_vessels_are_scored_each_for_itself_and_segments_counted():
    truth = vessel_labels(0).data
    found = np.where(truth == 2, 0, truth)
    assert validated.vessel_row(found, truth) == {"c7": 1.0, "m1": 0.0, "m2": 1.0, "other": 1.0}
    absent = validated.vessel_row(np.where(truth == 3, 0, truth), np.where(truth == 3, 0, truth))
    assert np.isnan(absent["m2"])
    rows = [validated.vessel_row(found, truth), absent]
    figures = {f.name: f for f in validated.vessel_figures(rows, np.random.default_rng(0))}
    assert (figures["dice_m1"].value, figures["dice_m1"].interval) == (0.5, (0.0, 1.0))
    assert figures["dice_m2"].patients == 1
    table = validated.confusion(["m1", "m1", "c7"], ["m1", "m1+m2", "c7"])
    assert table[0] == {"segment": "m1", "m1": 1, "m2": 0, "c7": 0, "c7+m1": 0, "m1+m2": 1}
    assert sum(sum(v for k, v in row.items() if k != "segment") for row in table) == 3
