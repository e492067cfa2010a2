"""The network's reading: its input, the way back, what is left out, imported networks, and training of the variants."""

import gzip
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from willis.errors import BadInputError
from willis.image.midline import Midline
from willis.infer import ensemble
from willis.infer.ensemble import Prediction
from willis.infer.windows import predict_sliding
from willis.io.colour_tables import colour_table
from willis.io.nifti import write_nifti
from willis.io.study import read_study
from willis.learn.case import Case, CaseList
from willis.learn.recipe import read_recipe
from willis.learn.trainer import train
from willis.measure.overlap import dice
from willis.models.importers.perfusion import import_perfusion
from willis.models.manifest import make_manifest
from willis.models.publish import write_bundle
from willis.models.store import open_bundle
from willis.nets.registry import build_network
from willis.phantom.deform import rotation
from willis.study import Study
from willis.tasks.perfusion import by_network, figures
from willis.tasks.perfusion.beside import measure_network, readings_table
from willis.tasks.perfusion.by_network import channels_of, read_by_network
from willis.tasks.perfusion.dataset import manifest_fields
from willis.tasks.perfusion.interpret import Thresholds, read_maps
from willis.tasks.perfusion.labels import one_hot
from willis.tasks.perfusion.network import network_image, slice_grid, value_image
from willis.tasks.perfusion.prepare import GREY_UNIT, PreparedMaps, prepare
from willis.tasks.perfusion.spec import LEAST_CLUSTER_ML, SPEC
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings
from willis.tasks.training import bundle_from
from willis.volume.grid import Grid
from willis.volume.volume import Volume

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden" / "perfusion"
SHAPE, SPACING = (40, 44, 4), (4.0, 4.0, 8.0)
CONFIG = {
    "inputs": 6, "outputs": 3, "features": [8, 8], "kernels": [[3, 3, 1]] * 2, "strides": [[1, 1, 1], [2, 2, 1]],
    "convs": [1, 1], "decoder_convs": [1],
}  # fmt: skip
DATA = {"maps": ["cbf", "cbv", "ttp", "tmax", "mip"], "scalars": ["nihss"], "classes": 3, "coding": "values",
        "size": 48, "field_mm": 192.0}  # fmt: skip
TORCH = RunSettings(engine="torch", precision="float32")


@pytest.fixture
def bundle(tmp_path):
    torch.manual_seed(0)
    fields = {**manifest_fields(DATA), "network": {"name": "plainunet", "config": CONFIG}, "name": "tiny"}
    weights = {k: v.numpy() for k, v in build_network("plainunet", CONFIG).state_dict().items()}
    return write_bundle(tmp_path / "tiny", make_manifest(fields, "tiny"), [weights])


def made_up(axes="LPS"):
    """Maps of an ellipse whose left side is late, with a core; stored in any order."""
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    grid = Grid(SHAPE, affine)
    x, y, z = np.moveaxis(grid.to_mm(np.stack(np.indices(SHAPE), -1)), -1, 0)
    tissue = np.hypot(x / 70, y / 80) < 1
    late = tissue & (x < -24) & (y > -30) & (y < 50)
    core = late & (x < -44) & (z > -8)
    values = {
        "cbf": np.where(core, 8.0, np.where(late, 25.0, 50.0)), "cbv": np.where(core, 1.5, 3.5),
        "mtt": np.where(late, 10.0, 4.5), "ttp": np.where(late, 22.0, 14.0), "tmax": np.where(late, 9.0, 1.0),
        "mip": np.full(SHAPE, 80.0),
    }  # fmt: skip
    maps = {name: Volume((data * tissue).astype(np.float32), grid, name) for name, data in values.items()}
    return PreparedMaps(maps, "tmax", tissue, tissue, Midline((1.0, 0.0, 0.0), 0.0), None, "maps"), core, late & ~core


def read(prepared, bundle, **scalars):
    return read_by_network(prepared, {"nihss": 12.0, **scalars}, bundle, settings=TORCH, min_ml=0.0)


