"""One panel: a slice in its true proportions with outlines, side letters and its position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from willis.draw.palette import BLACK, FAINT_INK, FOUND, INK
from willis.draw.planes import VIEWS, Array, Plane
from willis.draw.png import points
from willis.volume.volume import Volume

TEXT_PX = 15  # of 1280 px across: still 11 px where the report shows the picture 940 px wide
LINE_PX = 1.6
Window = tuple[float, float]


@dataclass(frozen=True)
class Outline:
    """The edge of a mask, drawn over a slice.

    Parameters
    ----------
    mask
        On the background's grid; its contour at 0.5 is drawn.
    colour
        One of :mod:`willis.draw.palette`.
    label
        Words for the legend; no legend entry when empty.
    dashed
        A broken line, to tell two outlines apart without colour.
    """

    mask: Volume
    colour: str = FOUND
    label: str = ""
    dashed: bool = False


@dataclass(frozen=True)
class Edge:
    """An outline cut to one slice: picture (rows, columns) and how its edge is drawn."""

    picture: Array
    colour: str
    dashed: bool = False


def window_of(data: Array, within: Array | None = None, brightest: float = 99.9) -> Window:
    """Low and high value to show: 0.5th and ``brightest`` percentile of the finite values inside ``within``."""
    values = np.asarray(data if within is None or not within.any() else data[within], dtype=np.float32)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (0.5, brightest))
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Bare axes at a place of the figure given in pixels from its upper left corner."""
    whole_w, whole_h = figure.get_size_inches() * figure.dpi
    axes = figure.add_axes((left / whole_w, 1 - (top + height) / whole_h, width / whole_w, height / whole_h))
    axes.set_axis_off()
    axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, color=BLACK, zorder=-1))
    return axes


def draw_slice(axes: Axes, picture: Array, pixel_mm: tuple[float, float], window: Window) -> None:
    """Show a slice in grey, in mm, so that voxels that are not square keep their proportions."""
    height, width = picture.shape[0] * pixel_mm[0], picture.shape[1] * pixel_mm[1]
    axes.imshow(
        np.nan_to_num(np.asarray(picture, dtype=np.float32)),
        cmap="gray", vmin=window[0], vmax=window[1], extent=(0, width, height, 0),
        interpolation="bicubic", aspect="auto",
    )  # fmt: skip
    axes.set_autoscale_on(False)  # a contour would widen the panel by its own margin


def draw_edges(axes: Axes, edges: Sequence[Edge], pixel_mm: tuple[float, float]) -> None:
    """Draw the contour at 0.5 of each mask, closed at the picture's border too."""
    for edge in edges:
        if not (edge.picture > 0.5).any():
            continue
        closed = np.pad(np.asarray(edge.picture, dtype=np.float32), 1)
        y = (np.arange(closed.shape[0]) - 0.5) * pixel_mm[0]
        x = (np.arange(closed.shape[1]) - 0.5) * pixel_mm[1]
        style = (0, (4, 2)) if edge.dashed else "solid"
        axes.contour(x, y, closed, [0.5], colors=[edge.colour], linewidths=points(LINE_PX), linestyles=[style])


def letter_sides(axes: Axes, plane: Plane, all_four: bool = False) -> None:
    """Write the patient's sides in the picture's corners: R on the left, L on the right of an axial slice."""
    left, right, top, bottom = VIEWS[plane].letters
    places = [(left, 0.025, 0.98, "left", "top"), (right, 0.975, 0.98, "right", "top")]
    if all_four:
        places += [(top, 0.5, 0.98, "center", "top"), (bottom, 0.5, 0.02, "center", "bottom")]
    for letter, x, y, horizontal, vertical in places:
        write(axes, letter, x, y, horizontal, vertical, INK, bold=True)


def write(
    axes: Axes, text: str, x: float, y: float, horizontal: str = "left", vertical: str = "top",
    colour: str = FAINT_INK, bold: bool = False,
) -> None:  # fmt: skip
    """Write on a panel, at a place given as parts of its width and height, with a rim that keeps it readable."""
    axes.text(
        x, y, text, transform=axes.transAxes, ha=horizontal, va=vertical, color=colour, fontsize=points(TEXT_PX),
        fontweight="bold" if bold else "normal", path_effects=[withStroke(linewidth=points(4), foreground=BLACK)],
    )  # fmt: skip
