"""A lesion within a see-through brain, seen from three sides: shaded by the depth of its surface."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from scipy import ndimage

from willis.draw.palette import BLACK, FOUND, INK
from willis.draw.panel import write
from willis.draw.png import encode_png
from willis.draw.sheet import Sheet
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

STEP_MM = 1.0  # of the grid that is looked at
SEEN_THROUGH = 0.55  # how much of a lesion's light passes the brain before it
LIGHT = np.array((-0.3, 0.5, 0.81))  # towards the light: columns, rows upwards, viewer

Array = npt.NDArray[Any]


def surface_views(brain: Volume, lesion: Volume) -> bytes:
    """PNG of the brain's surface from the lesion's side, the front and above, the lesion shining through.

    Each view bears the letters of the patient's sides: from above his left is on the left, unlike in axial slices.

    Parameters
    ----------
    brain, lesion
        Masks on one grid.
    """
    grid = _upright(brain)
    solid, inner = (_on(mask, grid) for mask in (brain, lesion))
    left = np.argwhere(inner)[:, 0].mean() < np.argwhere(solid)[:, 0].mean() if inner.any() else True
    views = (
        ("the left" if left else "the right", 0, not left, "AP" if left else "PA"),
        ("the front", 1, True, "RL"),
        ("above", 2, True, "LR"),
    )
    side = max(grid.shape) * STEP_MM
    sheet = Sheet(len(views), len(views), (side, side))
    for number, (name, axis, far, letters) in enumerate(views):
        picture = _seen(solid, inner, axis, far)
        rows, columns = picture.shape[:2]
        axes = sheet.panel(number)
        top, left = (side - rows) / 2, (side - columns) / 2
        axes.imshow(picture, extent=(left, left + columns, top + rows, top), interpolation="bilinear")
        axes.set_xlim(0, side)
        axes.set_ylim(side, 0)
        write(axes, f"from {name}", 0.025, 0.02, "left", "bottom")
        for letter, x, at in zip(letters, (0.025, 0.975), ("left", "right"), strict=True):
            write(axes, letter, x, 0.98, at, "top", INK, bold=True)
    sheet.footer(words=())
    return encode_png(sheet.figure)


def _upright(mask: Volume) -> Grid:
    """The isotropic RAS grid about a mask."""
    points = mask.grid.to_mm(np.argwhere(mask.data > 0))
    low, high = points.min(axis=0) - 3 * STEP_MM, points.max(axis=0) + 3 * STEP_MM
    affine = np.diag((STEP_MM, STEP_MM, STEP_MM, 1.0))
    affine[:3, 3] = low
    i, j, k = np.ceil((high - low) / STEP_MM).astype(int) + 1
    return Grid((int(i), int(j), int(k)), affine)


def _on(mask: Volume, grid: Grid) -> npt.NDArray[np.bool_]:
    moved = resample_to(mask.with_data((mask.data > 0).astype(np.float32)), grid, "linear", antialias=True)
    return np.asarray(moved.data >= 0.5)


def _seen(solid: Array, inner: Array, axis: int, far: bool) -> Array:
    """(rows, columns, 3) the view along an axis, up being up (or front when seen from above)."""
    shaded = _shaded(solid, axis, far)
    glow = _shaded(inner, axis, far)
    hit = glow > 0
    picture = np.repeat(shaded[..., None], 3, axis=2) * 0.75
    colour = np.array(to_rgb(FOUND))
    lit = (0.35 + 0.65 * glow)[..., None] * colour
    picture[hit] = (1 - SEEN_THROUGH) * picture[hit] + SEEN_THROUGH * lit[hit] + 0.15 * colour
    picture[shaded == 0] = to_rgb(BLACK)
    return np.clip(picture, 0, 1)


def _shaded(mask: Array, axis: int, far: bool) -> Array:
    """(rows, columns) brightness in (0, 1] of the first surface that a ray meets; 0 where none does."""
    turned = np.moveaxis(mask, axis, 0)
    turned = turned[::-1] if far else turned
    met = turned.any(axis=0)
    depth = np.where(met, turned.argmax(axis=0), turned.shape[0]).astype(np.float32)
    depth = ndimage.gaussian_filter(depth, 1.0)
    across, up = np.gradient(-depth)
    normal = np.stack([-across, -up, np.ones_like(depth)])
    normal /= np.linalg.norm(normal, axis=0)
    bright = np.clip(np.tensordot(LIGHT, normal, axes=1), 0.05, 1) * met
    picture = bright.T[::-1]  # second axis upwards
    # seen from the left the face, seen from the front the patient's right is on the viewer's left
    return picture[:, ::-1] if axis == 1 or (axis == 0 and not far) else picture