def by_rule(prediction):
    """A network that knows: its classes follow from its own input, so that only the way there and back is tested."""

    def predict(bundle, x, *, mask, **_):
        cbf, tmax = 2 * x[0], 16 * x[3]
        core = (tmax > 6) & (cbf < 0.3)
        found = one_hot(np.where(core, 2, np.where(tmax > 6, 1, 0)), 3).astype(np.float32)
        prediction.append(found)
        return Prediction(found, (found,), 0 * found, "torch", "float32", 0.1, 0.0)

    return predict


def test_what_the_network_says_comes_back_to_the_maps_own_grid(bundle, monkeypatch):
    monkeypatch.setattr(by_network, "predict", by_rule([]))
    prepared, core, penumbra = made_up()
    found = read(prepared, bundle)
    assert np.array_equal(found.core, core) and np.array_equal(found.penumbra, penumbra)


def test_a_bundle_says_in_which_colours_its_maps_are_painted(bundle, monkeypatch):
    painted = {}

    def predict(bundle, x, *, mask, **_):
        painted["x"] = x
        found = np.stack([mask, 0 * mask, 0 * mask]).astype(np.float32)
        return Prediction(found, (found,), 0 * found, "torch", "float32", 0.1, 0.0)

    monkeypatch.setattr(by_network, "predict", predict)
    prepared, _, _ = made_up()
    for table in ("jet", "turbo", "hot"):
        fields = manifest_fields({**DATA, "maps": ["tmax"], "scalars": [], "coding": "colours", "colour_table": table})
        manifest = make_manifest({**bundle.manifest.model_dump(), "channels": fields["channels"]}, table)
        read(prepared, replace(bundle, manifest=manifest))
        colour = painted["x"][:, 14, 24, 1]
        expected = colour_table(table)[round(255 * prepared.maps["tmax"].data[10, 22, 1] / 16)][::-1]
        assert colour.tolist() == expected.tolist()


def test_tiles_cover_the_whole_slice_and_find_what_the_whole_finds(bundle, tmp_path, monkeypatch):
    seen = []

    def counting(network, x, window, overlap, **options):
        seen.append((x.shape[1:3], window[:2], overlap))
        return predict_sliding(network, x, window, overlap, **options)

    monkeypatch.setattr(ensemble, "predict_sliding", counting)
    torch.manual_seed(1)
    fields = {**manifest_fields({**DATA, "tile": 16}), "network": {"name": "plainunet", "config": CONFIG}}
    weights = {k: v.numpy() for k, v in build_network("plainunet", CONFIG).state_dict().items()}
    tiled = write_bundle(tmp_path / "tiled", make_manifest({**fields, "name": "tiled"}, "tiled"), [weights])
    prepared, _, _ = made_up()
    found = read(prepared, tiled)
    assert seen == [((44, 44), (16, 16), 0.75)], "40 × 44 pixels of 4 mm lie within 44 × 44"
    assert found.probability["core"].data[prepared.brain].min() > 0, "every voxel of the brain lies in a tile"
    read(prepared, bundle)
    assert seen[1] == ((48, 48), (48, 48), 0.0)


def test_slices_in_the_other_order_and_another_pixel_size_give_the_same_place(bundle, monkeypatch):
    monkeypatch.setattr(by_network, "predict", by_rule([]))
    prepared, core, _ = made_up()
    flipped = replace(
        prepared,
        maps={
            n: Volume(v.data[:, :, ::-1].copy(), v.grid.shifted((0, 0, 0), SHAPE), n) for n, v in prepared.maps.items()
        },
        brain=prepared.brain[:, :, ::-1], tissue=prepared.tissue[:, :, ::-1],
    )  # fmt: skip
    affine = prepared.grid.affine.copy()
    affine[:3, 3] += affine[:3, 2] * (SHAPE[2] - 1)
    affine[:3, 2] *= -1
    turned = {n: Volume(v.data, Grid(SHAPE, affine), n) for n, v in flipped.maps.items()}
    assert np.array_equal(read(replace(flipped, maps=turned), bundle).core, core[:, :, ::-1])


