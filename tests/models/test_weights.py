import numpy as np
import pytest
import torch

from willis.errors import BundleError
from willis.models.weights import pack_weights, unpack_weights


def round_trip(weights, half=True):
    return unpack_weights(pack_weights(weights, half=half), "a test")


def test_kernels_lose_at_most_half_a_unit_of_float16():
    kernel = np.random.default_rng(1).normal(size=(4, 3, 3, 3, 3)).astype(np.float32)
    got = round_trip({"w": kernel})["w"]
    assert got.dtype == np.float32
    assert np.abs(got - kernel).max() <= 2.0**-11 * np.abs(kernel).max()
    assert len(pack_weights({"w": kernel})) < 0.6 * len(pack_weights({"w": kernel}, half=False))


def test_vectors_and_integers_are_exact():
    weights = {"running_var": np.array([1e-9, 1e9], np.float32), "n": np.array(12345678901)}
    for name, value in round_trip(weights).items():
        np.testing.assert_array_equal(value, weights[name])


def test_a_matrix_below_float16_stays_single():
    tiny = np.full((3, 3), 3.3e-8, np.float32)
    np.testing.assert_array_equal(round_trip({"w": tiny})["w"], tiny)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 7e4])
def test_what_float16_can_not_hold_is_refused(bad):
    with pytest.raises(BundleError, match=r"decoder\.weight"):
        pack_weights({"decoder.weight": np.array([[bad]], np.float32)})


def test_large_values_are_kept_in_single_precision():
    assert round_trip({"w": np.array([[7e4]], np.float32)}, half=False)["w"] == np.float32(7e4)


def test_torch_tensors_of_any_layout_and_type():
    tensor = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3).T.requires_grad_()
    got = round_trip({"w": tensor, "n": torch.tensor(3)})
    np.testing.assert_array_equal(got["w"], [[0, 3], [1, 4], [2, 5]])
    assert got["n"] == 3


def test_bytes_that_are_no_safetensors():
    with pytest.raises(BundleError, match="here is not a safetensors"):
        unpack_weights(b"\x80\x04pickle.", "here")
