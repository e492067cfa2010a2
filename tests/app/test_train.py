import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from willis.app.cli.main import call
from willis.learn.case import Case
from willis.learn.checkpoint import load_state
from willis.models.store import open_bundle
from willis.nets.registry import build_network
from willis.tasks.registry import TASKS, TaskEntry

RECIPE = """
task = "balls"
[network.config]
inputs = 1
filters = [4, 8]
final = [4]
[sampling]
patch = [8, 8, 8]
workers = 0
first = 1
[training]
steps = 4
log_every = 1
validate_every = 2
precision = "float32"
[bundle]
title = "Balls in noise"
members = "best"
"""


class Noise:
    def case(self, index: int) -> Case:
        rng = np.random.default_rng(index)
        image = rng.random((1, 12, 12, 12), np.float32)
        return Case(image, (image > 0.7).astype(np.uint8), np.ones((12, 12, 12), bool), f"{index}", (1.0, 1.0, 1.0))


def manifest_fields(data: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "balls",
        "title": "to be replaced",
        "channels": ["t1"],
        "outputs": ["ball"],
        "spacing_mm": [1, 1, 1],
        "intensity": {"scheme": "p99"},
        "threshold": {"value": 0.5, "origin": "test"},
        "licence": "Apache-2.0",
        "intended_use": "Tests.",
    }


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    dataset = SimpleNamespace(
        training_cases=lambda data, folds=None: Noise(),
        validation_cases=lambda data, folds=None: [Noise().case(99)],
        manifest_fields=manifest_fields,
    )
    monkeypatch.setitem(sys.modules, "made_up_task", SimpleNamespace(dataset=dataset))
    monkeypatch.setitem(sys.modules, "made_up_task.dataset", dataset)
    monkeypatch.setitem(TASKS, "balls", TaskEntry("made_up_task"))
    path = tmp_path / "balls.toml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_from_recipe_to_bundle(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert call(["train", str(recipe), "-o", str(run), "--steps", "6"]) == 0
    assert "finished after step 6" in capsys.readouterr().out
    assert json.loads((run / "recipe.json").read_text())["training"]["steps"] == 6
    bundle = open_bundle(run / "bundle")
    bundle.verify()
    manifest = bundle.manifest
    assert (manifest.title, manifest.training.steps, manifest.training.recipe) == ("Balls in noise", 6, "balls.toml")
    network = build_network(manifest.network.name, manifest.network.config).eval()
    stored = {name: torch.from_numpy(array) for name, array in bundle.member_weights(0).items()}
    network.load_state_dict(stored)
    best = load_state(run / "best.safetensors")[0]
    assert all(torch.allclose(stored[name], best[name], atol=1e-3) for name in best)


def test_resuming_from_the_command_line(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "run")
    assert call(["train", str(recipe), "-o", run, "--steps", "2", "--no-bundle"]) == 0
    assert not (tmp_path / "run" / "bundle").exists()
    assert call(["train", str(recipe), "-o", run]) == 2
    assert "already holds a run. Pass --resume" in capsys.readouterr().err
    assert call(["train", str(recipe), "-o", run, "--resume"]) == 0
    assert "finished after step 4" in capsys.readouterr().out


def test_a_seed_is_that_of_training_and_phantoms_and_stands_in_the_command(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(RECIPE + "[data.phantom]\nseed = 5\ncount = 3\n", encoding="utf-8")
    run = tmp_path / "run"
    assert call(["train", str(recipe), "-o", str(run), "--seed", "7", "--steps", "2"]) == 0
    resolved = json.loads((run / "recipe.json").read_text())
    assert resolved["training"]["seed"] == 7
    assert resolved["data"]["phantom"] == {"seed": 7, "count": 3}
    assert open_bundle(run / "bundle").manifest.training.command.endswith("--steps 2 --seed 7")


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--fold", "1"], "--fold needs --folds"),
        (["--folds", "3", "--fold", "3"], "fold 3 of 3 does not exist"),
        (["--steps", "0"], "steps is 0"),
    ],
)
def test_wrong_flags(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], sentence: str
) -> None:
    assert call(["train", str(recipe), "-o", str(tmp_path / "run"), *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_unknown_task(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text(RECIPE.replace("balls", "bones"), encoding="utf-8")
    assert call(["train", str(recipe), "-o", str(tmp_path / "run")]) == 2
    assert "task is 'bones'; allowed are" in capsys.readouterr().err


def test_patience_and_best_weights_need_a_case_to_validate_on(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", str(recipe), "-o", str(tmp_path / "run"), "--steps", "1"]
    assert call([*command, "--data", str(tmp_path)]) == 2
    assert 'bundle.members = "best" needs a validation, and no case is left out' in capsys.readouterr().err
    recipe.write_text(
        RECIPE.replace('members = "best"', "") + "[data.phantom]\nvalidation_count = 0\n", encoding="utf-8"
    )
    text = recipe.read_text().replace("[training]", "[training]\npatience = 3")
    recipe.write_text(text, encoding="utf-8")
    assert call(command) == 2
    assert "training.patience needs a validation, and no case is left out" in capsys.readouterr().err
    recipe.write_text(text.replace("patience = 3", "") + '[schedule]\nname = "plateau"\n', encoding="utf-8")
    assert call(command) == 2
    assert 'schedule.name = "plateau" needs a validation, and no case is left out' in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    recipe.write_text(text.replace("validate_every = 2", ""), encoding="utf-8")
    assert call(command) == 2
    assert "set training.validate_every" in capsys.readouterr().err
