"""Colour bars anywhere in a picture, colours to values and back, pictures and RGB NIfTI as maps."""

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from willis.errors import BadInputError
from willis.io.colormap import paint, shares_of
from willis.io.colour_bar import find_bar
from willis.io.colour_tables import jet
from willis.io.pictures import BAR_UNIT, UNPLACED, is_colour, read_colour_map, read_grey, read_pictures

ROWS, COLUMNS, SLICES = 120, 100, 3


def truth():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = np.hypot((y - 60) / 45, (x - 50) / 30) < 1
    smooth = 0.5 + 0.45 * np.sin(x / 9) * np.cos(y / 11)
    values = smooth[..., None] + 0.02 * rng.standard_normal((ROWS, COLUMNS, SLICES))
    return np.clip(values, 0, 1), np.repeat(inside[..., None], SLICES, axis=2)


@pytest.fixture
def pictures(with_bar):
    def make(column=None, row=None):
        values, inside = truth()
        rgb = paint(values, (0, 1), jet(), inside)
        if column is not None:
            return with_bar(rgb, jet(), column=column)
        if row is not None:
            rgb[row : row + 8, 15:85] = jet()[np.linspace(0, 255, 70).astype(int)][None, :, None]
        return rgb

    return make


@pytest.mark.parametrize("place", [{"column": 2}, {"column": 88}, {"row": 3}, {"row": 110}])
def test_the_bar_is_found_wherever_it_stands_and_values_come_back(place, pictures):
    bar = find_bar(pictures(**place))
    assert bar is not None
    if "column" in place:
        assert bar.columns.start == place["column"]
    else:
        assert bar.rows.start == place["row"]
    assert bar.colours[0, 2] > bar.colours[0, 0] and bar.colours[-1, 0] > bar.colours[-1, 2], "blue is low"
    values, inside = truth()
    share = shares_of(pictures(**place), bar)
    assert (np.isfinite(share) == inside).mean() > 0.995
    both = np.isfinite(share) & inside
    assert np.abs(share - values)[both].max() < 0.03


def test_there_is_no_bar_where_there_is_none(pictures):
    assert find_bar(pictures()) is None
    assert find_bar(np.zeros((64, 64, 2, 3), np.uint8)) is None


def test_text_and_grey_are_no_values(pictures):
    shown = pictures(column=88)
    shown[5:12, 30:60] = 255
    shown[100:110, 20:40] = 128
    share = shares_of(shown, find_bar(shown))
    assert np.isnan(share[5:12, 30:60]).all() and np.isnan(share[100:110, 20:40]).all()


def test_painting_ends_at_the_limits():
    values = np.array([-5.0, 0.0, 10.0, 99.0])
    painted = paint(values, (0, 10), jet(), np.array([True, True, True, False]))
    assert np.array_equal(painted[0], painted[1]) and np.array_equal(painted[2], jet()[-1])
    assert not painted[3].any()


