"""The perfusion importer against Keras' own answers, and what it refuses."""

import gzip
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from willis.errors import BadInputError
from willis.models.importers.perfusion import import_perfusion, read_fusion
from willis.models.store import open_bundle
from willis.nets.registry import build_network

GOLDEN = Path(__file__).parents[1] / "golden" / "perfusion"


@pytest.fixture
def fusion_file(tmp_path):
    def unpack(name):
        path = tmp_path / f"{name}.h5"
        path.write_bytes(gzip.decompress((GOLDEN / f"{name}.h5.gz").read_bytes()))
        return path

    return unpack


def given_and_answer(name):
    """(1, C, H, W) as willis gives it, and the probabilities (H, W, classes) of Keras."""
    stored = np.load(GOLDEN / f"{name}.npz")
    rng = np.random.default_rng(int(stored["seed"]))
    size = int(stored["size"])
    maps = [rng.random((1, size, size, 3), dtype=np.float32).transpose(0, 3, 1, 2) for _ in range(stored["maps"])]
    scalars = [
        np.full((1, 1, size, size), rng.random((1, 1), dtype=np.float32)[0, 0]) for _ in range(stored["scalars"])
    ]
    return np.concatenate([*maps, *scalars], axis=1), stored["answer"]


@pytest.mark.parametrize("name", ["four", "five_scalar", "batch"])
def test_probabilities_are_those_of_keras(name, fusion_file, tmp_path):
    bundle = import_perfusion(fusion_file(name), tmp_path / "bundle")
    bundle = open_bundle(bundle.folder, task="perfusion")
    network = build_network(bundle.manifest.network.name, bundle.manifest.network.config)
    network.load_state_dict({k: torch.from_numpy(np.asarray(v)) for k, v in bundle.member_weights(0).items()})
    image, expected = given_and_answer(name)
    with torch.inference_mode():
        found = network.eval()(torch.from_numpy(image)).softmax(1)[0].permute(1, 2, 0).numpy()
    assert np.ptp(expected) > 0.5
    assert np.abs(found - expected).max() < 1e-4


def test_the_maps_are_in_the_published_order(fusion_file):
    assert read_fusion(fusion_file("five_scalar")).maps == ("cbf", "cbv", "ttp", "tmax", "mip")
    assert read_fusion(fusion_file("five_scalar")).config["scalars"] == 1


def changed(path, change):
    with h5py.File(path, "r+") as file:
        graph = json.loads(file.attrs["model_config"])
        change(graph["config"]["layers"])
        file.attrs["model_config"] = json.dumps(graph)
    return path


def test_weights_without_a_graph_are_refused(fusion_file):
    path = fusion_file("four")
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
    with pytest.raises(BadInputError, match="without their graph"):
        read_fusion(path)


def test_another_network_is_refused(fusion_file, tmp_path):
    shiva = tmp_path / "shiva.h5"
    shiva.write_bytes(gzip.decompress((GOLDEN.parent / "models" / "t1_flair_keras3.h5.gz").read_bytes()))
    with pytest.raises(BadInputError, match="encoders of no map"):
        read_fusion(shiva)


@pytest.mark.parametrize(
    ("layer", "array", "words"),
    [
        ("block3_conv2_ttp", "kernel", r"vgg.2.2.1.weight has the shape .* is needed"),
        ("batch_normalization_1", "moving_mean", "normalisation batch_normalization_1 has no moving_mean"),
    ],
)
def test_layers_that_do_not_fit_each_other_are_refused(layer, array, words, fusion_file, tmp_path):
    path = fusion_file("batch")
    with h5py.File(path, "r+") as file:
        group = file["model_weights"][layer]
        name = f"{layer}/{array}"
        if array == "kernel":
            cut = group[name][:, :, :-1]
            del group[name]
            group[name] = cut
        else:
            group.attrs["weight_names"] = [n for n in group.attrs["weight_names"] if array not in str(n)]
    with pytest.raises(BadInputError, match=words):
        import_perfusion(path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
