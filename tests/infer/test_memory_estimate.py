import math
from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from willis.errors import BadInputError
from willis.infer.memory import STATM, Step, fitting_window, peak_bytes, resident_bytes, result_bytes, smaller_windows


def test_a_chain_holds_two_maps():
    chain = [Step((), "a", 10), Step(("a",), "b", 10), Step(("b",), "c", 10)]
    assert peak_bytes(chain) == 20


def test_a_skip_is_held_until_its_last_use():
    steps = [
        Step((), "x", 1),
        Step(("x",), "skip", 8),
        Step(("skip",), "low", 2),
        Step(("low",), "lower", 2),
        Step(("lower", "skip"), "joined", 16),
        Step(("joined",), "out", 1),
    ]
    assert peak_bytes(steps) == 8 + 2 + 16


def test_in_place_needs_no_second_map_unless_the_first_is_read_again():
    assert peak_bytes([Step((), "a", 5), Step(("a",), "b", 5, in_place=True)]) == 5
    kept = [Step((), "a", 5), Step(("a",), "b", 5, in_place=True), Step(("a", "b"), "c", 1)]
    assert peak_bytes(kept) == 11


def test_what_is_allocated_is_seen_in_the_resident_memory():
    before = resident_bytes()
    block = np.ones(300_000_000, np.uint8)
    assert resident_bytes() - before > 0.5 * block.nbytes


def test_results_grow_with_members_and_labels():
    one = result_bytes(1, 1, (10, 10, 10))
    assert result_bytes(2, 1, (10, 10, 10)) == 2 * one
    assert result_bytes(1, 6, (10, 10, 10)) - one == 5 * 2 * 1000


def test_smaller_windows_only_shrink_and_keep_the_step():
    windows = list(smaller_windows((160, 214, 176), 16))
    assert windows[0] == (160, 144, 176)
    assert all(math.prod(b) < math.prod(a) for a, b in pairwise(windows))
    cut = {side for window in windows for side in window} - {160, 214, 176}
    assert all(side % 16 == 0 for side in cut)


def cubic(window):
    return 1 + 1e-6 * math.prod(window)


def test_the_largest_window_that_fits_is_taken():
    assert fitting_window(cubic, (160, 214, 176), 16, 100) == ((160, 214, 176), cubic((160, 214, 176)))
    window, peak = fitting_window(cubic, (160, 214, 176), 16, 5.5)
    assert window == (160, 144, 176)
    assert peak == cubic(window) <= 5.5


def test_a_limit_that_can_t_be_kept_says_the_least():
    with pytest.raises(BadInputError, match=r"1\.0[0-9] GB"):
        fitting_window(cubic, (160, 214, 176), 16, 0.5)


def test_a_window_that_the_network_can_t_take_ends_the_search():
    def picky(window):
        if min(window) < 128:
            raise BadInputError("too small")
        return cubic(window)

    with pytest.raises(BadInputError, match=rf"{cubic((160, 144, 128)):.2f} GB"):
        fitting_window(picky, (160, 214, 176), 16, 1.5)


def test_windows_of_a_patch_network_are_never_cut():
    with pytest.raises(BadInputError, match="at least"):
        fitting_window(cubic, (64, 64, 64), 16, 1.01, may_cut=False)


def test_torch_s_estimate_counts_what_is_alive_together():
    import torch
    from torch import nn

    from willis.infer.torch_engine import activation_bytes

    network = nn.Sequential(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU(inplace=True), nn.Conv3d(8, 1, 1)).eval()
    voxels = 10**3
    need = activation_bytes(network, (1, 1, 10, 10, 10), torch.float32)
    assert need == pytest.approx((8 + 1) * voxels * 4, rel=0.01)
    assert activation_bytes(network, (1, 1, 10, 10, 10), torch.bfloat16) == pytest.approx(need / 2, rel=0.01)


def test_openvino_s_estimate_counts_what_is_alive_together():
    ov = pytest.importorskip("openvino")
    import openvino.opset14 as op

    from willis.infer.graph_memory import graph_bytes, weight_values

    voxels = 10**3
    image = op.parameter([1, 1, 10, 10, 10], np.float32)
    kernel = op.constant(np.ones((8, 1, 1, 1, 1), np.float32))
    wide = op.swish(op.convolution(image, kernel, [1] * 3, [0] * 3, [0] * 3, [1] * 3))
    again = op.constant(np.ones((8, 8, 1, 1, 1), np.float32))
    added = op.add(op.convolution(wide, again, [1] * 3, [0] * 3, [0] * 3, [1] * 3), wide)
    model = ov.Model([added], [image], "sum")
    assert weight_values(model) == 8 + 64 + 1  # swish's slope
    assert graph_bytes(model, 4) == (1 + 8) * voxels * 4


def test_onnx_s_estimate_counts_weights_and_maps(tmp_path):
    from willis.infer.onnx_memory import onnx_bytes

    weight = helper.make_tensor("w", TensorProto.FLOAT, [8, 1, 1, 1, 1], np.ones(8))
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Relu", ["y"], ["z"])]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, "i", "j", "k"])
        for name, count in (("x", 1), ("z", 8))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [weight])
    content = onnx.helper.make_model(graph).SerializeToString()
    assert onnx_bytes(content, (1, 1, 10, 10, 10)) == 8 * 4 + 16 * 1000 * 4


@pytest.mark.skipif(not STATM.exists(), reason="the system doesn't say what a process holds")
def test_resident_memory_is_that_of_this_process():
    assert 10e6 < resident_bytes() < 100e9
