"""From any head image to the brain network's input: 2 mm, RAS, 128³, values in [0, 1] whatever the contrast."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from willis.image.intensity import scale_range
from willis.volume.grid import Grid, Shape3
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

SPACING_MM = 2.0
SHAPE: Shape3 = (128, 128, 128)
HU_WINDOW = (-100.0, 200.0)  # HU kept of a CT: all soft tissue, blood and the skull's inner edge


def network_grid(grid: Grid) -> Grid:
    """The 2 mm RAS lattice of 128³ voxels about the middle of an image's field of view."""
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = grid.centre_mm - SPACING_MM * (np.array(SHAPE) - 1) / 2
    return Grid(SHAPE, affine)


def network_input(data: npt.NDArray[Any], unit: str = "") -> npt.NDArray[np.float32]:
    """Values (I, J, K) scaled to [0, 1]: a fixed window of Hounsfield units, else the image's own range."""
    if unit == "HU":
        low, high = HU_WINDOW
        return np.asarray((np.clip(data, low, high) - low) / (high - low), dtype=np.float32)
    return scale_range(data)


def prepare(image: Volume) -> tuple[npt.NDArray[np.float32], Grid]:
    """The network's input (1, 128, 128, 128) and its grid."""
    grid = network_grid(image.grid)
    fill = HU_WINDOW[0] if image.unit == "HU" else 0.0
    coarse = resample_to(image.with_data(image.data.astype(np.float32)), grid, "linear", fill=fill)
    return network_input(coarse.data, image.unit)[None], grid
