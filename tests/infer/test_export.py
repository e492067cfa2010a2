import json

import numpy as np
import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.infer.engine import open_engine
from willis.infer.ensemble import predict
from willis.infer.export import export_bundle
from willis.models.manifest import make_manifest
from willis.models.store import open_bundle, write_bundle
from willis.nets.registry import build_network

CONFIG = {"inputs": 2, "filters": [2, 3], "final": [2]}
SHAPE = (6, 9, 5)


@pytest.fixture
def bundle(tmp_path):
    import torch

    manifest = make_manifest(
        {
            "name": "tiny",
            "title": "A tiny bundle",
            "task": "wmh",
            "network": {"name": "unet3d", "config": CONFIG},
            "channels": ["t1", "flair"],
            "outputs": ["wmh"],
            "spacing_mm": [1, 1, 1],
            "intensity": {"scheme": "p99"},
            "threshold": {"value": 0.5, "origin": "a test"},
            "licence": "Apache-2.0",
            "intended_use": "Tests.",
        },
        "a test",
    )
    members = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        members.append(build_network("unet3d", CONFIG).state_dict())
    return write_bundle(tmp_path / "tiny", manifest, members, half=False, card="# Tiny")


def test_an_onnx_bundle_gives_the_same_logits(bundle, tmp_path):
    export_bundle(bundle, tmp_path / "out", "onnx", SHAPE)
    exported = open_bundle(tmp_path / "out", task="wmh")
    assert exported.manifest.shape == SHAPE
    assert exported.card == "# Tiny"
    image = np.random.default_rng(3).random((1, 2, *SHAPE), dtype=np.float32)
    answers = []
    for member in (0, 1):
        expected = open_engine(bundle, member, engine="torch")(image)
        found = open_engine(exported, member, engine="onnx")(image)
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)
        answers.append(expected)
    assert np.abs(answers[0] - answers[1]).max() > 0.01


def test_openvino_files_give_the_same_logits(bundle, tmp_path):
    ov = pytest.importorskip("openvino")
    export_bundle(bundle, tmp_path / "out", "openvino", SHAPE)
    image = np.random.default_rng(3).random((1, 2, *SHAPE), dtype=np.float32)
    network = ov.Core().compile_model(tmp_path / "out" / "member_1.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = open_engine(bundle, 1, engine="torch")(image)
    np.testing.assert_allclose(network([image])[0], expected, atol=1e-4, rtol=1e-4)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md",
        "exported_from.json",
        "member_0.bin",
        "member_0.xml",
        "member_1.bin",
        "member_1.xml",
    ]


@pytest.fixture(scope="module")
def stacks(tmp_path_factory, stack_network):
    """A bundle of FVV's network, which finds a slice from seven."""
    from willis.tasks.fvv.dataset import manifest_fields

    fields = {**manifest_fields({"preparation": "slices"}), "network": {"name": "deeplab25d", "config": {}}}
    manifest = make_manifest(fields | {"window": {"mode": "slices", "shape": (64, 48, 7)}}, "a test")
    return write_bundle(
        tmp_path_factory.mktemp("stacks") / "fvv", manifest, [stack_network(0).state_dict()], half=False
    )


def test_a_network_of_stacks_is_exported_for_any_number_of_them(stacks, tmp_path):
    assert call(["models", "export", str(stacks.folder), "-o", str(tmp_path / "out"), "--format", "onnx"]) == 0
    exported = open_bundle(tmp_path / "out", task="fvv")
    assert exported.manifest.window == stacks.manifest.window
    image = np.random.default_rng(3).standard_normal((2, 64, 48, 6)).astype(np.float32)
    one, other = (predict(b, image, engine=engine) for b, engine in ((stacks, "torch"), (exported, "onnx")))
    assert one.probability.std() > 0.1
    np.testing.assert_allclose(other.probability, one.probability, atol=1e-4)
    graph = open_engine(exported, 0, engine="onnx")
    several = np.random.default_rng(4).standard_normal((3, 2, 7, 64, 48)).astype(np.float32)
    np.testing.assert_allclose(np.concatenate([graph(stack[None]) for stack in several]), graph(several), atol=1e-3)


def test_openvino_files_of_a_network_of_stacks_give_the_same_logits(stacks, tmp_path):
    ov = pytest.importorskip("openvino")
    export_bundle(stacks, tmp_path / "out", "openvino")
    stack = np.random.default_rng(4).standard_normal((1, 2, 7, 64, 48)).astype(np.float32)
    network = ov.Core().compile_model(tmp_path / "out" / "member_0.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = open_engine(stacks, 0, engine="torch")(stack)
    np.testing.assert_allclose(network([stack])[0], expected, atol=1e-3)
    assert json.loads((tmp_path / "out" / "exported_from.json").read_text())["window"]["mode"] == "slices"


def test_a_stack_of_another_depth_is_refused(stacks, tmp_path, capsys):
    words = ["models", "export", str(stacks.folder), "-o", str(tmp_path / "out"), "--shape", "64", "64", "5"]
    assert call(words) == 2
    assert "takes (N, 2, 7, H, W)" in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format_", ["onnx", "openvino"])
def test_a_size_is_needed_and_nothing_is_left(bundle, tmp_path, format_):
    with pytest.raises(BadInputError, match="--shape"):
        export_bundle(bundle, tmp_path / "out", format_)
    with pytest.raises(BadInputError, match="sides of at least"):
        export_bundle(bundle, tmp_path / "out", format_, (1, 1, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_nothing_is_replaced_and_onnx_is_not_exported_again(bundle, tmp_path):
    with pytest.raises(BadInputError, match="exists already"):
        export_bundle(bundle, bundle.folder, "onnx", SHAPE)
    export_bundle(bundle, tmp_path / "out", "onnx", SHAPE)
    with pytest.raises(BadInputError, match="ONNX graphs already"):
        export_bundle(open_bundle(tmp_path / "out"), tmp_path / "again", "onnx", SHAPE)
