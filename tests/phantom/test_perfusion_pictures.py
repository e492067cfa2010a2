"""Maps painted as vendors export them: where bar, numbers and text stand, and what is drawn by the seed."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.colour_bar import find_bar
from willis.io.colour_tables import COLOUR_TABLES, colour_table
from willis.phantom.perfusion_pictures import BORDER_PX, PLACES, PictureStyle, draw_style, vendor_pictures

ROWS, COLUMNS, SLICES = 100, 80, 2


def exported(**style):
    values = np.repeat(np.linspace(0, 10, COLUMNS)[None, :, None], ROWS, 0).repeat(SLICES, 2)
    inside = np.zeros(values.shape, dtype=bool)
    inside[20:80, 10:70] = True
    return vendor_pictures(values, (0.0, 10.0), inside, PictureStyle(**style)), values, inside


def test_the_map_lies_where_it_is_said_and_is_painted_by_its_table():
    shown, values, inside = exported(colours="turbo", ground=30)
    held = shown.pictures[shown.rows, shown.columns]
    assert held.shape == (ROWS, COLUMNS, SLICES, 3) and (held[~inside] == 30).all()
    expected = colour_table("turbo")[np.rint(values[inside] / 10 * 255).astype(int)]
    assert np.array_equal(held[inside], expected)


@pytest.mark.parametrize(
    ("bar", "rows", "columns"),
    [
        ("left", None, slice(0, BORDER_PX)),
        ("right", None, slice(-BORDER_PX, None)),
        ("above", slice(0, BORDER_PX), None),
        ("below", slice(-BORDER_PX, None), None),
    ],
)
def test_the_bar_stands_on_its_side(bar, rows, columns):
    shown, _, _ = exported(bar=bar)
    found = find_bar(shown.pictures)
    size = shown.pictures.shape
    if columns is not None:
        low, high, _ = columns.indices(size[1])
        assert found.upright and low <= found.columns.start and found.columns.stop <= high
    else:
        low, high, _ = rows.indices(size[0])
        assert not found.upright and low <= found.rows.start and found.rows.stop <= high


def test_text_is_burned_in_outside_the_map_and_numbers_its_slices():
    shown, _, _ = exported(text=True)
    bare, _, _ = exported(text=False)
    changed = (shown.pictures != bare.pictures).any(axis=3)
    assert changed[: BORDER_PX // 2].any() and changed[-BORDER_PX // 2 :].any()
    assert not changed[shown.rows, shown.columns].any()
    assert (shown.pictures[:, :, 0] != shown.pictures[:, :, 1]).any() and not changed.all(axis=2).all()


def test_the_reversed_bar_is_the_other_way_round():
    one, _, _ = exported()
    other, _, _ = exported(reversed=True)
    assert np.array_equal(find_bar(one.pictures).colours, find_bar(other.pictures).colours[::-1])


def test_styles_are_drawn_by_the_seed_and_hold_every_table_and_place():
    drawn = [draw_style(np.random.default_rng(seed)) for seed in range(80)]
    assert {style.colours for style in drawn} == set(COLOUR_TABLES) and {style.bar for style in drawn} == set(PLACES)
    assert {style.frame for style in drawn} == {True, False} and not any(style.reversed for style in drawn)
    assert drawn == [draw_style(np.random.default_rng(seed)) for seed in range(80)]


def test_unknown_tables_and_places_are_refused():
    with pytest.raises(BadInputError, match="colours is 'rust'"):
        exported(colours="rust")
    with pytest.raises(BadInputError, match="bar is 'middle'"):
        exported(bar="middle")
