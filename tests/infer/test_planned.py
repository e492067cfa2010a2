"""Bundles with a plan: the memory that their arrays take is estimated, and members are opened one at a time."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

from willis.errors import BadInputError, BundleError
from willis.infer import planned
from willis.infer.engine import open_engine
from willis.infer.equivalence import measure_equivalence
from willis.infer.export import export_bundle
from willis.infer.nnunet import predict_labels
from willis.infer.planned import planned_bytes, predict_planned
from willis.models.bundle import read_bundle
from willis.models.nnunet_plan import ChannelValues, NnunetPlan, PreviousLabels
from willis.models.publish import copy_bundle, write_bundle
from willis.nets.registry import build_network

VALUES = ChannelValues(scheme="CTNormalization", low=-20, high=90, mean=34, std=16)
CONFIG = {"inputs": 1, "outputs": 3, "features": [2, 3], "kernels": [[3, 3, 3]] * 2,
          "strides": [[1, 1, 1], [2, 2, 2]], "convs": [1, 1], "decoder_convs": [1]}  # fmt: skip


def plan(**changes) -> NnunetPlan:
    fields = {"flat": False, "transpose": (0, 1, 2), "spacing_mm": (1, 1, 1), "patch": (8, 8, 8), "values": (VALUES,)}
    return NnunetPlan(**{**fields, **changes})


def shares(count: int):
    def engine(x):
        return np.concatenate([x[:, :1] * k for k in range(count)], axis=1)

    return engine


@pytest.mark.parametrize("outputs", [2, 6])
@pytest.mark.parametrize(
    ("spacing", "said"),
    [
        ((1.0, 1.0, 1.0), plan()),
        ((1.0, 1.0, 1.0), plan(spacing_mm=(2, 2, 2))),
        ((1.0, 1.0, 1.0), plan(spacing_mm=(0.8, 0.8, 0.8))),
        ((0.8, 0.9, 5.0), plan(spacing_mm=(2.5, 1, 1))),
        ((1.0, 1.0, 1.0), plan(flat=True, patch=(1, 16, 16))),
        ((1.0, 1.0, 1.0), plan(regions=True, patch=(80, 16, 16))),
        ((1.0, 1.0, 1.0), plan(previous=PreviousLabels(codes=(1, 2), channels=2))),
        ((1.0, 1.0, 1.0), plan(previous=PreviousLabels(codes=(1, 2), channels=2), spacing_mm=(0.8, 0.8, 0.8))),
        ((1.0, 1.0, 1.0), plan(previous=PreviousLabels(codes=(1,), channels=1), spacing_mm=(2, 2, 2))),
        ((0.8, 0.9, 5.0), plan(previous=PreviousLabels(codes=(1, 2), channels=2), spacing_mm=(2.5, 1, 1))),
    ],
)
def test_arrays_take_what_was_estimated(spacing, said, outputs):
    images = np.random.default_rng(0).normal(30, 20, (1, 72, 64, 48)).astype(np.float32)
    found = (np.indices(images.shape[1:]).sum(axis=0) // 40 % 3).astype(np.uint8) if said.previous else None
    expected = planned_bytes(images.shape, spacing, said, outputs)
    tracemalloc.start()
    predict_labels([shares(outputs)], images, spacing, said, found=found)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.8 * expected < peak < 1.05 * expected


@pytest.fixture
def bundle(tmp_path, manifest_maker):
    manifest = manifest_maker(
        network={"name": "plainunet", "config": {**CONFIG, "plan": plan().model_dump(mode="json")}},
        channels=["ncct"],
        outputs=["background", "m1", "m2"],
    )
    return write_bundle(tmp_path / "b", manifest, [build_network("plainunet", CONFIG).state_dict()] * 3, half=False)


def test_members_are_opened_when_the_one_before_is_gone(bundle, monkeypatch):
    opened, alive = [], []
    really = planned.open_engine

    def watched(*arguments, **settings):
        gc.collect()
        alive.append(sum(reference() is not None for reference in opened))
        engine = really(*arguments, **settings)
        opened.append(weakref.ref(engine))
        return engine

    monkeypatch.setattr(planned, "open_engine", watched)
    image = np.random.default_rng(0).normal(30, 20, (1, 9, 8, 10)).astype(np.float32)
    labels = predict_planned(bundle, image, (1, 1, 1), (1, 2), engine="torch", threads=1)
    assert labels.shape == image.shape[1:]
    assert alive == [0, 0, 0]


@pytest.fixture
def cascade(tmp_path, manifest_maker):
    """Two stages whose plans differ in what they see."""
    after = plan(previous=PreviousLabels(codes=(1, 2), channels=2)).model_dump(mode="json")
    config = {**CONFIG, "inputs": 3}
    manifest = manifest_maker(
        network={"name": "plainunet", "config": {**config, "plan": after}},
        previous={"network": {"name": "plainunet", "config": {**CONFIG, "plan": plan().model_dump(mode="json")}}},
        channels=["ncct"],
        outputs=["background", "m1", "m2"],
    )
    second, first = (build_network("plainunet", size).state_dict() for size in (config, CONFIG))
    return write_bundle(tmp_path / "b", manifest, [second], half=False, previous=[first, first])


def test_a_cascade_is_two_stages_in_one_folder(cascade, tmp_path, manifest_maker):
    cascade.verify()
    assert set(cascade.manifest.files) == {"member_0.safetensors", "previous_0.safetensors", "previous_1.safetensors"}
    first, second = read_bundle(cascade.folder).stages
    assert second.manifest == cascade.manifest
    assert first.manifest.members == ("previous_0.safetensors", "previous_1.safetensors")
    assert first.manifest.network == cascade.manifest.previous.network
    assert first.stages == (first,)
    copied = copy_bundle(cascade, tmp_path / "c", title="copied")
    assert copied.stages[0].member_bytes(1) == first.member_bytes(1)
    (copied.folder / "previous_1.safetensors").write_bytes(b"")
    with pytest.raises(BundleError, match=r"previous_1.safetensors was altered"):
        copied.verify()
    with pytest.raises(BundleError, match="at least one member of its earlier stage"):
        write_bundle(tmp_path / "d", cascade.manifest, [build_network("plainunet", CONFIG).state_dict()])
    assert not (tmp_path / "d").exists()
    assert '"previous"' not in manifest_maker().to_json()


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_an_exported_bundle_keeps_its_plan_and_finds_the_same(cascade, tmp_path, engine, monkeypatch):
    monkeypatch.setenv("WILLIS_CACHE", str(tmp_path / "cache"))
    first = cascade.stages[0]
    alone = write_bundle(tmp_path / "alone", first.manifest, [first.member_weights(0)], half=False)
    exported = read_bundle(export_bundle(alone, tmp_path / "onnx", "onnx"))
    image = np.random.default_rng(0).normal(30, 20, (1, 9, 8, 10)).astype(np.float32)
    expected = predict_planned(alone, image, (1, 1, 1), (1, 2), engine="torch", threads=1)
    found = predict_planned(exported, image, (1, 1, 1), (1, 2), engine=engine, threads=1)
    assert len(np.unique(expected)) > 1
    assert np.mean(found != expected) < 0.01


def test_each_stage_is_checked_against_the_limit_before_either_runs(cascade, monkeypatch):
    image = np.random.default_rng(0).normal(30, 20, (1, 9, 8, 10)).astype(np.float32)
    settings = {"engine": "torch", "threads": 1}
    assert predict_planned(cascade, image, (1, 1, 1), (1, 2), **settings, memory_limit_gb=1e3).shape == (9, 8, 10)
    seen = []
    monkeypatch.setattr(planned, "keep_engine_limit", lambda engine, shape, *_, **__: seen.append(shape))
    monkeypatch.setattr(planned, "predict_labels", lambda *_, **__: seen.append("run") or np.zeros((9, 8, 10)))
    predict_planned(cascade, image, (1, 1, 1), (1, 2), **settings, memory_limit_gb=1)
    assert seen == [(1, 1, 8, 8, 8), (1, 3, 8, 8, 8), "run", "run"]


def test_stages_that_do_not_fit_are_refused(cascade, tmp_path):
    alone = copy_bundle(cascade, tmp_path / "c", previous=None)
    with pytest.raises(BundleError, match="has 1 stage, and its plans speak of 2"):
        predict_planned(alone, np.zeros((1, 4, 4, 4), np.float32), (1, 1, 1), (1, 2))


def test_what_would_see_one_stage_alone_is_refused(cascade, tmp_path):
    with pytest.raises(BadInputError, match="is a cascade, whose network is of no use without"):
        export_bundle(cascade, tmp_path / "out", "onnx", (8, 8, 8))
    assert not (tmp_path / "out").exists()
    with pytest.raises(BadInputError, match="is a cascade, whose precision can't be measured"):
        measure_equivalence(cascade, [(np.zeros((3, 8, 8, 8), np.float32), None)], precision="bfloat16")


def test_openvino_converts_the_member_of_its_own_stage(cascade, monkeypatch, tmp_path):
    pytest.importorskip("openvino")
    from willis.infer.openvino_engine import CACHE_VARIABLE

    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    tile = np.random.default_rng(0).normal(0, 1, (1, 3, 8, 8, 8)).astype(np.float32)
    for stage in cascade.stages:
        x = tile[:, : stage.manifest.network.config["inputs"]]
        answers = [open_engine(stage, 0, engine=kind, threads=1)(x) for kind in ("torch", "openvino")]
        np.testing.assert_allclose(*answers, atol=1e-4)


def test_a_bundle_without_a_plan_is_refused(make_bundle):
    with pytest.raises(BundleError, match="has no plan to be run by"):
        predict_planned(make_bundle(1), np.zeros((1, 4, 4, 4), np.float32), (1, 1, 1), (1,))
