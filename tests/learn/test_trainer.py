from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from willis.errors import BadInputError
from willis.learn.recipe import Recipe
from willis.learn.runlog import read_log
from willis.learn.trainer import train


def recipe(**training: Any) -> Recipe:
    values = {
        "task": "wmh",
        "network": {"config": {"inputs": 1, "filters": [4, 8], "final": [4], "decoder": "slim", "dropout": [0.1]}},
        "sampling": {"patch": [12, 12, 12], "window": 6, "first": 3, "cases_per_step": 0.5, "workers": 0},
        "augmentation": {"affine": 0.5, "noise": 0.5, "gamma": 0.5},
        "optimiser": {"rate": 0.01},
        "training": {"steps": 8, "log_every": 1, "checkpoint_every": 4, "threads": 1, **training},
    }
    return Recipe.parse(values, "test")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_and_leaves_a_run_folder(tmp_path: Path, sources: ModuleType) -> None:
    result = train(recipe(steps=40, batch=4, ema=0.9, checkpoint_every=0), sources.Balls(), out=tmp_path / "run")
    losses = [row["loss"] for row in read_log(tmp_path / "run") if row["kind"] == "train"]
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    assert result.state.reason == "finished"
    for name in ("recipe.json", "log.jsonl", "log.csv", "curves.png", "last.safetensors"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert not list((tmp_path / "run").glob(".*"))


def test_interrupted_and_resumed_gives_the_same_bits(tmp_path: Path, sources: ModuleType) -> None:
    whole = train(recipe(), sources.Balls(), out=tmp_path / "whole")
    done: list[int] = []
    train(
        recipe(),
        sources.Balls(),
        out=tmp_path / "cut",
        progress=lambda s, _n, _v: done.append(s),
        stop=lambda: done[-1] == 5,
    )
    resumed = train(recipe(), sources.Balls(), out=tmp_path / "cut", resume=True)
    assert resumed.state.step == 8
    assert same(whole.members[0], resumed.members[0])
    rows = [row["step"] for row in read_log(tmp_path / "cut") if row["kind"] == "train"]
    assert rows == list(range(1, 9))


def test_killed_between_checkpoints_gives_the_same_bits(tmp_path: Path, sources: ModuleType) -> None:
    whole = train(recipe(), sources.Balls(), out=tmp_path / "whole")

    def die(step: int, _steps: int, _values: Any) -> None:
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), sources.Balls(), out=tmp_path / "cut", progress=die)
    resumed = train(recipe(), sources.Balls(), out=tmp_path / "cut", resume=True)
    assert same(whole.members[0], resumed.members[0])


def test_a_run_is_not_overwritten(tmp_path: Path, sources: ModuleType) -> None:
    train(recipe(steps=1), sources.Balls(), out=tmp_path)
    with pytest.raises(BadInputError, match="already holds a run"):
        train(recipe(steps=1), sources.Balls(), out=tmp_path)
