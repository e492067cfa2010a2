"""Maps as pictures: letters in colours of the bar, bars that end too early, slices that aren't the same."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from willis.errors import BadInputError
from willis.io.study import read_study
from willis.phantom.perfusion_pictures import PictureStyle, vendor_pictures
from willis.tasks.perfusion import figures
from willis.tasks.perfusion import run as task
from willis.tasks.perfusion.spec import SPEC
from willis.tasks.registry import run_task

ROWS, COLUMNS, SLICES = 90, 80, 5
LIMITS = {"tmax": (0.0, 12.0), "cbf": (0.0, 80.0)}
Y, X, _ = np.mgrid[:ROWS, :COLUMNS, :SLICES]
BRAIN = np.hypot((X - 40) / 32, (Y - 46) / 40) < 1
LATE = BRAIN & (X > 56) & (np.abs(Y - 46) < 20)  # columns rise towards the patient's left
CORE = LATE & (X > 63)
VOXEL_ML = 2 * 2 * 10 / 1000


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch):
    monkeypatch.setattr(figures, "make", lambda *_: [])
    monkeypatch.setattr(task, "SPEC", replace(SPEC, default_bundle=None))


def lettered(picture, colour):
    """The picture with a side's letter and a date burned in."""
    image = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(20)
    draw.text((10, 90), "R", colour, font)
    draw.text((60, 190), "2024-05-17", colour, font)
    return np.asarray(image)


def exported(folder, *, letters=None, limits=None, numbers=None):
    """A folder of pictures for each map of a left-sided stroke, and the ranges of their bars."""
    noise = np.random.default_rng(0).normal(0, 0.3, BRAIN.shape)
    values = {
        "tmax": np.where(LATE, 9.0, 1.5) + noise,
        "cbf": np.where(CORE, 5.0, np.where(LATE, 25.0, 45.0)) + noise,
    }
    limits, paths = {**LIMITS, **(limits or {})}, {}
    for name in values:
        shown = vendor_pictures(values[name], limits[name], BRAIN, PictureStyle(text=False)).pictures
        paths[name] = folder / name
        paths[name].mkdir(parents=True)
        for k, number in enumerate((numbers or {}).get(name, range(1, SLICES + 1))):
            picture = lettered(shown[:, :, k], letters) if letters else shown[:, :, k]
            Image.fromarray(picture).save(paths[name] / f"{number:02d}.png")
    return paths, ",".join(f"{name}={low:g}:{high:g}" for name, (low, high) in limits.items())


def found(folder, options=None, **how):
    paths, ranges = exported(folder, **how)
    return run_task("perfusion", read_study(**paths), range=ranges, spacing="2,2,10", **(options or {}))


def values_of(findings):
    return {name: m.value for name, m in findings.measurements.items()}


@pytest.mark.parametrize("colour", [(255, 255, 0), (255, 0, 0), (0, 255, 255)])
def test_letters_in_colours_of_the_bar_are_no_brain_and_turn_no_side(tmp_path, colour):
    plain, marked = found(tmp_path / "plain"), found(tmp_path / "marked", letters=colour)
    assert values_of(marked) == pytest.approx(values_of(plain), nan_ok=True)
    assert values_of(marked)["left_share"] == 100 and "(left)" in marked.summary
    assert values_of(marked)["hypoperfused_volume"] == pytest.approx(LATE.sum() * VOXEL_ML, rel=0.03)
    said = [note for note in marked.notes if "Coloured pixels apart from the brain" in note]
    assert len(said) == 1 and float(re.search(r"([\d.]+) ml", said[0])[1]) > 5
    assert not any("Coloured pixels" in note for note in plain.notes)


@pytest.mark.parametrize(("high", "options"), [(6.0, {}), (5.0, {}), (12.0, {"tmax_above": 12.0})])
def test_a_bar_that_ends_before_what_is_sought_is_refused(tmp_path, high, options):
    with pytest.raises(BadInputError, match=f"ends at {high:g} s, so that it can't show tissue with Tmax above"):
        found(tmp_path, options, limits={"tmax": (0.0, high)})


def test_a_bar_that_ends_before_severe_delay_gives_no_intensity_ratio(tmp_path):
    measured, short = found(tmp_path / "long"), found(tmp_path / "short", limits={"tmax": (0.0, 10.0)})
    assert {"severe_volume", "hypoperfusion_intensity_ratio"} <= set(measured.measurements)
    assert not {"severe_volume", "hypoperfusion_intensity_ratio"} & set(short.measurements)
    assert any("bar of the Tmax map ends at 10 s" in note for note in short.notes)
    assert values_of(short)["core_volume"] == pytest.approx(values_of(measured)["core_volume"], rel=0.02)


def test_a_bar_of_flow_that_begins_above_the_cores_threshold_tells_no_core(tmp_path):
    result = found(tmp_path, limits={"cbf": (20.0, 80.0)})
    assert "core_volume" not in result.measurements and "the core can't be told" in result.summary
    assert any("bar of the CBF map begins at 20" in note for note in result.notes)
    assert values_of(result)["hypoperfused_volume"] == pytest.approx(LATE.sum() * VOXEL_ML, rel=0.03)


def test_flow_beyond_its_bars_end_is_told(tmp_path):
    told = [any("lies at the end of its bar" in note for note in found(tmp_path / name, limits={"cbf": range_}).notes)
            for name, range_ in (("short", (0.0, 40.0)), ("long", (0.0, 80.0)))]  # fmt: skip
    assert told == [True, False]


def test_maps_of_other_slices_are_refused(tmp_path):
    with pytest.raises(BadInputError, match="pictures of CBF and TMAX aren't of the same slices"):
        found(tmp_path, numbers={"cbf": (1, 2, 4, 5, 6), "tmax": (1, 2, 3, 4, 6)})
