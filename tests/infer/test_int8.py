"""A bundle in 8-bit integers: it must find the same, or it isn't written."""

import numpy as np
import onnx
import pytest
import torch
from scipy import ndimage

from willis.errors import BadInputError, BundleError
from willis.infer.engine import open_engine
from willis.infer.ensemble import predict
from willis.infer.int8 import _masks, int8_bundle
from willis.infer.protocol import is_int8
from willis.measure.overlap import dice
from willis.models.manifest import make_manifest
from willis.models.store import open_bundle, write_bundle
from willis.nets.registry import build_network

CONFIG = {"inputs": 1, "outputs": 1, "filters": [2], "final": [], "norm": "batch", "decoder": "slim"}
SHAPE = (8, 10, 6)


@pytest.fixture
def bundle(tmp_path):
    """A network that gives back its image, much steeper: what is above 0.5 is found."""
    network = build_network("unet3d", CONFIG)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.endswith("conv.weight"):
                weight.zero_()
                channel = 2 if name.startswith("decoder.0.0") else 0  # the skip, and not what was pooled
                weight[0, channel, 1, 1, 1] = 10.0 if name.startswith("encoder.0.0") else 1.0
        network.head.weight.zero_()
        network.head.weight[0, 0] = 4.0
        network.head.bias.zero_()
        network.head.bias.fill_(-float(network.eval()(torch.full((1, 1, *SHAPE), 0.5))[0, 0, 4, 5, 3]))
    manifest = make_manifest(
        {
            "name": "steep",
            "title": "A steep bundle",
            "task": "wmh",
            "network": {"name": "unet3d", "config": CONFIG},
            "channels": ["flair"],
            "outputs": ["wmh"],
            "spacing_mm": [1, 1, 1],
            "shape": SHAPE,
            "window": {"mode": "sliding", "shape": SHAPE, "overlap": 0.0},
            "intensity": {"scheme": "p99"},
            "threshold": {"value": 0.5, "origin": "a test"},
            "licence": "Apache-2.0",
            "intended_use": "Tests.",
        },
        "a test",
    )
    return write_bundle(tmp_path / "steep", manifest, [network.state_dict()], half=False)


def images(low: float, high: float, count: int = 3) -> list[tuple[np.ndarray, None]]:
    """Half of the voxels about one value, half about another, in every range from 0 to 1."""
    rng = np.random.default_rng(4)
    made = []
    for _ in range(count):
        image = np.where(rng.random((1, *SHAPE)) < 0.5, low, high) + rng.normal(0, 0.01, (1, *SHAPE))
        image[0, 0, 0, :2] = 0, 1
        made.append((image.astype(np.float32), None))
    return made


def test_an_int8_bundle_finds_the_same_and_says_so(bundle, tmp_path):
    found = int8_bundle(bundle, tmp_path / "out", images(0.2, 0.8), images(0.25, 0.75))
    assert found.dice["wmh"] >= 0.99
    assert 0 < found.max_difference < 0.2
    assert found.cases == 3
    written = open_bundle(tmp_path / "out", task="wmh")
    assert is_int8(written)
    assert not is_int8(bundle)
    graph = onnx.load_from_string(written.member_bytes(0)).graph
    kept = [i.name for i in graph.initializer if onnx.numpy_helper.to_array(i).dtype == np.int8]
    assert len([name for name in kept if name.endswith("_quantized")]) == 2  # of four: first and last are float
    told = {m.figure: m.value for m in written.manifest.measured}
    assert told["Dice of wmh with that of float32"] >= 0.99
    assert told["CPU time of a window, int8"] > 0
    said = predict(written, images(0.25, 0.75)[0][0])
    assert (said.engine, said.precision) == ("openvino", "int8")
    assert open_engine(written, 0, engine="onnx").precision == "int8"
    with pytest.raises(BadInputError, match=r"runs in int8|doesn't multiply"):
        open_engine(written, 0, engine="openvino", precision="bfloat16")


def test_a_bundle_whose_masks_change_is_not_written(bundle, tmp_path):
    with pytest.raises(BundleError, match=r"isn't kept\. .*1 at either end in float32: wmh 0\.\d+"):
        int8_bundle(bundle, tmp_path / "out", images(0.2, 0.8), images(0.4985, 0.5015))
    assert not (tmp_path / "out").exists()


def test_images_are_needed_and_onnx_is_refused(bundle, tmp_path):
    with pytest.raises(BadInputError, match="needs images to calibrate on"):
        int8_bundle(bundle, tmp_path / "out", images(0.2, 0.8), [])
    int8_bundle(bundle, tmp_path / "out", images(0.2, 0.8), images(0.25, 0.75))
    with pytest.raises(BadInputError, match="holds ONNX graphs already"):
        int8_bundle(open_bundle(tmp_path / "out"), tmp_path / "again", images(0, 1), images(0, 1))


@pytest.mark.slow
def test_the_shipped_one_finds_in_a_made_up_head_what_the_default_does():
    shape = (64, 64, 48)
    at = np.indices(shape, float)

    def ball(middle, radii):
        return sum(((i - c) / r) ** 2 for i, c, r in zip(at, middle, radii, strict=True)) < 1

    brain = ball((32, 32, 24), (26, 29, 22))
    texture = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal(shape), 1.5)
    head = ndimage.gaussian_filter(brain.astype(np.float32), 1.0)
    infarct = head * ndimage.gaussian_filter(ball((42, 36, 26), (7, 8, 6)).astype(np.float32), 0.7)
    b1000 = head * (1 + 0.1 * texture / texture.std()) + infarct
    b0 = head * (1 + 0.2 * texture / texture.std()) + 0.3 * infarct
    image = np.stack([(v - v[brain].mean()) / v[brain].std() for v in (b1000, b0)]).astype(np.float32)
    shipped, default = open_bundle("fvv-int8", "fvv"), open_bundle("fvv", "fvv")
    assert is_int8(shipped)
    assert shipped.manifest.threshold == default.manifest.threshold
    found, expected = (
        predict(b, image, threads=1).probability >= b.manifest.threshold.value for b in (shipped, default)
    )
    assert expected[1].sum() > 1000
    assert all(dice(one, other) > 0.95 for one, other in zip(found, expected, strict=True))


def test_masks_of_a_softmax_are_of_the_likeliest_output():
    p = np.array([0.4, 0.35, 0.25, 0.1, 0.2, 0.7], np.float32).reshape(2, 3, 1, 1).transpose(1, 0, 2, 3)
    assert _masks(p, "softmax", 0.5)[:, :, 0, 0].T.tolist() == [[True, False, False], [False, False, True]]
    assert _masks(p, "sigmoid", 0.3)[:, :, 0, 0].T.tolist() == [[True, True, False], [False, False, True]]
