"""MaskPair: a predicted and a reference mask on one grid, and what many metrics need of them, computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.units import MM3_PER_ML

Mask = npt.NDArray[np.bool_]
Shared = TypeVar("Shared")
Points = npt.NDArray[np.float64]
Spacing = tuple[float, float, float]


class MaskPair:
    """A prediction and a reference, voxel for voxel.

    Parameters
    ----------
    prediction, reference
        (I, J, K), boolean or 0 and 1.
    spacing_mm
        Edges of a voxel.
    steps_mm
        (3, 3), what one voxel along I, J and K moves by in mm, one a column, as in an affine; None takes the edges at
        right angles. Distances and volumes are true under shear by it.

    Raises
    ------
    BadInputError
        When the masks differ in shape, have other than three axes, or hold other values than 0 and 1.
    """

    def __init__(
        self,
        prediction: npt.ArrayLike,
        reference: npt.ArrayLike,
        spacing_mm: Spacing = (1.0, 1.0, 1.0),
        steps_mm: npt.ArrayLike | None = None,
    ) -> None:
        self.prediction = as_mask(prediction, "the prediction")
        self.reference = as_mask(reference, "the reference")
        if self.prediction.shape != self.reference.shape:
            found = f"{self.prediction.shape} and {self.reference.shape}"
            raise BadInputError(f"prediction and reference differ in shape: {found}. Put both on one grid.")
        if len(spacing_mm) != 3 or not all(np.isfinite(edge) and edge > 0 for edge in spacing_mm):
            raise BadInputError(f"spacing_mm must be three lengths above 0; found {spacing_mm}.")
        self._computed: dict[Callable[[MaskPair], Any], Any] = {}
        self.spacing_mm = spacing_mm
        self.steps_mm = np.diag(spacing_mm) if steps_mm is None else np.asarray(steps_mm, dtype=np.float64)
        self.voxel_ml = float(abs(np.linalg.det(self.steps_mm))) / MM3_PER_ML

    def once(self, compute: Callable[[MaskPair], Shared]) -> Shared:
        """What several metrics share of this pair, computed by the first that asks."""
        if compute not in self._computed:
            self._computed[compute] = compute(self)
        result: Shared = self._computed[compute]
        return result

    @cached_property
    def shared(self) -> int:
        """Voxels in both masks: true positives."""
        return int(np.count_nonzero(self.prediction & self.reference))

    @cached_property
    def predicted(self) -> int:
        """Voxels in the prediction."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def referenced(self) -> int:
        """Voxels in the reference."""
        return int(np.count_nonzero(self.reference))

    @cached_property
    def diagonal_mm(self) -> float:
        """Longest diagonal of the field of view, from outer corner to outer corner: longer than any distance in it."""
        corners = [(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]
        return float(np.linalg.norm(np.multiply(corners, self.prediction.shape) @ self.steps_mm.T, axis=1).max())

    def points_mm(self, mask: Mask) -> Points:
        """(N, 3) centres of the voxels of a mask (I, J, K) in mm, from the centre of its first voxel."""
        return np.asarray(np.argwhere(mask) @ self.steps_mm.T, dtype=np.float64)

    @cached_property
    def box(self) -> tuple[slice, slice, slice]:
        """Smallest box that holds both masks, one voxel wider on each side where the image allows it."""
        either = self.prediction | self.reference
        spans = []
        for axis, size in enumerate(either.shape):
            held = np.flatnonzero(either.any(axis=tuple(a for a in range(3) if a != axis)))
            spans.append(slice(max(held[0] - 1, 0), min(held[-1] + 2, size)) if held.size else slice(0, 0))
        return spans[0], spans[1], spans[2]


def as_mask(values: npt.ArrayLike, name: str) -> Mask:
    """Turn an array of 0 and 1 into a boolean one, and refuse any other.

    Raises
    ------
    BadInputError
        When it has other than three axes or holds another value.
    """
    array = np.asarray(values)
    if array.ndim != 3:
        raise BadInputError(f"{name} must have three axes; found shape {array.shape}.")
    if array.dtype == np.bool_:
        return array
    mask: Mask = np.not_equal(array, 0)
    if not np.array_equal(mask, array):
        found = np.unique(array)
        shown = ", ".join(f"{value:g}" for value in found[:6]) + (" …" if found.size > 6 else "")
        raise BadInputError(
            f"{name} isn't a binary mask: it holds {found.size} values ({shown}); allowed are 0 and 1. "
            "Threshold it, or choose one label."
        )
    return mask
