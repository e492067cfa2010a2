"""Distributions on white: counts in bins, and raincloud plots of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from scipy import stats

from willis.draw.palette import PAPER, PAPER_FAINT, PAPER_INK, SERIES
from willis.draw.png import blank_figure, encode_png, points

WIDTH_PX = 1000
TEXT_PX = 17
ROW_PX = 110
PANEL_PX = 260
CURVE_POINTS = 200
MOST_DROPS = 400  # points drawn for each group; a regular subset of more


def bin_chart(panels: Mapping[str, Mapping[str, int]], *, unit: str) -> bytes:
    """PNG of counts in bins, one panel below the other.

    Parameters
    ----------
    panels
        By title the counts by name of the bin.
    unit
        Of what is counted, on the upright axis.
    """
    height = PANEL_PX * len(panels)
    figure = blank_figure(WIDTH_PX, height, PAPER)
    for number, (title, counts) in enumerate(panels.items()):
        axes = figure.add_axes((0.1, 1 - (number + 0.80) * PANEL_PX / height, 0.87, 0.60 * PANEL_PX / height))
        bars = axes.bar(range(len(counts)), list(counts.values()), color=SERIES[1], width=0.7)
        axes.bar_label(bars, fontsize=points(TEXT_PX - 3), color=PAPER_FAINT)
        axes.set_xticks(range(len(counts)), list(counts))
        axes.set_ylabel(unit, fontsize=points(TEXT_PX), color=PAPER_INK)
        axes.margins(y=0.15)
        _plain(axes, title)
    return encode_png(figure)


def raincloud(groups: Mapping[str, Sequence[float]], *, label: str, log: bool = False) -> bytes:
    """PNG of a cloud (density), a box (quartiles, whiskers to the 5th and 95th percentile) and drops for each group.

    Parameters
    ----------
    groups
        Values by name; an empty group is shown as such.
    label
        Of the axis, with its unit.
    log
        Whether the axis is logarithmic; values must then be above 0.

    References
    ----------
    Allen et al. 2019, doi:10.12688/wellcomeopenres.15191.1
    """
    height = 70 + ROW_PX * max(len(groups), 1)
    figure = blank_figure(WIDTH_PX, height, PAPER)
    axes = figure.add_axes((0.18, 60 / height, 0.79, 1 - 75 / height))
    for row, values in enumerate(groups.values()):
        data = np.asarray(values, dtype=float)
        shown = np.log10(data) if log else data
        if shown.size:
            _cloud(axes, row, shown, SERIES[row % len(SERIES)])
    axes.set_yticks(range(len(groups)), [f"{name}\nn = {len(values)}" for name, values in groups.items()])
    axes.set_ylim(len(groups) - 0.45, -0.65)
    axes.set_xlabel(label, fontsize=points(TEXT_PX), color=PAPER_INK)
    _plain(axes, "")
    if log:
        low, high = axes.get_xlim()
        ticks = np.arange(np.floor(low), np.ceil(high) + 1)
        axes.set_xticks(ticks, [f"{10**tick:g}" for tick in ticks])
        axes.set_xlim(low, high)
    return encode_png(figure)


def _cloud(axes: Axes, row: int, values: npt.NDArray[np.float64], colour: str) -> None:
    if values.size > 2 and np.ptp(values) > 0:
        curve = np.linspace(values.min(), values.max(), CURVE_POINTS)
        density = stats.gaussian_kde(values)(curve)
        axes.fill_between(
            curve, row - 0.12 - 0.45 * density / density.max(), row - 0.12, color=colour, alpha=0.55, lw=0
        )
    low, first, middle, third, high = np.percentile(values, (5, 25, 50, 75, 95))
    axes.plot((low, high), (row, row), color=PAPER_INK, lw=points(1.5))
    axes.barh(row, third - first, left=first, height=0.13, color=PAPER, edgecolor=PAPER_INK, lw=points(1.5), zorder=3)
    axes.plot((middle, middle), (row - 0.065, row + 0.065), color=PAPER_INK, lw=points(3), zorder=4)
    drops = values[:: max(1, values.size // MOST_DROPS)]
    spread = row + 0.14 + 0.2 * ((np.arange(drops.size) * 0.618034) % 1)  # golden steps: even, and no chance in it
    axes.scatter(drops, spread, s=points(4) ** 2, color=colour, alpha=0.6, lw=0)


def _plain(axes: Axes, title: str) -> None:
    axes.set_facecolor(PAPER)
    axes.tick_params(labelsize=points(TEXT_PX - 2), colors=PAPER_INK, length=0)
    if title:
        axes.set_title(title, loc="left", fontsize=points(TEXT_PX), color=PAPER_INK)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_edgecolor(PAPER_FAINT)