def as_nifti(path, shown, affine):
    stored = np.ascontiguousarray(shown.transpose(1, 0, 2, 3)).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nib.Nifti1Image(stored, affine).to_filename(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_rgb_nifti_keeps_its_place(tmp_path, suffix, pictures):
    path = tmp_path / f"map{suffix}"
    as_nifti(path, pictures(column=88), np.diag([-2.0, -2.0, 5.0, 1.0]))
    assert is_colour(path)
    volume = read_colour_map(path, "tmax")
    assert volume.unit == BAR_UNIT and volume.grid.orientation == "LPS"
    assert volume.grid.spacing_mm == pytest.approx((2, 2, 5))
    values, inside = truth()
    assert np.nanmax(np.abs(volume.data - values.transpose(1, 0, 2))[inside.transpose(1, 0, 2)]) < 0.03


def test_a_file_stored_the_other_way_round_gives_the_same_values(tmp_path, pictures):
    shown = pictures(column=88)
    as_nifti(tmp_path / "lps.nii", shown, np.diag([-2.0, -2.0, 5.0, 1.0]))
    as_nifti(tmp_path / "ras.nii", shown[::-1, ::-1], np.diag([2.0, 2.0, 5.0, 1.0]))
    one, other = (read_colour_map(tmp_path / name, "cbf").data for name in ("lps.nii", "ras.nii"))
    assert np.array_equal(one, other, equal_nan=True)


def test_a_folder_of_pictures_is_read_in_the_order_of_numbers(tmp_path, pictures):
    shown = pictures(column=88)
    for k, name in enumerate(("1", "2", "10")):
        Image.fromarray(shown[:, :, k]).save(tmp_path / f"{name}.png")
    volume = read_colour_map(tmp_path, "cbf")
    assert UNPLACED in volume.notes
    expected = shares_of(shown, find_bar(shown)).transpose(1, 0, 2)
    assert np.array_equal(volume.data, expected, equal_nan=True)


def test_grey_and_barless_pictures_are_refused(tmp_path, pictures):
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(BadInputError, match="is a grey picture"):
        read_colour_map(tmp_path / "grey.png", "cbf")
    assert read_grey(tmp_path / "grey.png", "mip").data.mean() == 90
    Image.fromarray(pictures()[:, :, 0]).save(tmp_path / "bare.png")
    with pytest.raises(BadInputError, match="no colour bar was found"):
        read_colour_map(tmp_path / "bare.png", "cbf")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(BadInputError, match="can't be read as a picture"):
        read_colour_map(tmp_path / "text.png", "cbf")


def numbered(folder, names):
    """Pictures of one map; the grey of each pixel beside the bar tells the number that its slice has."""
    folder.mkdir()
    for slice_number, name in enumerate(names):
        picture = np.full((40, 40, 3), slice_number, np.uint8)
        picture[4, 4] = (200, 0, 0)
        Image.fromarray(picture).save(folder / name)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        [f"{k}_of_12.png" for k in range(1, 13)],
        [f"tmax_0-12s_{k}.png" for k in range(1, 13)],
        [f"Slice{k} 256x256.png" for k in range(1, 24, 2)],
        [f"2024_{100 + k // 5}_{k}.png" for k in range(1, 13)],
        ["a.png", "b.png", "c.png"],
    ],
)
def test_slices_are_ordered_by_the_number_that_tells_them_apart(tmp_path, names):
    found = read_pictures(numbered(tmp_path / "map", names))[0]
    assert found[20, 20, :, 0].tolist() == list(range(len(names)))


@pytest.mark.parametrize(
    "names",
    [
        ["cbf_1.png", "cbf_2.png", "tmax_1.png", "tmax_2.png"],
        ["01.png", "1.png", "02.png"],
        ["12_1.png", "11_2.png", "10_3.png"],
        ["a1b2.png", "c2.png", "map3.png", "map03.png"],
    ],
)
def test_names_that_do_not_tell_the_order_of_slices_are_refused(tmp_path, names):
    with pytest.raises(BadInputError, match="don't tell the order of its slices"):
        read_pictures(numbered(tmp_path / "map", names))


def test_what_is_hidden_is_no_slice(tmp_path):
    folder = numbered(tmp_path / "map", ["1.png", "2.png"])
    (folder / "._1.png").write_bytes(b"of another system")
    assert read_pictures(folder)[0].shape[2] == 2


def test_a_file_of_several_pictures_is_refused(tmp_path):
    pages = [Image.fromarray(np.full((40, 40, 3), 50 + k, np.uint8)) for k in range(3)]
    pages[0].save(tmp_path / "map.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(BadInputError, match="holds 3 pictures; a file of one is needed"):
        read_pictures(tmp_path / "map.tif")


@pytest.mark.parametrize(("kept", "told"), [((1, 2, 3, 4), ""), ((2, 4, 6), ""), ((1, 2, 4, 5, 9), "(after 2, 5)")])
def test_slices_that_may_be_missing_are_told(tmp_path, kept, told):
    notes = read_pictures(numbered(tmp_path / "map", [f"{k:02d}.png" for k in kept]))[2]
    assert [note for note in notes if told and told in note] == [note for note in notes if "evenly" in note]
    assert any("evenly" in note for note in notes) == bool(told)
