"""Slices in colour, side by side in rows, below lines of coloured text on black."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLUMNS = 5
PANEL_IN = 3.0  # inches, as FVV's synthesis has them
DPI = 150
FONT_PT = 16


@dataclass(frozen=True)
class Line:
    """One line of text and its colour."""

    text: str
    colour: str


def tiled_png(pictures: Sequence[npt.NDArray[np.uint8]], lines: Sequence[Line]) -> bytes:
    """PNG with the lines in the first row and the pictures, five a row, below.

    Parameters
    ----------
    pictures
        Each (rows, columns, 3), ``uint8``.
    lines
        Spread evenly over the first row.
    """
    rows = 1 + -(-len(pictures) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * PANEL_IN, rows * PANEL_IN), dpi=DPI, facecolor="black")
    FigureCanvasAgg(figure)
    for number, line in enumerate(lines):
        height = 1 - (number + 1) / (len(lines) + 1) / rows
        figure.text(0.02, height, line.text, color=line.colour, fontsize=FONT_PT, va="center")
    for number, picture in enumerate(pictures):
        row, column = 1 + number // COLUMNS, number % COLUMNS
        axes = figure.add_axes((column / COLUMNS, 1 - (row + 1) / rows, 1 / COLUMNS, 1 / rows))
        axes.set_axis_off()
        axes.imshow(picture, interpolation="nearest")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, facecolor="black")
    return buffer.getvalue()