def on_grid(prepared, grid, *, pad=(0, 0)):
    """The same arrays on another grid, with more of the field before their first column and row."""
    widths = [(n, 0) for n in pad] + [(0, 0)]
    maps = {n: Volume(np.pad(v.data, widths), grid, n) for n, v in prepared.maps.items()}
    masks = {n: np.pad(getattr(prepared, n), widths) for n in ("brain", "tissue")}
    return replace(prepared, maps=maps, **masks)


@pytest.mark.parametrize("how", ["turned", "sheared"])
def test_the_slices_of_a_tilted_gantry_are_read_whole_and_in_their_own_planes(how, bundle, monkeypatch):
    monkeypatch.setattr(by_network, "predict", by_rule([]))
    prepared, core, penumbra = made_up()
    affine, tilt = prepared.grid.affine.copy(), np.deg2rad(20)
    if how == "turned":
        affine[:3, :3] = rotation((tilt, 0.0, 0.0)) @ affine[:3, :3]
    else:
        affine[1, 2] = SPACING[2] * np.tan(tilt)
    found = read(on_grid(prepared, Grid(SHAPE, affine)), bundle)
    assert np.array_equal(found.core, core) and np.array_equal(found.penumbra, penumbra)


def test_a_brain_at_the_side_of_a_wide_field_is_read_whole(bundle, monkeypatch):
    monkeypatch.setattr(by_network, "predict", by_rule([]))
    prepared, core, penumbra = made_up()
    wide = Grid((SHAPE[0] + 30, SHAPE[1] + 36, SHAPE[2]), prepared.grid.affine)
    found = read(on_grid(prepared, wide, pad=(30, 36)), bundle)
    assert np.array_equal(found.core[30:, 36:], core) and np.array_equal(found.penumbra[30:, 36:], penumbra)


def test_a_mip_as_pictures_keeps_its_grey(tmp_path):
    prepared, *_ = made_up()
    values = np.where(prepared.tissue, 80.0, 0.0).astype(np.float32)
    values[20:, :, :][prepared.tissue[20:]] = 200.0
    shown = {}
    for unit in ("HU", GREY_UNIT):
        maps = {**prepared.maps, "mip": Volume(values, prepared.grid, "mip", unit)}
        image = network_image(replace(prepared, maps=maps), ("mip",), (), prepared.grid)
        shown[unit] = sorted({round(float(v), 1) for v in image[0][prepared.tissue]})
    assert shown == {"HU": [127.5, 255.0], GREY_UNIT: [80.0, 200.0]}


def test_pictures_of_the_mip_are_told_from_values(tmp_path):
    study = scalar_study()
    known = {n: write_nifti(study[n], tmp_path / f"{n}.nii.gz") for n in ("cbf", "tmax", "mip")}
    assert prepare(read_study(**known), SPEC.resolve_options({})).maps["mip"].unit != GREY_UNIT
    grey = np.full((*SHAPE, 3), 90, np.uint8).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    known["mip"] = tmp_path / "grey.nii.gz"
    nib.Nifti1Image(grey, study["cbf"].grid.affine).to_filename(known["mip"])
    assert prepare(read_study(**known), SPEC.resolve_options({})).maps["mip"].unit == GREY_UNIT


def test_small_parts_are_dropped_from_core_and_become_penumbra(bundle, monkeypatch):
    monkeypatch.setattr(by_network, "predict", by_rule([]))
    prepared, core, penumbra = made_up()
    most = (core.sum() + 1) * prepared.grid.voxel_ml
    found = read_by_network(prepared, {"nihss": 3.0}, bundle, settings=TORCH, min_ml=most)
    assert not found.core.any() and np.array_equal(found.penumbra, core | penumbra)


def test_readings_are_put_side_by_side(bundle, monkeypatch):
    monkeypatch.setattr(by_network, "predict", by_rule([]))
    prepared, core, penumbra = made_up()
    found = read(prepared, bundle)
    reading = read_maps(prepared, Thresholds(0.3, 6.0, 0.0))
    rows = {row["tissue"]: row for row in readings_table(found, reading, prepared.grid)}
    assert rows["core"]["dice_of_the_two"] > 0.95 and rows["penumbra"]["dice_of_the_two"] > 0.95
    measured = measure_network(found, prepared.grid)
    assert measured["network_core_volume"].value == pytest.approx(core.sum() * prepared.grid.voxel_ml)
    assert measured["network_mismatch_ratio"].value == pytest.approx((core | penumbra).sum() / core.sum())


