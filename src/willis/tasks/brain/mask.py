"""The brain mask of a study: its own, or one that is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from willis.errors import BadInputError, GeometryError
from willis.study import Study
from willis.tasks.brain.find import Brain
from willis.volume.orient import reorient
from willis.volume.volume import Volume

BrainMaskOf = Callable[[Volume], Volume]


def brain_mask(study: Study, image: Volume, brain_mask_of: BrainMaskOf) -> Volume:
    """The study's own mask as :func:`own_brain_mask` gives it; without one, what ``brain_mask_of`` finds."""
    own = own_brain_mask(study, image)
    return own if own is not None else brain_mask_of(image)


def own_brain_mask(study: Study, image: Volume, called: str = "") -> Volume | None:
    """The study's own mask on the image's grid, ``uint8``; None without one.

    Parameters
    ----------
    called
        What a message calls the image; its role when empty.

    Raises
    ------
    BadInputError
        When the mask is empty.
    GeometryError
        When it lies on another grid.
    """
    if "brain" not in study:
        return None
    given = study["brain"]
    if not given.grid.same_as(image.grid):
        turned = reorient(given, image.grid.orientation)
        if not turned.grid.same_as(image.grid):
            raise GeometryError(
                f"the brain mask {given.grid.shape} does not lie on the grid of the {called or image.role} "
                f"{image.grid.shape}. Resample it onto that image, or leave it out."
            )
        given = turned
    if not (given.data > 0).any():
        raise BadInputError(
            "the brain mask is empty; at least one voxel must be above 0. Leave it out to have one made."
        )
    return replace(given, data=(given.data > 0).astype(np.uint8), role="brain")


def masks_of(brain: Brain | None, *, tight: bool = False) -> BrainMaskOf:
    """The mask of a brain that was found, on any grid; of None, which stands for a study with its own mask, nothing."""

    def mask(image: Volume) -> Volume:
        assert brain is not None, "a study without a brain mask of its own had its brain found"
        return brain.mask_on(image.grid, tight=tight)

    return mask
