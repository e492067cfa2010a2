"""Training of the published variants F, U and G: resumed, through all stages, with the table over groups."""

import csv
import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.io.tables import write_table
from willis.learn import trainer
from willis.learn.case import Case
from willis.learn.checkpoint import load_state
from willis.learn.recipe import read_recipe
from willis.models.store import open_bundle
from willis.phantom.dataset import write_patient
from willis.phantom.kinds import get_kind
from willis.phantom.patient import Patient
from willis.phantom.perfusion_curves import Input, arterial_curve, dispersed, tissue_curves
from willis.study import Study
from willis.tasks import phantoms
from willis.tasks.perfusion import dataset
from willis.tasks.perfusion.by_group import GroupMeasures
from willis.tasks.perfusion.labelled import find_patients
from willis.tasks.perfusion.labels import one_hot
from willis.tasks.perfusion.prepare import prepare
from willis.volume.grid import Grid
from willis.volume.series import Series
from willis.volume.volume import Volume

ROOT = Path(__file__).parents[2]
NARROW = {"vgg": [4, 4, 4, 4, 4], "branch": 4, "dense": 4, "bottom": 4, "up": [4, 4, 4, 4], "head": 4, "size": 64}
SHAPE = (40, 44, 3)


@lru_cache
def patient(task, seed, index, anatomies, *, side, group=None, residue="exponential"):
    """A head of few voxels, in place of a phantom that takes seconds."""
    group = group or "lvo"
    grid = Grid(SHAPE, np.diag([-4.5, -4.5, 8.0, 1.0]))
    x, y, _ = np.moveaxis(grid.to_mm(np.stack(np.indices(SHAPE), -1)) - grid.centre_mm, -1, 0)
    r = np.hypot(x / 70, y / 82)
    still = np.where(r < 1, 33.0, np.where(r < 1.13, 1000.0, -1000.0))
    core = (x < -40) & (np.abs(y) < 35) & (r < 0.95) & (group == "lvo")
    late = (x < -18) & (np.abs(y) < 50) & (r < 0.95) & (group != "none") & ~core
    times, source = np.arange(0, 60, 2.0), Input(arrival_s=8.0, peak_hu=330.0)
    fine = np.arange(0, 60, 0.1)
    aif = arterial_curve(fine, source)
    inside = r < 1
    cbf, mtt, delay = np.full(SHAPE, 45.0), np.full(SHAPE, 4.5), np.full(SHAPE, 0.8)
    cbf[late], mtt[late], delay[late] = 24.0, 10.0, 8.5
    cbf[core], mtt[core], delay[core] = 6.0, 12.0, 11.5
    data = np.repeat(still[..., None], len(times), 3)
    data[inside] += tissue_curves(times, source, cbf[inside], mtt[inside], delay[inside], residue)
    data[(np.hypot(x - 12, y - 54) < 6)] = 40 + np.interp(times, fine, aif)
    data[(np.hypot(x, y + 72) < 6)] = 45 + np.interp(times - 4, fine, dispersed(aif, fine, 2.0))
    truth = {n: Volume(m.astype(np.uint8), grid) for n, m in (("core", core), ("penumbra", late), ("brain", inside))}
    study = Study({}, {"nihss": 9.0}, series={"ctp": Series(np.rint(data).astype(np.int16), grid, times, "ctp", "HU")})
    return Patient(study, truth, {"group": group}, {})


def prepared_once(study, options):
    """What the task makes of it, kept for the next recipe; options of these recipes are all the same."""
    if id(study) not in KEPT:
        KEPT[id(study)] = study, prepare(study, options)
    return KEPT[id(study)][1]


