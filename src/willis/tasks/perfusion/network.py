"""From maps to a network's input: painted in a vendor's colours as published, or as values of one channel a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.io.colormap import paint
from willis.io.colour_bar import Rgb
from willis.io.colour_tables import PUBLISHED, colour_table
from willis.tasks.perfusion.prepare import GREY_UNIT, PreparedMaps
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

RANGES = {"cbf": (0.0, 80.0), "cbv": (0.0, 8.0), "mtt": (0.0, 24.0), "ttp": (0.0, 40.0), "tmax": (0.0, 16.0)}
MIP_HU = (0.0, 160.0)
MIP_GREY = (0.0, 255.0)  # of pictures, which hold what the network was shown
NORMAL_TMAX_S = 4.0  # tissue with a lower Tmax is what flow, volume and time to peak are set against; assumed
SCALES = {"cbf": 2.0, "cbv": 2.0, "mtt": 24.0, "ttp": 16.0, "tmax": 16.0, "mip": 4.0}  # of normal tissue, or s
MOST = 2.0  # channels of values end here, so that a vessel doesn't outshine the brain
SCALAR_SCALES = {"nihss": (1.0, 43.0), "age": (0.0, 100.0), "sex": (1.0, 2.0)}  # added, then divided by; 0 is unknown


def slice_grid(grid: Grid, size: int, field_mm: float, brain: npt.NDArray[np.bool_] | None = None) -> Grid:
    """The slices of a grid in their own planes, each with ``size`` pixels of a side over a field about its middle.

    Pixels run to the patient's left and back as nearly as the planes allow, slices upward: of a tilted gantry every
    slice keeps its tilt, and its place above the one below it.

    Parameters
    ----------
    brain
        (I, J, K) what the field is moved to hold, by as little as it takes; None leaves it where it is.
    """
    codes = grid.orientation
    if codes[2] not in "IS":
        raise BadInputError(f"the maps' slices are not axial ({codes}); give them with axial slices.")
    step = field_mm / size
    normal = np.cross(grid.affine[:3, 0], grid.affine[:3, 1])
    normal /= np.linalg.norm(normal)
    left = np.array([-1.0, 0.0, 0.0]) + normal[0] * normal
    left /= np.linalg.norm(left)
    back = np.cross(normal if normal[2] > 0 else -normal, left)
    affine = np.eye(4)
    upward = grid.affine[:3, 2] * (1 if codes[2] == "S" else -1)
    affine[:3, :3] = np.column_stack([step * left, step * back, upward])
    shape = (size, size, grid.shape[2])
    middle = (np.array(shape) - 1) / 2
    affine[:3, 3] = grid.centre_mm - affine[:3, :3] @ middle
    if brain is not None and brain.any():
        affine[:3, 3] += affine[:3, :2] @ _moved(Grid(shape, affine).to_index(grid.to_mm(np.argwhere(brain))), size)
    return Grid(shape, affine)


def _moved(places: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float64]:
    """(2,) whole pixels by which a field is moved so that its pixels hold places (n, 3), or their middle."""
    low, high = places[:, :2].min(axis=0), places[:, :2].max(axis=0)
    within = high - low <= size - 1
    least = np.where(low < 0, np.floor(low), np.where(high > size - 1, np.ceil(high - (size - 1)), 0.0))
    return np.asarray(np.where(within, least, np.rint((low + high) / 2 - (size - 1) / 2)))


def network_image(
    prepared: PreparedMaps, maps: Sequence[str], scalars: Sequence[float], target: Grid, table: str = PUBLISHED
) -> npt.NDArray[np.float32]:
    """(3 · maps + scalars, I, J, K): each map painted, then each scalar everywhere.

    Parameters
    ----------
    table
        One of :data:`willis.io.colour_tables.COLOUR_TABLES`, whatever colours the maps came in.

    Raises
    ------
    BadInputError
        When a map is missing, or there is no such table.
    """
    missing = [name for name in maps if name not in prepared.maps]
    if missing:
        raise BadInputError(f"the network needs {', '.join(maps)}; missing is {', '.join(missing)}.")
    inside = prepared.brain if prepared.way == "colours" else prepared.tissue
    where = _share_on(inside, prepared.grid, target) >= 0.5
    colours = colour_table(table)
    channels = [_painted(prepared.maps[name], name, where, target, colours) for name in maps]
    flat = [np.full((1, *target.shape), value, dtype=np.float32) for value in scalars]
    return np.concatenate([*channels, *flat])


def _painted(
    volume: Volume, name: str, where: npt.NDArray[np.bool_], target: Grid, colours: Rgb
) -> npt.NDArray[np.float32]:
    """(3, I, J, K) blue, green, red."""
    values = resample_to(volume.with_data(volume.data.astype(np.float32)), target).data
    if name == "mip":
        low, high = MIP_GREY if volume.unit == GREY_UNIT else MIP_HU
        grey = np.clip((values - low) / (high - low), 0, 1) * 255 * where
        return np.repeat(grey[None], 3, axis=0).astype(np.float32)
    rgb = paint(values, RANGES[name], colours, where)
    return np.ascontiguousarray(np.moveaxis(rgb[..., ::-1], -1, 0)).astype(np.float32)


def value_image(
    prepared: PreparedMaps, maps: Sequence[str], scalars: Mapping[str, float | None], target: Grid
) -> npt.NDArray[np.float32]:
    """(maps + scalars, I, J, K): each map's values in the tissue, then each scalar in the brain; 0 where unknown.

    CBF, CBV, TTP and MIP are set against the tissue that is normally supplied, so that neither the scale of the
    arterial input nor the time of injection matters; MTT and Tmax are in seconds.
    """
    tissue = _share_on(prepared.tissue, prepared.grid, target) >= 0.5
    brain = _share_on(prepared.brain, prepared.grid, target) >= 0.5
    out = np.zeros((len(maps) + len(scalars), *target.shape), dtype=np.float32)
    normal = prepared.tissue
    if "tmax" in prepared.maps:
        supplied = normal & (prepared.maps["tmax"].data < NORMAL_TMAX_S)
        normal = supplied if supplied.any() else normal
    for channel, name in enumerate(maps):
        if name in prepared.maps:
            values = _against(prepared.maps[name].data, normal, name)
            where = brain if name == "mip" else tissue
            out[channel] = resample_to(Volume(values, prepared.grid), target).data * where
    for channel, (name, value) in enumerate(scalars.items(), start=len(maps)):
        if value is not None:
            added, scale = SCALAR_SCALES[name]
            out[channel] = brain * np.float32((value + added) / scale)
    return out


def _against(data: npt.NDArray[np.floating], normal: npt.NDArray[np.bool_], name: str) -> npt.NDArray[np.float32]:
    usual = float(np.median(data[normal])) if normal.any() else 0.0
    if name == "ttp":
        values = (data - usual) / SCALES[name]
    elif name in ("cbf", "cbv", "mip"):
        values = data / max(SCALES[name] * usual, 1e-6)
    else:
        values = data / SCALES[name]
    return np.asarray(np.clip(values, -MOST, MOST), dtype=np.float32)


def _share_on(mask: npt.NDArray[np.bool_], grid: Grid, target: Grid) -> npt.NDArray[np.floating]:
    return resample_to(Volume(mask.astype(np.float32), grid), target).data
