"""Two images over each other: how well a registration fits, and where a probability is high."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_gradient_magnitude, gaussian_laplace

from willis.draw.mosaic import crop, panel_mm, place, shown_extent
from willis.draw.palette import FAINT_INK, GROUND, HEAT, INK, REFERENCE
from willis.draw.panel import Edge, Outline, Window, add_axes, draw_edges, draw_slice, letter_sides, window_of, write
from willis.draw.planes import Array, displayed, displayed_on, pixel_mm, position_mm
from willis.draw.png import encode_png, points
from willis.draw.sheet import CONVENTION, WIDTH_PX, Sheet
from willis.draw.slices import bounds_of, choose_slices
from willis.volume.volume import Volume

EDGE_SCALE_MM = 1.6  # width of the edges that are looked for: tissue borders, not noise
EDGE_SHARE = 72.0  # percentile of the gradient inside the brain from which a border is drawn
BRIGHTEST = 98.0  # percentile shown white: fat and vessels may saturate where borders are compared
TILE_MM = 22.0  # side of a checkerboard's fields
COLOUR_BAR_PX = 120
FLOOR = 0.05  # of the range: below it nothing is laid over the scan


def registration_overlay(
    fixed: Volume,
    moving: Volume,
    *,
    names: tuple[str, str] = ("fixed", "moving"),
    slices: int = 4,
    within: Volume | None = None,
    title: str = "",
) -> bytes:
    """PNG of two images on one grid: above, the moving one with the fixed one's edges; below, both as a checkerboard.

    Parameters
    ----------
    fixed, moving
        The target, and the registered image resampled on its grid.
    names
        What they are called in the legend: ``("T1", "FLAIR")``.
    slices
        How many heights are shown.
    within
        Mask on the same grid that slices and windows are fitted to; all that isn't air when None.

    Raises
    ------
    GeometryError
        When the two lie on different grids.
    """
    extent = shown_extent(fixed, within)
    still, moved = displayed(fixed), displayed_on(fixed, moving)
    bounds, size = bounds_of(extent, still.grid.spacing_mm), pixel_mm(still.grid, "axial")
    chosen = choose_slices(extent, None, slices + 2)[1:-1]
    windows = window_of(still.data, extent, BRIGHTEST), window_of(moved.data, extent, BRIGHTEST)
    sheet = Sheet(2 * len(chosen), len(chosen), panel_mm(bounds, "axial", size), title)
    for number, index in enumerate(chosen):
        below, above = (crop(v.data, "axial", index, bounds) for v in (still, moved))
        edge_axes, board_axes = sheet.panel(number), sheet.panel(number + len(chosen))
        draw_slice(edge_axes, above, size, windows[1])
        _draw_tissue_edges(edge_axes, below, crop(extent, "axial", index, bounds), size)
        draw_slice(
            board_axes, _checkerboard(_scaled(below, windows[0]), _scaled(above, windows[1]), size), size, (0, 1)
        )
        for axes in (edge_axes, board_axes):
            letter_sides(axes, "axial")
            write(axes, place(position_mm(still.grid, "axial", index), "z"), 0.025, 0.02, "left", "bottom", FAINT_INK)
    words = f"above: {names[1]} with edges of {names[0]}   below: {names[0]} and {names[1]} in turn"
    sheet.footer([Outline(fixed, REFERENCE, f"edges of {names[0]}")], [words])
    return encode_png(sheet.figure)


def heat_mosaic(
    background: Volume,
    values: Volume,
    label: str,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    outlines: Sequence[Outline] = (),
    slices: int = 12,
    columns: int = 4,
    within: Volume | None = None,
    title: str = "",
) -> bytes:
    """PNG of axial slices with a map laid over them, and its colour bar: a probability, a spread between members.

    Parameters
    ----------
    background, values
        Scan and map on one grid.
    label
        Stands beside the colour bar, with the unit: ``"probability"``.
    limits
        Values at the two ends of the colour bar; what lies in its lowest 5 % is not laid over the scan, and where
        values lie above its highest the bar ends in an arrow.
    """
    scan, heat = displayed(background), displayed_on(background, values)
    extent = shown_extent(background, within)
    edges = [(displayed_on(background, o.mask).data > 0.5, o) for o in outlines]
    floor = limits[0] + FLOOR * (limits[1] - limits[0])
    high = np.asarray(heat.data > floor)
    bounds, size = bounds_of(extent | high, scan.grid.spacing_mm), pixel_mm(scan.grid, "axial")
    chosen = choose_slices(extent, high, slices, every_part=False)
    window = window_of(scan.data, extent)
    sheet = Sheet(len(chosen), columns, panel_mm(bounds, "axial", size), title, right_px=COLOUR_BAR_PX)
    for number, index in enumerate(chosen):
        axes = sheet.panel(number)
        draw_slice(axes, crop(scan.data, "axial", index, bounds), size, window)
        _draw_heat(axes, crop(heat.data, "axial", index, bounds), size, limits, floor)
        draw_edges(axes, [Edge(crop(m, "axial", index, bounds), o.colour, o.dashed) for m, o in edges], size)
        letter_sides(axes, "axial")
        write(axes, place(position_mm(scan.grid, "axial", index), "z"), 0.025, 0.02, "left", "bottom", FAINT_INK)
    _colour_bar(sheet, limits, label, beyond=bool(np.nanmax(heat.data, initial=-np.inf) > limits[1]))
    sheet.footer(outlines, (CONVENTION,))
    return encode_png(sheet.figure)


def _draw_tissue_edges(axes: Axes, picture: Array, extent: Array, size: tuple[float, float]) -> None:
    """Zero crossings of the Laplacian of Gaussian where the gradient is steep, by what is steep inside ``extent``.

    Marr and Hildreth 1980, doi:10.1098/rspb.1980.0020
    """
    image = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    sigma = [EDGE_SCALE_MM / side for side in size]
    steep = gaussian_gradient_magnitude(image, sigma)
    faint = steep < np.percentile(steep[extent] if extent.any() else steep, EDGE_SHARE)
    curve = np.ma.masked_array(gaussian_laplace(image, sigma), faint)
    if faint.all() or not (curve.min() < 0 < curve.max()):
        return
    y, x = (np.arange(image.shape[0]) + 0.5) * size[0], (np.arange(image.shape[1]) + 0.5) * size[1]
    axes.contour(x, y, curve, [0.0], colors=[REFERENCE], linewidths=points(1.2))


def _scaled(picture: Array, window: Window) -> Array:
    values = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    return np.asarray(np.clip((values - window[0]) / (window[1] - window[0]), 0, 1))


def _checkerboard(one: Array, other: Array, size: tuple[float, float]) -> Array:
    rows = (np.arange(one.shape[0]) * size[0] // TILE_MM)[:, None]
    columns = (np.arange(one.shape[1]) * size[1] // TILE_MM)[None]
    return np.asarray(np.where((rows + columns) % 2 == 0, one, other))


def _draw_heat(
    axes: Axes, picture: Array, size: tuple[float, float], limits: tuple[float, float], floor: float
) -> None:
    values: npt.NDArray[np.float32] = np.nan_to_num(np.asarray(picture, dtype=np.float32))
    shown = np.ma.masked_array(values, values <= floor)
    height, width = values.shape[0] * size[0], values.shape[1] * size[1]
    axes.imshow(
        shown, cmap=HEAT, vmin=limits[0], vmax=limits[1], extent=(0, width, height, 0), interpolation="nearest",
        aspect="auto", alpha=0.8,
    )  # fmt: skip


def _colour_bar(sheet: Sheet, limits: tuple[float, float], label: str, *, beyond: bool) -> None:
    figure: Figure = sheet.figure
    tall = min(360.0, sheet.height - 140.0)
    axes = add_axes(figure, WIDTH_PX - COLOUR_BAR_PX + 24, sheet.top + 24, 18, tall)
    axes.set_axis_on()
    scale = ScalarMappable(Normalize(*limits), colormaps[HEAT])
    bar = figure.colorbar(scale, cax=axes, extend="max" if beyond else "neither")
    bar.outline.set_edgecolor(FAINT_INK)
    bar.ax.tick_params(colors=INK, labelsize=points(14), width=points(1), length=points(4))
    bar.set_label(label, color=INK, fontsize=points(15))
    axes.set_facecolor(GROUND)
