import builtins
import json
import marshal
import pickle
import shutil

import h5py
import numpy as np
import pytest
import torch

from willis.errors import BadInputError, BundleError
from willis.models.importers.shiva import import_shiva, read_fold
from willis.models.store import open_bundle
from willis.nets.registry import build_network

NAMES = [
    "t1_flair_keras3",
    "t1_flair_keras3.weights",
    "t1_flair_lambda_keras3",
    "t1_flair_lambda_keras2",
    "flair_keras2",
    "flair_keras2_weights",
]


def probability_of(bundle, member, image):
    network = build_network(bundle.manifest.network.name, bundle.manifest.network.config)
    network.load_state_dict({k: torch.from_numpy(v) for k, v in bundle.member_weights(member).items()})
    with torch.inference_mode():
        return torch.sigmoid(network.eval()(torch.from_numpy(image)))[0, 0].numpy()


def folder_of(name):
    return "FLAIR.WMH" if name.startswith("flair") else "T1-FLAIR.WMH"


def change_graph(path, change):
    with h5py.File(path, "r+") as file:
        graph = json.loads(file.attrs["model_config"])
        change({layer["config"]["name"]: layer for layer in graph["config"]["layers"]}, graph["config"])
        file.attrs["model_config"] = json.dumps(graph)


@pytest.mark.parametrize("name", NAMES)
def test_probability_equals_that_of_keras(name, keras_file, keras_answer, tmp_path):
    path = keras_file(name, folder=folder_of(name))
    import_shiva(path.parent, tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle", task="wmh")
    image, expected = keras_answer(name)
    assert np.ptp(expected) > 0.2
    np.testing.assert_allclose(probability_of(bundle, 0, image), expected, atol=2e-6, rtol=0)


def test_half_precision_stays_near(keras_file, keras_answer, tmp_path):
    path = keras_file("t1_flair_keras3")
    full = import_shiva(path.parent, tmp_path / "full")
    half = import_shiva(path.parent, tmp_path / "half", half=True)
    image, expected = keras_answer("t1_flair_keras3")
    assert 0 < np.abs(probability_of(half, 0, image) - expected).max() < 2e-3
    assert half.member_path(0).stat().st_size < 0.8 * full.member_path(0).stat().st_size


def test_folds_come_in_their_order(keras_file, tmp_path):
    second, first = keras_file("t1_flair_keras3", fold=1), keras_file("t1_flair_keras3", fold=0)
    with h5py.File(second, "r+") as file:
        file["model_weights/conv3d/conv3d/kernel"][...] *= 2
    bundle = import_shiva(first.parent, tmp_path / "bundle")
    name = "encoder.0.0.conv.weight"
    np.testing.assert_array_equal(bundle.member_weights(1)[name], 2 * bundle.member_weights(0)[name])


def test_nothing_in_the_file_is_executed(keras_file, keras_answer, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("code of the file was about to be executed")

    for module, name in ((marshal, "loads"), (pickle, "loads"), (builtins, "eval"), (builtins, "exec")):
        monkeypatch.setattr(module, name, refuse)
    path = keras_file("t1_flair_lambda_keras2")
    fold = read_fold(path)
    assert any("never executed" in note for note in fold.notes)


def test_the_body_of_a_lambda_does_not_matter(keras_file, keras_answer, tmp_path):
    path = keras_file("t1_flair_lambda_keras2")
    before = read_fold(path).weights

    def poison(layers, _):
        for layer in layers.values():
            if layer["class_name"] == "Lambda":
                layer["config"]["function"] = ["bm90IGNvZGU=", None, None]

    change_graph(path, poison)
    after = read_fold(path).weights
    assert all(np.array_equal(before[key], after[key]) for key in before)


def relu(layers, _):
    layers["activation_3"]["config"]["activation"] = "relu"


def sum_instead(layers, _):
    layers["concatenate"]["class_name"] = "Add"


def lambda_elsewhere(layers, _):
    layers["dropout"]["class_name"] = "Lambda"


def turned_padding(layers, _):
    layers["zero_padding3d"]["config"]["padding"] = [[0, 0], [0, 0], [1, 0]]


def strided(layers, _):
    layers["conv3d_2"]["config"]["strides"] = [2, 2, 2]


def average(layers, _):
    layers["max_pooling3d"]["class_name"] = "AveragePooling3D"


def no_sigmoid(layers, _):
    layers["conv3d_14"]["config"]["activation"] = "linear"


def own_activation(layers, _):
    layers["conv3d_1"]["config"]["activation"] = "relu"


def skip_from_another_level(layers, _):
    text = json.dumps(layers["concatenate"]["inbound_nodes"]).replace('"activation_5"', '"activation_3"')
    layers["concatenate"]["inbound_nodes"] = json.loads(text)


def turned_concatenation(layers, _):
    layers["concatenate_1"]["inbound_nodes"][0]["args"][0].reverse()


def without_a_normalisation(layers, _):
    text = json.dumps(layers["activation_2"]["inbound_nodes"]).replace("batch_normalization_2", "conv3d_2")
    layers["activation_2"]["inbound_nodes"] = json.loads(text)


def circle(layers, _):
    text = json.dumps(layers["conv3d_2"]["inbound_nodes"]).replace('"dropout"', '"activation_7"')
    layers["conv3d_2"]["inbound_nodes"] = json.loads(text)


def unlike_epsilon(layers, _):
    layers["batch_normalization_4"]["config"]["epsilon"] = 1e-5


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (relu, "'relu'"),
        (sum_instead, "Add.*ResUnet"),
        (lambda_elsewhere, "dropout stands after a MaxPooling3D"),
        (turned_padding, "zero_padding3d pads"),
        (strided, "conv3d_2 has strides"),
        (average, "AveragePooling3D"),
        (no_sigmoid, "sigmoid"),
        (own_activation, "conv3d_1 has activation relu"),
        (skip_from_another_level, "concatenate joins"),
        (turned_concatenation, "layers"),
        (without_a_normalisation, "not those of the published"),
        (circle, "circle"),
        (unlike_epsilon, "epsilon"),
    ],
)
def test_another_network_is_refused(keras_file, change, word):
    path = keras_file("t1_flair_keras3")
    change_graph(path, change)
    with pytest.raises(BadInputError, match=word):
        read_fold(path)


