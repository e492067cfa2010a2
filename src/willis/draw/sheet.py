"""A sheet of panels: the ground, a title, rows and columns of slices, and a legend with a scale bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from willis.draw.palette import FAINT_INK, GROUND, INK
from willis.draw.panel import TEXT_PX, Outline, add_axes
from willis.draw.png import DPI, blank_figure, points

WIDTH_PX = 1280  # of every sheet
GAP_PX = 6
HEADER_PX = 40
FOOTER_PX = 44
SCALE_BAR_MM = 50.0
CONVENTION = "R: patient's right, shown on the left"


class Sheet:
    """A dark page on which panels of one size are laid in rows.

    Parameters
    ----------
    count, columns
        Number of panels, and how many of them stand side by side.
    panel_mm
        Height and width that every panel shows.
    title
        Stands above the panels when not empty.
    right_px
        Width kept free on the right, for a colour bar.
    """

    def __init__(
        self, count: int, columns: int, panel_mm: tuple[float, float], title: str = "", right_px: int = 0
    ) -> None:
        self.columns = min(columns, count)
        self.panel_w = (WIDTH_PX - right_px - GAP_PX * (self.columns + 1)) / self.columns
        self.panel_h = self.panel_w * panel_mm[0] / panel_mm[1]
        self.px_per_mm = self.panel_w / panel_mm[1]
        self.top = HEADER_PX if title else GAP_PX
        rows = -(-count // self.columns)
        self.height = round(self.top + rows * (self.panel_h + GAP_PX) + FOOTER_PX)
        self.figure: Figure = blank_figure(WIDTH_PX, self.height, GROUND)
        if title:
            self._text(title, 2 * GAP_PX, HEADER_PX / 2, INK, bold=True)

    def panel(self, number: int) -> Axes:
        """Axes of panel ``number``, counted along the rows from 0."""
        row, column = divmod(number, self.columns)
        left = GAP_PX + column * (self.panel_w + GAP_PX)
        return add_axes(self.figure, left, self.top + row * (self.panel_h + GAP_PX), self.panel_w, self.panel_h)

    def footer(self, outlines: Sequence[Outline] = (), words: Iterable[str] = (CONVENTION,)) -> None:
        """A scale bar of 5 cm, a legend of the outlines that have a label, and words at the right.

        Of the words, the last are left out for which the legend leaves no room.
        """
        middle = self.height - FOOTER_PX / 2
        bar = SCALE_BAR_MM * self.px_per_mm
        x = 2.0 * GAP_PX
        self._line(x, x + bar, middle, INK)
        x = self._text("5 cm", x + bar + 10, middle, FAINT_INK) + 34
        for outline in outlines:
            if outline.label:
                self._line(x, x + 34, middle, outline.colour, outline.dashed)
                x = self._text(outline.label, x + 44, middle, INK) + 30
        said = list(words)
        while said and not self._ends_right("   ".join(said), middle, x):
            said.pop()

    def _line(self, start: float, end: float, y: float, colour: str, dashed: bool = False) -> None:
        place = 1 - y / self.height
        line = Line2D(
            (start / WIDTH_PX, end / WIDTH_PX), (place, place), color=colour, lw=points(3), solid_capstyle="butt"
        )
        if dashed:
            line.set_linestyle((0, (2, 1)))
        self.figure.add_artist(line)

    def _text(self, words: str, x: float, y: float, colour: str, *, bold: bool = False) -> float:
        """Write, and give the x in pixels where the words end."""
        text = self._written(words, x, y, colour, "left", bold=bold)
        return float(self._extent(text)[1])

    def _ends_right(self, words: str, y: float, right_of: float) -> bool:
        """Write so that the words end at the sheet's right, unless they would begin before ``right_of``."""
        text = self._written(words, WIDTH_PX - 2 * GAP_PX, y, FAINT_INK, "right")
        if self._extent(text)[0] < right_of:
            text.remove()
            return False
        return True

    def _written(self, words: str, x: float, y: float, colour: str, side: str, *, bold: bool = False) -> Text:
        return self.figure.text(
            x / WIDTH_PX, 1 - y / self.height, words, color=colour, fontsize=points(TEXT_PX + 2 * bold),
            fontweight="bold" if bold else "normal", ha=side, va="center_baseline",
        )  # fmt: skip

    def _extent(self, text: Text) -> tuple[float, float]:
        """Where a text begins and ends, in pixels from the sheet's left."""
        extent = text.get_window_extent(self.figure.canvas.get_renderer())  # type: ignore[attr-defined]
        scale = DPI / self.figure.dpi
        return extent.x0 * scale, extent.x1 * scale
