"""The stages that run a network: vessels by an imported model of nnU-Net, the occlusion by a McResNet."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from willis.errors import BadInputError, BundleError
from willis.infer import planned
from willis.infer.engine import open_engine
from willis.infer.memory import GB, resident_bytes
from willis.infer.nnunet import predict_labels
from willis.models.bundle import Bundle
from willis.models.importers.nnunet import import_nnunet
from willis.models.manifest import make_manifest
from willis.models.nnunet_plan import NnunetPlan
from willis.models.publish import write_bundle
from willis.nets.registry import build_network
from willis.tasks.lvo import occlusion
from willis.tasks.lvo.find_vessels import check_vessel_bundle, find_vessels
from willis.tasks.lvo.occlusion import CHANNELS, judge_occlusion, network_input
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

GOLDEN = Path(__file__).parents[1] / "golden" / "lvo"
CONFIG = {"widths": [4, 4, 8, 8], "hidden": 4, "reduction": 2, "kernel": 3}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "nnunet.npz") as held:
        return dict(held)


@pytest.fixture(scope="module")
def ct(golden) -> Volume:
    affine = np.diag([*golden["spacing_mm"], 1.0])
    return Volume(golden["image"], Grid(golden["image"].shape, affine), role="ncct", unit="HU")


def test_a_model_of_regions_gives_each_voxel_the_last_that_holds_it(ct, tmp_path):
    with np.load(GOLDEN / "nnunet_others.npz") as held:
        judge = held["regions"]
    bundle = import_nnunet(GOLDEN / "nnUNetTrainer__nnUNetRegions__3d_fullres", tmp_path / "b", name="made", axes="RAS")
    assert check_vessel_bundle(bundle) == ()
    found = find_vessels(ct, bundle, RunSettings(engine="torch", threads=1))
    wanted = np.array([0, 2, 1, 4])[judge]  # 3, 1 and 2 are of the regions other, m1 and c7
    assert np.mean(found.data == wanted) > 0.9995


def test_a_cascade_finds_vessels_however_the_scan_lies(ct, tmp_path):
    with np.load(GOLDEN / "nnunet_cascades.npz") as held:
        image, judge = held["image"], held["nnUNetCascade_labels"]
    bundle = import_nnunet(
        GOLDEN / "nnUNetTrainer__nnUNetCascade__3d_cascade_fullres", tmp_path / "b", name="made", axes="RAS"
    )
    scan = ct.with_data(image)
    assert check_vessel_bundle(bundle) == ()
    settings = RunSettings(engine="torch", threads=1)
    found = find_vessels(scan, bundle, settings)
    assert np.mean(found.data == judge) > 0.9995
    turned = find_vessels(reorient(scan, "PIL"), bundle, settings)
    np.testing.assert_array_equal(reorient(turned, "RAS").data, found.data)


def test_limits_that_a_model_or_a_mcresnet_cannot_keep_are_refused_before_it_runs(
    ct, prepared_head, tmp_path, monkeypatch
):
    bundle = import_nnunet(GOLDEN / "nnUNetTrainer__nnUNetPlans__3d_fullres", tmp_path / "b", name="made", axes="RAS")
    monkeypatch.setattr(planned, "predict_labels", None)
    monkeypatch.setattr(occlusion, "network_input", None)
    tight = RunSettings(engine="torch", threads=1, memory_limit_gb=resident_bytes() / GB)
    with pytest.raises(BadInputError, match="can't be kept: made needs at least"):
        find_vessels(ct, bundle, tight)
    with pytest.raises(BadInputError, match="can't be kept: made needs at least"):
        judge_occlusion(prepared_head, mcresnet(tmp_path / "m", shape=occlusion.PUBLISHED_SHAPE), tight)


def mcresnet(folder, **changes):
    fields = {
        "name": "made",
        "task": "lvo",
        "title": "made",
        "network": {"name": "mcresnet", "config": CONFIG},
        "channels": CHANNELS,
        "outputs": ("lvo",),
        "spacing_mm": (1.5, 1.5, 1.5),
        "intensity": {"scheme": "range"},
        "threshold": {"value": 0.4, "origin": "made"},
        "licence": "x",
        "intended_use": "x",
        **changes,
    }
    members = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        members.append(build_network("mcresnet", CONFIG).state_dict())
    return write_bundle(folder, make_manifest(fields, "made"), members, half=False)


def test_an_imported_model_finds_the_vessels_that_its_judge_finds(ct, golden, tmp_path):
    bundle = import_nnunet(GOLDEN / "nnUNetTrainer__nnUNetPlans__3d_fullres", tmp_path / "b", name="made", axes="RAS")
    found = find_vessels(ct, bundle, RunSettings(engine="torch", threads=1))
    assert found.grid is ct.grid
    assert np.mean(found.data == golden["3d_fullres_mirrored_labels"]) > 0.995  # c7 and m1 are codes 1 and 2 of both


def unmirrored(folder: Path, **changes: object) -> Bundle:
    """The golden model without its mirror images, which would hide how a scan lies."""
    made = import_nnunet(GOLDEN / "nnUNetTrainer__nnUNetPlans__3d_fullres", folder, name="made")
    network = made.manifest.network.model_dump()
    network["config"]["plan"]["mirror"] = []
    return Bundle(made.manifest.changed(network=network, **changes), folder)


@pytest.mark.parametrize("axes", [None, "LAS"])
def test_vessels_do_not_hang_on_how_a_file_lies(ct, axes, tmp_path):
    bundle, settings = unmirrored(tmp_path / "b", axes=axes), RunSettings(engine="torch", threads=1)
    judge = find_vessels(ct, bundle, settings)
    assert {1, 2} <= set(np.unique(judge.data))
    for code in ("LPS", "LAS", "IRP"):
        found = find_vessels(reorient(ct, code), bundle, settings)
        assert found.grid.orientation == code
        np.testing.assert_array_equal(reorient(found, "RAS").data, judge.data)


def test_a_scan_that_lies_as_the_model_wants_it_is_not_turned(ct, tmp_path):
    settings = RunSettings(engine="torch", threads=1)
    lps = reorient(ct, "LPS")
    bundle = unmirrored(tmp_path / "b", axes=None)
    plan = NnunetPlan.parse(bundle.manifest.network.config["plan"], "made")
    engine = open_engine(bundle, 0, engine="torch", precision="float32", threads=1)
    wanted = predict_labels([engine], lps.data.astype(np.float32)[None], lps.grid.spacing_mm, plan)
    np.testing.assert_array_equal(find_vessels(lps, bundle, settings).data, wanted)


def test_the_published_input_does_not_hang_on_how_a_file_lies(tmp_path, prepared_head, monkeypatch):
    monkeypatch.setattr(occlusion, "PUBLISHED_SHAPE", (32, 33, 34))
    manifest = mcresnet(tmp_path / "a", shape=(32, 33, 34)).manifest
    labels = prepared_head.vessels.with_data((prepared_head.ct.data > 30).astype(np.uint8))
    judge = network_input(replace(prepared_head, vessels=labels), manifest)
    for code in ("LPS", "LAS", "IRP"):
        head = SimpleNamespace(**{**vars(prepared_head.head), "brain": reorient(prepared_head.head.brain, code)})
        turned = replace(prepared_head, ct=reorient(prepared_head.ct, code), vessels=reorient(labels, code), head=head)
        np.testing.assert_allclose(network_input(turned, manifest), judge, atol=1e-6)
    other = network_input(replace(prepared_head, vessels=labels), manifest.changed(axes="RAS"))
    assert not np.allclose(other, judge)


def test_labels_that_are_no_vessels_are_named_and_an_ica_terminus_is_c7(ct, tmp_path):
    settings = RunSettings(engine="torch", threads=1)
    plain = unmirrored(tmp_path / "a")
    assert check_vessel_bundle(plain) == ()
    other = unmirrored(tmp_path / "b", outputs=("background", "ica-t", "basilar"))
    assert "finds basilar too, which was left out; vessels are called c7, m1" in check_vessel_bundle(other)[0]
    found, judge = find_vessels(ct, other, settings).data, find_vessels(ct, plain, settings).data
    np.testing.assert_array_equal(found, np.where(judge == 1, 1, 0))
    with pytest.raises(BundleError, match="finds aca, basilar; vessels are called c7, m1"):
        check_vessel_bundle(unmirrored(tmp_path / "c", outputs=("background", "aca", "basilar")))


def test_a_model_of_two_images_is_refused(ct, tmp_path):
    two = unmirrored(tmp_path / "a", channels=("ncct", "cta"))
    with pytest.raises(
        BundleError, match=r"reads 2 images \(ncct, cta\); a model that finds vessels reads the CT alone"
    ):
        find_vessels(ct, two, RunSettings(engine="torch", threads=1))


def test_a_bundle_that_finds_no_vessels_is_refused(ct, tmp_path):
    with pytest.raises(BundleError, match="no imported model"):
        find_vessels(ct, mcresnet(tmp_path / "m"), RunSettings())


def test_the_probability_is_the_calibrated_mean_of_the_members(tmp_path, prepared_head):
    bare = judge_occlusion(prepared_head, mcresnet(tmp_path / "a"), RunSettings(threads=1))
    logits = [np.log(p / (1 - p)) for p in bare.members]
    assert bare.probability == pytest.approx(1 / (1 + np.exp(-np.mean(logits))))
    assert bare.interval == (min(bare.members), max(bare.members))
    assert bare.threshold == 0.4
    calibration = {"slope": 2.0, "intercept": 0.5, "origin": "made"}
    tuned = judge_occlusion(prepared_head, mcresnet(tmp_path / "b", calibration=calibration), RunSettings(threads=1))
    assert tuned.probability == pytest.approx(1 / (1 + np.exp(-(2 * np.mean(logits) + 0.5))))


def test_the_published_input_keeps_the_scans_own_voxels(tmp_path, prepared_head):
    manifest = mcresnet(tmp_path / "a", shape=(512, 512, 200), axes="RAS").manifest
    grown = prepared_head.difference.absolute * np.random.default_rng(0).uniform(0.5, 1, prepared_head.ct.grid.shape)
    difference = replace(prepared_head.difference, absolute=grown.astype(np.float32))
    prepared_head = replace(prepared_head, difference=difference)
    x = network_input(prepared_head, manifest)
    assert x.shape == (4, 512, 512, 200)
    shape = prepared_head.ct.grid.shape
    start = [(n - m) // 2 for n, m in zip((512, 512, 200), shape, strict=True)]
    inner = tuple(slice(s, s + m) for s, m in zip(start, shape, strict=True))
    own = network_input(prepared_head, manifest.changed(shape=None))
    np.testing.assert_allclose(x[0][inner], own[0], atol=1e-6)
    assert np.count_nonzero(x[0]) == np.count_nonzero(own[0])
    halves = x[3][inner]
    assert halves[shape[0] // 2 :].any()  # right: where label 1 of the published half mask lies by its affine
    assert not halves[: shape[0] // 2 - 1].any()


def test_a_channel_that_is_not_known_is_named(tmp_path, prepared_head):
    with pytest.raises(BadInputError, match="wants flow"):
        network_input(prepared_head, mcresnet(tmp_path / "a", channels=("ncct", "flow")).manifest)
