"""Deformable registration by greedy, where it is installed, in place of demons."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from types import ModuleType

import numpy as np
import SimpleITK as sitk

from willis.errors import MissingExtraError
from willis.image.deform import LEVELS, Deformation, field_of, pair_at
from willis.volume.volume import Volume

ITERATIONS = "60x40"  # at half and at full resolution
SMOOTHING = "2vox 0.7vox"  # of each step's field, and of the whole one


def greedy_version() -> str:
    """Version of greedy's package.

    Raises
    ------
    MissingExtraError
        When it isn't installed.
    """
    _package()
    return version("picsl-greedy")


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
    greedy = _package().Greedy3D()
    grid, still, moved = pair_at(moving, fixed, LEVELS[-1][0])
    command = f"-i still moved -o field -m SSD -n {ITERATIONS} -s {SMOOTHING} -threads 1 -V 0"
    greedy.execute(command, still=still, moved=moved, field=None)
    return field_of(np.asarray(sitk.GetArrayFromImage(greedy["field"])), grid)


def _package() -> ModuleType:
    try:
        return import_module("picsl_greedy")
    except ImportError:
        raise MissingExtraError("picsl-greedy", "greedy", "deform the template by greedy") from None
