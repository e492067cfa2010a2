"""An int8 bundle through its recipe's cases: which ones set the ranges, which ones compare, and what is refused."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.infer.int8 import Int8Likeness
from willis.learn.case import Case
from willis.learn.recipe import read_recipe
from willis.tasks import quantisation

RECIPE = Path(__file__).parents[2] / "recipes/fvv.toml"


def case(value: float) -> Case:
    return Case(
        np.full((2, 4, 5, 6), value, np.float32), np.zeros((3, 4, 5, 6), np.uint8), np.ones((4, 5, 6), bool), "01",
        (1.0, 1.0, 1.0),
    )  # fmt: skip


def task(left_out):
    source = SimpleNamespace(case=lambda index: case(float(index)))
    return SimpleNamespace(training_cases=lambda *_: source, validation_cases=lambda *_: left_out)


def bundle(name="fvv"):
    return SimpleNamespace(name="made", manifest=SimpleNamespace(task=name))


def test_training_cases_set_the_ranges_and_those_left_out_compare(monkeypatch, tmp_path):
    asked = {}

    def made(given, folder, calibration, cases, *, shape):
        asked.update(calibration=[float(i.max()) for i, _ in calibration], cases=[float(i.max()) for i, _ in cases])
        asked.update(folder=folder, shape=shape)
        return Int8Likeness({"lesion": 1.0}, 0.0, 1.0, 0.5, len(cases))

    monkeypatch.setattr(quantisation, "int8_bundle", made)
    monkeypatch.setattr(quantisation, "task_data", lambda _: task([case(0.5), case(0.25)]))
    found = quantisation.quantise(bundle(), read_recipe(RECIPE), tmp_path / "out", count=3, shape=(8, 8, 8))
    assert found.cases == 2
    assert asked == {
        "calibration": [0.0, 1.0, 2.0],
        "cases": [0.5, 0.25],
        "folder": tmp_path / "out",
        "shape": (8, 8, 8),
    }


def test_another_task_and_no_case_left_out_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(quantisation, "task_data", lambda _: task([]))
    with pytest.raises(BadInputError, match="made is of the task wmh, the recipe of fvv"):
        quantisation.quantise(bundle("wmh"), read_recipe(RECIPE), tmp_path / "out")
    with pytest.raises(BadInputError, match="leaves no case out"):
        quantisation.quantise(bundle(), read_recipe(RECIPE), tmp_path / "out")
