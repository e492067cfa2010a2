"""The colour bar of a stack of pictures: found wherever it stands, with its dark, grey and white ends.

A bar is a long rectangle whose colour is the same across it, changes along it, and is the same in all pictures. It is
sought from its coloured part, a seed, and followed along its axis in both directions for as long as rows stay even
across, change no faster than before, and stand apart from what lies beside them; a closed frame about it says where it
ends even where the bar is as dark as the ground.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Rgb = npt.NDArray[np.uint8]
Picture = npt.NDArray[np.int_]  # (rows, columns, 3)
Flags = npt.NDArray[np.bool_]

COLOURED = 30  # difference of a pixel's largest and smallest channel from which it is a colour, not grey
ALIKE = 10  # largest difference of a channel between pixels that lie beside each other across a bar
ALIKE_LOSSY = 40  # the same where compression smeared colours (JPEG)
LEAST_LENGTH, LEAST_WIDTH = 32, 3  # pixels of a bar
LEAST_SEED = 6  # pixels of a coloured part along the bar
LEAST_ASPECT = 4.0
LEAST_COLOURS = 8
LEAST_FILL = 0.85  # of a seed's box, and of the rows that a frame encloses
LEAST_STEP = 16  # of a channel from row to row, which a bar may always make; longer ones if its seed makes them
LONGER_STEP = 1.5  # times the largest of the seed
MOST_GAP = 3  # rows of a tick across the bar
APART = 6  # of a channel, from which a row of a bar can be told from the ground beside it
BESIDE = 3  # pixels from the bar's edge to the ground beside it
SMEAR = 3  # pixels over which compression draws a bar's end out
LEAST_OF_INNER = 0.5  # of the difference from the ground that a bar has so many rows farther in: fainter ends are smear
FRAME_APART = 40  # of a channel between a frame and the ground
MOST_FRAME = 3  # pixels of a frame's thickness
STANDS_APART = 0.8  # of a bar's rows that differ from the ground on both sides
FADED = 16  # of a channel: an end this near to the ground may go on unseen
TOLD_APART = 24.0  # mean difference of the first and last quarters' colours from which a bar's usual way is told


@dataclass(frozen=True)
class ColourBar:
    """A bar in a stack of pictures.

    Parameters
    ----------
    rows, columns
        Where it stands in every picture.
    colours
        (n, 3) ``uint8`` from below to above, or from left to right.
    ground
        (3,) colour beside it.
    faded
        Whether an end has the colour of the ground, so that the bar may go on unseen.
    lossy
        Whether it was found in pictures that were compressed with loss.
    """

    rows: slice
    columns: slice
    colours: Rgb
    ground: npt.NDArray[np.int_] = field(default_factory=lambda: np.zeros(3, dtype=int))
    faded: bool = False
    lossy: bool = False

    @property
    def alike(self) -> int:
        """Largest difference of a channel between pixels of one colour."""
        return ALIKE_LOSSY if self.lossy else ALIKE

    @property
    def upright(self) -> bool:
        """Whether it runs from below to above, and not from left to right."""
        return bool(self.rows.stop - self.rows.start >= self.columns.stop - self.columns.start)

    @property
    def usual(self) -> bool | None:
        """Whether its colours rise as most tables do, from blue to red or from dark to bright; None when untold."""
        quarter = max(len(self.colours) // 4, 1)
        first, last = (part.astype(float).mean(axis=0) for part in (self.colours[:quarter], self.colours[-quarter:]))
        warmer = float((last[0] - last[2]) - (first[0] - first[2]))
        brighter = float((last - first).mean())
        told = warmer if abs(warmer) >= TOLD_APART else brighter
        return told > 0 if abs(told) >= TOLD_APART else None


def find_bar(pictures: Rgb, *, lossy: bool = False) -> ColourBar | None:
    """The colour bar of a stack of pictures (rows, columns, slices, 3); None when there is none.

    Parameters
    ----------
    pictures
        Of one map.
    lossy
        Whether they were compressed with loss, as JPEG is: colours then need be less even across the bar.
    """
    alike = ALIKE_LOSSY if lossy else ALIKE
    steady = (pictures.max(axis=2).astype(int) - pictures.min(axis=2) <= alike).all(axis=2)
    picture = np.median(pictures, axis=2).astype(int)
    found = [
        _longest(picture, steady, alike, upright=True),
        _longest(picture.swapaxes(0, 1), steady.T, alike, upright=False),
    ]
    return max((bar for bar in found if bar is not None), key=lambda bar: len(bar.colours), default=None)


def _longest(picture: Picture, steady: Flags, alike: int, *, upright: bool) -> ColourBar | None:
    """The longest bar along the first axis."""
    best: ColourBar | None = None
    for rows, columns in _seeds(picture, steady, alike):
        if best is not None and _within(rows, columns, best, upright):
            continue
        bar = _bar_of(picture, steady, rows, columns, alike, upright)
        if bar is not None and (best is None or len(bar.colours) > len(best.colours)):
            best = bar
    return best


def _within(rows: slice, columns: slice, bar: ColourBar, upright: bool) -> bool:
    along, across = (bar.rows, bar.columns) if upright else (bar.columns, bar.rows)
    return bool(along.start <= rows.start < along.stop and across.start < columns.stop and columns.start < across.stop)


def _seeds(picture: Picture, steady: Flags, alike: int) -> list[tuple[slice, slice]]:
    """Rows and columns of rectangles, alike across, of colours; the longest first."""
    colour = (np.ptp(picture, axis=2) >= COLOURED) & steady
    beside = np.abs(np.diff(picture, axis=1)).max(axis=2) <= alike
    even = np.zeros(colour.shape, dtype=bool)
    even[:, :-1] |= beside & colour[:, 1:]
    even[:, 1:] |= beside & colour[:, :-1]
    labels, _ = ndimage.label(even & colour)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        if alike > ALIKE:
            columns = _without_halo(labels[rows, columns] == number, columns)
        length, width = rows.stop - rows.start, columns.stop - columns.start
        if length < LEAST_SEED or width < LEAST_WIDTH or float((labels[rows, columns] == number).mean()) < LEAST_FILL:
            continue
        found.append((rows, columns))
    return sorted(found, key=lambda box: box[0].start - box[0].stop)


def _without_halo(part: Flags, columns: slice) -> slice:
    """The columns of a seed without those at its sides that only some rows reach: compression spreads colour there."""
    filled = np.flatnonzero(part.mean(axis=0) >= LEAST_FILL)
    return slice(columns.start + filled[0], columns.start + filled[-1] + 1) if len(filled) else columns


def _bar_of(
    picture: Picture, steady: Flags, rows: slice, columns: slice, alike: int, upright: bool
) -> ColourBar | None:
    """The bar that a seed is part of; None when what it is part of is no bar."""
    width = columns.stop - columns.start
    inner = slice(columns.start + width // 4, max(columns.stop - width // 4, columns.start + width // 4 + 1))
    line = np.median(picture[:, inner], axis=1)
    even = (np.ptp(picture[:, inner], axis=1).max(axis=1) <= alike) & steady[:, inner].all(axis=1)
    sides = _sides(picture, columns)
    away = np.stack([np.abs(line - side).max(axis=1) for side in sides])
    span = _framed(picture, line, even, rows, columns, alike)
    framed = span is not None
    good = np.flatnonzero(even[span]) + span.start if span else _followed(line, even, away.max(axis=0), rows)
    if alike > ALIKE and span is None:
        good = _without_faint_ends(good, away.max(axis=0))
    if not len(good):
        return None
    start, stop = (span.start, span.stop) if span else (int(good[0]), int(good[-1]) + 1)
    length = stop - start
    if length < LEAST_LENGTH or length < LEAST_ASPECT * width:
        return None
    if float((away[:, start:stop] > ALIKE).all(axis=0).mean()) < STANDS_APART:
        return None
    at = np.arange(start, stop)
    colours = np.rint(np.stack([np.interp(at, good, line[good, c]) for c in range(3)], axis=1)).astype(np.uint8)
    if len(np.unique(colours // 8, axis=0)) < LEAST_COLOURS:
        return None
    ground = np.median(np.concatenate([side[start:stop] for side in sides]), axis=0).astype(int)
    faded = not framed and min(np.abs(line[end] - ground).max() for end in (start, stop - 1)) <= FADED
    if upright:
        return ColourBar(slice(start, stop), columns, colours[::-1].copy(), ground, faded, alike > ALIKE)
    return ColourBar(columns, slice(start, stop), colours, ground, faded, alike > ALIKE)


def _sides(picture: Picture, columns: slice) -> list[Picture]:
    """(rows, 3) of the ground to the left and to the right; of one alone where the other lies beyond the picture."""
    at = [c for c in (columns.start - BESIDE, columns.stop - 1 + BESIDE) if 0 <= c < picture.shape[1]]
    return [picture[:, c] for c in at] or [np.zeros_like(picture[:, 0])]


def _followed(line: npt.NDArray[Any], even: Flags, away: npt.NDArray[Any], rows: slice) -> npt.NDArray[np.intp]:
    """Rows of the bar about a seed, without those of ticks."""
    seed: npt.NDArray[np.intp] = np.flatnonzero(even[rows]) + rows.start
    if len(seed) < 2:
        return seed
    steps = np.abs(np.diff(line[seed], axis=0)).max(axis=1)
    limit = max(LEAST_STEP, LONGER_STEP * float(steps.max()))
    coloured = np.ptp(line, axis=1) >= COLOURED
    good = seed.tolist()
    for direction, last in ((-1, int(seed[0])), (1, int(seed[-1]))):
        while (following := _next(line, even & (away > APART), coloured, last, direction, limit)) is not None:
            good.append(following)
            last = following
    return np.array(sorted(good), dtype=np.intp)


def _without_faint_ends(good: npt.NDArray[np.intp], away: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """The rows without those at the ends that compression drew out onto the ground."""
    first, last = 0, len(good) - 1
    while first + SMEAR < last and away[good[first]] < LEAST_OF_INNER * away[good[first + SMEAR]]:
        first += 1
    while last - SMEAR > first and away[good[last]] < LEAST_OF_INNER * away[good[last - SMEAR]]:
        last -= 1
    return good[first : last + 1]


def _next(line: npt.NDArray[Any], even: Flags, coloured: Flags, last: int, direction: int, limit: float) -> int | None:
    """The row that continues a bar: the next one, or a coloured one behind a tick."""
    for gap in range(MOST_GAP + 1):
        row = last + direction * (gap + 1)
        if not 0 <= row < len(line):
            return None
        smooth = np.abs(line[row] - line[last]).max() <= limit * (gap + 1)
        if even[row] and smooth and (gap == 0 or coloured[row]):
            return row
    return None


def _framed(
    picture: Picture, line: npt.NDArray[Any], even: Flags, rows: slice, columns: slice, alike: int
) -> slice | None:
    """The rows inside a closed frame about a seed; None when there is no such frame."""
    found = []
    for edge, outwards in ((columns.start - 1, -1), (columns.stop, 1)):
        side = _frame_at(picture, rows, edge, outwards, alike)
        if side is None:
            return None
        found.append(side)
    (colour, first, last, thick), (_, other_first, other_last, _) = found
    first, last = max(first, other_first), min(last, other_last)
    closed = all((even[r] and np.abs(line[r] - colour).max() <= alike) for r in (first, last - 1))
    span = slice(first + thick, last - thick)
    if not closed or span.start > rows.start or span.stop < rows.stop or even[span].mean() < LEAST_FILL:
        return None
    return span


def _frame_at(picture: Picture, rows: slice, edge: int, outwards: int, alike: int) -> tuple[Any, int, int, int] | None:
    """Colour, first row, row behind the last, and thickness of a line of one colour along a seed."""
    ground_at = edge + outwards * MOST_FRAME
    if not (0 <= edge < picture.shape[1] and 0 <= ground_at < picture.shape[1]):
        return None
    along = picture[rows, edge]
    colour = np.median(along, axis=0)
    if (
        np.ptp(along, axis=0).max() > alike
        or np.abs(colour - np.median(picture[rows, ground_at], axis=0)).max() < FRAME_APART
    ):
        return None
    same = np.abs(picture[:, edge] - colour).max(axis=1) <= alike
    labels, _ = ndimage.label(same)
    of_seed = np.flatnonzero(labels == labels[(rows.start + rows.stop) // 2])
    thick = 1
    while thick < MOST_FRAME and np.abs(picture[rows, edge + outwards * thick] - colour).max() <= alike:
        thick += 1
    return colour, int(of_seed[0]), int(of_seed[-1]) + 1, thick
