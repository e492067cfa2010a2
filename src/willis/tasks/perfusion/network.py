"""From maps to the network's input: painted in a vendor's colours, blue, green and red from 0 to 255."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.io.colormap import jet, paint
from willis.tasks.perfusion.prepare import PreparedMaps
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

RANGES = {"cbf": (0.0, 80.0), "cbv": (0.0, 8.0), "mtt": (0.0, 24.0), "ttp": (0.0, 40.0), "tmax": (0.0, 16.0)}
MIP_HU = (0.0, 160.0)


def slice_grid(grid: Grid, size: int, field_mm: float) -> Grid:
    """The slices of a grid, each with ``size`` pixels of a side over a field about its middle, in the order LPS."""
    step = field_mm / size
    codes = grid.orientation
    if codes[2] not in "IS":
        raise BadInputError(f"the maps' slices are not axial ({codes}); give them with axial slices.")
    affine = np.diag([-step, -step, grid.spacing_mm[2], 1.0])
    k = grid.shape[2]
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ np.array([(size - 1) / 2, (size - 1) / 2, (k - 1) / 2])
    return Grid((size, size, k), affine)


def network_image(
    prepared: PreparedMaps, maps: Sequence[str], scalars: Sequence[float], target: Grid
) -> npt.NDArray[np.float32]:
    """(3 · maps + scalars, I, J, K): each map painted, then each scalar everywhere.

    Raises
    ------
    BadInputError
        When a map is missing.
    """
    missing = [name for name in maps if name not in prepared.maps]
    if missing:
        raise BadInputError(f"the network needs {', '.join(maps)}; missing is {', '.join(missing)}.")
    inside = prepared.brain if prepared.way == "colours" else prepared.tissue
    where = resample_to(Volume(inside.astype(np.float32), prepared.grid), target).data >= 0.5
    channels = [_painted(prepared.maps[name], name, where, target) for name in maps]
    flat = [np.full((1, *target.shape), value, dtype=np.float32) for value in scalars]
    return np.concatenate([*channels, *flat])


def _painted(volume: Volume, name: str, where: npt.NDArray[np.bool_], target: Grid) -> npt.NDArray[np.float32]:
    """(3, I, J, K) blue, green, red."""
    values = resample_to(volume.with_data(volume.data.astype(np.float32)), target).data
    if name == "mip":
        grey = np.clip((values - MIP_HU[0]) / (MIP_HU[1] - MIP_HU[0]), 0, 1) * 255 * where
        return np.repeat(grey[None], 3, axis=0).astype(np.float32)
    rgb = paint(values, RANGES[name], jet(), where)
    return np.ascontiguousarray(np.moveaxis(rgb[..., ::-1], -1, 0)).astype(np.float32)
