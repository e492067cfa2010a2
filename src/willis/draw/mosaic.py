"""Mosaics: axial slices with outlines, and the three planes through a point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from willis.draw.palette import FAINT_INK
from willis.draw.panel import Edge, Outline, Window, draw_edges, draw_slice, letter_sides, window_of, write
from willis.draw.planes import VIEWS, Array, Plane, cut, displayed, displayed_on, pixel_mm, position_mm
from willis.draw.png import encode_png
from willis.draw.sheet import CONVENTION, Sheet
from willis.draw.slices import Bounds, bounds_of, choose_slices, foreground, parts_by_slice
from willis.volume.volume import Volume


def axial_mosaic(
    background: Volume,
    outlines: Sequence[Outline] = (),
    *,
    slices: int = 20,
    columns: int = 5,
    window: Window | None = None,
    within: Volume | None = None,
    title: str = "",
) -> bytes:
    """PNG of axial slices from the lowest to the highest, with outlines, in radiological convention.

    Half of the slices are spread evenly over the brain, half go where the outlined area is; where connected parts of it
    lie on none of them, the legend says how many do. Every panel carries R, L and, unless it is the only one (a
    projection), the height of its slice in mm; panels keep true proportions, with a scale bar below.

    Parameters
    ----------
    background
        Scan in any orientation; an oblique one is shown on its own voxel axes.
    outlines
        Masks on the background's grid.
    slices, columns
        Most slices to show, and how many stand side by side.
    window
        Values shown as black and white; percentiles of what is shown when None.
    within
        Mask (brain) on the background's grid that the slices and the crop are fitted to; all that isn't air when None.

    Raises
    ------
    GeometryError
        When a mask lies on another grid than the background.
    """
    scan = displayed(background)
    extent = shown_extent(background, within)
    edges = [(displayed_on(background, o.mask).data > 0.5, o) for o in outlines]
    drawn = _union([mask for mask, _ in edges])
    bounds = bounds_of(extent if drawn is None else extent | drawn, scan.grid.spacing_mm)
    chosen = choose_slices(extent if drawn is None else extent | drawn, drawn, slices)
    window = window or window_of(scan.data, extent)
    size = pixel_mm(scan.grid, "axial")
    sheet = Sheet(len(chosen), columns, panel_mm(bounds, "axial", size), title)
    for number, index in enumerate(chosen):
        axes = sheet.panel(number)
        draw_slice(axes, crop(scan.data, "axial", index, bounds), size, window)
        draw_edges(axes, [Edge(crop(m, "axial", index, bounds), o.colour, o.dashed) for m, o in edges], size)
        letter_sides(axes, "axial")
        if scan.grid.shape[2] > 1:
            write(axes, place(position_mm(scan.grid, "axial", index), "z"), 0.025, 0.02, "left", "bottom", FAINT_INK)
    sheet.footer(outlines, (*_left_out(drawn, chosen), CONVENTION))
    return encode_png(sheet.figure)


def _left_out(drawn: npt.NDArray[np.bool_] | None, chosen: Sequence[int]) -> list[str]:
    """In words, how many connected parts of what is outlined the slices show; nothing where it is all of them."""
    shown = np.empty(0, bool) if drawn is None else parts_by_slice(drawn)[:, list(chosen)].any(axis=1)
    return [] if shown.all() else [f"{np.count_nonzero(shown)} of {shown.size} outlined parts lie on these slices"]


def place(mm: float, axis: str) -> str:
    """A slice's position for people.

    >>> place(-12.4, "z")
    'z −12 mm'
    """
    return f"{axis} {round(mm):+d} mm".replace("-", "−")


def crop(data: Array, plane: Plane, index: int, bounds: Bounds) -> Array:
    """The picture of a slice, cut to the bounds of the other two axes; ``index`` counts in the whole array."""
    view = VIEWS[plane]
    sides: list[slice] = list(bounds)
    sides[view.normal] = slice(index, index + 1)
    return cut(data[tuple(sides)], plane, 0)


def panel_mm(bounds: Bounds, plane: Plane, size: tuple[float, float]) -> tuple[float, float]:
    """Height and width of the picture that the bounds cut out, in mm; ``size`` is that of a pixel."""
    view = VIEWS[plane]
    rows, columns = bounds[view.rows], bounds[view.columns]
    return (rows.stop - rows.start) * size[0], (columns.stop - columns.start) * size[1]


def shown_extent(background: Volume, within: Volume | None) -> npt.NDArray[np.bool_]:
    """(I, J, K) in display order: what pictures should cover, ``within`` or all that isn't air."""
    if within is None:
        return foreground(displayed(background))
    inside = np.asarray(displayed_on(background, within).data > 0.5)
    return inside if inside.any() else foreground(displayed(background))


def _union(masks: Sequence[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_] | None:
    return np.logical_or.reduce(masks) if masks else None