def test_another_epsilon_is_kept(keras_file):
    path = keras_file("t1_flair_keras3")

    def change(layers, _):
        for layer in layers.values():
            if layer["class_name"] == "BatchNormalization":
                layer["config"]["epsilon"] = 1e-5

    change_graph(path, change)
    assert read_fold(path).config["norm_eps"] == 1e-5


def drop(file):
    del file["model_weights/conv3d_3/conv3d_3/kernel"]


def spare(file):
    layer = file["model_weights/conv3d_3"]
    layer["conv3d_3/bias"] = np.zeros(3, np.float32)
    layer.attrs["weight_names"] = [b"conv3d_3/kernel", b"conv3d_3/bias"]


def reshape(file):
    kernel = file["model_weights/conv3d_3/conv3d_3/kernel"][...]
    del file["model_weights/conv3d_3/conv3d_3/kernel"]
    file["model_weights/conv3d_3/conv3d_3/kernel"] = kernel[..., :-1]


def not_a_number(file):
    file["model_weights/conv3d_3/conv3d_3/kernel"][0] = np.nan


def whole_numbers(file):
    del file["model_weights/conv3d_3/conv3d_3/kernel"]
    file["model_weights/conv3d_3/conv3d_3/kernel"] = np.ones((3, 3, 3, 3, 3), np.int32)


def enormous(file):
    del file["model_weights/conv3d_3/conv3d_3/kernel"]
    file["model_weights/conv3d_3/conv3d_3"].create_dataset("kernel", (3, 3, 3, 10**5, 10**5), np.float32, chunks=True)


def elsewhere(file):
    del file["model_weights/conv3d_3/conv3d_3/kernel"]
    file["model_weights/conv3d_3/conv3d_3/kernel"] = h5py.ExternalLink("other.h5", "/kernel")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (drop, "absent"),
        (spare, r"\['bias', 'kernel'\]"),
        (reshape, r"encoder\.1\.0\.conv\.weight has the shape \(3, 2, 3, 3, 3\); \(2, 2, 3"),
        (not_a_number, "not finite"),
        (whole_numbers, "int32"),
        (elsewhere, "another file"),
        (enormous, "too large"),
    ],
)
def test_arrays_that_do_not_fit_are_named(keras_file, change, word):
    path = keras_file("t1_flair_keras3")
    with h5py.File(path.with_name("other.h5"), "w") as other:
        other["kernel"] = np.ones((3, 3, 3, 3, 3), np.float32)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(BadInputError, match=word):
        read_fold(path)


def test_names_that_keras_cut_into_pieces(keras_file):
    path = keras_file("t1_flair_keras3")
    before = read_fold(path).weights
    with h5py.File(path, "r+") as file:
        attributes = file["model_weights"].attrs
        names = list(attributes["layer_names"])
        del attributes["layer_names"]
        attributes["layer_names0"], attributes["layer_names1"] = names[:20], names[20:]
    after = read_fold(path).weights
    assert all(np.array_equal(before[key], after[key]) for key in before)


def test_files_that_are_no_keras_model(tmp_path):
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(BadInputError, match="HDF5"):
        read_fold(tmp_path / "text.h5")
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(BadInputError, match="no Keras weights"):
        read_fold(tmp_path / "empty.h5")


def test_a_fold_of_another_network_is_refused_and_nothing_is_left(keras_file, tmp_path):
    path = keras_file("t1_flair_keras3")
    keras_file("t1_flair_lambda_keras3", fold=1)
    with pytest.raises(BadInputError, match=r"fold_1.*differs"):
        import_shiva(path.parent, tmp_path / "store" / "bundle")
    assert list((tmp_path / "store").iterdir()) == []


def test_the_number_of_images_must_fit(keras_file, tmp_path):
    path = keras_file("flair_keras2")
    with pytest.raises(BadInputError, match="takes 1 image; t1 and flair were named by the files' names"):
        import_shiva(path.parent, tmp_path / "bundle")
    bundle = import_shiva(path.parent, tmp_path / "bundle", modalities=["FLAIR"])
    assert bundle.manifest.channels == ("flair",)


def test_an_existing_bundle_is_kept(keras_file, tmp_path):
    path = keras_file("t1_flair_keras3")
    import_shiva(path.parent, tmp_path / "bundle")
    with pytest.raises(BundleError, match="exists already"):
        import_shiva(path.parent, tmp_path / "bundle")
    import_shiva(path.parent, tmp_path / "bundle", replace=True, scheme="p99-capped")
    assert open_bundle(tmp_path / "bundle").manifest.intensity.cap == 1.3


def test_the_manifest_says_what_a_user_must_know(keras_file, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    manifest = import_shiva(keras_file("t1_flair_keras3").parent).manifest
    assert open_bundle("shiva-wmh-t1-flair").manifest == manifest
    assert manifest.shape == (9, 11, 14)
    assert manifest.threshold.value == 0.5
    assert "README" in manifest.threshold.origin
    assert "CC-BY-NC-SA" in manifest.licence
    assert "not be used for clinical" in manifest.intended_use
    assert any("0.2" in text for text in manifest.peculiarities)
    assert any("padded" in text for text in manifest.peculiarities)
    shutil.rmtree(tmp_path / "willis")
