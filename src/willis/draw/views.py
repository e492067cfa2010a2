"""The three planes through a point, with outlines and the box that a network was given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from scipy.spatial import ConvexHull

from willis.draw.mosaic import crop, place, shown_extent
from willis.draw.palette import BOX, FAINT_INK
from willis.draw.panel import LINE_PX, Edge, Outline, Window, draw_edges, draw_slice, letter_sides, window_of, write
from willis.draw.planes import VIEWS, Plane, displayed, displayed_on, pixel_mm, position_mm
from willis.draw.png import encode_png, points
from willis.draw.sheet import CONVENTION, Sheet
from willis.draw.slices import bounds_of
from willis.volume.grid import Grid
from willis.volume.volume import Volume

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
WORLD_AXES: dict[Plane, str] = {"axial": "z", "coronal": "y", "sagittal": "x"}
MARGIN_MM = 12.0  # around the brain, room for the letters
BOX_MARGIN_MM = 20.0  # around the box, room for the letters and the position


def plane_views(
    background: Volume,
    point_mm: Sequence[float],
    outlines: Sequence[Outline] = (),
    *,
    box: Grid | None = None,
    window: Window | None = None,
    within: Volume | None = None,
    title: str = "",
) -> bytes:
    """PNG of the axial, coronal and sagittal slice through a point, at one scale, in radiological convention.

    Parameters
    ----------
    background
        Scan in any orientation; an oblique one is shown on its own voxel axes.
    point_mm
        World position RAS+; the nearest voxel's slices are shown.
    outlines
        Masks on the background's grid.
    box
        Grid whose field of view is drawn, such as the crop that a network was given; it may be turned against the
        background, and reach beyond it.
    window
        Values shown as black and white; percentiles of what is shown when None.
    within
        Mask on the background's grid that the window is taken from, and the view when there is no box.
    """
    scan = displayed(background)
    extent = shown_extent(background, within)
    index = np.clip(np.rint(scan.grid.to_index(point_mm)), 0, np.array(scan.grid.shape) - 1).astype(int)
    edges = [(displayed_on(background, o.mask).data > 0.5, o) for o in outlines]
    whole = (slice(0, scan.grid.shape[0]), slice(0, scan.grid.shape[1]), slice(0, scan.grid.shape[2]))
    frame = whole if box else bounds_of(extent, scan.grid.spacing_mm, MARGIN_MM)
    window = window or window_of(scan.data, extent)
    hulls = {plane: None if box is None else _silhouette(scan.grid, box, plane) for plane in PLANES}
    limits = {plane: _limits(scan.grid, plane, frame, hulls[plane]) for plane in PLANES}
    size = tuple(max(high[i] - low[i] for low, high in limits.values()) for i in (0, 1))
    sheet = Sheet(3, 3, (size[0], size[1]), title)
    for number, plane in enumerate(PLANES):
        axes, pixel, here = sheet.panel(number), pixel_mm(scan.grid, plane), int(index[VIEWS[plane].normal])
        draw_slice(axes, crop(scan.data, plane, here, whole), pixel, window)
        draw_edges(axes, [Edge(crop(m, plane, here, whole), o.colour, o.dashed) for m, o in edges], pixel)
        _draw_box(axes, hulls[plane])
        _centre(axes, limits[plane], (size[0], size[1]))
        letter_sides(axes, plane)
        position = position_mm(scan.grid, plane, here)
        write(axes, f"{plane}  {place(position, WORLD_AXES[plane])}", 0.025, 0.02, "left", "bottom", FAINT_INK)
    key = [Outline(background, BOX, "field of view given to the network")] if box is not None else []
    sheet.footer([*outlines, *key], () if box is not None else (CONVENTION,))
    return encode_png(sheet.figure)


Limits = tuple[tuple[float, float], tuple[float, float]]


def _silhouette(grid: Grid, box: Grid, plane: Plane) -> npt.NDArray[np.float64]:
    """(n, 2) outline of a box in a picture's mm, rows then columns from the picture's upper left corner."""
    corners = np.array(list(product(*[(-0.5, n - 0.5) for n in box.shape])))
    flat = _to_picture(grid, plane, grid.to_index(box.to_mm(corners)))
    return np.asarray(flat[ConvexHull(flat).vertices])


def _to_picture(grid: Grid, plane: Plane, index: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    view, (height, width) = VIEWS[plane], pixel_mm(grid, plane)
    rows = grid.shape[view.rows] - 1 - index[:, view.rows] if view.rows_up else index[:, view.rows]
    return np.column_stack([(rows + 0.5) * height, (index[:, view.columns] + 0.5) * width])


def _limits(
    grid: Grid, plane: Plane, frame: tuple[slice, slice, slice], hull: npt.NDArray[np.float64] | None
) -> Limits:
    """Upper left and lower right corner of what is shown, in the picture's mm (row, column)."""
    corners = np.array(list(product(*[(side.start - 0.5, side.stop - 0.5) for side in frame])))
    shown = _to_picture(grid, plane, corners)
    if hull is not None:
        shown = np.concatenate([shown, hull - BOX_MARGIN_MM, hull + BOX_MARGIN_MM])
    low, high = shown.min(axis=0), shown.max(axis=0)
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))


def _centre(axes: Axes, limits: Limits, size: tuple[float, float]) -> None:
    (top, left), (bottom, right) = limits
    row, column = (top + bottom) / 2, (left + right) / 2
    axes.set_xlim(column - size[1] / 2, column + size[1] / 2)
    axes.set_ylim(row + size[0] / 2, row - size[0] / 2)


def _draw_box(axes: Axes, hull: npt.NDArray[np.float64] | None) -> None:
    if hull is not None:
        axes.add_patch(Polygon(hull[:, ::-1], closed=True, fill=False, ec=BOX, lw=points(LINE_PX)))