KEPT = {}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A published recipe at a width and size that a test can train."""
    monkeypatch.setattr(dataset, "make_patient", patient)
    monkeypatch.setattr(dataset, "prepare", prepared_once)
    monkeypatch.setattr(dataset, "anatomies_of", lambda *_, **__: ())
    monkeypatch.setattr(phantoms, "anatomies_of", lambda *_, **__: ())

    def write(variant: str, seed: int = 0) -> Path:
        recipe = read_recipe(ROOT / "recipes" / f"perfusion-{variant}.toml")
        recipe = recipe.changed("network", config={**recipe.network.config, **NARROW})
        recipe = recipe.changed("data", size=64, phantom={"validation_count": 3})
        recipe = recipe.changed("sampling", patch=(64, 64, 1), workers=0, first=1, window=1, cases_per_step=0.0)
        recipe = recipe.changed("training", steps=2, validate_every=2, checkpoint_every=1, threads=1,
                                seed=seed, precision="float32")  # fmt: skip
        path = tmp_path / f"{variant}.toml"
        path.write_text(as_toml(recipe.model_dump(mode="json", exclude_none=True)))
        return path

    return write


def as_toml(values):
    """TOML of a resolved recipe: inline tables nest as deep as they must."""

    def one(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k} = {one(v)}" for k, v in value.items()) + "}"
        return "[" + ", ".join(map(one, value)) + "]" if isinstance(value, list) else json.dumps(value)

    return "".join(f"{key} = {one(value)}\n" for key, value in values.items())


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("variant", ["F-PMs", "U-PMs-N"])
def test_f_and_u_train_resume_and_write_the_table_over_groups(tiny, variant, tmp_path):
    recipe, run = tiny(variant), tmp_path / "run"
    assert call(["train", str(recipe), "-o", str(run), "--steps", "1"]) == 0
    assert call(["train", str(recipe), "-o", str(run), "--resume"]) == 0
    groups = table(run / "validation-groups.tsv")
    assert [(row["group"], row["label"]) for row in groups] == [
        (group, label) for group in ("LVO", "non-LVO", "without stroke", "all") for label in ("core", "penumbra")
    ]
    assert {row["group"]: row["with_label"] for row in groups if row["label"] == "penumbra"} == {
        "LVO": "1", "non-LVO": "1", "without stroke": "0", "all": "2",
    }  # fmt: skip
    assert len(table(run / "validation-patients.tsv")) == 6
    assert len(table(run / "validation-slices.tsv")) == 6 * SHAPE[2]
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "validation"] == [1, 2]
    assert {"dice_lesions", "dice_core_lvo", "dice_penumbra_all"} <= set(rows[-2])


def test_a_recipe_names_its_phantoms_residue_and_its_tiles(monkeypatch):
    asked = []
    monkeypatch.setattr(dataset, "make_patient", lambda *_, residue, **__: asked.append(residue) or patient(
        "perfusion", 0, 0, (), side=64))  # fmt: skip
    monkeypatch.setattr(dataset, "prepare", prepared_once)
    for residue in ("exponential", "drawn"):
        dataset.training_cases({"size": 64, "residue": residue}).case(0)
    assert asked == ["exponential", "drawn"]
    with pytest.raises(BadInputError, match="residue"):
        dataset.training_cases({"residue": "spline"})
    window = dataset.manifest_fields({"size": 64, "tile": 32, "colour_table": "turbo"})
    assert window["window"] == {"mode": "sliding", "shape": (32, 32, 1), "overlap": 0.75}
    assert window["channels"][0] == "cbf-turbo-blue"


def folder_of(place, groups, **columns):
    """Patients as ``willis phantom perfusion`` writes them."""
    people = []
    for index, group in enumerate(groups):
        made = patient("perfusion", 0, index, (), side=64, group=group)
        made = replace(made, study=replace(made.study, subject=f"{index + 1:02d}"))
        write_patient(made, get_kind("perfusion"), place)
        people.append({"participant_id": f"sub-{index + 1:02d}", "group": group, "nihss": 7 + index, "sex": "F",
                       **{name: values[index] for name, values in columns.items()}})  # fmt: skip
    write_table(people, place / "participants.tsv")
    return place


def test_a_folder_of_labelled_patients_is_trained_on_and_the_fold_left_out_is_in_the_table(tiny, tmp_path):
    data = folder_of(tmp_path / "data", ["lvo", "none"])
    run = tmp_path / "run"
    flags = ["--data", str(data), "--folds", "2", "--fold", "0", "--steps", "1"]
    assert call(["train", str(tiny("U-PMs-N")), "-o", str(run), *flags]) == 0
    rows = table(run / "validation-patients.tsv")
    assert len({row["patient"] for row in rows}) == 1
    left_out = rows[0]["patient"]
    assert {row["group"] for row in rows} == {"LVO" if left_out == "sub-01" else "without stroke"}


def test_labelled_patients_are_found_with_their_tables_and_refused_without_masks(tmp_path):
    data = folder_of(tmp_path / "data", ["lvo", "non-lvo"], age=["70", "n/a"])
    first, second = find_patients(data)
    assert (first.group, first.scalars) == ("lvo", {"nihss": 7.0, "age": 70.0, "sex": 1.0})
    assert (second.group, second.scalars) == ("non-lvo", {"nihss": 8.0, "sex": 1.0})
    study, masks = first.read()
    assert study.scalars["nihss"] == 7 and study.series["ctp"].frames == 30
    assert masks["core"].data.sum() > 0 and not (masks["core"].data & masks["penumbra"].data).any()
    (data / "sub-03" / "ses-1" / "perf").mkdir(parents=True)
    with pytest.raises(BadInputError, match=r"sub-03/ses-1/perf lies in a session.* Move its perf into sub-03"):
        find_patients(data)
    (data / "sub-03" / "ses-1" / "perf").rmdir()
    next((data / "derivatives").rglob("sub-02*label-core*")).unlink()
    with pytest.raises(BadInputError, match=r"sub-02_space-ctp_label-core_mask.nii.gz is absent"):
        find_patients(data)
    with pytest.raises(BadInputError, match="group 'stroke'; allowed are lvo, non-lvo, none"):
        find_patients(folder_of(tmp_path / "other", ["lvo"], group=["stroke"]))
    with pytest.raises(BadInputError, match="a BIDS folder is expected"):
        find_patients(tmp_path)
    empty = find_patients(folder_of(tmp_path / "empty", ["lvo"], age=["NaN"], nihss=["nan"]))[0]
    assert empty.scalars == {"sex": 1.0}
    with pytest.raises(BadInputError, match="age is '250'; allowed is 0 to 120"):
        find_patients(folder_of(tmp_path / "old", ["lvo"], age=["250"]))


def stopped_after(step):
    """A signal of the terminal, as it were, after a step."""

    def run(*arguments, progress, stop, **more):
        done = []
        return trained(*arguments, progress=lambda at, *_: done.append(at), stop=lambda: done[-1] == step, **more)

    trained = trainer.train
    return run


def test_g_goes_through_its_stages_in_one_run_resumed_between_them(tiny, tmp_path, monkeypatch):
    recipe, run, whole = tiny("G-PMs-M-N"), tmp_path / "run", tmp_path / "whole"
    with monkeypatch.context() as context:
        context.setattr(trainer, "train", stopped_after(2))
        assert call(["train", str(recipe), "-o", str(run), "--steps", "3"]) == 0
    half = load_state(run / "last.safetensors")
    assert call(["train", str(recipe), "-o", str(run), "--steps", "3", "--resume"]) == 0
    assert call(["train", str(recipe), "-o", str(whole), "--steps", "3"]) == 0
    tensors, state = load_state(run / "last.safetensors")
    other, _ = load_state(whole / "last.safetensors")
    assert (half[1]["stage"], state["stage"], state["step"]) == (1, 2, 3)
    assert tensors.keys() == other.keys() and all(tensors[name].equal(other[name]) for name in other)
    assert (run / "validation-groups.tsv").exists() and open_bundle(run / "bundle", "perfusion")
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in rows if "stage" in row] == ["half", "free"]


def probability_of(numbers):
    return one_hot(numbers, 4).astype(np.float32)


def counted(true, found, group, subject="1"):
    case = Case(np.zeros((1, *true.shape), np.float32), one_hot(true, 4), np.ones(true.shape, bool), subject,
                (10.0, 10.0, 10.0), group)  # fmt: skip
    return GroupMeasures().of_case(probability_of(found), case)


def test_dice_of_slices_patients_and_voxels_are_those_counted_by_hand():
    true, found = np.ones((4, 1, 3), int), np.ones((4, 1, 3), int)
    true[:4, 0, 0], found[:2, 0, 0] = 3, 3  # Dice 2 · 2 / (4 + 2)
    true[:1, 0, 1], found[:1, 0, 1] = 3, 3  # Dice 1
    none = np.ones((4, 1, 3), int)
    wrong = none.copy()
    wrong[0] = 3
    counts = [counted(true, found, "lvo"), counted(none, wrong, "none", "2")]
    rows = {(r["group"], r["label"]): r for r in GroupMeasures().tables(counts)["groups"]}
    lvo, without, every = (rows[group, "core"] for group in ("LVO", "without stroke", "all"))
    assert lvo["dice_slices"] == pytest.approx((2 / 3 + 1) / 2) and lvo["dice_patients"] == pytest.approx(6 / 8)
    assert (lvo["true_ml"], lvo["found_ml"], lvo["false_patients"]) == (5.0, 3.0, 0)
    assert without["dice_patients"] is None
    assert (without["false_patients"], without["largest_false_ml"]) == (1, 3.0)
    assert every["dice_voxels"] == pytest.approx(6 / (5 + 6)) and every["dice_patients"] == lvo["dice_patients"]
    assert every["precision_voxels"] == 0.5 and every["sensitivity_voxels"] == pytest.approx(3 / 5)
    assert rows["LVO", "penumbra"]["with_label"] == 0


def test_a_network_that_finds_nothing_gains_nothing():
    true = np.ones((4, 1, 2), int)
    true[:2, 0, 0] = 3
    figures = GroupMeasures().of_all([counted(true, np.ones_like(true), "lvo")])
    assert figures == {"dice_lesions": 0.0, "dice_core_lvo": 0.0, "dice_core_all": 0.0}
