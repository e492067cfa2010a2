"""PNG bytes of a drawn figure: the same bytes on every run, and small enough to lie inside a page."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import cKDTree

DPI = 100  # pixels an inch: sizes of this room are in pixels of the picture
MOST_BYTES = 400_000  # a report holds about ten pictures and should still go by mail
GREYS = (128, 80, 56, 40)  # steps from black to white, tried in turn until the picture is small enough
COLOURS = 96  # kept for what isn't grey: outlines, their soft edges, colour maps
NEAR = 14.0  # from a kept colour in RGB, within which it stands for a pixel
GREY_SPREAD = 10  # largest difference of red, green and blue of a pixel that passes for grey

Pixels = npt.NDArray[np.uint8]


def points(pixels: float) -> float:
    """Length in matplotlib's points of a length in pixels of the picture."""
    return pixels * 72 / DPI


def blank_figure(width: int, height: int, colour: str) -> Figure:
    """A figure of so many pixels, filled with one colour, that belongs to no window."""
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=colour)
    FigureCanvasAgg(figure)
    return figure


def encode_png(figure: Figure, most_bytes: int = MOST_BYTES, kept: Pixels | None = None) -> bytes:
    """Draw the figure and pack it as a PNG with at most 256 colours, with fewer greys when it would be too large.

    ``kept``, (n, 3), are colours that stand for themselves, however rare they are: those of a map's bar.

    The PNG carries no text, date or software name, so that equal pictures have equal bytes.
    """
    canvas: Any = figure.canvas
    canvas.draw()
    pixels = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    spread = pixels.max(axis=2).astype(int) - pixels.min(axis=2)
    coloured = spread > GREY_SPREAD
    indices, colours = _quantised(pixels[coloured], np.empty((0, 3), np.uint8) if kept is None else kept)
    packed = b""
    for greys in GREYS:
        index = np.rint(pixels.mean(axis=2) * (greys - 1) / 255).astype(np.uint8)
        index[coloured] = indices + greys
        packed = _packed(index, np.concatenate([_grey_ramp(greys), colours]))
        if len(packed) <= most_bytes:
            break
    return packed


def _quantised(pixels: Pixels, kept: Pixels) -> tuple[Pixels, Pixels]:
    """Indices (n,) and colours (m, 3) that stand best for pixels (n, 3), however few these are; the kept ones first."""
    if len(kept) == 0 or len(pixels) == 0:
        return _cut(pixels, COLOURS)
    known, where = np.unique(pixels, axis=0, return_inverse=True)
    away, place = cKDTree(kept.astype(float)).query(known.astype(float))
    far = np.asarray(away > NEAR)[where.ravel()]
    index = np.asarray(place, dtype=np.uint8)[where.ravel()]
    others, palette = _cut(pixels[far], COLOURS - len(kept))
    index[far] = others + len(kept)
    return index, np.concatenate([kept, palette])


def _cut(pixels: Pixels, count: int) -> tuple[Pixels, Pixels]:
    if len(pixels) == 0:
        return np.empty(0, np.uint8), np.empty((0, 3), np.uint8)
    strip = Image.fromarray(pixels[None]).quantize(count, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = np.array(strip.getpalette(), np.uint8).reshape(-1, 3)
    return np.asarray(strip).ravel(), palette[:count]


def _grey_ramp(steps: int) -> Pixels:
    return np.repeat(np.linspace(0, 255, steps).round().astype(np.uint8)[:, None], 3, axis=1)


def _packed(index: Pixels, palette: Pixels) -> bytes:
    picture = Image.fromarray(index, mode="P")
    picture.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
