import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from willis.errors import BadInputError, BundleError
from willis.models.importers.onnx_graphs import import_onnx
from willis.models.store import open_bundle

VALUES = {
    "name": "foreign",
    "title": "A foreign network",
    "task": "wmh",
    "network": {"name": "onnx"},
    "channels": ["t1", "flair"],
    "outputs": ["wmh"],
    "spacing_mm": [1, 1, 1],
    "intensity": {"scheme": "p99"},
    "threshold": {"value": 0.5, "origin": "its authors"},
    "licence": "MIT",
    "intended_use": "Tests.",
}


def write_graph(path, channels=2, outputs=1, sides=("i", "j", "k"), external=False):
    kernel = numpy_helper.from_array(np.ones((outputs, channels, 1, 1, 1), np.float32), "kernel")
    if external:
        kernel.data_location = TensorProto.EXTERNAL
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "kernel"], ["logits"])],
        "sum",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, *sides])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, outputs, *sides])],
        [kernel],
    )
    path.write_bytes(helper.make_model(graph).SerializeToString())
    return path


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(VALUES))
    return path


def test_a_manifest_in_another_encoding_is_refused(tmp_path, manifest):
    manifest.write_text(json.dumps({**VALUES, "title": "Réseau"}, ensure_ascii=False), encoding="latin-1")
    with pytest.raises(BadInputError, match="not text in UTF-8"):
        import_onnx(manifest, [write_graph(tmp_path / "a.onnx")], tmp_path / "bundle")


def test_graphs_become_members_in_order(tmp_path, manifest):
    graphs = [write_graph(tmp_path / "b.onnx"), write_graph(tmp_path / "a.onnx", sides=(8, 8, 8))]
    import_onnx(manifest, graphs, tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle", task="wmh")
    assert bundle.manifest.members == ("member_0.onnx", "member_1.onnx")
    assert [bundle.member_bytes(n) for n in (0, 1)] == [path.read_bytes() for path in graphs]
    assert "MIT" in bundle.card


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"channels": 3}, r"\(1, 2, I"), ({"outputs": 2}, r"\(1, 1, I"), ({"sides": (8, 8)}, r"shape \[1, 2, 8, 8\]")],
)
def test_a_graph_of_other_shape_is_refused(tmp_path, manifest, settings, word):
    graph = write_graph(tmp_path / "a.onnx", **settings)
    with pytest.raises(BadInputError, match=word):
        import_onnx(manifest, [graph], tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_weights_outside_the_file_are_refused(tmp_path, manifest):
    graph = write_graph(tmp_path / "a.onnx", external=True)
    with pytest.raises(BadInputError, match="another file"):
        import_onnx(manifest, [graph], tmp_path / "bundle")


def test_what_is_no_graph_is_refused(tmp_path, manifest):
    (tmp_path / "a.onnx").write_bytes(b"\x80\x04no")
    with pytest.raises(BadInputError, match="no ONNX file"):
        import_onnx(manifest, [tmp_path / "a.onnx"], tmp_path / "bundle")
    with pytest.raises(BadInputError, match="can't be read"):
        import_onnx(manifest, [tmp_path / "absent.onnx"], tmp_path / "bundle")
    with pytest.raises(BadInputError, match="can't be read"):
        import_onnx(tmp_path / "absent.json", [], tmp_path / "bundle")


def test_the_manifest_must_say_onnx(tmp_path, manifest):
    manifest.write_text(json.dumps(VALUES | {"network": {"name": "unet3d"}}))
    with pytest.raises(BundleError, match="'unet3d'"):
        import_onnx(manifest, [write_graph(tmp_path / "a.onnx")], tmp_path / "bundle")


def test_a_stored_graph_passes_onnx_own_checker(tmp_path, manifest):
    import_onnx(manifest, [write_graph(tmp_path / "a.onnx")], tmp_path / "bundle")
    onnx.checker.check_model(onnx.load_model_from_string(open_bundle(tmp_path / "bundle").member_bytes(0)))
