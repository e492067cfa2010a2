"""What training needs of a task: its cases, its validation, and the manifest of the bundle that comes of it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from willis.errors import BadInputError
from willis.learn.cache import KeptCases
from willis.learn.case import Case, CaseList, CasesInTurn, CaseSource
from willis.learn.parts import leaves_out
from willis.models.manifest import Window, make_manifest
from willis.models.publish import write_bundle
from willis.tasks.registry import get_task
from willis.tasks.validation import make_validation

if TYPE_CHECKING:
    from torch import nn

    from willis.learn.recipe import FoldSettings, Recipe
    from willis.learn.runstate import TrainingResult
    from willis.learn.split import SizedSubject
    from willis.learn.trainer import Validate
    from willis.models.bundle import Bundle


SIDED = ("left", "right")  # outputs that a mirrored head would have on its other side


class TaskData(Protocol):
    """A task's ``dataset.py``, as training sees it.

    It may have ``validation_measures()``, of its own beyond Dice, ``leaves_out(data, folds)``, where not splits, folds
    and phantoms alone decide whether a case is left out to validate on, and ``sized_subjects(folder)``, the labelled
    patients of a folder with the sizes of their lesions, for splits.
    """

    def training_cases(self, data: Mapping[str, Any], folds: FoldSettings | None = None) -> CaseSource:
        """The source that ``[data]`` of a recipe names."""
        ...

    def validation_cases(self, data: Mapping[str, Any], folds: FoldSettings | None = None) -> Sequence[Case]:
        """Cases that training never sees; may be none."""
        ...

    def manifest_fields(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """The task's part of a manifest: channels, outputs, spacing, window, intensity, threshold, intended use…"""
        ...


def task_data(task: str) -> TaskData:
    """The ``dataset.py`` of a task.

    Raises
    ------
    BadInputError
        When there is no such task.
    """
    return cast(TaskData, import_module(f"{get_task(task).package}.dataset"))


def labelled_subjects(task: str, folder: Path) -> list[SizedSubject]:
    """The labelled patients of a folder that a task is trained on, with the sizes of their lesions, for a split.

    Raises
    ------
    BadInputError
        When there is no such task, it is trained on phantoms alone, or the folder can't be used.
    """
    own = getattr(task_data(task), "sized_subjects", None)
    if own is None:
        raise BadInputError(f"the task {task} is trained on phantoms alone; it has no folder of patients to split.")
    found: list[SizedSubject] = own(folder)
    return found


def cases_and_validation(recipe: Recipe, folder: Path | None = None) -> tuple[CaseSource, Validate | None]:
    """Where a recipe's cases come from, and how its network is judged while it trains.

    Validation cases are made when they are first needed, in the process that validates alone, and kept in the folder,
    from which one is read at a time; without a folder, in memory. Tables that the task has of them are written there.

    Raises
    ------
    BadInputError
        When the network takes another number of channels than the cases have, or the recipe has patience, a plateau or
        best weights, and no case is left out to validate on.
    """
    data = task_data(recipe.task)
    check_channels(recipe)
    _check_left_out(recipe, data)
    fields = {**data.manifest_fields(recipe.data), **recipe.bundle.manifest}
    window = Window.model_validate(fields.get("window", {}))
    judges: list[Validate] = []

    def validate(network: nn.Module) -> Mapping[str, float]:
        if not judges:
            cases = data.validation_cases(recipe.data, recipe.folds)
            kept = CaseList(tuple(cases)) if folder is None else KeptCases(cases, folder / "validation-cases")
            own = getattr(data, "validation_measures", None)
            activation = str(recipe.bundle.manifest.get("activation", recipe.loss.activation))
            judge = make_validation(
                CasesInTurn(kept, len(kept)),
                fields["outputs"],
                window,
                own=own() if own else None,
                activation=activation,
                folder=folder,
                loss=recipe.loss if "loss" in (recipe.training.monitor, recipe.schedule.monitor) else None,
            )
            judges.append(judge if len(kept) else lambda _network: {})
        return judges[0](network)

    return data.training_cases(recipe.data, recipe.folds), validate if recipe.training.validate_every else None


