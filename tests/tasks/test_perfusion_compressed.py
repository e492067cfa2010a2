"""Core and penumbra of JPEG pictures against those of the same pictures as PNG."""

import numpy as np
import pytest
from PIL import Image

from willis.io.study import read_study
from willis.phantom.perfusion_pictures import PictureStyle, vendor_pictures
from willis.tasks.perfusion import figures
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings

ROWS, COLUMNS, SLICES = 180, 150, 4
RANGES = {"cbf": (0.0, 80.0), "cbv": (0.0, 8.0), "tmax": (0.0, 16.0)}
MOST_APART = 0.08  # of the volumes of the PNG way, at a sharp step of Tmax in pixels of 1 mm


def maps():
    """An ellipse of 1 mm pixels whose left side is late, with a core, over smooth normal tissue."""
    y, x = np.mgrid[:ROWS, :COLUMNS]
    inside = np.hypot((y - 90) / 80, (x - 75) / 62) < 1
    late = inside & (x > 95) & (y > 50) & (y < 130)
    core = late & (x > 108) & (y > 70) & (y < 115)
    wave = 1 + 0.1 * np.sin(x / 9) * np.cos(y / 12)
    values = {"cbf": np.where(core, 6.0, np.where(late, 27.0, 50.0)) * wave,
              "cbv": np.where(core, 1.3, 3.5) * wave, "tmax": np.where(late, 10.0, 2.0) * wave}  # fmt: skip
    return {name: np.repeat(v[..., None], SLICES, 2) for name, v in values.items()}, np.repeat(
        inside[..., None], SLICES, 2
    )


def written(folder, suffix, style, **options):
    values, inside = maps()
    places = {}
    for name, data in values.items():
        shown = vendor_pictures(data, RANGES[name], inside, style)
        places[name] = folder / name
        places[name].mkdir(parents=True)
        for k in range(SLICES):
            Image.fromarray(shown.pictures[:, :, k]).save(places[name] / f"{k + 1:02d}{suffix}", **options)
    return places


@pytest.mark.parametrize("colours", ["jet", "turbo"])
def test_volumes_are_those_of_the_png_way_within_the_limit(tmp_path, monkeypatch, colours):
    monkeypatch.setattr(figures, "make", lambda *_: [])
    style, found = PictureStyle(colours=colours), {}
    ranges = ",".join(f"{name}={low:g}:{high:g}" for name, (low, high) in RANGES.items())
    for way in ("png", "75", "90"):
        more = {} if way == "png" else {"quality": int(way)}
        places = written(tmp_path / way, ".png" if way == "png" else ".jpg", style, **more)
        result = run_task("perfusion", read_study(**places), settings=RunSettings(), method="thresholds", range=ranges,
                          spacing="1,1,5")  # fmt: skip
        found[way] = [result.measurements[f"{label}_volume"].value for label in ("core", "penumbra")]
        assert any("compressed with loss" in note for note in result.notes) == (way != "png")
    assert min(found["png"]) > 5
    for way in ("75", "90"):
        assert found[way] == pytest.approx(found["png"], rel=MOST_APART), found
