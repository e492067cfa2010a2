"""Several recipes trained on the same folds, and each judged on the cases that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from willis.errors import BadInputError
from willis.learn.case import Case
from willis.models.manifest import Window
from willis.tasks.training import cases_and_validation, task_data
from willis.tasks.validation import case_dice

if TYPE_CHECKING:
    from torch import Tensor

    from willis.learn.recipe import Recipe

Score = dict[str, object]


def folded(recipe: Recipe, count: int, index: int) -> Recipe:
    """The recipe with one fold left out; without folds where its data are phantoms, which have none."""
    return recipe.changed("folds", count=count, index=index) if recipe.data.get("folder") else recipe


def train_and_judge(
    recipe: Recipe, folder: Path, progress: Callable[[int, int, Mapping[str, object]], None] | None = None
) -> list[Score]:
    """Train a recipe, or go on with its run in the folder; its Dice on each case left out.

    Raises
    ------
    BadInputError
        When no case is left out.
    """
    from willis.learn.trainer import train

    cases, validate = cases_and_validation(recipe, folder)
    result = train(recipe, cases, validate, folder, resume=(folder / "recipe.json").exists(), progress=progress)
    data = task_data(recipe.task)
    left_out = data.validation_cases(recipe.data, recipe.folds)
    if not left_out:
        raise BadInputError("no case is left out to compare on; give --data and --folds, or phantoms that validate.")
    fields = {**data.manifest_fields(recipe.data), **recipe.bundle.manifest}
    window = Window.model_validate(fields.get("window", {}))
    return _judged(recipe, result.members[-1], left_out, window)


def _judged(recipe: Recipe, weights: Mapping[str, Tensor], cases: Sequence[Case], window: Window) -> list[Score]:
    from willis.infer.torch_engine import TorchEngine
    from willis.nets.registry import build_network

    network = build_network(recipe.network.name, recipe.network.config)
    network.load_state_dict(dict(weights))
    engine = TorchEngine(network.eval())
    activation = recipe.loss.activation
    return [
        {"case": f"{n}-{case.subject}", "dice": case_dice(engine, case, window, activation=activation)[0]}
        for n, case in enumerate(cases)
    ]
