"""``willis compare``: two recipes on the same folds of a made-up folder, one table of scores, one of tests."""

from pathlib import Path

import numpy as np
import pytest

from willis.app.cli.main import call
from willis.io.tables import read_table
from willis.learn.case import Case, CaseList
from willis.learn.folds import keep

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


def _cases() -> list[Case]:
    target = np.zeros((1, 16, 16, 2), np.uint8)
    target[0, 4:8, 4:8] = 1
    image = np.random.default_rng(0).random(target.shape, np.float32)
    return [Case(image, target, np.ones((16, 16, 2), dtype=bool), f"s{n}", (1.0, 1.0, 1.0)) for n in range(4)]


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def part(which: str):
        def made(data, folds=None):
            kept = [_cases()[n] for n in keep([case.subject for case in _cases()], folds, which)]
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
    seen = {name: [(r["fold"], r["case"]) for r in rows if r["recipe"] == name] for name in ("dice", "focal")}
    assert seen["dice"] == seen["focal"]
    assert sorted(case.split("-")[1] for _, case in seen["dice"] if case) == ["s0", "s1", "s2", "s3"]
    assert read_table(out / "tests.tsv")[0]["cases"] == "4"
    assert (out / "scores.png").stat().st_size > 1000
    assert call(arguments) == 2
    assert "isn't an empty folder" in capsys.readouterr().err


def test_one_recipe_alone_is_refused(recipes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["compare", recipes[0], "-o", str(tmp_path / "out")]) == 2
    assert "two or more recipes" in capsys.readouterr().err
