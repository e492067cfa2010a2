"""The cases that an int8 bundle is calibrated and judged on: those of the recipe that trained the bundle."""

from __future__ import annotations

from pathlib import Path

from willis.infer.int8 import Int8Likeness, int8_bundle
from willis.learn.recipe import Recipe
from willis.models.bundle import Bundle
from willis.tasks.left_out import check_task, images_of, left_out_cases
from willis.tasks.training import task_data


def quantise(
    bundle: Bundle, recipe: Recipe, folder: Path, *, count: int = 4, shape: tuple[int, int, int] | None = None
) -> Int8Likeness:
    """Make an int8 bundle: ranges from training cases, Dice with float32 on the recipe's validation cases.

    Parameters
    ----------
    bundle
        Of the recipe's task.
    folder
        Is made, if the masks agree (:func:`willis.infer.int8.int8_bundle`).
    count
        Training cases that set the ranges.
    shape
        Voxels that the network is given; else those of the bundle's window or grid.

    Raises
    ------
    BadInputError
        When bundle and recipe are of different tasks, or the recipe has no validation cases.
    BundleError
        When the masks differ too much.
    """
    check_task(bundle, recipe)
    data = task_data(recipe.task)
    source = data.training_cases(recipe.data, recipe.folds)
    left_out = left_out_cases(data, recipe)
    chosen = (source.case(index) for index in range(count))
    return int8_bundle(bundle, folder, images_of(chosen), list(images_of(left_out)), shape=shape)
