"""Several recipes trained on the same folds, and each judged on the cases that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from willis.errors import BadInputError
from willis.learn.case import Case
from willis.learn.recipe import FoldSettings
from willis.learn.split_file import read_split
from willis.models.manifest import Window
from willis.tasks.phantoms import PhantomSettings
from willis.tasks.training import cases_and_validation, task_data
from willis.tasks.validation import case_dice

if TYPE_CHECKING:
    from torch import Tensor

    from willis.learn.recipe import Recipe

Score = dict[str, object]
WHICH_PHANTOMS = ("anatomies", "only", "held_out", "validation_seed", "validation_count")


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


def check_same_cases(recipes: Mapping[str, Recipe]) -> None:
    """Refuse recipes that leave different cases out, whose scores can't be paired; before any is trained.

    Raises
    ------
    BadInputError
        Naming the setting in which two of them differ.
    """
    (first, wanted), *others = ((name, _left_out(recipe)) for name, recipe in recipes.items())
    for other, found in others:
        for setting in dict.fromkeys([*wanted, *found]):
            if (mine := wanted.get(setting)) != (its := found.get(setting)):
                raise BadInputError(
                    f"{first} and {other} leave out different cases: {setting} is {mine!r} and {its!r}. Give both the "
                    "same, or --data and --split for all."
                )


def _left_out(recipe: Recipe) -> dict[str, object]:
    """The settings, by name, that decide which cases a recipe leaves out."""
    data = recipe.data
    if not data.get("folder"):
        usual = PhantomSettings(**{k: v for k, v in data.get("phantom", {}).items() if k in WHICH_PHANTOMS})
        return {f"data.phantom.{name}": getattr(usual, name) for name in WHICH_PHANTOMS}
    chosen: dict[str, object] = {f"data.{name}": data.get(name, "") for name in ("folder", "split", "part")}
    if data.get("split"):
        return chosen
    folds = recipe.folds or FoldSettings()  # type: ignore[call-arg]
    return {**chosen, "folds.seed": folds.seed, "folds.validation_share": folds.validation_share}


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
    scores: list[Score] = []
    for n, case in enumerate(cases):
        dice = case_dice(engine, case, window, activation=activation)[0]
        scores.append({"case": f"{n}-{case.subject}", "patient": case.subject, "dice": dice})
    return scores
