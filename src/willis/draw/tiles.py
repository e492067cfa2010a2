"""Slices in colour, side by side in rows, below a row of captions, as FVV's synthesis has them."""

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
TITLE_PT, VALUE_PT = 15, 18


@dataclass(frozen=True)
class Caption:
    """A title in its colour and a value below it."""

    title: str
    value: str
    colour: str
    value_colour: str = "black"


def tiled_png(pictures: Sequence[npt.NDArray[np.uint8]], captions: Sequence[Caption]) -> bytes:
    """PNG with the captions in the first row and the pictures, five a row, below.

    Parameters
    ----------
    pictures
        Each (rows, columns, 3), ``uint8``.
    captions
        One a place of the first row, five at most.
    """
    rows = 1 + -(-len(pictures) // COLUMNS)
    figure = Figure(figsize=(COLUMNS * PANEL_IN, rows * PANEL_IN), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    height = 1 - 0.5 / rows
    for number, caption in enumerate(captions):
        middle = (number + 0.5) / COLUMNS
        figure.text(middle, height, caption.title, color=caption.colour, fontsize=TITLE_PT, ha="center", va="bottom")
        figure.text(middle, height, caption.value, color=caption.value_colour, fontsize=VALUE_PT, ha="center", va="top")
    for number, picture in enumerate(pictures):
        row, column = 1 + number // COLUMNS, number % COLUMNS
        axes = figure.add_axes((column / COLUMNS, 1 - (row + 1) / rows, 1 / COLUMNS, 1 / rows))
        axes.set_axis_off()
        axes.imshow(picture, interpolation="nearest")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, facecolor="white")
    return buffer.getvalue()
