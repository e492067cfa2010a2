"""4D files with their times: there and back, where times come from, what is refused."""

import json

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.beside import SIDECAR, with_ending
from willis.io.nifti import write_nifti
from willis.io.nifti_series import read_series, read_times, write_series
from willis.io.study import read_study
from willis.volume.grid import Grid
from willis.volume.series import Series

GRID = Grid((5, 6, 3), np.diag([-1.0, -1.0, 4.0, 1.0]))


def series(times=(0.0, 1.5, 3.0, 6.0), dtype=np.int16):
    data = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 3, len(times))).astype(dtype)
    return Series(data, GRID, np.array(times), "ctp", "HU")


@pytest.mark.parametrize("name", ["s.nii", "s.nii.gz"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_series_comes_back_whole(tmp_path, name, dtype):
    one = series(dtype=dtype)
    again = read_series(write_series(one, tmp_path / name), "ctp")
    assert np.array_equal(again.data, one.data) and again.data.dtype == dtype
    assert again.grid == GRID and np.allclose(again.times_s, one.times_s)


def test_times_come_from_the_header_where_nothing_else_says_them(tmp_path):
    path = write_series(series((0, 2, 4, 6)), tmp_path / "s.nii")
    with_ending(path, SIDECAR).unlink()
    again = read_series(path)
    assert np.allclose(again.times_s, (0, 2, 4, 6)) and "every 2 s" in again.notes[-1]


def test_times_in_ms_are_seen(tmp_path):
    path = write_series(series((0, 2000, 4000, 6000)), tmp_path / "s.nii")
    with_ending(path, SIDECAR).unlink()
    again = read_series(path)
    assert np.allclose(again.times_s, (0, 2, 4, 6)) and "read as ms" in again.notes[-1]


def test_repetition_time_serves(tmp_path):
    path = write_series(series(), tmp_path / "s.nii")
    with_ending(path, SIDECAR).write_text(json.dumps({"RepetitionTime": 1.25}))
    assert np.allclose(read_series(path).times_s, np.arange(4) * 1.25)


def test_times_that_do_not_fit_and_single_volumes_are_refused(tmp_path):
    path = write_series(series(), tmp_path / "s.nii")
    with_ending(path, SIDECAR).write_text(json.dumps({"VolumeTiming": [0, 1]}))
    with pytest.raises(BadInputError, match=r"gives 2 times; s\.nii holds 4 frames"):
        read_series(path)
    with pytest.raises(BadInputError, match="a series of frames is needed"):
        read_series(write_nifti(series().frame(0), tmp_path / "one.nii"))


def test_a_sidecar_that_is_no_object_is_refused(tmp_path):
    path = write_series(series(), tmp_path / "s.nii.gz")
    (tmp_path / "s.json").write_text("[1.0, 2.0]")
    with pytest.raises(BadInputError, match=r"s\.json holds a JSON list; one JSON object is allowed"):
        read_series(path)


def test_times_are_read_from_text(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("0, 1.5\n3 4.5")
    assert read_times(path).tolist() == [0, 1.5, 3, 4.5]
    path.write_text("one two")
    with pytest.raises(BadInputError, match="doesn't hold times in s"):
        read_times(path)


def test_one_frame_of_a_series_cannot_be_asked_for(tmp_path):
    path = write_series(series(), tmp_path / "s.nii")
    with pytest.raises(BadInputError, match="index was given for ctp, a series that is read whole"):
        read_study(ctp=path, index={"ctp": 1})
