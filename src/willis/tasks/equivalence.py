"""A bundle measured in a faster precision on the cases that its recipe leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from willis.infer.equivalence import Image, Mask, PrecisionLikeness, measure_equivalence
from willis.infer.precision import Precision, choose_precision
from willis.infer.protocol import EngineChoice, Float32
from willis.learn.recipe import FoldSettings, Recipe
from willis.models.bundle import Bundle
from willis.models.manifest import Manifest
from willis.models.publish import copy_with_card
from willis.tasks.left_out import check_task, images_of, left_out_cases
from willis.tasks.training import task_data
from willis.volume.plane import Plane


@runtime_checkable
class PlaneImages(Protocol):
    """A task's ``dataset.py`` whose bundles see slices of planes."""

    def validation_images(
        self, data: Mapping[str, Any], folds: FoldSettings | None, manifest: Manifest
    ) -> Iterator[tuple[Mapping[Plane, Float32], npt.NDArray[np.bool_]]]:
        """Of each subject that training never sees, the image by plane and the brain mask, as for a run."""
        ...


def measure_precision(
    bundle: Bundle,
    recipe: Recipe,
    *,
    precision: Precision,
    engine: EngineChoice = "auto",
    count: int | None = None,
    threads: int | None = None,
    tell: Callable[[int, Mapping[str, float]], None] | None = None,
) -> PrecisionLikeness:
    """Compare the masks of a precision with those of float32 on the recipe's validation cases.

    Parameters
    ----------
    bundle
        Of the recipe's task.
    count
        Cases; all that the recipe leaves out when None. Of phantoms so many are made.
    precision, engine, threads, tell
        See :func:`willis.infer.equivalence.measure_equivalence`.

    Raises
    ------
    BadInputError
        When bundle and recipe are of different tasks, the recipe leaves no case out, the processor doesn't multiply the
        precision, or the bundle gives one answer for a whole scan.
    """
    choose_precision(precision)
    if count is not None and "phantom" in recipe.data:
        recipe = recipe.changed("data", phantom={**recipe.data["phantom"], "validation_count": count})
    return measure_equivalence(
        bundle, islice(_images(bundle, recipe), count), precision=precision, engine=engine, threads=threads, tell=tell
    )


def _images(bundle: Bundle, recipe: Recipe) -> Iterator[tuple[Image, Mask]]:
    """Images by plane where the bundle has planes, else those of the validation cases."""
    check_task(bundle, recipe)
    data = task_data(recipe.task)
    if isinstance(data, PlaneImages):
        yield from data.validation_images(recipe.data, recipe.folds, bundle.manifest)
    else:
        yield from images_of(left_out_cases(data, recipe))


def write_measured(bundle: Bundle, found: PrecisionLikeness, folder: Path, on: str, *, replace: bool = False) -> Bundle:
    """The bundle in a folder, with the measurement in its manifest in place of an earlier one of its kind.

    A card that was made of the manifest is made anew.
    """
    kept = [m for m in bundle.manifest.precision if (m.precision, m.engine) != (found.precision, found.engine)]
    precision = (*kept, found.for_manifest(on))
    return copy_with_card(bundle, folder, replace=replace, precision=precision)
