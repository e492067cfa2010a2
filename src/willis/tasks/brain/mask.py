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

LEAST_WITHIN = 0.9  # part of a given mask that lies in the brain that is found; assumed: masks wider by 2 mm lie above
LEAST_HELD = 0.6  # part of the found brain, with its fluid, that a given mask holds; assumed: tissue alone lies above


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


def mask_notes(own: Volume, brain: Brain, called: str) -> list[str]:
    """What is said of a given mask that lies elsewhere than the brain of its image: another scan's, or moved.

    Parameters
    ----------
    own
        The mask that was given, not empty.
    brain
        What was found in the image that the mask is of.
    called
        The image.
    """
    found, given = brain.mask_on(own.grid).data > 0, own.data > 0
    shared = float(np.count_nonzero(found & given))
    within, held = shared / np.count_nonzero(given), shared / max(1, int(np.count_nonzero(found)))
    if within >= LEAST_WITHIN and held >= LEAST_HELD:
        return []
    return [
        f"The brain mask that was given doesn't fit the {called}: {within:.0%} of it lie in the brain that is found "
        f"there, of which it holds {held:.0%}; at least {LEAST_WITHIN:.0%} and {LEAST_HELD:.0%} are expected. Check "
        "that it is this scan's, on the same grid."
    ]


def masks_of(brain: Brain | None, *, tight: bool = False) -> BrainMaskOf:
    """The mask of a brain that was found, on any grid; of None, which stands for a study with its own mask, nothing."""

    def mask(image: Volume) -> Volume:
        assert brain is not None, "a study without a brain mask of its own had its brain found"
        return brain.mask_on(image.grid, tight=tight)

    return mask
