"""The folder of a run: whether a recipe may begin or go on there, and the resolved recipe beside the weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from willis.errors import BadInputError
from willis.io.tables import write_text
from willis.learn.checkpoint import load_state
from willis.learn.learner import Learner
from willis.learn.recipe import Recipe
from willis.learn.runstate import RunState
from willis.units import counted

RECIPE_FILE = "recipe.json"
LAST_FILE = "last.safetensors"
BEST_FILE = "best.safetensors"


def may_go_on(folder: Path, recipe: Recipe, *, resume: bool) -> bool:
    """Whether the folder has a checkpoint to go on from; nothing is written.

    Raises
    ------
    BadInputError
        When it holds a run and ``resume`` isn't set, or the run was begun on other cases than the recipe's.
    """
    path = folder / RECIPE_FILE
    if not path.exists():
        return False
    if not resume:
        raise BadInputError(f"{folder} already holds a run. Pass --resume to go on with it, or another folder.")
    begun, now = _origin(_began_with(path)), _origin(recipe)
    if other := next((name for name in begun if begun[name] != now[name]), None):
        raise BadInputError(
            f"the run in {folder} was begun with {other} {json.dumps(begun[other])}, and the recipe has "
            f"{json.dumps(now[other])}: it would go on with other cases. Give what it began with, or another folder."
        )
    return (folder / LAST_FILE).exists()


def restore(learner: Learner, path: Path) -> RunState:
    """Put a checkpoint's tensors into the learner; what the run remembers besides comes back.

    Raises
    ------
    BadInputError
        When it is no checkpoint, or one of another network, optimiser or number of stages.
    """
    tensors, values = load_state(path)
    state = RunState(**values)
    if state.stage >= len(learner.stages):
        raise BadInputError(
            f"the checkpoint {path} is of stage {state.stage + 1}, and the recipe has {len(learner.stages)}; "
            "give the recipe that the run was begun with."
        )
    state.reason = ""
    learner.enter(state.stage, state.stage_start)
    learner.restore(tensors)
    learner.plateau_factor = state.plateau_factor
    return state


def check_cases(begun: Sequence[str], names: Sequence[str], folder: Path) -> None:
    """Refuse to go on with other patients than the run in a folder was begun with.

    Parameters
    ----------
    begun, names
        Of the sessions that were learned from, and that would be, in the order of their numbers; none where nothing
        tells them.

    Raises
    ------
    BadInputError
        Naming one that is on one side alone.
    """
    if not begun or list(begun) == list(names):
        return
    differing = sorted(set(begun) ^ set(names))
    one = f", among which only one has {differing[0]}" if differing else " in another order"
    raise BadInputError(
        f"the run in {folder} was begun with {counted(len(begun), 'session')}, and the folder of patients now gives "
        f"{len(names)}{one}: patients that it learned from could be left out to judge it. Give the patients that it "
        "began with, or another folder for the run."
    )


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write the resolved recipe, which makes the folder that of a run."""
    text = json.dumps(recipe.model_dump(mode="json"), indent=2, ensure_ascii=False)
    write_text(text + "\n", folder / RECIPE_FILE)


def _began_with(path: Path) -> Recipe:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} can't be read: {error}. Give another folder.") from None
    return Recipe.parse(values, f"the recipe {path}")


def _origin(recipe: Recipe) -> dict[str, Any]:
    """What decides which cases a run draws; folder and split by their last names, since they may have moved."""
    plain = recipe.model_dump(mode="json")
    paths = {name: Path(plain["data"][name]).name for name in ("folder", "split") if plain["data"].get(name)}
    return {
        "task": plain["task"],
        "data": {**plain["data"], **paths},
        "folds": plain["folds"],
        "training.seed": plain["training"]["seed"],
    }
