"""Volume: an array on a Grid, with what it shows and in which unit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import GeometryError
from willis.volume.grid import Grid


@dataclass(frozen=True, eq=False)
class Volume:
    """A scalar image or mask and where it lies.

    Parameters
    ----------
    data
        (I, J, K), any numeric dtype; masks are ``uint8`` or ``bool``.
    grid
        Its lattice; ``grid.shape == data.shape``.
    role
        What it shows: ``t1``, ``flair``, ``b1000``, ``ncct``, ``brain``, ``wmh``…
    unit
        Unit of the values, or "" when arbitrary.
    notes
        Whatever was found or changed while this volume was read or derived, one sentence each, for the
        provenance of the result.

    Raises
    ------
    GeometryError
        When array and grid differ in shape.
    """

    data: npt.NDArray[Any]
    grid: Grid
    role: str = ""
    unit: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data.shape != self.grid.shape:
            raise GeometryError(f"array of shape {self.data.shape} can't lie on a grid of shape {self.grid.shape}.")

    @property
    def volume_ml(self) -> float:
        """Volume of the voxels above zero (of a mask: its volume)."""
        return float(np.count_nonzero(self.data > 0)) * self.grid.voxel_ml

    def with_data(self, data: npt.NDArray[Any], *, role: str | None = None, unit: str | None = None) -> Volume:
        """The same place with other values; ``notes`` are kept."""
        return replace(
            self, data=data, role=self.role if role is None else role, unit=self.unit if unit is None else unit
        )

    def noted(self, *notes: str) -> Volume:
        """The same volume with sentences added to its notes."""
        return replace(self, notes=self.notes + notes)
