"""Inputs that can't be analysed end the command with exit code 2 and a sentence that says what is wrong."""

import json

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from willis.app.cli.main import call
from willis.io.nifti import write_nifti
from willis.io.nifti_series import write_series
from willis.volume.grid import Grid
from willis.volume.series import Series
from willis.volume.volume import Volume

SHAPE = (40, 44, 5)
AFFINE = np.array([[-4.5, 0, 0, 88], [0, -4.5, 0, 97], [0, 0, 8.0, -16], [0, 0, 0, 1.0]])
GRID = Grid(SHAPE, AFFINE)
X, Y, _ = np.moveaxis(GRID.to_mm(np.stack(np.indices(SHAPE), -1)), -1, 0)
R = np.hypot(X / 70, Y / 82)
NORMAL = {"cbf": 45.0, "cbv": 3.5, "mtt": 4.7, "ttp": 14.0, "tmax": 1.2}


def refused(arguments, tmp_path, capsys):
    assert call(["run", "perfusion", *arguments, "--method", "thresholds", "-o", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out" / "report.html").exists()
    return " ".join(capsys.readouterr().err.split())


def maps(folder, *, affines=None, **factors):
    """Maps of a brain without stroke, each times a factor or on an affine of its own, as flags of the command."""
    flags = []
    for name in ("cbf", "tmax"):
        data = np.where(R < 1, NORMAL[name] * factors.get(name, 1.0), np.nan).astype(np.float32)
        grid = Grid(SHAPE, (affines or {}).get(name, AFFINE))
        flags += [f"--{name}", str(write_nifti(Volume(data, grid, name), folder / f"{name}.nii.gz"))]
    return flags


def series(folder, enhancement, frames=30, step_s=2.0):
    """A head whose brain is enhanced by so many HU at each time, as flags of the command."""
    times = np.arange(frames) * step_s
    still = np.where(R < 1, 33.0, np.where(R < 1.13, 1000.0, -1000.0))
    data = still[..., None] + np.where(R < 1, 1.0, 0.0)[..., None] * enhancement(times)
    path = write_series(Series(np.rint(data).astype(np.int16), GRID, times, "ctp", "HU"), folder / "ctp.nii.gz")
    return ["--ctp", str(path)]


def bolus(times, arrival=12.0):
    late = np.clip(times - arrival, 0, None)
    return 30 * late / 6 * np.exp(1 - late / 6)


def test_maps_on_two_grids_are_refused(tmp_path, capsys):
    moved = AFFINE.copy()
    moved[0, 3] += 9
    assert "CBF (40, 44, 5) doesn't lie on the grid of TMAX" in refused(
        maps(tmp_path, affines={"cbf": moved}), tmp_path, capsys
    )


@pytest.mark.parametrize(("factors", "words"), [({"cbf": 1 / 60}, "CBF map has a median of 0.75"),
                                                ({"tmax": 60.0}, "TMAX map has a median of 72")])  # fmt: skip
def test_values_that_fit_no_unit_are_refused(factors, words, tmp_path, capsys):
    said = refused(maps(tmp_path, **factors), tmp_path, capsys)
    assert words in said and "fits no unit" in said


@pytest.mark.parametrize(("factors", "words"), [({"tmax": 1000.0}, "read as ms"), ({"cbf": 1 / 6000}, "ml/g/s")])
def test_units_that_are_seen_in_the_values_are_turned_and_said(factors, words, tmp_path, capsys):
    flags = [*maps(tmp_path, **factors), "--method", "thresholds"]
    assert call(["run", "perfusion", *flags, "-o", str(tmp_path / "out")]) == 0
    assert words in capsys.readouterr().out


def grey_pictures(folder):
    folder.mkdir()
    for k in range(3):
        Image.fromarray(np.full((64, 64, 3), 90 + k, np.uint8)).save(folder / f"{k}.png")
    return folder


def grey_rgb(path):
    stored = np.repeat(np.full((*SHAPE, 1), 90, np.uint8), 3, 3).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    nib.Nifti1Image(stored, AFFINE).to_filename(path)
    return path


def test_a_grey_image_where_colour_is_declared_is_refused(tmp_path, capsys):
    spacing = ["--range", "tmax=0:12", "--spacing", "3,3,8"]
    pictures = ["--tmax", str(grey_pictures(tmp_path / "slices")), *spacing]
    assert "is a grey picture; a colour-coded TMAX map is needed" in refused(pictures, tmp_path, capsys)
    rgb = ["--tmax", str(grey_rgb(tmp_path / "grey.nii.gz")), *spacing[:2]]
    assert "is a grey picture" in refused(rgb, tmp_path, capsys)
    said = refused([*maps(tmp_path), *spacing[:2]], tmp_path, capsys)
    assert "--range says that the TMAX map is colour-coded, but it is grey or holds values" in said
    assert "no MTT map was given" in refused([*maps(tmp_path), "--range", "mtt=0:20"], tmp_path, capsys)


@pytest.mark.parametrize(
    ("enhancement", "changes", "words"),
    [
        (bolus, {"frames": 8}, "the series has 8 frames; perfusion needs at least 10"),
        (bolus, {"step_s": 0.5}, "the series lasts 14.5 s; at least 25 s are needed"),
        (bolus, {"step_s": 2000.0}, "the series lasts 58000 s, a frame every 2000 s; at most 600 s are allowed"),
        (np.zeros_like, {}, "no bolus passes"),
        (lambda t: bolus(t, arrival=-6.0), {}, "contrast is already there at the start"),
        (bolus, {}, "no artery stands out: the best curve peaks at"),
    ],
    ids=["few frames", "short", "times in ms", "no bolus", "contrast at the start", "no artery"],
)
def test_series_that_cannot_be_read_are_refused(enhancement, changes, words, tmp_path, capsys):
    assert words in refused(series(tmp_path, enhancement, **changes), tmp_path, capsys)


@pytest.mark.parametrize("entry", ["a", None, [1.0, 2.0]])
def test_a_time_that_is_no_number_is_refused(entry, tmp_path, capsys):
    flags = series(tmp_path, bolus)
    beside = tmp_path / "ctp.json"
    said = json.loads(beside.read_text())
    said["VolumeTiming"][3] = entry
    beside.write_text(json.dumps(said))
    words = refused(flags, tmp_path, capsys)
    assert "ctp.json" in words and "no number in VolumeTiming" in words


@pytest.mark.parametrize("nihss", ["57", "-3", "many", "nan", "inf"])
def test_an_impossible_nihss_is_refused(nihss, tmp_path, capsys):
    said = refused([*maps(tmp_path), f"--nihss={nihss}"], tmp_path, capsys)
    assert f"NIHSS is '{nihss}'" in said or f"NIHSS is {nihss!r}" in said


@pytest.mark.parametrize("sex", ["x", "2", "0.5", "nan"])
def test_an_impossible_sex_is_refused(sex, tmp_path, capsys):
    said = refused([*maps(tmp_path), f"--sex={sex}"], tmp_path, capsys)
    assert f"sex is {sex!r}; allowed are m, male or 0, f, female or 1" in said


def test_an_unknown_nihss_is_said_and_the_run_goes_on(tmp_path, capsys):
    flags = [*maps(tmp_path), "--nihss=-", "--method", "thresholds"]
    assert call(["run", "perfusion", *flags, "-o", str(tmp_path / "out")]) == 0
    assert "Unknown: NIHSS" in capsys.readouterr().out


def test_a_brain_mask_on_another_grid_is_refused(tmp_path, capsys):
    grid = Grid((20, 20, 20), np.diag([5.0, 5, 5, 1]))
    mask = write_nifti(Volume(np.ones(grid.shape, np.uint8), grid), tmp_path / "mask.nii.gz")
    said = refused([*maps(tmp_path), "--brain-mask", str(mask)], tmp_path, capsys)
    assert "does not lie on the grid of the images" in said
