"""Orientations: swap and flip voxel axes, exactly, without resampling."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import invalid_option
from willis.volume.grid import AXIS_NAMES, Grid
from willis.volume.series import Series
from willis.volume.volume import Volume

ORIENTATIONS: tuple[str, ...] = tuple(
    "".join(letters) for axes in permutations(AXIS_NAMES) for letters in product(*axes)
)


def axis_moves(source: str, target: str) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """Which source axis becomes each target axis, and whether it is flipped.

    Parameters
    ----------
    source, target
        Orientation codes such as ``"LPI"``: one letter of each of R/L, A/P, S/I.

    >>> axis_moves("LPS", "SRA")
    ((2, 0, 1), (False, True, True))
    """
    for code in (source, target):
        if code not in ORIENTATIONS:
            raise invalid_option("orientation", code, ORIENTATIONS)
    world = {letter: axis for axis, pair in enumerate(AXIS_NAMES) for letter in pair}
    where = {world[letter]: axis for axis, letter in enumerate(source)}
    order = [where[world[letter]] for letter in target]
    flips = [source[axis] != letter for axis, letter in zip(order, target, strict=True)]
    return (order[0], order[1], order[2]), (flips[0], flips[1], flips[2])


def reorient_grid(grid: Grid, code: str) -> Grid:
    """The same lattice with its voxel axes in the order and sense of ``code``.

    Of an oblique grid the axes are named by the world directions nearest to them; it stays oblique.
    """
    order, flips = axis_moves(grid.orientation, code)
    shape = np.array(grid.shape)[list(order)]
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, list(order)]
    for axis, flip in enumerate(flips):
        if flip:
            affine[:3, 3] += (shape[axis] - 1) * affine[:3, axis]
            affine[:3, axis] *= -1
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def reorient(volume: Volume, code: str) -> Volume:
    """The same image with its voxel axes in the order and sense of ``code``; no value changes.

    The array is contiguous and its own. ``reorient(reorient(v, code), v.grid.orientation)`` is ``v`` again.

    Raises
    ------
    BadInputError
        When ``code`` isn't one of :data:`ORIENTATIONS`.
    """
    data = _reordered(volume.data, volume.grid.orientation, code)
    return replace(volume, data=data, grid=reorient_grid(volume.grid, code))


def reorient_series(series: Series, code: str) -> Series:
    """Every frame as by :func:`reorient`.

    Raises
    ------
    BadInputError
        When ``code`` isn't one of :data:`ORIENTATIONS`.
    """
    data = _reordered(series.data, series.grid.orientation, code)
    return replace(series, data=data, grid=reorient_grid(series.grid, code))


def _reordered(data: npt.NDArray[Any], source: str, target: str) -> npt.NDArray[Any]:
    """An array (I, J, K, ...) of its own, in C order."""
    order, flips = axis_moves(source, target)
    moved = data.transpose(*order, *range(3, data.ndim))
    return np.array(moved[tuple(slice(None, None, -1 if flip else 1) for flip in flips)], order="C")
