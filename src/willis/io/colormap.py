"""Colour-coded maps: the colour bar found wherever it stands, colours turned back into numbers by it, and painted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from willis.errors import BadInputError

Rgb = npt.NDArray[np.uint8]

COLOURED = 30  # difference of a pixel's largest and smallest channel from which it is a colour, not grey
ALIKE = 10  # largest difference of a channel between pixels that lie beside each other across a bar
LEAST_LENGTH, LEAST_WIDTH = 32, 3  # pixels of a bar
LEAST_ASPECT = 4.0
LEAST_COLOURS = 8
LEAST_FILL = 0.85  # of its box
FARTHEST = 60.0  # from the bar in RGB: what is farther (text, grey) isn't of the map
LEAST_COLOURED_SHARE = 0.002  # of all pixels
MARGIN = 4  # pixels about the bar that are cleared too


@dataclass(frozen=True)
class ColourBar:
    """A bar in a stack of pictures.

    Parameters
    ----------
    rows, columns
        Where it stands in every picture.
    colours
        (n, 3) ``uint8`` from the low end to the high one: from below to above, or from left to right.
    """

    rows: slice
    columns: slice
    colours: Rgb


def find_bar(pictures: Rgb) -> ColourBar | None:
    """The colour bar of a stack of pictures (rows, columns, slices, 3); None when there is none.

    A bar is a long rectangle whose colour is the same across it, changes along it, and is the same in all pictures.
    """
    steady = pictures.max(axis=2).astype(int) - pictures.min(axis=2) <= ALIKE
    picture = np.median(pictures, axis=2).astype(int)
    colour = (np.ptp(picture, axis=2) >= COLOURED) & steady.all(axis=2)
    found = [bar for upright in (True, False) if (bar := _bar_along(picture, colour, upright)) is not None]
    return max(found, key=lambda bar: len(bar.colours), default=None)


def _bar_along(picture: npt.NDArray[np.int_], colour: npt.NDArray[np.bool_], upright: bool) -> ColourBar | None:
    if not upright:
        picture, colour = picture.swapaxes(0, 1), colour.T
    beside = np.abs(np.diff(picture, axis=1)).max(axis=2) <= ALIKE
    alike = np.zeros(colour.shape, dtype=bool)
    alike[:, :-1] |= beside & colour[:, 1:]
    alike[:, 1:] |= beside & colour[:, :-1]
    labels, _ = ndimage.label(alike & colour)
    best: ColourBar | None = None
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        length, width = (s.stop - s.start for s in box)
        filled = float((labels[box] == number).mean())
        if length < LEAST_LENGTH or width < LEAST_WIDTH or length < LEAST_ASPECT * width or filled < LEAST_FILL:
            continue
        inner = picture[box][:, width // 4 : max(width - width // 4, width // 4 + 1)]
        line = np.rint(np.median(inner, axis=1)).astype(np.uint8)
        if len(np.unique(line // 8, axis=0)) < LEAST_COLOURS or (best is not None and length <= len(best.colours)):
            continue
        rows, columns = (box[0], box[1]) if upright else (box[1], box[0])
        best = ColourBar(rows, columns, line[::-1].copy() if upright else line)
    return best


def without_bar(pictures: Rgb, bar: ColourBar) -> Rgb:
    """The pictures with the bar, its labels beside it, and all up to the nearer border black.

    The side of the picture on which the bar stands is cleared up to the border, as are the labels on its inner side
    as far as they are grey.
    """
    out = pictures.copy()
    upright = bar.rows.stop - bar.rows.start >= bar.columns.stop - bar.columns.start
    across, size = (bar.columns, pictures.shape[1]) if upright else (bar.rows, pictures.shape[0])
    near_start = across.start + across.stop < size
    clear = slice(0, across.stop + MARGIN) if near_start else slice(max(across.start - MARGIN, 0), size)
    if upright:
        out[:, clear] = 0
    else:
        out[clear] = 0
    return out


def shares_of(pictures: Rgb, bar: ColourBar) -> npt.NDArray[np.float32]:
    """(rows, columns, slices) place of each pixel's colour on the bar, 0 at its low end to 1; NaN where there is none.

    Raises
    ------
    BadInputError
        When hardly any pixel has a colour of the bar.
    """
    plain = without_bar(pictures, bar)
    flat = plain.reshape(-1, 3)
    coloured = np.ptp(flat.astype(int), axis=1) >= COLOURED
    share = np.full(len(flat), np.nan, dtype=np.float32)
    known, where = np.unique(flat[coloured], axis=0, return_inverse=True)
    if len(known):
        away, place = cKDTree(bar.colours.astype(float)).query(known.astype(float))
        values = np.where(away <= FARTHEST, place / (len(bar.colours) - 1), np.nan)
        share[coloured] = values[where.ravel()]
    if np.isfinite(share).mean() < LEAST_COLOURED_SHARE:
        raise BadInputError("hardly any pixel has a colour of the bar; is this a colour-coded map?")
    return share.reshape(plain.shape[:3])


def jet(count: int = 256) -> Rgb:
    """(count, 3) the usual rainbow from dark blue over green to dark red."""
    x = np.linspace(0, 1, count)[:, None]
    centres = np.array([0.75, 0.5, 0.25])
    return np.asarray(np.rint(255 * np.clip(1.5 - np.abs(4 * (x - centres)), 0, 1)), dtype=np.uint8)


def paint(values: npt.NDArray[Any], limits: tuple[float, float], colours: Rgb, where: npt.NDArray[np.bool_]) -> Rgb:
    """(..., 3) values in the colours of a table, black outside ``where``; beyond the limits the end colours."""
    low, high = limits
    index = np.rint((values - low) / (high - low) * (len(colours) - 1))
    painted = colours[np.clip(np.nan_to_num(index), 0, len(colours) - 1).astype(int)]
    return np.where(where[..., None], painted, 0).astype(np.uint8)


def with_bar(pictures: Rgb, colours: Rgb, *, column: int, width: int = 10) -> Rgb:
    """Pictures (rows, columns, slices, 3) with a bar that stands at a column, low end below."""
    out = pictures.copy()
    rows = pictures.shape[0]
    span = slice(rows // 5, rows - rows // 5)
    length = span.stop - span.start
    line = colours[np.rint(np.linspace(len(colours) - 1, 0, length)).astype(int)]
    out[span, column : column + width] = line[:, None, None]
    return out
