"""``willis compare``: two recipes on the same folds of a made-up folder, one table of scores, one of tests."""

from pathlib import Path

import numpy as np
import pytest

from willis.app.cli.compare import scores_of_patients
from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.io.tables import read_table
from willis.learn.case import Case, CaseList
from willis.learn.folds import keep
from willis.learn.split_file import PartRecord, SplitFile, read_split, write_split

RECIPE = """
task = "chronic"
[network]
name = "raxnet"
[network.config]
filters = [2, 2]
down_units = [2]
up_units = [1, 1]
[sampling]
patch = [16, 16, 1]
first = 1
workers = 0
[loss]
terms = [{{ name = "{loss}" }}]
[training]
steps = 2
threads = 1
[bundle.manifest.window]
mode = "sliding"
shape = [16, 16, 2]
"""


def _cases(stack: int = 1) -> list[Case]:
    target = np.zeros((1, 16, 16, 2), np.uint8)
    target[0, 4:8, 4:8] = 1
    image = np.random.default_rng(0).random(target.shape, np.float32)
    mask = np.ones((16, 16, 2), dtype=bool)
    return [Case(image, target, mask, f"s{n}", (1.0, 1.0, 1.0), stack=stack) for n in range(4)]


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def part(which: str):
        def made(data, folds=None):
            cases = _cases(data.get("stack", 1))
            if data.get("split"):
                left_out = {part.name: part for part in read_split(Path(data["split"])).parts}[data["part"]].subjects
                kept = [case for case in cases if (case.subject in left_out) == (which == "validation")]
            else:
                kept = [cases[n] for n in keep([case.subject for case in cases], folds, which)]
            return CaseList(tuple(kept)) if which == "training" else kept

        return made

    monkeypatch.setattr("willis.tasks.chronic.dataset.training_cases", part("training"))
    monkeypatch.setattr("willis.tasks.chronic.dataset.validation_cases", part("validation"))
    paths = []
    for loss in ("dice", "focal"):
        paths.append(tmp_path / f"{loss}.toml")
        paths[-1].write_text(RECIPE.format(loss=loss))
    return [str(path) for path in paths]


