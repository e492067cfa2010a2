"""The way back: what was found on the prepared grid, on the grid of the patient's own image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume


def probability_to_grid(
    probability: npt.NDArray[np.floating],
    prepared_grid: Grid,
    target_grid: Grid,
    *,
    world_transform: npt.NDArray[np.float64] | None = None,
) -> Volume:
    """A probability map on another grid, linearly interpolated, 0 outside the prepared one.

    Parameters
    ----------
    probability
        (I, J, K), in [0, 1].
    prepared_grid, target_grid
        Where it lies, and where it shall lie.
    world_transform
        (4, 4), mm of the target to mm of the prepared grid; None when both show the patient in one place.
    """
    source = Volume(np.asarray(probability, np.float32), prepared_grid, unit="1")
    return resample_to(source, target_grid, "linear", world_transform=world_transform)


def mask_to_grid(
    probability: npt.NDArray[np.floating],
    prepared_grid: Grid,
    target_grid: Grid,
    threshold: float,
    *,
    world_transform: npt.NDArray[np.float64] | None = None,
) -> Volume:
    """``uint8`` mask, on another grid, of the voxels whose interpolated probability is at least ``threshold``."""
    found = probability_to_grid(probability, prepared_grid, target_grid, world_transform=world_transform)
    return found.with_data((found.data >= threshold).astype(np.uint8), unit="")
