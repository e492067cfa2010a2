"""The cases that a trained bundle is measured on: those that its recipe leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.infer.slices import neighbours_as_channels
from willis.learn.case import Case
from willis.learn.recipe import Recipe
from willis.models.bundle import Bundle
from willis.tasks.training import TaskData


def check_task(bundle: Bundle, recipe: Recipe) -> None:
    """Refuse a recipe of another task than the bundle's.

    Raises
    ------
    BadInputError
        When they are of different tasks.
    """
    if recipe.task != bundle.manifest.task:
        raise BadInputError(f"{bundle.name} is of the task {bundle.manifest.task}, the recipe of {recipe.task}.")


def left_out_cases(data: TaskData, recipe: Recipe) -> Sequence[Case]:
    """The recipe's validation cases.

    Raises
    ------
    BadInputError
        When there are none.
    """
    cases = data.validation_cases(recipe.data, recipe.folds)
    if not cases:
        raise BadInputError("the recipe leaves no case out to compare on; give --data and --folds, or phantoms.")
    return cases


def images_of(cases: Iterable[Case]) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]]:
    """Image (C, I, J, K), neighbouring slices among its channels, and mask (I, J, K) of each case."""
    for case in cases:
        image = neighbours_as_channels(np.asarray(case.image, dtype=np.float32), case.stack)
        yield image, np.asarray(case.mask, dtype=bool)