def test_the_same_cases_are_judged_once_by_each(
    recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["compare", *recipes, "--data", str(tmp_path), "--folds", "2", "-o", str(out)]
    assert call(arguments) == 0
    assert "dice against focal" in capsys.readouterr().out
    rows = read_table(out / "scores.tsv")
    seen = {name: [(r["part"], r["case"]) for r in rows if r["recipe"] == name] for name in ("dice", "focal")}
    assert seen["dice"] == seen["focal"]
    assert sorted(case.split("-")[1] for _, case in seen["dice"] if case) == ["s0", "s1", "s2", "s3"]
    (test,) = read_table(out / "tests.tsv")
    assert test["cases"] == "4"
    dice = [float(row["dice"] or "nan") for row in rows if row["recipe"] == "dice"]
    assert float(test["one_mean"] or "nan") == pytest.approx(np.mean(dice), rel=1e-4)
    assert float(test["one_sd"] or "nan") == pytest.approx(np.std(dice, ddof=1), rel=1e-4)
    assert {"other_mean", "other_sd"} <= set(test)
    assert (out / "scores.png").stat().st_size > 1000
    assert call(arguments) == 2
    assert "isn't an empty folder" in capsys.readouterr().err


def test_one_recipe_alone_is_refused(recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["compare", recipes[0], "-o", str(tmp_path / "out")]) == 2
    assert "two or more recipes" in capsys.readouterr().err


def _with_split(recipes: list[str], path: Path, parts: dict[str, tuple[str, ...]], kind: str, part: str) -> None:
    records = tuple(PartRecord(name=n, share=len(s) / 4, subjects=s) for n, s in parts.items())
    write_split(SplitFile(kind=kind, seed=1, parts=records, groups={f"s{n}": f"s{n}" for n in range(4)}), path)
    for recipe in recipes:
        Path(recipe).write_text(f'{Path(recipe).read_text()}[data]\nsplit = "{path}"\npart = "{part}"\n')


def test_every_fold_of_a_split_is_left_out_once(recipes: list[str], tmp_path: Path) -> None:
    parts = {"fold_1": ("s0",), "fold_2": ("s1", "s2"), "fold_3": ("s3",)}
    _with_split(recipes, tmp_path / "folds.json", parts, "folds", "fold_2")
    out = tmp_path / "out"
    assert call(["compare", *recipes, "--data", str(tmp_path), "-o", str(out)]) == 0
    rows = [row for row in read_table(out / "scores.tsv") if row["recipe"] == "focal"]
    judged = [(row["part"], str(row["case"]).split("-")[1]) for row in rows]
    assert judged == [("fold_1", "s0"), ("fold_2", "s1"), ("fold_2", "s2"), ("fold_3", "s3")]
    assert read_table(out / "tests.tsv")[0]["cases"] == "4"


def test_a_split_in_training_and_test_leaves_out_the_part_that_is_named(recipes: list[str], tmp_path: Path) -> None:
    _with_split(recipes, tmp_path / "split.json", {"train": ("s0", "s1"), "test": ("s2", "s3")}, "split", "test")
    out = tmp_path / "out"
    assert call(["compare", *recipes, "--data", str(tmp_path), "-o", str(out)]) == 0
    rows = read_table(out / "scores.tsv")
    assert [(row["part"], row["case"]) for row in rows] == 2 * [("test", "0-s2"), ("test", "1-s3")]


def test_different_splits_are_refused(recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _with_split(recipes[:1], tmp_path / "split.json", {"train": ("s0", "s1"), "test": ("s2", "s3")}, "split", "test")
    assert call(["compare", *recipes, "--data", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "dice and focal leave out different cases: data.split is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("[folds]\nseed = 1", "[folds]\nseed = 2", "folds.seed is 1 and 2"),
        ("[folds]\ncount = 3", "[folds]\nvalidation_share = 0.5", "folds.validation_share is 0.0 and 0.5"),
        ('[data]\nfolder = "a"', '[data]\nfolder = "b"', "data.folder is 'a' and 'b'"),
        ("[data.phantom]\nvalidation_seed = 5", "", "data.phantom.validation_seed is 5 and 1000003"),
    ],
)
def test_recipes_that_leave_out_different_cases_are_refused(
    recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], one: str, other: str, said: str
) -> None:
    for recipe, more in zip(recipes, (one, other), strict=True):
        Path(recipe).write_text(f"{Path(recipe).read_text()}{more}\n")
    folder = ["--data", str(tmp_path)] if "folds" in said else []
    assert call(["compare", *recipes, *folder, "--folds", "2", "-o", str(tmp_path / "out")]) == 2
    assert f"dice and focal leave out different cases: {said}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_network_of_other_channels_is_refused_before_any_is_trained(
    recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _make_dunet(recipes[1])
    said = "the network dunet takes 4 channels, the cases have 1 (t1); set stack of [data]"
    assert call(["compare", *recipes, "--data", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert call(["train", recipes[1], "-o", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err


def _make_dunet(recipe: str, data: str = "") -> None:
    head, tail = Path(recipe).read_text().split("[network]")
    config = "[network.config]\nfilters = [2, 2, 2, 2, 2]\nratio = 1"
    Path(recipe).write_text(f'{head}[network]\nname = "dunet"\n{config}\n{data}{tail[tail.index("[sampling]") :]}')


def test_a_network_over_neighbouring_slices_is_compared_with_one_over_single_slices(
    recipes: list[str], tmp_path: Path
) -> None:
    _make_dunet(recipes[1], "[data]\nstack = 4\n")
    out = tmp_path / "out"
    assert call(["compare", *recipes, "--data", str(tmp_path), "--folds", "2", "-o", str(out)]) == 0
    rows = read_table(out / "scores.tsv")
    assert [row["recipe"] for row in rows] == 4 * ["dice"] + 4 * ["focal"]
    assert read_table(out / "tests.tsv")[0]["cases"] == "4"


def _row(recipe: str, patient: str, dice: float) -> dict[str, object]:
    return {"recipe": recipe, "part": "fold_1", "case": f"0-{patient}", "patient": patient, "dice": dice}


def test_planes_of_one_patient_count_once() -> None:
    dices = {"a": 0.6, "b": 0.9}
    rows = [_row("three", who, dice + shift) for who, dice in dices.items() for shift in (-0.1, 0.0, 0.1)]
    rows += [_row("one", who, float("nan") if who == "a" else 0.5) for who in ("b", "a")]
    found = scores_of_patients(rows)
    assert found["three"] == pytest.approx([0.6, 0.9])
    assert found["one"] == pytest.approx([float("nan"), 0.5], nan_ok=True)
    with pytest.raises(BadInputError, match="three and one were judged on different patients: b by one alone"):
        scores_of_patients([row for row in rows if row["recipe"] == "three" or row["patient"] == "a"])


def test_three_planes_are_compared_with_one(
    recipes: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cases(data, folds=None):
        kept = keep([case.subject for case in _cases()], folds, "validation")
        return [_cases()[n] for n in kept for _ in range(3 if "planes" not in data else 1)]

    monkeypatch.setattr("willis.tasks.chronic.dataset.validation_cases", cases)
    Path(recipes[1]).write_text(f'{Path(recipes[1]).read_text()}[data]\nplanes = ["axial"]\n')
    out = tmp_path / "out"
    assert call(["compare", *recipes, "--data", str(tmp_path), "--folds", "2", "-o", str(out)]) == 0
    assert len(read_table(out / "scores.tsv")) == 12 + 4
    assert read_table(out / "tests.tsv")[0]["cases"] == "4"
    assert "(4 patients)" in capsys.readouterr().out
