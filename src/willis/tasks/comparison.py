"""Several recipes trained on the same folds, and each judged on the cases that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from willis.errors import BadInputError
from willis.learn.case import Case
from willis.learn.split_file import read_split
from willis.models.manifest import Window
from willis.tasks.training import cases_and_validation, task_data
from willis.tasks.validation import case_dice

if TYPE_CHECKING:
    from torch import Tensor

    from willis.learn.recipe import Recipe

Score = dict[str, object]


def parts_left_out(recipe: Recipe, folds: int) -> dict[str, Recipe]:
    """The recipe once for each part that is left out, by the part's name.

    Parts are the folds of the split file that the recipe names, or its own ``part`` of a file that isn't of folds; else
    as many folds as are asked for. Phantoms have one part.

    Raises
    ------
    BadInputError
        When the split file can't be read.
    """
    if not recipe.data.get("folder"):
        return {"fold_1": recipe}
    if recipe.data.get("split"):
        split = read_split(Path(recipe.data["split"]))
        names = [part.name for part in split.parts] if split.kind == "folds" else [str(recipe.data.get("part", ""))]
        return {name: recipe.changed("data", part=name) for name in names}
    return {f"fold_{index + 1}": recipe.changed("folds", count=folds, index=index) for index in range(folds)}


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
        raise BadInputError("no case is left out to compare on; give --data with --split or --folds, or phantoms.")
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
