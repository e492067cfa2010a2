"""Prepared: what a task made of a study for its network, with the way back to the input's own grids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from willis.image.register import Registration
from willis.volume.grid import FloatArray, Grid
from willis.volume.volume import Volume


@dataclass(frozen=True)
class Prepared:
    """The network's input and where it lies.

    Parameters
    ----------
    image
        (C, I, J, K), channels in the order of the bundle's manifest.
    grid
        The lattice of ``image``.
    mask
        (I, J, K) where an answer is wanted (the brain).
    to_prepared
        For each input role the (4, 4) matrix from mm of that input to mm of ``grid``; identity when absent.
    brain
        Brain mask on the reference input's own grid.
    reference
        Role of the input whose space ``grid`` lies in.
    registrations
        By role, how that input was laid on the reference.
    notes
        Sentences that a reader of the result must see.
    """

    image: npt.NDArray[np.float32]
    grid: Grid
    mask: npt.NDArray[np.bool_]
    reference: str
    brain: Volume
    to_prepared: Mapping[str, FloatArray] = field(default_factory=dict)
    registrations: Mapping[str, Registration] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
