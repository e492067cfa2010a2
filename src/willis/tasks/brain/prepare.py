"""From any head image to the brain network's input: 2 mm, RAS, 128³, values in [0, 1] whatever the contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.image.intensity import RANGE_FLOOR_PERCENTILE, scale_range
from willis.volume.grid import FloatArray, Grid, Shape3
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

SPACING_MM = 2.0
SHAPE: Shape3 = (128, 128, 128)
HU_WINDOW = (-100.0, 200.0)  # HU kept of a CT: all soft tissue, blood and the skull's inner edge
AIR_HU = -1000.0
PADDING_HU = -900.0  # below any tissue, lung too
BLANK_HU = 0.5  # what was cut out of a CT is often written as 0, and interpolated since


def network_grid(centre_mm: FloatArray) -> Grid:
    """The 2 mm RAS lattice of 128³ voxels about a point."""
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = centre_mm - SPACING_MM * (np.array(SHAPE) - 1) / 2
    return Grid(SHAPE, affine)


def network_input(data: npt.NDArray[Any], unit: str = "") -> npt.NDArray[np.float32]:
    """Values (I, J, K) scaled to [0, 1]: a fixed window of Hounsfield units, else the image's own range."""
    if unit == "HU":
        low, high = HU_WINDOW
        aired = np.where(blank_around(data), low, np.clip(data, low, high))
        return np.asarray((aired - low) / (high - low), dtype=np.float32)
    return scale_range(data)


def blank_around(hounsfield: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """(I, J, K) what surrounds a CT's head and is air or was set to 0 HU, as brain extraction does.

    0 HU is fluid to a network that knows air as the least value. Only what the array's faces reach counts.
    """
    blank = np.pad((hounsfield <= PADDING_HU) | (np.abs(hounsfield) <= BLANK_HU), 1, constant_values=True)
    regions, _ = ndimage.label(blank)
    return np.asarray((regions == regions[0, 0, 0])[1:-1, 1:-1, 1:-1])


def prepare(image: Volume, centre_mm: FloatArray | None = None) -> tuple[npt.NDArray[np.float32], Grid]:
    """The network's input (1, 128, 128, 128) and its grid, about a point; about the middle of the image when None.

    Beyond a CT's field of view lies air, beyond another image's what it has for background, which needn't be 0.
    """
    grid = network_grid(image.grid.centre_mm if centre_mm is None else centre_mm)
    fill = AIR_HU if image.unit == "HU" else float(np.percentile(image.data, RANGE_FLOOR_PERCENTILE))
    coarse = resample_to(image.with_data(image.data.astype(np.float32)), grid, "linear", fill=fill)
    return network_input(coarse.data, image.unit)[None], grid
