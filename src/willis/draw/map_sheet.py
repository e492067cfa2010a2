"""Maps in colour with their bar: one row of slices for each map, outlines on top; and curves over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, Normalize

from willis.draw.mosaic import crop, panel_mm, place
from willis.draw.palette import FAINT_INK, INK, PAPER, PAPER_FAINT, PAPER_INK
from willis.draw.panel import Edge, Outline, draw_edges, letter_sides, write
from willis.draw.planes import displayed, displayed_on, pixel_mm, position_mm
from willis.draw.png import blank_figure, encode_png, points
from willis.draw.sheet import CONVENTION, WIDTH_PX, Sheet
from willis.draw.slices import bounds_of, choose_slices
from willis.volume.volume import Volume

BAR_PX = 120
KEPT = 64  # colours of bars that stay as they are; the others are for outlines and soft edges
CHART_PX = (1000, 380)


@dataclass(frozen=True)
class ColourMap:
    """One map, how it is called with its unit, the values at the ends of its bar, and its colours.

    Parameters
    ----------
    colours
        Name of matplotlib's, or (n, 3) ``uint8`` from low to high.
    """

    volume: Volume
    title: str
    limits: tuple[float, float]
    colours: str | npt.NDArray[np.uint8]


def map_sheet(
    maps: Sequence[ColourMap], within: Volume, outlines: Sequence[Outline] = (), *, slices: int = 6, title: str = ""
) -> bytes:
    """PNG with a row for each map, the same slices below each other, outside ``within`` black.

    Half of the slices go where the outlined area is.

    Raises
    ------
    GeometryError
        When a map or mask lies on another grid than ``within``.
    """
    extent = displayed(within).data > 0
    grid = displayed(within).grid
    edges = [(displayed_on(within, o.mask).data > 0.5, o) for o in outlines]
    drawn = np.logical_or.reduce([m for m, _ in edges]) if edges else None
    bounds, size = bounds_of(extent, grid.spacing_mm), pixel_mm(grid, "axial")
    chosen = choose_slices(extent, drawn, slices)
    sheet = Sheet(len(maps) * len(chosen), len(chosen), panel_mm(bounds, "axial", size), title, right_px=BAR_PX)
    for row, shown in enumerate(maps):
        values = np.where(extent, displayed_on(within, shown.volume).data, np.nan)
        for column, index in enumerate(chosen):
            axes = sheet.panel(row * len(chosen) + column)
            picture = crop(values, "axial", index, bounds)
            height, width = picture.shape[0] * size[0], picture.shape[1] * size[1]
            axes.imshow(
                np.ma.masked_invalid(picture), cmap=colormap_of(shown.colours), vmin=shown.limits[0],
                vmax=shown.limits[1], extent=(0, width, height, 0), interpolation="nearest", aspect="auto",
            )  # fmt: skip
            axes.set_autoscale_on(False)
            draw_edges(axes, [Edge(crop(m, "axial", index, bounds), o.colour, o.dashed) for m, o in edges], size)
            letter_sides(axes, "axial")
            if row == 0:
                write(axes, place(position_mm(grid, "axial", index), "z"), 0.025, 0.02, "left", "bottom", FAINT_INK)
        draw_bar(sheet, row, shown)
    sheet.footer(outlines, (CONVENTION,))
    return encode_png(sheet.figure, kept=kept_colours(maps))


def curve_chart(curves: Mapping[str, npt.NDArray[np.float64]], times_s: npt.NDArray[np.float64],
                colours: Mapping[str, str], baseline_end_s: float) -> bytes:  # fmt: skip
    """PNG of curves over time on white, each scaled to its own peak, which the legend gives in HU."""
    width, height = CHART_PX
    figure = blank_figure(width, height, PAPER)
    axes = figure.add_axes((0.07, 0.16, 0.9, 0.78))
    axes.set_facecolor(PAPER)
    for name, curve in curves.items():
        top = float(np.max(curve))
        axes.plot(times_s, curve / top if top > 0 else curve, color=colours[name], lw=points(2.5),
                  label=f"{name}, peak {top:.0f} HU" if top >= 10 else f"{name}, peak {top:.1f} HU")  # fmt: skip
    axes.axvline(baseline_end_s, color=PAPER_FAINT, lw=points(1.2), ls="--")
    axes.set_xlabel("time, s", fontsize=points(16), color=PAPER_INK)
    axes.set_ylabel("part of the peak", fontsize=points(16), color=PAPER_INK)
    axes.tick_params(labelsize=points(14), colors=PAPER_INK)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_edgecolor(PAPER_FAINT)
    axes.legend(fontsize=points(15), frameon=False, loc="upper right")
    return encode_png(figure)


def kept_colours(maps: Sequence[ColourMap]) -> npt.NDArray[np.uint8]:
    """(n, 3) colours of the maps' bars, in even steps, that a picture of few colours must not lose."""
    share = np.linspace(0, 1, KEPT)
    every = np.concatenate([np.asarray(colormap_of(shown.colours)(share))[:, :3] for shown in maps])
    found = np.unique(np.rint(255 * every).astype(np.uint8), axis=0)
    return found[:: -(-len(found) // KEPT)]


def colormap_of(colours: str | npt.NDArray[np.uint8]) -> Colormap:
    """Colours of a map; black where there is no value."""
    found = colormaps[colours] if isinstance(colours, str) else ListedColormap(np.asarray(colours) / 255.0)
    return found.with_extremes(bad="black")


def draw_bar(sheet: Sheet, row: int, shown: ColourMap) -> None:
    """The bar of a map with its title and values, on the right of a row of panels."""
    top = sheet.top + row * (sheet.panel_h + 6)
    box = (1 - (BAR_PX - 14) / WIDTH_PX, 1 - (top + 0.92 * sheet.panel_h) / sheet.height, 16 / WIDTH_PX,
           0.8 * sheet.panel_h / sheet.height)  # fmt: skip
    axes = sheet.figure.add_axes(box)
    bar = sheet.figure.colorbar(ScalarMappable(Normalize(*shown.limits), colormap_of(shown.colours)), cax=axes)
    bar.ax.tick_params(labelsize=points(14), colors=INK, width=points(1), length=points(4))
    bar.ax.locator_params(nbins=4)
    bar.set_label(shown.title, color=INK, fontsize=points(15), fontweight="bold")
    bar.outline.set_visible(False)
