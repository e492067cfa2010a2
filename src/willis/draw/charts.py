"""Bar charts on white: values of a few series side by side, as of the right and the left side."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from willis.draw.palette import LEFT, PAPER, PAPER_FAINT, PAPER_INK, RIGHT, SERIES
from willis.draw.png import blank_figure, encode_png, points

WIDTH_PX = 1000
BAR_PX = 22
GROUP_GAP_PX = 18
LABEL_PX = 250  # left of the axis, for the groups' names
TEXT_PX = 17
SIDES = {"right": RIGHT, "left": LEFT}


def bar_chart(groups: Mapping[str, Mapping[str, float | None]], *, unit: str = "", title: str = "") -> bytes:
    """PNG of horizontal bars, one group below the other, with each value written at its bar's end.

    Parameters
    ----------
    groups
        Values by group and series: ``{"deep": {"right": 1.2, "left": 0.8}, "brainstem": {"midline": 0.1}}``. None
        is written as "not defined". The series ``right`` and ``left`` have colours of their own.
    unit
        Of all values.
    title
        Stands above the bars when not empty.
    """
    series = list(dict.fromkeys(name for values in groups.values() for name in values))
    colours = {name: SIDES.get(name.lower(), SERIES[2 + i % (len(SERIES) - 2)]) for i, name in enumerate(series)}
    body = sum(len(values) * BAR_PX + GROUP_GAP_PX for values in groups.values()) + GROUP_GAP_PX
    top = (44 if title else 12) + (34 if len(series) > 1 else 0)
    height = top + max(body, BAR_PX) + 12
    figure = blank_figure(WIDTH_PX, height, PAPER)
    axes = figure.add_axes(
        (LABEL_PX / WIDTH_PX, 12 / height, 1 - (LABEL_PX + 110) / WIDTH_PX, max(body, BAR_PX) / height)
    )
    most = max((v for values in groups.values() for v in values.values() if v is not None), default=0.0)
    axes.set_xlim(0, most if most > 0 else 1)
    axes.set_ylim(max(body, BAR_PX), 0)
    y = float(GROUP_GAP_PX)
    for group, values in groups.items():
        _words(axes, 0, y + len(values) * BAR_PX / 2, group, "right", PAPER_INK, shift=-14)
        for name, value in values.items():
            _bar(axes, y, value, colours[name], unit)
            y += BAR_PX
        y += GROUP_GAP_PX
    _bare(axes)
    if title:
        figure.text(0.016, 1 - 24 / height, title, fontsize=points(19), fontweight="bold", color=PAPER_INK, va="center")
    if len(series) > 1:
        _legend(axes, colours, 1 - (top - 18) / height, height)
    return encode_png(figure)


def _bar(axes: Axes, y: float, value: float | None, colour: str, unit: str) -> None:
    if value is not None:
        axes.barh(y, value, height=BAR_PX - 4, align="edge", color=colour)
    words = "not defined" if value is None else f"{rounded(value)} {unit}".rstrip()
    _words(axes, value or 0, y + (BAR_PX - 4) / 2, words, "left", PAPER_FAINT, shift=8)


def rounded(value: float) -> str:
    """A value in a few digits: 0 is nothing at all, a trace is said to be one."""
    if value == int(value):
        return f"{int(value)}"
    if abs(value) < 0.005:
        return "< 0.01" if value > 0 else "> -0.01"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _words(axes: Axes, x: float, y: float, words: str, side: str, colour: str, shift: float) -> None:
    axes.annotate(
        words, (x, y), xytext=(points(shift), 0), textcoords="offset points", ha=side, va="center_baseline",
        fontsize=points(TEXT_PX), color=colour, annotation_clip=False,
    )  # fmt: skip


def _bare(axes: Axes) -> None:
    axes.set_facecolor(PAPER)
    axes.set_xticks([])
    axes.set_yticks([])
    for name, spine in axes.spines.items():
        spine.set_visible(name == "left")
        spine.set_edgecolor(PAPER_FAINT)


def _legend(axes: Axes, colours: Mapping[str, str], place: float, height: int) -> None:
    figure = axes.get_figure()
    if figure is None:
        return
    x = LABEL_PX / WIDTH_PX
    for name, colour in colours.items():
        figure.text(x, place, "\N{BLACK SQUARE}", color=colour, fontsize=points(TEXT_PX + 3), va="center_baseline")
        figure.text(x + 22 / WIDTH_PX, place, name, color=PAPER_INK, fontsize=points(TEXT_PX), va="center_baseline")
        x += (60 + 10 * len(name)) / WIDTH_PX
