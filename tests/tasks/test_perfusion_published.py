"""The published software's pictures: label values, outlines, heat maps; written for maps that came in colours."""

from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import willis
from willis.errors import BadInputError
from willis.image.midline import Midline
from willis.infer.ensemble import Prediction
from willis.io.colour_tables import jet
from willis.phantom.perfusion_pictures import PictureStyle, vendor_pictures
from willis.tasks.perfusion import figures
from willis.tasks.perfusion import run as task
from willis.tasks.perfusion.by_network import NetworkReading
from willis.tasks.perfusion.prepare import PreparedMaps
from willis.tasks.perfusion.published import heatmap, outline, published_files
from willis.volume.grid import Grid
from willis.volume.volume import Volume

COLUMNS, ROWS, SLICES = 90, 100, 2


def made_up():
    """A brain with penumbra on one side and a core in it; (I, J, K), pictures are (J, I, K)."""
    grid = Grid((COLUMNS, ROWS, SLICES), np.diag([-2.0, -2.0, 6.0, 1.0]))
    x, y = np.mgrid[:COLUMNS, :ROWS]
    brain = np.repeat((np.hypot((x - 45) / 36, (y - 50) / 44) < 1)[..., None], SLICES, 2)
    threatened = brain & (x > 55)[..., None]
    core = threatened & ((x > 66) & (y > 40) & (y < 60))[..., None]
    core[:, :, 1] = False
    return grid, brain, core, threatened & ~core


def reading(grid, core, penumbra):
    p = {"core": Volume(core.astype(np.float32), grid), "penumbra": Volume(0.5 * penumbra.astype(np.float32), grid)}
    return NetworkReading(core, penumbra, p, SimpleNamespace(), SimpleNamespace(notes=()), ())


def pictures_of(files):
    return {file.name: np.asarray(Image.open(BytesIO(file.content))) for file in files}


@pytest.fixture
def found():
    grid, brain, core, penumbra = made_up()
    maps = {"tmax": Volume(brain.astype(np.float32), grid, "tmax")}
    prepared = PreparedMaps(maps, "tmax", brain, brain, Midline((1.0, 0.0, 0.0), 0.0), None, "colours")
    return prepared, reading(grid, core, penumbra)


def test_the_network_is_given_the_sex_and_the_run_records_it(tmp_path, monkeypatch):
    paths, _ = coloured_folders(tmp_path)
    monkeypatch.setattr(figures, "make", lambda *_: [])
    seen = {}

    def read(prepared, scalars, *_, **__):
        seen.update(scalars)
        raise BadInputError("seen")

    monkeypatch.setattr(task, "read_by_network", read)
    study = willis.read_study(**paths)
    with pytest.raises(BadInputError, match="seen"):
        willis.run("perfusion", study, range="tmax=0:12,cbf=0:60", spacing="2,2,6", sex="f", nihss="3")
    assert seen == {"nihss": 3.0, "age": None, "sex": 1.0}
    ranges = {"range": "tmax=0:12,cbf=0:60", "spacing": "2,2,6"}
    found = willis.run("perfusion", study, sex="f", method="thresholds", **ranges)
    assert found.provenance["clinical"] == {"nihss": None, "age": None, "sex": 1.0}
    assert not found.attachments, "without a network there is no prediction to draw"


def test_each_slice_has_its_four_pictures(found):
    names = set(pictures_of(published_files(*found, {})))
    assert names == {f"{n}.png" for n in ("01", "02", "TMP_01", "TMP_02")} | {
        f"HEATMAP_{k}_heatmap_{label}.png" for k in ("01", "02") for label in ("core", "penumbra")
    }


def test_a_prediction_holds_the_published_values_where_they_belong(found):
    shown = pictures_of(published_files(*found, {}))["01.png"]
    prepared, network = found
    for mask, value in (
        (network.core, 255), (network.penumbra, 170), (~prepared.brain, 0),
        (prepared.brain & ~network.core & ~network.penumbra, 85),
    ):  # fmt: skip
        assert (shown[mask[:, :, 0].T] == value).all() and mask[:, :, 0].any()


