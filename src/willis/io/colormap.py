"""Colour-coded maps: colours turned into places on their bar, and numbers painted in the colours of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

from willis.errors import BadInputError
from willis.io.colour_bar import COLOURED, LEAST_OF_INNER, ColourBar, Rgb

FARTHEST = 60.0  # from the bar in RGB: what is farther (text, grey) isn't of the map
FARTHEST_GREY = 24.0  # the same for greys, black and white, which text and bone have too
LEAST_COLOURED_SHARE = 0.002  # of all pixels
MOST_APART = 0.05  # of the bar's length between pixels of one colour; assumed
SMEARED = 2.0  # pixels over which compression mixes colours: a hue has half of the resolution
MARGIN = 4  # pixels about the bar that are cleared too


def without_bar(pictures: Rgb, bar: ColourBar) -> Rgb:
    """The pictures with the bar, its labels beside it, and all up to the nearer border in the colour of the ground.

    The side of the picture on which the bar stands is cleared up to the border, as are the labels on its inner side
    as far as they are grey.
    """
    out = pictures.copy()
    across, size = (bar.columns, pictures.shape[1]) if bar.upright else (bar.rows, pictures.shape[0])
    near_start = across.start + across.stop < size
    clear = slice(0, across.stop + MARGIN) if near_start else slice(max(across.start - MARGIN, 0), size)
    if bar.upright:
        out[:, clear] = bar.ground
    else:
        out[clear] = bar.ground
    return out


def shares_of(pictures: Rgb, bar: ColourBar) -> npt.NDArray[np.float32]:
    """(rows, columns, slices) place of each pixel's colour on the bar; NaN where there is none.

    0 is the bar's lower or left end, 1 its upper or right one. Black, grey and white are read only where the bar has
    them, and only where they belong to the map: those that stand out from the ground where they touch coloured pixels;
    those of the ground's own colour where coloured pixels enclose them in their slice and the bar, its colours running
    as usual, has that colour at its lower or left end. So a core without flow is read, and no ventricle is called late.
    Of pictures that were compressed with loss mixed colours at the map's rim and between colours take their neighbour's
    value.

    Raises
    ------
    BadInputError
        When hardly any pixel has a colour of the bar, or the bar has one colour at two places.
    """
    plain = without_bar(pictures, bar)
    flat = plain.reshape(-1, 3)
    coloured = np.ptp(flat.astype(np.int16), axis=1) >= COLOURED
    share = np.full(len(flat), np.nan, dtype=np.float32)
    colours, place = _places(bar.colours)
    share[coloured] = _nearest(flat[coloured], colours, place, FARTHEST)
    if np.isfinite(share).mean() < LEAST_COLOURED_SHARE:
        raise BadInputError("hardly any pixel has a colour of the bar; is this a colour-coded map?")
    shares = share.reshape(plain.shape[:3])
    if (np.ptp(colours.astype(np.int16), axis=1) < COLOURED).any():
        _add_greys(shares, plain, colours, place, bar)
    if bar.lossy:
        for k in range(plain.shape[2]):
            _mend_smear(shares[:, :, k], plain[:, :, k], bar)
    return shares


def _mend_smear(share: npt.NDArray[np.float32], picture: Rgb, bar: ColourBar) -> None:
    """Give pixels whose colours compression mixed the value of the nearest sound one; ``share`` is changed.

    They are those beside the ground about the map, unless they are much darker than that neighbour (colour that spread
    onto the ground), and gaps within the map, where two colours mixed to one that the bar hasn't. Black holes within
    the map aren't ground about it, and no gaps.

    Parameters
    ----------
    share, picture
        One slice: (rows, columns) and (rows, columns, 3).
    bar
        Of the map.
    """
    apart = np.abs(picture.astype(np.int16) - bar.ground).max(axis=2)
    labels, _ = ndimage.label(apart <= bar.alike)
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.isin(labels, rim[rim > 0])
    beside = ndimage.binary_dilation(outside)
    sound = np.isfinite(share) & ~beside
    if not sound.any():
        return
    away, (row, column) = ndimage.distance_transform_edt(~sound, return_indices=True)
    of_map = np.isfinite(share) & (apart >= LEAST_OF_INNER * apart[row, column])
    gap = ~np.isfinite(share) & (apart > bar.alike) & (away <= SMEARED)
    mixed = beside | gap
    share[mixed] = np.where(of_map | (gap & ~beside), share[row, column], np.nan)[mixed]


def _places(line: Rgb) -> tuple[Rgb, npt.NDArray[np.float64]]:
    """The different colours of a bar, and the mean place of each on it, 0 to 1."""
    colours, where = np.unique(line, axis=0, return_inverse=True)
    where = where.ravel()
    counts, at = np.bincount(where), np.arange(len(line))
    first, last = np.full(len(colours), len(line)), np.zeros(len(colours), dtype=int)
    np.minimum.at(first, where, at)
    np.maximum.at(last, where, at)
    if (last - first + 1 - counts > MOST_APART * len(line)).any():
        raise BadInputError(
            "the colour bar has one colour at two places, so that colours don't tell values; export the map in a table "
            "whose colours differ, or give its values as NIfTI."
        )
    return colours, np.bincount(where, at) / counts / (len(line) - 1)


def _nearest(pixels: Rgb, colours: Rgb, place: npt.NDArray[np.float64], farthest: float) -> npt.NDArray[np.float64]:
    """(N,) place of the colour nearest to each of (N, 3) pixels; NaN where all are farther than ``farthest``."""
    if not len(pixels):
        return np.empty(0)
    known, where = np.unique(pixels, axis=0, return_inverse=True)
    away, index = cKDTree(colours.astype(float)).query(known.astype(float))
    return np.asarray(np.where(away <= farthest, place[index], np.nan)[where.ravel()])


def _add_greys(
    share: npt.NDArray[np.float32], plain: Rgb, colours: Rgb, place: npt.NDArray[np.float64], bar: ColourBar
) -> None:
    """Read the greys that belong to the map; ``share`` is changed."""
    of_ground = np.abs(colours.astype(np.int16) - bar.ground).max(axis=1) <= bar.alike
    ground_is_low = bar.usual is True and bool(of_ground[place < 0.5].any())
    for k in range(share.shape[2]):
        picture = plain[:, :, k]
        coloured = np.isfinite(share[:, :, k])
        found = np.full(coloured.shape, np.nan)
        found[~coloured] = _nearest(picture[~coloured], colours, place, FARTHEST_GREY)
        found[np.ptp(picture.astype(np.int16), axis=2) >= COLOURED] = np.nan
        apart = np.abs(picture.astype(np.int16) - bar.ground).max(axis=2) > bar.alike
        visible = np.isfinite(found) & apart
        labels, _ = ndimage.label(coloured | visible, structure=np.ones((3, 3)))
        map_parts = np.unique(labels[coloured])
        touching = visible & np.isin(labels, map_parts[map_parts > 0])
        read = touching
        if ground_is_low:
            read = touching | (ndimage.binary_fill_holes(coloured | touching) & np.isfinite(found) & ~apart)
        share[:, :, k] = np.where(read, found, share[:, :, k])


def paint(values: npt.NDArray[Any], limits: tuple[float, float], colours: Rgb, where: npt.NDArray[np.bool_]) -> Rgb:
    """(..., 3) values in the colours of a table, black outside ``where``; beyond the limits the end colours."""
    low, high = limits
    index = np.rint((values - low) / (high - low) * (len(colours) - 1))
    painted = colours[np.clip(np.nan_to_num(index), 0, len(colours) - 1).astype(int)]
    return np.where(where[..., None], painted, 0).astype(np.uint8)