def image_of(prepared, **scalars):
    grid = slice_grid(prepared.grid, 48, 192.0)
    return value_image(prepared, ("cbf", "cbv", "ttp", "tmax", "mip"), {"nihss": None, **scalars}, grid)


def test_the_scale_of_flow_and_the_time_of_injection_do_not_matter():
    prepared, *_ = made_up()
    changed = {"cbf": lambda d: 3 * d, "cbv": lambda d: 0.5 * d, "ttp": lambda d: d + 7, "mip": lambda d: 2 * d}
    maps = {n: v.with_data(changed.get(n, np.asarray)(v.data)) for n, v in prepared.maps.items()}
    assert np.allclose(image_of(replace(prepared, maps=maps)), image_of(prepared), atol=1e-5)
    later = {**prepared.maps, "tmax": prepared.maps["tmax"].with_data(prepared.maps["tmax"].data + 1)}
    assert not np.allclose(image_of(replace(prepared, maps=later))[3], image_of(prepared)[3], atol=1e-2)


def test_an_unknown_nihss_is_not_one_of_zero():
    prepared, *_ = made_up()
    assert not image_of(prepared)[5].any()
    assert image_of(prepared, nihss=0.0)[5].max() > 0
    assert image_of(prepared, nihss=42.0)[5].max() == pytest.approx(1.0)


def test_missing_channels_are_said_and_needed_maps_are_refused(bundle):
    prepared, *_ = made_up()
    bare = replace(prepared, maps={n: v for n, v in prepared.maps.items() if n in ("cbf", "tmax")})
    found = read(bare, bundle, nihss=None)
    assert found.notes == ("The network was given CBV, TTP, MIP, NIHSS as unknown, which it was trained for.",)
    total = sum(v.data for v in found.probability.values())
    assert total.min() >= 0 and total.max() <= 1 + 1e-6
    assert not (found.core & found.penumbra).any()
    without = replace(prepared, maps={n: v for n, v in prepared.maps.items() if n != "tmax"})
    with pytest.raises(BadInputError, match="tiny needs cbf, tmax; missing is tmax"):
        read(without, bundle)


def scalar_study():
    prepared, *_ = made_up()
    return Study({n: v.with_data(np.where(prepared.tissue, v.data, np.nan)) for n, v in prepared.maps.items()})


def test_the_task_runs_the_network_beside_the_thresholds_and_says_when_it_does_not(bundle, monkeypatch):
    monkeypatch.setattr(figures, "make", lambda *_: [])
    settings = RunSettings(bundle=str(bundle.folder), engine="torch", precision="float32")
    found = run_task("perfusion", scalar_study(), settings=settings, nihss="9")
    assert {"core", "penumbra", "networkcore", "networkpenumbra"} <= {m.label for m in found.masks}
    assert {m.label for m in found.probabilities} == {"networkcore", "networkpenumbra"}
    assert "readings" in found.tables and "network_core_volume_ml" in found.tables["slices"][0]
    assert found.provenance["bundles"][0]["name"] == "tiny" and "The network finds" in found.summary
    plain = run_task("perfusion", scalar_study(), settings=settings, method="thresholds", nihss="9")
    assert "No network was run" in plain.summary and not plain.probabilities
    assert plain.measurements["core_volume"] == found.measurements["core_volume"]
    late = {n: scalar_study()[n] for n in ("mtt", "cbv")}
    assert "since tiny needs CBF, Tmax" in run_task("perfusion", Study(late), settings=settings).summary
    with pytest.raises(BadInputError, match="missing is"):
        run_task("perfusion", Study(late), settings=settings, method="network")


