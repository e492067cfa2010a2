"""What the ends of a colour bar stand for: read from --range, asked for where the colours don't tell."""

import numpy as np
import pytest
from PIL import Image

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.io.pictures import BAR_UNIT, LEVEL, UNUSUAL, UPRIGHT, read_colour_map
from willis.phantom.perfusion_pictures import PictureStyle, vendor_pictures
from willis.tasks.perfusion.bar_range import BarRange, bar_ranges, in_values
from willis.volume.grid import Grid
from willis.volume.volume import Volume

ROWS, COLUMNS, SLICES = 120, 110, 3


def on_bar(*notes):
    places = np.array([0.0, 0.25, 1.0], dtype=np.float32).reshape(3, 1, 1)
    return Volume(places, Grid((3, 1, 1), np.eye(4)), "tmax", BAR_UNIT, notes)


def test_ranges_are_read_with_their_high_end():
    assert bar_ranges("tmax=0:12, cbf=0:60:below") == {"tmax": BarRange(0, 12), "cbf": BarRange(0, 60, "below")}
    assert bar_ranges(None) == {}


@pytest.mark.parametrize("text", ["tmax=12:0", "tmax=0-12", "adc=0:1", "tmax=0:12:up", "tmax=0:1.2.3", "tmax=5:5"])
def test_a_range_that_cannot_be_is_refused(text):
    with pytest.raises(BadInputError, match="allowed is MAP=LOW:HIGH"):
        bar_ranges(text)


@pytest.mark.parametrize(
    ("posture", "end", "expected"),
    [
        (UPRIGHT, "", [0, 3, 12]),
        (UPRIGHT, "above", [0, 3, 12]),
        (UPRIGHT, "below", [12, 9, 0]),
        (LEVEL, "right", [0, 3, 12]),
        (LEVEL, "left", [12, 9, 0]),
    ],
)
def test_places_become_values_from_the_end_that_is_named(posture, end, expected):
    found = in_values(on_bar(posture), BarRange(0, 12, end))
    assert found.data.ravel().tolist() == expected and found.unit == "s"
    assert f"Its bar runs from {expected[0]} at its" in found.notes[-1]


def test_an_end_that_the_bar_does_not_have_is_refused():
    with pytest.raises(BadInputError, match="stands left, but the bar stands upright; allowed are above and below"):
        in_values(on_bar(UPRIGHT), BarRange(0, 12, "left"))


def test_unusual_colours_ask_for_the_high_end():
    with pytest.raises(BadInputError, match=r"give --range tmax=0:12:below if .* or --range tmax=0:12:above"):
        in_values(on_bar(UPRIGHT, UNUSUAL), BarRange(0, 12))
    assert in_values(on_bar(UPRIGHT, UNUSUAL), BarRange(0, 12, "below")).data[0, 0, 0] == 12
    assert in_values(on_bar(UPRIGHT, UNUSUAL), BarRange(0, 12, "above")).data[0, 0, 0] == 0


def truth():
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = np.hypot((y - 60) / 52, (x - 55) / 44) < 1
    values = np.where(x > 75, 9.0, 2.0 + 0.01 * y)
    return np.repeat(values[..., None], SLICES, 2), np.repeat(inside[..., None], SLICES, 2)


def as_folder(folder, style):
    values, inside = truth()
    shown = vendor_pictures(values, (0.0, 12.0), inside, style, "Tmax")
    folder.mkdir()
    for k in range(SLICES):
        Image.fromarray(shown.pictures[:, :, k]).save(folder / f"{k + 1}.png")
    return shown


@pytest.mark.parametrize("colours", ["jet", "hot", "nipy_spectral"])
@pytest.mark.parametrize(("bar", "end"), [("right", "below"), ("left", "below"), ("above", "left"), ("below", "left")])
def test_a_reversed_bar_is_read_right_by_its_named_end(tmp_path, colours, bar, end):
    shown = as_folder(tmp_path / "tmax", PictureStyle(colours, bar, reversed=True))
    places = read_colour_map(tmp_path / "tmax", "tmax")
    with pytest.raises(BadInputError, match="don't run as usual"):
        in_values(places, BarRange(0, 12))
    found = in_values(places, BarRange(0, 12, end)).data.transpose(1, 0, 2)[shown.rows, shown.columns]
    values, inside = truth()
    assert np.isfinite(found[inside]).all() and np.abs(found - values)[inside].max() < 0.15


def test_a_reversed_bar_without_its_end_exits_2_and_writes_nothing(tmp_path, capsys):
    as_folder(tmp_path / "tmax", PictureStyle("jet", reversed=True))
    out = tmp_path / "out"
    command = ["run", "perfusion", "--tmax", str(tmp_path / "tmax"), "--spacing", "2,2,6", "-o", str(out)]
    command += ["--method", "thresholds", "--range", "tmax=0:12"]
    assert call(command) == 2 and not out.exists()
    assert "tmax=0:12:below if the high value stands below" in capsys.readouterr().err
    command[-1] += ":below"
    assert call(command) == 0
    assert (out / "figures" / "tmax-as-given.png").is_file()