def check_channels(recipe: Recipe) -> None:
    """Refuse a network that takes another number of channels than the cases have, and what can't be done to them.

    Raises
    ------
    BadInputError
        When it does, a channel is to be dropped that isn't there, or heads are mirrored whose outputs tell sides.
    """
    from willis.nets.registry import inputs_of

    taken = inputs_of(recipe.network.name, recipe.network.config)
    fields = {**task_data(recipe.task).manifest_fields(recipe.data), **recipe.bundle.manifest}
    given, stacks = fields["channels"], [view.get("stack", 1) for view in fields.get("planes", ())]
    count = len(given) * max(stacks, default=1)
    if unknown := [channel for channel in recipe.augmentation.droppable if channel >= len(given)]:
        raise BadInputError(
            f"augmentation.droppable names the channel {unknown[0]}, and the cases have 0 to {len(given) - 1} "
            f"({', '.join(given)})."
        )
    sided = [name for name in fields["outputs"] if name in SIDED]
    if sided and recipe.augmentation.flip and 0 in recipe.augmentation.flip_axes:
        raise BadInputError(
            f"the output {sided[0]} tells a side, which a mirrored head loses; set augmentation.flip_axes without 0."
        )
    if taken is not None and taken != count:
        neighbours = "stack of [data] (neighbouring slices as channels) or " if stacks else ""
        raise BadInputError(
            f"the network {recipe.network.name} takes {taken} channels, the cases have {count} "
            f"({', '.join(given)}); set {neighbours}inputs of [network.config], or choose another network."
        )


def _check_left_out(recipe: Recipe, data: TaskData) -> None:
    """Refuse a recipe whose patience, plateau or best weights need a validation that it doesn't have."""
    asked = {
        "training.patience": recipe.training.patience or any(stage.patience > 0 for stage in recipe.stages),
        'schedule.name = "plateau"': recipe.schedule.name == "plateau",
        'bundle.members = "best"': recipe.bundle.members == "best",
    }
    wanted = next((name for name, needs in asked.items() if needs), "")
    if not wanted:
        return
    if not recipe.training.validate_every:
        raise BadInputError(f"{wanted} needs a validation; set training.validate_every.")
    own = getattr(data, "leaves_out", leaves_out)
    if not own(recipe.data, recipe.folds):
        raise BadInputError(
            f"{wanted} needs a validation, and no case is left out for it; give --split and --part, --folds, or "
            "phantoms that validate."
        )


def bundle_from(recipe: Recipe, result: TrainingResult, folder: Path, recipe_name: str, command: str) -> Bundle:
    """Write the bundle of a run.

    Parameters
    ----------
    recipe
        Its ``[bundle]`` is laid over the task's fields of the manifest.
    folder
        Of the bundle; one that is there already is replaced.
    recipe_name, command
        How the weights can be made again, for the manifest.
    """
    about = recipe.bundle
    own = {"name": about.name, "title": about.title, "version": about.version, "licence": about.licence}
    of_task = task_data(recipe.task).manifest_fields(recipe.data)
    config = {**of_task.get("network", {}).get("config", {}), **recipe.network.config}
    fields = {
        **of_task,
        "task": recipe.task,
        "network": {"name": recipe.network.name, "config": config},
        "activation": recipe.loss.activation,
        "training": {
            "recipe": recipe_name,
            "command": command,
            "data": str(recipe.data.get("folder") or "phantoms"),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "seed": recipe.training.seed,
            "steps": result.state.step,
        },
        **{name: value for name, value in own.items() if value},
        **about.manifest,
    }
    if about.citation:
        fields["citation"] = about.citation
    manifest = make_manifest(fields, f"the bundle of {recipe_name}")
    return write_bundle(folder, manifest, result.members, about.half, replace=True)
