"""The cases that an int8 bundle is calibrated and judged on: those of the recipe that trained the bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.infer.int8 import Int8Likeness, int8_bundle
from willis.learn.case import Case
from willis.learn.recipe import Recipe
from willis.models.bundle import Bundle
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
    if recipe.task != bundle.manifest.task:
        raise BadInputError(f"{bundle.name} is of the task {bundle.manifest.task}, the recipe of {recipe.task}.")
    data = task_data(recipe.task)
    source = data.training_cases(recipe.data, recipe.folds)
    left_out = data.validation_cases(recipe.data, recipe.folds)
    if not left_out:
        raise BadInputError("the recipe leaves no case out to compare on; give --data and --folds, or phantoms.")
    chosen = (source.case(index) for index in range(count))
    return int8_bundle(bundle, folder, _images(chosen), list(_images(left_out)), shape=shape)


def _images(cases: Iterable[Case]) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
    for case in cases:
        yield np.asarray(case.image, dtype=np.float32), np.asarray(case.mask, dtype=bool)
