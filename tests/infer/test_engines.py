import subprocess
import sys

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.infer.engine import choose_engine, open_engine
from willis.infer.export import export_bundle
from willis.infer.precision import multiplies_natively
from willis.models.store import write_bundle
from willis.nets.registry import build_network

pytest.importorskip("openvino")

SECOND_RUN = """
import sys
import numpy as np
from willis.infer.ensemble import predict
from willis.models.store import open_bundle
bundle = open_bundle(sys.argv[1])
found = predict(bundle, np.load(sys.argv[2]), engine="openvino")
assert found.engine == "openvino", found.engine
assert "torch" not in sys.modules, "torch was imported"
np.save(sys.argv[3], found.probability)
"""


@pytest.fixture(scope="module")
def bundle(make_bundle):
    return make_bundle(1)


@pytest.fixture(scope="module")
def expected(networks, image):
    """Logits by the network as it was trained, in plain torch."""
    import torch

    with torch.no_grad():
        return networks[0](torch.from_numpy(image[None])).numpy()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_engines_agree_with_the_plain_network(bundle, image, expected, engine):
    runner = open_engine(bundle, 0, engine=engine, precision="float32")
    found = runner(image[None])
    assert (runner.name, runner.precision) == (engine, "float32")
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 1e-4
    assert expected.std() > 0.3


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_engines_of_an_onnx_bundle_agree_with_the_plain_network(bundle, image, expected, engine, tmp_path):
    pytest.importorskip("onnxruntime")
    export_bundle(bundle, tmp_path / "onnx", "onnx", image.shape[1:])
    from willis.models.store import open_bundle

    runner = open_engine(open_bundle(tmp_path / "onnx"), 0, engine=engine)
    assert np.abs(runner(image[None]) - expected).max() <= 1e-4
    assert runner.needed_bytes((1, *image.shape)) > image.nbytes


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_an_engine_takes_one_shape_after_another(bundle, networks, image, expected, engine):
    import torch

    runner = open_engine(bundle, 0, engine=engine, threads=1)
    smaller = np.ascontiguousarray(image[None, :, :16, :16, :16])
    with torch.no_grad():
        there = networks[0](torch.from_numpy(smaller)).numpy()
    assert np.abs(runner(smaller) - there).max() <= 1e-4
    assert np.abs(runner(image[None]) - expected).max() <= 1e-4


@pytest.mark.skipif(not multiplies_natively("bfloat16"), reason="this processor doesn't multiply bfloat16")
@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_bfloat16_is_coarser_and_recorded(bundle, image, expected, engine):
    runner = open_engine(bundle, 0, engine=engine, precision="bfloat16")
    found = runner(image[None])
    assert runner.precision == "bfloat16"
    assert 1e-4 < np.abs(found - expected).max() < 0.3


def test_the_precision_is_never_openvino_s_own_choice(bundle, image):
    runner = open_engine(bundle, 0, engine="openvino", precision="auto")
    runner(image[None])
    compiled = runner._request.get_compiled_model()
    assert runner.precision == "float32"
    assert compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"


def test_a_second_run_imports_no_torch_and_converts_nothing(bundle, image, own_cache, tmp_path, expected):
    np.save(tmp_path / "image.npy", image)
    outputs = []
    for run in ("first", "second"):
        out = tmp_path / f"{run}.npy"
        command = [sys.executable, "-c", SECOND_RUN, str(bundle.folder), str(tmp_path / "image.npy"), str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        kept = sorted(path for path in own_cache.rglob("*") if path.is_file())
        outputs.append((np.load(out), [path.stat().st_mtime_ns for path in kept]))
    assert outputs[0][1] == outputs[1][1]
    np.testing.assert_array_equal(outputs[0][0], outputs[1][0])
    np.testing.assert_allclose(outputs[0][0], 1 / (1 + np.exp(-expected[0])), atol=1e-4)


def test_no_half_written_network_is_left_in_the_cache(bundle, image, own_cache):
    open_engine(bundle, 0, engine="openvino")(image[None])
    folders = list((own_cache / "openvino").iterdir())
    assert folders
    assert not [folder for folder in folders if folder.name.startswith(".")]


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("network.bin", lambda held: held[:-4] + bytes([held[-4] ^ 1]) + held[-3:]),
        ("network.bin", lambda held: held[: len(held) // 2]),
        ("network.xml", lambda held: b""),
        ("SHA256SUMS", lambda held: b"\xff" + held),
        ("network.bin", None),
    ],
)
def test_a_damaged_network_in_the_cache_is_converted_anew(bundle, image, tmp_path, monkeypatch, name, damage):
    monkeypatch.setenv("WILLIS_CACHE", str(tmp_path))

    def found():
        return open_engine(bundle, 0, engine="openvino")(image[None]), {
            path.relative_to(tmp_path): path.stat().st_mtime_ns for path in tmp_path.rglob("*")
        }

    expected, made = found()
    (path,) = tmp_path.rglob(name)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes()))
    mended, files = found()
    np.testing.assert_array_equal(mended, expected)
    assert set(files) == set(made)
    assert found()[1] == files


def test_a_cache_that_cannot_be_written_is_named_with_what_to_do(bundle, image, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("WILLIS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BadInputError, match=r"file/cache/openvino, .* WILLIS_CACHE, or use --engine torch"):
        open_engine(bundle, 0, engine="openvino")(image[None])
    assert open_engine(bundle, 0, engine="torch")(image[None]).shape == image[None].shape


def test_other_weights_are_never_answered_from_the_cache(make_bundle, networks, image):
    two = make_bundle(2)
    first, second = (open_engine(two, member, engine="openvino")(image[None]) for member in (0, 1))
    assert np.abs(first - second).max() > 0.1


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_an_image_too_small_for_the_network_is_refused(bundle, engine):
    with pytest.raises(BadInputError, match="at least 8 voxels"):
        open_engine(bundle, 0, engine=engine)(np.zeros((1, 2, 4, 8, 8), np.float32))


def test_the_choice_of_engine():
    assert choose_engine("auto") == "openvino"
    assert choose_engine("auto", onnx_bundle=True) == "onnx"
    with pytest.raises(BadInputError, match="tensorrt"):
        choose_engine("tensorrt")
    with pytest.raises(BadInputError, match="safetensors"):
        choose_engine("onnx")
    with pytest.raises(BadInputError, match="ONNX files"):
        choose_engine("torch", onnx_bundle=True)


def test_without_openvino_auto_is_torch(monkeypatch):
    from willis.errors import MissingExtraError
    from willis.infer import engine

    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    assert choose_engine("auto") == "torch"
    with pytest.raises(MissingExtraError, match=r"willis\[openvino\]"):
        choose_engine("openvino")


def test_openvino_runs_instance_normalisation(tmp_path, image, manifest_maker):
    import torch

    torch.manual_seed(5)
    config = {"inputs": 2, "outputs": 2, "filters": [4, 6, 10], "final": [4], "norm": "instance"}
    network = build_network("unet3d", config).eval()
    manifest = manifest_maker(network={"name": "unet3d", "config": config})
    bundle = write_bundle(tmp_path / "instance", manifest, [network.state_dict()], half=False)
    with torch.no_grad():
        expected = network(torch.from_numpy(image[None])).numpy()
    found = open_engine(bundle, 0, engine="openvino", precision="float32")(image[None])
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.std() > 0.05
