"""Deformable registration by greedy, where it is installed, in place of demons."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import SimpleITK as sitk

from willis.errors import MissingExtraError
from willis.image.deform import LEVELS, Deformation, check_one_grid, coarser, field_of
from willis.image.sitk_volume import sitk_image
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

ITERATIONS = "60x40"  # at half and at full resolution
SMOOTHING = "2vox 0.7vox"  # of each step's field, and of the whole one


def register_greedy(moving: Volume, fixed: Volume) -> Deformation:
    """Deform one image onto another that it nearly lies on, by the sum of squared differences.

    Greedy diffeomorphic registration (https://greedy.readthedocs.io) at 6 and 3 mm, by one thread.

    Parameters
    ----------
    moving, fixed
        Images of like values on one grid at right angles.

    Raises
    ------
    GeometryError
        When they lie on different grids.
    MissingExtraError
        When greedy isn't installed.
    """
    check_one_grid(moving, fixed)
    try:
        greedy = import_module("picsl_greedy").Greedy3D()
    except ImportError:
        raise MissingExtraError("picsl-greedy", "greedy", "deform the template by greedy") from None
    grid = coarser(fixed.grid, LEVELS[-1][0])
    still, moved = (
        sitk.Cast(sitk_image(resample_to(v, grid, antialias=True)), sitk.sitkFloat32) for v in (fixed, moving)
    )
    command = f"-i still moved -o field -m SSD -n {ITERATIONS} -s {SMOOTHING} -threads 1 -V 0"
    greedy.execute(command, still=still, moved=moved, field=None)
    return field_of(np.asarray(sitk.GetArrayFromImage(greedy["field"])), grid)