@pytest.mark.parametrize(("name", "maps", "scalars"), [("four", 4, 0), ("five_scalar", 5, 1)])
def test_an_imported_network_reads_painted_maps(name, maps, scalars, tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(gzip.decompress((GOLDEN / f"{name}.h5.gz").read_bytes()))
    bundle = open_bundle(import_perfusion(path, tmp_path / "bundle").folder, "perfusion")
    wanted = channels_of(bundle.manifest)
    assert wanted.colours and len(wanted.maps) == maps and wanted.scalars == ("nihss",)[:scalars]
    prepared, *_ = made_up()
    found = read(prepared, bundle)
    assert found.core.shape == SHAPE and not (found.core & ~prepared.tissue).any()
    other = open_bundle(import_perfusion(path, tmp_path / "turbo", colours="turbo").folder, "perfusion")
    assert channels_of(other.manifest) == replace(wanted, table="turbo")
    assert other.manifest.name != bundle.manifest.name
    assert not np.allclose(read(prepared, other).probability["core"].data, found.probability["core"].data)
    with pytest.raises(BadInputError, match="--colours is 'rapid'; allowed are 'jet'"):
        import_perfusion(path, tmp_path / "none", colours="rapid")
    assert not (tmp_path / "none").exists()


def test_the_default_bundle_reads_a_made_up_patient():
    bundle = open_bundle(str(SPEC.default_bundle), "perfusion")
    assert channels_of(bundle.manifest) == channels_of(make_manifest({**manifest_fields(DATA)}, "as trained"))
    prepared, core, penumbra = made_up()
    found = read(prepared, bundle)
    assert dice(found.core | found.penumbra, core | penumbra) > 0.6
    maps = {n: v.with_data(np.where(prepared.tissue, well, 0.0).astype(np.float32)) for n, v in prepared.maps.items()
            for well in ({"cbf": 50.0, "cbv": 3.5, "mtt": 4.5, "ttp": 14.0, "tmax": 1.0, "mip": 80.0}[n],)}  # fmt: skip
    none = read_by_network(
        replace(prepared, maps=maps), {"nihss": 0.0}, bundle, settings=TORCH, min_ml=LEAST_CLUSTER_ML
    )
    assert not none.core.any() and not none.penumbra.any()


NARROW = {"vgg": [4, 4, 4, 4, 4], "branch": 4, "dense": 4, "bottom": 4, "up": [4, 4, 4, 4], "head": 4}


@pytest.mark.parametrize("variant", ["F-PMs", "U-PMs-M-N", "G-PMs-M-N"])
def test_published_variants_train_resume_and_run(variant, tmp_path):
    recipe = read_recipe(ROOT / "recipes" / f"perfusion-{variant}.toml")
    config = {**recipe.network.config, **NARROW, "size": 64}
    recipe = recipe.changed("network", config=config).changed("data", size=64)
    recipe = recipe.changed("sampling", patch=(64, 64, 1), workers=0)
    recipe = recipe.changed("training", steps=3, checkpoint_every=1, threads=1, precision="float32")
    scalars = len(recipe.data.get("scalars", ()))
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (3 * len(recipe.data["maps"]) + scalars, 64, 64, 2)).astype(np.float32)
    target = one_hot(rng.integers(0, 4, (64, 64, 2)), 4)
    cases = CaseList((Case(image, target, np.ones((64, 64, 2), bool), "01", (3.4, 3.4, 5.0)),))
    whole = train(recipe, cases, out=tmp_path / "whole")
    calls = iter((True,))
    train(recipe, cases, out=tmp_path / "parts", stop=lambda: next(calls, False))
    parts = train(recipe, cases, out=tmp_path / "parts", resume=True)
    assert all(torch.equal(whole.members[0][k], v) for k, v in parts.members[0].items())
    torch.manual_seed(recipe.training.seed)
    before = build_network("vgg_fusion", config).state_dict()
    held = all(torch.equal(before[name], parts.members[0][name]) for name in before if name.startswith("vgg."))
    assert held == variant.startswith("F"), "only F leaves the encoders as they were to the end"
    bundle = bundle_from(recipe, parts, tmp_path / "bundle", "recipe", "train")
    prepared, *_ = made_up()
    assert read(prepared, bundle).core.shape == SHAPE
