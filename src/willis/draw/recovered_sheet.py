"""A colour-coded map as it was given, its bar framed, above the values that were read from it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.patches import Rectangle

from willis.draw.map_sheet import BAR_PX, ColourMap, colormap_of, draw_bar, kept_colours
from willis.draw.palette import INK, SERIES
from willis.draw.panel import letter_sides, write
from willis.draw.png import encode_png, points
from willis.draw.sheet import CONVENTION, Sheet


def recovered_sheet(
    pictures: npt.NDArray[np.uint8],
    bar: tuple[slice, slice],
    recovered: ColourMap,
    where: npt.NDArray[np.bool_],
    *,
    slices: int = 5,
) -> bytes:
    """PNG with some slices as they were given in the upper row, and what was read of them in the lower one.

    Parameters
    ----------
    pictures
        (rows, columns, slices, 3) as given; row 0 anterior, column 0 the patient's right.
    bar
        Rows and columns of the colour bar.
    recovered
        Values on the grid of the pictures: its first axis runs along the columns, its second along the rows.
    where
        (columns, rows, slices) where there is a value.
    """
    held = np.flatnonzero(where.any(axis=(0, 1)))
    chosen = np.unique(held[np.linspace(0, len(held) - 1, slices + 2).round().astype(int)[1:-1]])
    across, along = recovered.volume.grid.spacing_mm[:2]
    height, width = pictures.shape[0] * along, pictures.shape[1] * across
    sheet = Sheet(2 * len(chosen), len(chosen), (height, width), right_px=BAR_PX)
    values = np.where(where, recovered.volume.data, np.nan)
    for column, k in enumerate(chosen):
        for row in (0, 1):
            axes = sheet.panel(row * len(chosen) + column)
            extent = (0, width, height, 0)
            if row == 0:
                axes.imshow(pictures[:, :, k], extent=extent, interpolation="nearest", aspect="auto")
                axes.add_patch(_frame(bar, along, across))
            else:
                axes.imshow(
                    np.ma.masked_invalid(values[:, :, k].T), cmap=colormap_of(recovered.colours),
                    vmin=recovered.limits[0], vmax=recovered.limits[1], extent=extent, interpolation="nearest",
                    aspect="auto",
                )  # fmt: skip
            letter_sides(axes, "axial")
            if column == 0:
                words = "as given, its bar framed" if row == 0 else "as read"
                write(axes, words, 0.5, 0.02, "center", "bottom", INK, bold=True)
    draw_bar(sheet, 1, recovered)
    sheet.footer((), (CONVENTION,))
    return encode_png(sheet.figure, kept=kept_colours([recovered]))


def _frame(bar: tuple[slice, slice], along: float, across: float) -> Rectangle:
    rows, columns = bar
    return Rectangle(
        ((columns.start - 2) * across, (rows.start - 2) * along),
        (columns.stop - columns.start + 4) * across,
        (rows.stop - rows.start + 4) * along,
        fill=False, edgecolor=SERIES[4], lw=points(3),
    )  # fmt: skip
