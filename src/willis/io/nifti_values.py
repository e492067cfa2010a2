"""The values of a NIfTI image: byte order, integer scaling, NaN and infinity, images of one value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError

MAX_ENCLOSED_NONFINITE = 1e-3  # part of the finite voxels; more holes inside the head than this are refused
LARGEST_VALUE = 1e15  # no scan's; float32 holds the sum of squares of a whole image of smaller ones
SHORT_INT_BYTES = 2  # float32 holds scaled integers of up to 16 bits without loss that matters


def scaled_values(
    stored: npt.NDArray[Any], slope: float, inter: float, path: Path, order: Literal["C", "file"] = "C"
) -> npt.NDArray[Any]:
    """Values of stored numbers: ``stored * slope + inter``, in native byte order.

    A new array in C order; with ``order`` "file" the stored one itself where it holds the values already.

    A slope of 0 or NaN means no scaling (NIfTI-1 standard, field ``scl_slope``). Unscaled numbers keep their
    dtype; scaled integers of up to 16 bits become ``float32``, wider ones ``float64``.

    Raises
    ------
    BadInputError
        When slope or intercept is beyond ``LARGEST_VALUE``, or the intercept NaN beside a slope.
    """
    native = stored.dtype.newbyteorder("=")
    if np.isnan(slope) or slope == 0 or (slope == 1 and inter == 0):
        return stored if order == "file" and stored.dtype.isnative else in_c_order(stored, native)
    if not (abs(slope) <= LARGEST_VALUE and abs(inter) <= LARGEST_VALUE):  # NaN is beyond it too
        raise BadInputError(f"{path} has no usable scaling: slope {slope}, intercept {inter}.")
    kept = native.kind == "f" or native.itemsize > SHORT_INT_BYTES
    dtype = native if native.kind == "f" else np.dtype(np.float64 if kept else np.float32)
    values = in_c_order(stored, dtype)
    with np.errstate(over="ignore"):  # infinity is told by without_nonfinite
        values *= dtype.type(slope)
        values += dtype.type(inter)
    return values


def in_c_order(stored: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A Fortran-ordered (I, J, K) copied some planes at a time, as the cache holds them: quicker than in one copy.

    Wide numbers go by more planes, since then whole lines of memory are read. ``in_c_order(a.T, a.dtype)`` lays a
    C-ordered array out in Fortran order.
    """
    values = np.empty(stored.shape, dtype)
    for first in range(0, stored.shape[1], stored.dtype.itemsize):
        planes = np.ascontiguousarray(stored[:, first : first + stored.dtype.itemsize, :].T)
        for j in range(planes.shape[1]):
            values[:, first + j, :] = planes[:, j, :].T
    return values


def without_nonfinite(values: npt.NDArray[Any], path: Path) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Put 0 where NaN or infinity stand, in place unless the array is read-only, and say so.

    Such voxels that reach the image's border are background, as some tools mark it. Those enclosed by the head are
    damage, of which only a trace is accepted.

    Raises
    ------
    BadInputError
        When no voxel is finite, or too many of those enclosed aren't.
    """
    if values.dtype.kind != "f":
        return values, ()
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):  # one NaN or infinity would be in the sum
            return values, ()
    bad = ~np.isfinite(values)
    count = int(np.count_nonzero(bad))
    if count == 0:
        return values, ()
    if count == values.size:
        raise BadInputError(f"{path} holds nothing but NaN or infinity.")
    enclosed = _enclosed_count(bad)
    if enclosed > MAX_ENCLOSED_NONFINITE * (values.size - count):
        raise BadInputError(
            f"{path} has {enclosed} voxels of NaN or infinity inside the head; at most "
            f"{MAX_ENCLOSED_NONFINITE:.1%} of its voxels are accepted. Repair the image first."
        )
    if not values.flags.writeable:
        values = values.copy()
    values[bad] = 0
    share = np.format_float_positional(100 * count / values.size, precision=2, fractional=False, trim="-")
    return values, (f"{count} voxels ({share} %) were NaN or infinite, {enclosed} of them enclosed; they became 0.",)


def _enclosed_count(bad: npt.NDArray[np.bool_]) -> int:
    """Voxels of a mask from which no path across faces inside the mask leads to the array's border."""
    labels, _ = ndimage.label(bad)
    outer = np.ones(bad.shape, dtype=bool)
    outer[1:-1, 1:-1, 1:-1] = False
    open_labels = np.unique(labels[outer])
    return int(np.count_nonzero(bad & ~np.isin(labels, open_labels)))


def check_range(values: npt.NDArray[Any], path: Path) -> None:
    """Raise when all voxels hold one value, which shows nothing, or some a value that nothing measures.

    Raises
    ------
    BadInputError
        When it is empty, constant, or holds values beyond ``LARGEST_VALUE``.
    """
    low, high = values.min(), values.max()
    if max(-float(low), float(high)) > LARGEST_VALUE:
        raise BadInputError(
            f"{path} holds values from {low:g} to {high:g}; up to {LARGEST_VALUE:g} can be read. Its scaling is wrong, "
            "or a mark for missing values was left in it: set such voxels to 0."
        )
    if low == high:
        what = "empty: every voxel is 0" if low == 0 else f"constant: every voxel is {low:g}"
        raise BadInputError(f"{path} is {what}. Give an image that shows something.")
