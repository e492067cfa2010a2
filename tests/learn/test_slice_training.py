"""A network over slices is trained and validated by the same trainer as any other."""

from pathlib import Path

import numpy as np

from willis.learn.case import Case, CaseList
from willis.learn.recipe import Recipe
from willis.learn.trainer import train
from willis.models.manifest import Window
from willis.tasks.validation import make_validation

RECIPE = {
    "task": "chronic",
    "network": {
        "name": "raxnet",
        "config": {"filters": [4, 4], "down_units": [2], "up_units": [1, 1], "norm_momentum": 0.2},
    },
    "sampling": {"patch": [16, 16, 1], "first": 2, "window": 2, "workers": 0},
    "loss": {"terms": [{"name": "tversky", "smooth": 1.0, "per_batch": True}, {"name": "focal"}]},
    "optimiser": {"rate": 0.01},
    "training": {"steps": 4, "batch": 4, "threads": 1, "ema": 0.0, "precision": "float32"},
}


def _case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    target = np.zeros((1, 20, 24, 6), np.uint8)
    target[0, 5:12, 6:15, 2:5] = 1
    image = rng.normal(1, 0.1, target.shape).astype(np.float32) - 0.8 * target
    return Case(image.astype(np.float32), target, np.ones((20, 24, 6), dtype=bool), str(seed), (1.0, 1.0, 1.0))


def test_slices_are_learnt_from_and_judged(tmp_path: Path) -> None:
    cases = CaseList((_case(0), _case(1)))
    validate = make_validation([_case(2)], ("lesion",), Window(mode="sliding", shape=(32, 32, 4), overlap=0.0))
    changed = {**RECIPE, "training": {**RECIPE["training"], "steps": 100, "validate_every": 100}}
    result = train(Recipe.parse(changed, "test"), cases, validate, tmp_path / "run")
    assert result.state.best is not None
    assert result.state.best > 0.5  # Dice; a dark block on light ground is learnt at once


def test_resumed_is_uninterrupted(tmp_path: Path) -> None:
    cases, recipe = CaseList((_case(0), _case(1))), Recipe.parse(RECIPE, "test")
    whole = train(recipe, cases, None, tmp_path / "whole").members[0]
    asked: list[int] = []
    train(recipe, cases, None, tmp_path / "broken", stop=lambda: bool(asked.append(1) or len(asked) >= 2))
    resumed = train(recipe, cases, None, tmp_path / "broken", resume=True).members[0]
    assert len(asked) == 2
    assert all(bool((whole[name] == resumed[name]).all()) for name in whole)