def test_a_network_without_penumbra_gives_core_and_brain(found):
    prepared, network = found
    alone = replace(network, penumbra=None, probability={"core": network.probability["core"]})
    shown = pictures_of(published_files(prepared, alone, {}))
    assert set(np.unique(shown["01.png"])) == {0, 85, 255} and set(np.unique(shown["02.png"])) == {0, 85}
    assert not any("penumbra" in name for name in shown)


def test_an_outline_is_two_pixels_wide_and_lies_on_the_border():
    mask = np.zeros((12, 12, 2), dtype=bool)
    mask[3:9, 3:9, 0] = True
    line = outline(mask)
    assert line[5, :, 0].tolist() == [False, False, True, True] + [False] * 4 + [True, True, False, False]
    assert not line[:, :, 1].any(), "slices are outlined apart"


def test_a_heat_map_is_half_jet_and_half_prediction():
    labels = np.array([[[0]], [[255]]], dtype=np.uint8)
    shown = heatmap(np.array([[[0.0]], [[1.0]]]), labels)
    assert shown[0, 0, 0].tolist() == np.rint(jet()[0] / 2).astype(int).tolist()
    assert shown[1, 0, 0].tolist() == np.rint((jet()[-1].astype(float) + 255) / 2).astype(int).tolist()


def coloured_folders(folder):
    _, brain, core, penumbra = made_up()
    late = core | penumbra
    values = {"cbf": (np.where(core, 6.0, np.where(late, 24.0, 48.0)), (0.0, 60.0)),
              "tmax": (np.where(late, 9.0, 1.0), (0.0, 12.0))}  # fmt: skip
    paths = {}
    for name, (data, limits) in values.items():
        shown = vendor_pictures(data.swapaxes(0, 1), limits, brain.swapaxes(0, 1), PictureStyle(), name)
        paths[name] = folder / name
        paths[name].mkdir()
        for k in range(SLICES):
            Image.fromarray(shown.pictures[:, :, k]).save(paths[name] / f"{k}.png")
    return paths, shown


def test_a_run_on_pictures_writes_them_and_draws_on_the_map_as_given(tmp_path, monkeypatch):
    paths, shown = coloured_folders(tmp_path)
    monkeypatch.setattr(figures, "make", lambda *_: [])
    fake = SimpleNamespace(manifest=SimpleNamespace(channels=("cbf", "tmax"), name="fake", title="a fake"))

    def network(study, prepared, *_):
        core = prepared.brain & (prepared.maps["cbf"].data < 12)
        late = prepared.brain & (prepared.maps["tmax"].data > 6)
        p = {"core": Volume(core.astype(np.float32), prepared.grid)}
        prediction = Prediction(np.zeros(1), (), np.zeros(1), "torch", "float32", 0.1, 0.0)
        return NetworkReading(core, late & ~core, p, fake, prediction, ()), ""

    monkeypatch.setattr(task, "_read_by_network", network)
    monkeypatch.setattr(task, "_bundle_of", lambda *_: None)
    monkeypatch.setattr(task, "describe_bundle", lambda _: {"licence": ""})
    findings = willis.run("perfusion", willis.read_study(**paths), range="tmax=0:12,cbf=0:60", spacing="2,2,6")
    willis.write(findings, tmp_path / "out")
    place = tmp_path / "out" / "published"
    drawn = np.asarray(Image.open(place / "TMP_01.png"))
    given = shown.pictures[:, :, 0]
    assert drawn.shape == given.shape
    changed = (drawn != given).any(axis=2)
    assert {tuple(c) for c in drawn[changed]} == {(255, 0, 0), (0, 0, 255)} and 0.001 < changed.mean() < 0.05
    _, _, core, _ = made_up()
    label = np.asarray(Image.open(place / "01.png"))[shown.rows, shown.columns]
    assert (label[core[:, :, 0].T] == 255).mean() > 0.95 and (label == 255).sum() < 1.1 * core[:, :, 0].sum()
    assert (place / "HEATMAP_02_heatmap_core.png").is_file()
