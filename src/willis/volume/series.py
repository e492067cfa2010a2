"""Series: one image taken many times, as while contrast passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import GeometryError
from willis.units import counted
from willis.volume.grid import FloatArray, Grid
from willis.volume.volume import Volume


@dataclass(frozen=True, eq=False)
class Series:
    """Frames of one image and when they were taken.

    Parameters
    ----------
    data
        (I, J, K, T).
    grid
        Of every frame.
    times_s
        (T,) s; None when the file doesn't say.
    role, unit, notes
        As of a :class:`willis.volume.volume.Volume`.

    Raises
    ------
    GeometryError
        When array, grid and times differ in shape.
    """

    data: npt.NDArray[Any]
    grid: Grid
    times_s: FloatArray | None
    role: str = ""
    unit: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.data.ndim != 4 or self.data.shape[:3] != self.grid.shape:
            raise GeometryError(f"a series of shape {self.data.shape} can't lie on a grid of shape {self.grid.shape}.")
        if self.times_s is not None and len(self.times_s) != self.data.shape[3]:
            raise GeometryError(
                f"{counted(self.data.shape[3], 'frame')} can't have {counted(len(self.times_s), 'time')}."
            )

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.data.shape[3])

    def frame(self, index: int) -> Volume:
        """One frame."""
        return self.volume(self.data[..., index])

    def volume(self, data: npt.NDArray[Any], *, role: str | None = None, unit: str | None = None) -> Volume:
        """Values (I, J, K) on the series' grid."""
        return Volume(
            data, self.grid, self.role if role is None else role, self.unit if unit is None else unit, self.notes
        )

    def of_frames(self, kept: npt.NDArray[np.bool_]) -> Series:
        """The series of some of its frames, (T,) True."""
        times = None if self.times_s is None else self.times_s[kept]
        return replace(self, data=self.data[..., kept], times_s=times)

    def with_data(self, data: npt.NDArray[Any]) -> Series:
        """The same frames' places and times with other values."""
        return replace(self, data=data)

    def noted(self, *notes: str) -> Series:
        """The same series with sentences added to its notes."""
        return replace(self, notes=self.notes + notes)
