"""Colour bars with dark, grey and white ends, with frames, ticks and blocks, either way round; greys of the map."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.colormap import shares_of
from willis.io.colour_bar import ColourBar, find_bar
from willis.io.colour_tables import COLOUR_TABLES, colour_table, jet
from willis.phantom.perfusion_pictures import PLACES, PictureStyle, vendor_pictures

ROWS, COLUMNS, SLICES = 150, 130, 2
LIMITS = (0.0, 12.0)
DARK_ENDED = ("hot", "inferno", "nipy_spectral")  # hot ends white too, nipy_spectral grey


def truth():
    """Places 0 to 1 with both ends in them, and where: an ellipse with a hole, as a brain with ventricles."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = np.hypot((y - 75) / 66, (x - 65) / 52) < 1
    inside &= np.hypot((y - 75) / 13, (x - 65) / 8) >= 1
    values = np.clip(0.5 + 0.55 * np.sin(x / 17) * np.cos(y / 21), 0, 1)
    return np.repeat(values[..., None], SLICES, 2), np.repeat(inside[..., None], SLICES, 2)


def exported(**style):
    values, inside = truth()
    return vendor_pictures(12 * values, LIMITS, inside, PictureStyle(**style))


def length_of(shown, bar):
    """How long the phantom's bar is."""
    rows, columns = shown.pictures.shape[:2]
    return rows - 2 * (rows // 5) if bar in ("left", "right") else columns - 2 * (columns // 5)


@pytest.mark.parametrize("colours", COLOUR_TABLES)
@pytest.mark.parametrize("bar", PLACES)
@pytest.mark.parametrize("frame", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_the_whole_bar_is_found_and_values_come_back(colours, bar, frame, turned):
    shown = exported(colours=colours, bar=bar, frame=frame, reversed=turned)
    found = find_bar(shown.pictures)
    assert found is not None and found.upright == (bar in ("left", "right")) and found.usual is not turned
    assert len(found.colours) >= 0.98 * length_of(shown, bar) and len(found.colours) <= length_of(shown, bar)
    if frame:
        assert len(found.colours) == length_of(shown, bar) and not found.faded
    share = shares_of(shown.pictures, found)
    values, inside = truth()
    read = share[shown.rows, shown.columns]
    assert np.isfinite(read[inside]).mean() > (0.9 if turned else 0.96), "turned round, black is left to other maps"
    missing = inside & np.isnan(read)
    assert not missing.any() or values[missing].max() < 0.06, "only what is as dark as the ground"
    assert np.isfinite(share).sum() == np.isfinite(read).sum(), "nothing outside the map is a value"
    both = np.isfinite(read) & inside
    assert np.abs((1 - read if turned else read) - values)[both].max() < 0.02


@pytest.mark.parametrize("ground", [40, 255])
@pytest.mark.parametrize("colours", DARK_ENDED)
def test_the_ground_may_be_grey_or_white(colours, ground):
    shown = exported(colours=colours, ground=ground)
    found = find_bar(shown.pictures)
    assert len(found.colours) >= 0.98 * length_of(shown, "right")
    share = shares_of(shown.pictures, found)[shown.rows, shown.columns]
    values, inside = truth()
    assert np.isfinite(share[inside]).mean() > 0.97
    assert not np.isfinite(share[~inside]).any(), "ventricles of the ground's colour aren't read as an end"
    assert np.nanmax(np.abs(share - values)) < 0.02


def test_an_end_in_the_colour_of_the_ground_is_told():
    assert find_bar(exported(colours="hot").pictures).faded
    assert not find_bar(exported(colours="hot", ground=40).pictures).faded
    assert not find_bar(exported(colours="jet").pictures).faded


def test_a_black_core_inside_the_brain_is_read_as_the_dark_end_and_a_white_one_at_its_rim_too():
    values, inside = truth()
    values = 0.2 + 0.5 * values
    values[60:70, 90:100] = 0.0
    values[40:90, 105:] = 1.0
    shown = vendor_pictures(12 * values, LIMITS, inside, PictureStyle("hot"))
    share = shares_of(shown.pictures, find_bar(shown.pictures))[shown.rows, shown.columns]
    assert np.nanmax(share[60:70, 90:100]) < 0.02
    rim = inside[40:90, 105:]
    assert np.isfinite(share[40:90, 105:][rim]).all() and np.nanmin(share[40:90, 105:]) > 0.97


def column_of(line, *, width=10, at=20):
    """One picture, twice, with a bar of the given colours, first colour below."""
    picture = np.zeros((len(line) + 60, 80, 2, 3), dtype=np.uint8)
    picture[30 : 30 + len(line), at : at + width] = line[::-1][:, None, None]
    return picture


def test_ticks_across_the_bar_do_not_cut_it():
    line = jet(160)
    shown = column_of(line)
    for row in (55, 90, 130):
        shown[row : row + 2, 20:30] = 255
    found = find_bar(shown)
    assert found.rows == slice(30, 190)
    assert np.abs(found.colours.astype(int) - line).max() <= 8, "what a tick covers is filled from both sides"


def test_blocks_of_colour_with_a_black_end_are_one_bar():
    line = np.repeat(colour_table("nipy_spectral", 12), 12, axis=0)
    shown = column_of(line)
    shown[27:177, 17:33] = np.where(shown[27:177, 17:33].any(axis=-1, keepdims=True), shown[27:177, 17:33], 255)
    shown[30:174, 20:30] = line[::-1][:, None, None]
    found = find_bar(shown)
    assert len(found.colours) == len(line) and np.array_equal(found.colours, line)


def test_a_white_middle_does_not_cut_it():
    up = np.linspace(0, 255, 80).astype(np.uint8)
    blue = np.stack([up, up, np.full(80, 255)], axis=1).astype(np.uint8)
    line = np.concatenate([blue, blue[::-1, ::-1]])
    found = find_bar(column_of(line))
    assert len(found.colours) == len(line) and found.usual


def test_a_bar_whose_ends_look_alike_has_no_usual_way():
    ring = ColourBar(slice(0, 120), slice(0, 8), np.concatenate([jet(60), jet(60)[::-1]]))
    assert ring.usual is None
    with pytest.raises(BadInputError, match="one colour at two places"):
        shares_of(exported().pictures, ring)


def test_bars_that_differ_between_slices_are_none():
    shown = column_of(jet(160))
    shown[:, :, 1] = shown[::-1, :, 0]
    assert find_bar(shown) is None


def test_a_map_alone_is_no_bar():
    values, inside = truth()
    for colours in COLOUR_TABLES:
        painted = vendor_pictures(12 * values, LIMITS, inside, PictureStyle(colours))
        assert find_bar(painted.pictures[painted.rows, painted.columns]) is None
