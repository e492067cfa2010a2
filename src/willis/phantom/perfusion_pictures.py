"""Perfusion maps of a phantom as vendors export them: coloured, with a bar, its numbers and burned-in text.

No vendor publishes its pictures' layout: places, sizes and tables are assumed, after what exported maps look like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from willis.errors import invalid_option
from willis.io.colormap import paint
from willis.io.colour_bar import Rgb
from willis.io.colour_tables import COLOUR_TABLES, colour_table

Place = Literal["left", "right", "above", "below"]
PLACES: tuple[Place, ...] = ("left", "right", "above", "below")
BORDER_PX = 64  # about the map: holds bar, numbers and text
BAR_WIDTH_PX = 10
BAR_INSET_PX = 12  # from the picture's border
TICK_PX, TICKS = 3, 5
LETTER_PX = 11
WHITE = (255, 255, 255)
PLAIN_SHARE = 0.3  # of drawn styles without a frame


@dataclass(frozen=True)
class PictureStyle:
    """How a map is exported.

    Parameters
    ----------
    colours
        One of :data:`willis.io.colour_tables.COLOUR_TABLES`.
    bar
        On which side of the map it stands; upright on the left and right, level above and below.
    reversed
        Whether the high end is below (upright) or on the left (level).
    frame
        Whether a white line runs about the bar.
    text
        Whether name, date, title and slice number are burned in.
    ground
        Grey level about the map, 0 to 255.
    """

    colours: str = "jet"
    bar: Place = "right"
    reversed: bool = False
    frame: bool = False
    text: bool = True
    ground: int = 0


@dataclass(frozen=True)
class VendorPictures:
    """Exported pictures.

    Parameters
    ----------
    pictures
        (rows, columns, slices, 3).
    rows, columns
        Where the map lies in them.
    """

    pictures: Rgb
    rows: slice
    columns: slice


def draw_style(rng: np.random.Generator) -> PictureStyle:
    """Draw a way to export, the bar the usual way round and on a black ground."""
    return PictureStyle(
        colours=str(rng.choice(COLOUR_TABLES)),
        bar=PLACES[int(rng.integers(len(PLACES)))],
        frame=bool(rng.random() >= PLAIN_SHARE),
    )


def vendor_pictures(
    values: npt.NDArray[Any], limits: tuple[float, float], where: npt.NDArray[np.bool_], style: PictureStyle,
    title: str = "Tmax",
) -> VendorPictures:  # fmt: skip
    """Paint a map as a vendor does.

    Parameters
    ----------
    values, where
        (rows, columns, slices) values, and where there are any; row 0 anterior, column 0 the patient's right.
    limits
        Values at the low and the high end of the bar.
    style
        How.
    title
        Burned in above.

    Raises
    ------
    BadInputError
        When the style's table or place isn't one of those allowed.
    """
    if style.bar not in PLACES:
        raise invalid_option("bar", style.bar, PLACES)
    table = colour_table(style.colours)
    painted = paint(values, limits, table, where)
    painted[~where] = style.ground
    border = ((BORDER_PX, BORDER_PX), (BORDER_PX, BORDER_PX), (0, 0), (0, 0))
    canvas = np.pad(painted, border, constant_values=style.ground)
    slices = [_lettered(canvas[:, :, k], table, limits, style, f"{title} {k + 1}") for k in range(canvas.shape[2])]
    rows, columns = (slice(BORDER_PX, BORDER_PX + n) for n in values.shape[:2])
    return VendorPictures(np.stack(slices, axis=2), rows, columns)


def _lettered(canvas: Rgb, table: Rgb, limits: tuple[float, float], style: PictureStyle, title: str) -> Rgb:
    """(rows, columns, 3) one picture with its bar, numbers and text."""
    image = Image.fromarray(np.ascontiguousarray(canvas))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(LETTER_PX)
    if style.text:
        draw.text((image.width // 2, 4), title, WHITE, font, "ma")
        draw.text((4, 4), "PHANTOM 0001", WHITE, font)
        draw.text((image.width - 4, image.height - 4), "2000-01-01", WHITE, font, "rd")
    _draw_bar(image, draw, table, style)
    for share in np.linspace(0, 1, TICKS):
        value = limits[0] + (1 - share if style.reversed else share) * (limits[1] - limits[0])
        _draw_number(draw, font, _bar_box(image, style), style, float(share), f"{value:g}")
    return np.asarray(image, dtype=np.uint8)


def _bar_box(image: Image.Image, style: PictureStyle) -> tuple[int, int, int, int]:
    """Left, upper, right and lower pixel of the bar, the last two behind it."""
    width, height = image.size
    first = {
        "left": (BAR_INSET_PX, height // 5),
        "right": (width - 3 * BAR_INSET_PX - BAR_WIDTH_PX, height // 5),
        "above": (width // 5, 2 * BAR_INSET_PX),
        "below": (width // 5, height - 3 * BAR_INSET_PX - BAR_WIDTH_PX),
    }[style.bar]
    upright = style.bar in ("left", "right")
    size = (BAR_WIDTH_PX, height - 2 * first[1]) if upright else (width - 2 * first[0], BAR_WIDTH_PX)
    return first[0], first[1], first[0] + size[0], first[1] + size[1]


def _draw_bar(image: Image.Image, draw: ImageDraw.ImageDraw, table: Rgb, style: PictureStyle) -> None:
    left, upper, right, lower = _bar_box(image, style)
    upright = style.bar in ("left", "right")
    length = lower - upper if upright else right - left
    line = table[np.rint(np.linspace(0, len(table) - 1, length)).astype(int)]
    if upright != style.reversed:  # rows run downwards, against an upright bar
        line = line[::-1]
    strip = np.broadcast_to(line[:, None] if upright else line[None], (lower - upper, right - left, 3))
    if style.frame:
        draw.rectangle((left - 1, upper - 1, right, lower), outline=WHITE)
    image.paste(Image.fromarray(np.ascontiguousarray(strip)), (left, upper))


def _draw_number(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, box: tuple[int, int, int, int],
    style: PictureStyle, share: float, text: str,
) -> None:  # fmt: skip
    """A tick outside the bar at a share of its length from below or from the left, and its number."""
    left, upper, right, lower = box
    if style.bar in ("left", "right"):
        y = lower - 1 - round(share * (lower - upper - 1))
        draw.line((right, y, right + TICK_PX, y), fill=WHITE)
        draw.text((right + TICK_PX + 3, y), text, WHITE, font, "lm")
    else:
        x = left + round(share * (right - left - 1))
        draw.line((x, lower, x, lower + TICK_PX), fill=WHITE)
        draw.text((x, lower + TICK_PX + 3), text, WHITE, font, "ma")
