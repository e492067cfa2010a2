"""Sheets of colour maps: the colours of bars survive, and a map as given stands above the values read from it."""

import io

import numpy as np
from PIL import Image

from willis.draw.map_sheet import ColourMap, map_sheet
from willis.draw.png import blank_figure, encode_png
from willis.draw.recovered_sheet import recovered_sheet
from willis.io.colormap import paint
from willis.io.colour_bar import find_bar
from willis.io.colour_tables import jet
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SHAPE = (60, 80, 4)


def pixels_of(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def volume():
    grid = Grid(SHAPE, np.diag([-2.0, -2.0, 5.0, 1.0]))
    x, y, _ = np.indices(SHAPE)
    inside = np.hypot((x - 30) / 22, (y - 40) / 30) < 1
    return Volume(np.where(inside, 20 * x / SHAPE[0], 0).astype(np.float32), grid, "mtt"), inside


def test_a_kept_colour_survives_however_rare_it_is():
    rng = np.random.default_rng(0)
    figure = blank_figure(200, 200, "#000000")
    figure.figimage(rng.integers(0, 255, (200, 200, 3)).astype(np.uint8))
    rare = np.array([[128, 0, 0], [0, 0, 135]], np.uint8)
    figure.figimage(np.repeat(rare[:1], 4, 0).reshape(2, 2, 3), 10, 10)
    for kept, least in ((rare, True), (None, False)):
        found = pixels_of(encode_png(figure, kept=kept))
        assert bool((found == rare[0]).all(axis=2).any()) == least


def test_the_ends_of_a_bar_keep_their_colours():
    data, inside = volume()
    png = map_sheet([ColourMap(data, "MTT, s", (0.0, 100.0), jet())], data.with_data(inside.astype(np.uint8)))
    right = pixels_of(png)[:, -120:]
    assert (np.abs(right - [128, 0, 0]).max(axis=2) < 8).any(), "the high end, which no pixel of the map has"
    assert (np.abs(right - [0, 0, 128]).max(axis=2) < 8).any()


def test_a_map_as_given_stands_above_what_was_read(with_bar):
    data, inside = volume()
    painted = paint(data.data.transpose(1, 0, 2), (0.0, 20.0), jet(), inside.transpose(1, 0, 2))
    pictures = with_bar(painted, jet(), column=54, width=4)
    bar = find_bar(pictures)
    shown = ColourMap(data, "MTT, s", (0.0, 20.0), bar.colours)
    png = pixels_of(recovered_sheet(pictures, (bar.rows, bar.columns), shown, inside, slices=3))
    rows = png.shape[0] - 44
    upper, lower = png[6 : rows // 2, :380], png[rows // 2 + 6 : rows, :380]
    frame = np.abs(png - np.array([0xE6, 0x9F, 0x00])).max(axis=2) < 20
    assert frame[: rows // 2].sum() > 20 * frame[rows // 2 : rows].sum()
    height = min(len(upper), len(lower))
    middle = slice(height // 4, 3 * height // 4), slice(140, 240)
    assert np.abs(upper[middle] - lower[:height][middle]).mean() < 12


def test_a_map_is_named_beside_its_bar_and_never_over_the_letters(monkeypatch):
    told, data = [], volume()
    monkeypatch.setattr("willis.draw.map_sheet.write", lambda *args, **_: told.append(args[1]))
    bars = []
    monkeypatch.setattr("willis.draw.map_sheet.encode_png", lambda figure, **_: bars.append(figure) or b"")
    shown = ColourMap(data[0], "CBF, ml/100 g/min", (0.0, 70.0), "jet")
    map_sheet([shown], data[0].with_data(data[1].astype(np.uint8)))
    assert not [text for text in told if "CBF" in text]
    assert "CBF, ml/100 g/min" in [axes.get_ylabel() for axes in bars[0].axes]
