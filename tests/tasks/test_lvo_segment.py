"""The third stage names the occluded segment on the vessels' projection, and lays it back into the scan."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from willis.app.cli.main import call
from willis.errors import BadInputError, BundleError
from willis.io.nifti import read_nifti, write_nifti
from willis.io.tables import write_table
from willis.models.manifest import make_manifest
from willis.models.publish import write_bundle
from willis.models.store import open_bundle
from willis.nets.registry import build_network
from willis.tasks.lvo import segment, segment_cases
from willis.tasks.lvo.dataset import manifest_fields, training_cases
from willis.tasks.lvo.judge import Judged
from willis.tasks.lvo.spec import SEGMENTS
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.volume import Volume

RECIPE = Path(__file__).parents[2] / "recipes" / "lvo-segment.toml"
SETTINGS = RunSettings(engine="torch", threads=1)
SUSPECTED = Judged(0.9, 0.5)
GRID = Grid((40, 20, 10), np.array([[-1.0, 0, 0, 20], [0, 1.0, 0, -10], [0, 0, 3.0, -16], [0, 0, 0, 1.0]]))
SMALL = {"features": [4, 6], "kernels": [[1, 3, 3]] * 2, "strides": [[1, 1, 1], [1, 2, 2]], "convs": [1, 1],
         "decoder_convs": [1]}  # fmt: skip


def data(**changes: object) -> dict:
    held = tomllib.loads(RECIPE.read_text(encoding="utf-8"))["data"]
    return {**held, "plan": {**held["plan"], "patch": [1, 16, 16]}, **changes}


def bundle_of(folder, **changes):
    fields = manifest_fields(data())
    plan = {**fields["network"]["config"]["plan"], **changes.pop("plan", {})}
    config = {"inputs": 1, "outputs": 6, **SMALL, "plan": plan}
    fields = {**fields, "task": "lvo", "network": {"name": "plainunet", "config": config}, **changes}
    torch.manual_seed(1)
    return write_bundle(folder, make_manifest(fields, "made"), [build_network("plainunet", config).state_dict()])


def scan() -> tuple[Volume, Volume]:
    """A CT whose first axis runs to the left, and labels of C7, M1 and M2 on both sides."""
    rng = np.random.default_rng(0)
    ct = np.full(GRID.shape, -1000.0)
    ct[2:-2, 2:-2] = rng.normal(35, 3, (36, 16, 10))
    labels = np.zeros(GRID.shape, np.uint8)
    for code, where in ((1, slice(13, 16)), (2, slice(8, 13)), (3, slice(3, 8))):
        labels[where, 8:11, 3:6] = labels[::-1][where, 8:11, 3:6] = code
    labels = np.maximum(labels, labels[::-1])
    return Volume(ct.astype(np.float32), GRID, role="ncct"), Volume(labels, GRID, role="vessels")


@pytest.fixture
def head(prepared_head):
    ct, vessels = scan()
    left = GRID.to_mm(np.moveaxis(np.indices(GRID.shape), 0, -1))[..., 0] < 0
    return replace(prepared_head, ct=ct, vessels=vessels, left=left)


def says(monkeypatch, picture: np.ndarray) -> None:
    """Let any model answer with a picture in RAS axes."""
    monkeypatch.setattr(segment, "predict_planned", lambda *_, **__: picture[:, :, None].astype(np.uint8))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_answer_is_laid_back_on_its_side(side, head, monkeypatch, tmp_path):
    picture = np.zeros((40, 20), int)
    half = slice(0, 20) if side == "left" else slice(20, 40)  # RAS: left first
    picture[half] = 1
    picture[half][:, :5] = 4
    says(monkeypatch, picture)
    told = segment.find_segment(head, SUSPECTED, bundle_of(tmp_path / "b"), SETTINGS)
    assert (told.side, told.segment) == (side, "m1")
    assert told.segments["m1"] == 1.0
    wanted = (head.vessels.data > 0) & (head.left if side == "left" else ~head.left)
    np.testing.assert_array_equal(told.place.data > 0, wanted)
    assert told.probability == SUSPECTED.probability


def test_a_model_sees_the_projection_in_the_axes_of_its_files(head, monkeypatch, tmp_path):
    seen = segment.projected(head.ct, head.vessels)
    pictures = {}

    def left_of_the_picture(_, image, *__, **___):
        pictures[axes] = image[0]
        return (np.arange(image.shape[1]) < 20)[:, None, None] * np.ones(image.shape[1:], np.uint8)

    monkeypatch.setattr(segment, "predict_planned", left_of_the_picture)
    for axes, side in (("RAS", slice(0, 20)), ("LAS", slice(20, 40))):
        _, found = segment.counted(seen, bundle_of(tmp_path / axes, axes=axes), SETTINGS)
        wanted = np.zeros(seen.picture.shape, bool)
        wanted[side] = seen.picture[side] > 0
        np.testing.assert_array_equal(found > 0, wanted)
    np.testing.assert_array_equal(pictures["LAS"], pictures["RAS"][::-1])


def test_nothing_is_named_where_nothing_is_suspected_or_seen(head, monkeypatch, tmp_path):
    bundle = bundle_of(tmp_path / "b")
    says(monkeypatch, np.ones((40, 20)))
    calm = replace(SUSPECTED, probability=0.2)
    assert segment.find_segment(head, calm, bundle, SETTINGS) is calm
    says(monkeypatch, np.zeros((40, 20)))
    assert segment.find_segment(head, SUSPECTED, bundle, SETTINGS) is SUSPECTED


def test_models_that_do_not_fit_are_refused(head, tmp_path):
    with pytest.raises(BundleError, match="is no 2D model"):
        segment.find_segment(head, SUSPECTED, bundle_of(tmp_path / "a", plan={"flat": False}), SETTINGS)
    names = ("background", *segment_cases.NAMES[:-1], "a1")
    with pytest.raises(BundleError, match="finds a1; segments are called m1, m2, c7, c7-m1, m1-m2"):
        segment.find_segment(head, SUSPECTED, bundle_of(tmp_path / "b", outputs=names), SETTINGS)
    two = bundle_of(tmp_path / "d", channels=("projection", "ncct"))
    with pytest.raises(BundleError, match="reads 2 images; a model that names the segment reads the projection alone"):
        segment.find_segment(head, SUSPECTED, two, SETTINGS)
    with pytest.raises(BadInputError, match="looks at vessels"):
        segment.find_segment(replace(head, vessels=None), SUSPECTED, bundle_of(tmp_path / "c"), SETTINGS)


def test_the_projection_holds_the_densest_of_each_vessel_and_nothing_beside():
    ct, vessels = scan()
    seen = segment.projected(ct, vessels)
    assert seen.vessels.grid.orientation == "RAS"
    flipped = np.where(vessels.data > 0, ct.data, -np.inf)[::-1].max(axis=2)
    np.testing.assert_allclose(seen.picture, np.where(np.isfinite(flipped), flipped, 0), rtol=1e-6)


@pytest.mark.parametrize(("name", "side"), [("m1", "left"), ("c7+m1", "right")])
def test_the_class_lies_on_the_vessels_that_are_shut(name, side):
    ct, vessels = scan()
    found = segment_cases.labels_of(segment.projected(ct, vessels), name, side)
    shut = np.isin(vessels.data[::-1], [1, 2] if name == "c7+m1" else [2]).any(axis=2)
    shut[20 if side == "left" else 0 : 40 if side == "left" else 20] = False
    np.testing.assert_array_equal(found, shut * (SEGMENTS.index(name) + 1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = []
    for number, (name, side) in enumerate([("m1", "left"), ("c7+m1", "right"), ("none", "none"), ("m2", "left")]):
        ct, vessels = scan()
        for place, volume in (
            (f"sub-{number}/anat/sub-{number}_ncct.nii.gz", ct),
            (f"derivatives/truth/sub-{number}/anat/sub-{number}_space-ncct_label-vessels_dseg.nii.gz", vessels),
        ):
            (tmp_path / "data" / place).parent.mkdir(parents=True)
            write_nifti(volume, tmp_path / "data" / place)
        rows.append({"participant_id": f"sub-{number}", "segment": name, "side": side})
    write_table(rows, tmp_path / "data" / "truth.tsv")
    return tmp_path / "data"


def test_the_third_stage_is_trained_from_a_folder_and_its_bundle_answers(folder, head, tmp_path):
    text = RECIPE.read_text(encoding="utf-8")
    held = tomllib.loads(text)
    lines = [line for line in text.splitlines() if line.split(" =")[0] not in SMALL]
    changes = {"patch": "[1, 16, 16]", "workers": 0, "steps": 2, "batch": 2, "validate_every": 2}
    lines = [f"{key} = {changes[key]}" if (key := line.split(" =")[0]) in changes else line for line in lines]
    at = lines.index("[network.config]") + 1
    lines[at:at] = [f"{name} = {value}" for name, value in SMALL.items()]
    (tmp_path / "small.toml").write_text("\n".join(lines), encoding="utf-8")
    command = ["train", str(tmp_path / "small.toml"), "--data", str(folder), "--folds", "3", "-o", str(tmp_path / "r")]
    assert call(command) == 0
    bundle = open_bundle(str(tmp_path / "r" / "bundle"), "lvo")
    assert bundle.manifest.outputs == ("background", *segment_cases.NAMES)
    counts, found = segment.counted(segment.projected(head.ct, head.vessels), bundle, SETTINGS)
    assert sum(counts.values()) == np.count_nonzero(found)
    assert held["network"]["config"]["outputs"] == len(bundle.manifest.outputs)


def test_only_patients_with_an_occlusion_train_it_and_wrong_tables_are_refused(folder):
    source = training_cases(data(folder=str(folder)))
    assert source.told == (("m1", "left"), ("c7+m1", "right"), ("m2", "left"))
    case = source.case(1)
    assert case.image.shape == (1, *case.target.shape[1:])
    assert case.target[4].any()
    assert not case.target[[1, 2, 3, 5]].any()
    write_table([{"participant_id": "sub-0", "segment": "m7", "side": "left"}], folder / "truth.tsv")
    with pytest.raises(BadInputError, match="says 'm7', 'left' of sub-0"):
        training_cases(data(folder=str(folder)))
    write_table([{"participant_id": "sub-0", "segment": "m1", "side": "left"}], folder / "truth.tsv")
    with pytest.raises(BadInputError, match="doesn't list sub-1"):
        training_cases(data(folder=str(folder)))


def test_a_patient_with_two_truths_is_refused(folder):
    rows = [{"participant_id": "sub-0", "segment": segment, "side": "left"} for segment in ("m1", "m2")]
    write_table(rows, folder / "truth.tsv")
    with pytest.raises(BadInputError, match="sub-0 is listed 2 times"):
        training_cases(data(folder=str(folder)))


def test_a_model_that_names_the_other_side_is_told():
    before = Judged(0.9, 0.5, sides={"left": 0.9, "right": 0.1}, side="left", segment="m1")
    bundle = SimpleNamespace(name="where")
    assert segment.side_note(before, before, bundle) == ""
    assert segment.side_note(replace(before, side="", sides={}), before, bundle) == ""
    said = segment.side_note(before, replace(before, side="right"), bundle)
    assert "where names the right side; an occlusion was found likelier on the left (0.90 against 0.10)" in said


def test_projections_are_written_for_nnunet_as_the_third_stage_sees_them(folder, tmp_path):
    out = tmp_path / "Dataset102_Segments"
    assert call(["export", "lvo-projections", str(folder), "-o", str(out), "--folds", "3"]) == 0
    told = json.loads((out / "dataset.json").read_text(encoding="utf-8"))
    assert told["willis_axes"] == "RAS"
    assert told["labels"] == {"background": 0, **{name: code for code, name in enumerate(SEGMENTS, start=1)}}
    assert sorted(path.name for path in (out / "labelsTr").iterdir()) == [f"sub-{n}.nii.gz" for n in (0, 1, 3)]
    picture = read_nifti(out / "imagesTr" / "sub-1_0000.nii.gz")
    classes = read_nifti(out / "labelsTr" / "sub-1.nii.gz", allow_empty=True)
    seen = segment.projected(*scan())
    np.testing.assert_allclose(picture.data[:, :, 0], seen.picture, atol=1e-4)
    assert picture.grid.spacing_mm[:2] == pytest.approx(seen.spacing_mm[:2])
    np.testing.assert_array_equal(classes.data[:, :, 0], segment_cases.labels_of(seen, "c7+m1", "right"))
    assert len(json.loads((out / "splits_final.json").read_text(encoding="utf-8"))) == 3
