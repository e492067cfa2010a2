"""The part of a head about its circle of Willis, in MNI space, each half beside the other one's mirror image."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.vessels import arteries_at, labelled
from willis.volume.grid import FloatArray, Grid, Shape3
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

Float = npt.NDArray[np.float32]
Side = Literal["left", "right"]

SPACING_MM = 1.25
SHAPE: Shape3 = (100, 56, 56)  # both halves; its first axis lies about x = 0
HALF = 56  # voxels of a half along the first axis: a little of the other one too
OWN = SHAPE[0] // 2  # of them lie on its own side
MIDDLE_MM = (0.0, -2.0, -1.0)
SHOWN_HU = (-20.0, 100.0)  # fat to dense clot; calcium, bone and air beyond
LARGEST = 0.25  # difference of the halves, of that range, beyond which it tells nothing
SMOOTHING_MM = 4.0  # sigma, of that difference
PRIOR_MM = 3.0  # sigma, of the courses of vessels
CHANNELS = ("ncct", "mirrored", "darker", "c7", "m1", "m2", "other")
AIR_HU = -1000.0


def willis_grid() -> Grid:
    """In mm of MNI space."""
    affine = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = np.array(MIDDLE_MM) - SPACING_MM * (np.array(SHAPE) - 1) / 2
    return Grid(SHAPE, affine)


def corners_mm() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Lowest and highest of the grid's places."""
    reach = SPACING_MM * np.array(SHAPE) / 2
    return tuple(np.array(MIDDLE_MM) - reach), tuple(np.array(MIDDLE_MM) + reach)


def scaled_part(ct: Volume, matrix: FloatArray) -> Float:
    """(100, 56, 56) of a CT in HU, 0 to 1, laid by a map from mm of MNI space to mm of the CT."""
    there = resample_to(ct, willis_grid(), world_transform=matrix, antialias=True, fill=AIR_HU).data
    low, high = SHOWN_HU
    return np.asarray((np.clip(there, low, high) - low) / (high - low), dtype=np.float32)


def half(both: npt.NDArray[Any], side: Side) -> npt.NDArray[Any]:
    """(..., 56, 56, 56) of (..., 100, 56, 56), from its outer border to a little beyond the middle."""
    turned = both if side == "left" else both[..., ::-1, :, :]
    return np.ascontiguousarray(turned[..., :HALF, :, :])


def network_input(both: Float, side: Side) -> Float:
    """(7, 56, 56, 56) :data:`CHANNELS` of a half."""
    other: Side = "right" if side == "left" else "left"
    own, mirrored = half(both, side), half(both, other)
    sigma = SMOOTHING_MM / SPACING_MM
    darker = ndimage.gaussian_filter(np.clip(mirrored - own, -LARGEST, LARGEST), sigma) / LARGEST
    return np.stack([own, mirrored, darker, *prior()]).astype(np.float32)


@cache
def prior() -> Float:
    """(4, 56, 56, 56) where the vessels of a left half usually run, 0 to 1, by the courses that phantoms have."""
    into = np.asarray(np.linalg.inv(willis_grid().affine), dtype=np.float64)
    arteries, _ = arteries_at(np.random.default_rng(0), into)
    shares = labelled([replace(a, radii_mm=a.radii_mm / SPACING_MM) for a in arteries if not a.right], SHAPE)
    smooth = [ndimage.gaussian_filter(shares[code], PRIOR_MM / SPACING_MM) for code in sorted(shares)]
    return np.stack([half(s / s.max(), "left") for s in smooth]).astype(np.float32)


def joined(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(..., 100, 56, 56) from what was found of each half, of which each side keeps its own."""
    return np.concatenate([left[..., :OWN, :, :], right[..., OWN - 1 :: -1, :, :]], axis=-3)
