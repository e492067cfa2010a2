import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from willis.errors import BadInputError
from willis.infer.windows import gaussian_weight, padded, predict_sliding, predict_whole, tiles, window_starts

SHAPE = (19, 8, 23)


def pointwise(x):
    """A network whose output at a voxel depends on that voxel alone."""
    return np.stack([x[:, 0] * 2 - 1, x.sum(axis=1)], axis=1).astype(np.float32)


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((2, *SHAPE), dtype=np.float32)


@given(length=st.integers(1, 60), window=st.integers(1, 30), overlap=st.floats(0, 0.9))
def test_starts_cover_the_axis_and_overlap_enough(length, window, overlap):
    starts = window_starts(length, window, overlap)
    covered = np.zeros(length, bool)
    for start in starts:
        covered[start : start + window] = True
    assert covered.all()
    assert starts[0] == 0
    assert starts == sorted(set(starts))
    if length > window:
        assert starts[-1] == length - window
        assert max(np.diff(starts)) <= max(1, np.ceil(window * (1 - overlap)))


@given(st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(1, 24)), st.floats(0, 0.75))
def test_normalised_weights_sum_to_one(window, overlap):
    total = np.zeros(SHAPE)
    weight = gaussian_weight(window)
    for tile in tiles(SHAPE, window, overlap):
        part = tuple(slice(0, side.stop - side.start) for side in tile)
        total[tile] += weight[part]
    assert (total > 0).all()
    again = np.zeros(SHAPE)
    for tile in tiles(SHAPE, window, overlap):
        part = tuple(slice(0, side.stop - side.start) for side in tile)
        again[tile] += weight[part] / total[tile]
    np.testing.assert_allclose(again, 1, rtol=1e-5)


def test_the_gaussian_is_symmetric_and_largest_at_the_centre():
    weight = gaussian_weight((9, 7, 5))
    assert weight[4, 3, 2] == 1 == weight.max()
    np.testing.assert_allclose(weight, weight[::-1, ::-1, ::-1], rtol=1e-6)
    assert weight.min() >= 1e-3
    assert weight[4, 3, 0] == pytest.approx(np.exp(-0.5 * (2 / (5 / 8)) ** 2), rel=1e-4)


@pytest.mark.parametrize("window", [(8, 8, 8), (7, 5, 11), (30, 30, 30), (19, 8, 23), (4, 16, 4)])
@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5])
def test_windows_of_a_pointwise_network_give_the_whole(picture, window, overlap):
    logits, seen = predict_sliding(pointwise, picture, window, overlap)
    assert seen.all()
    np.testing.assert_allclose(logits, pointwise(picture[None])[0], atol=1e-5)


def test_every_window_has_the_shape_asked_for(picture):
    shapes = set()

    def network(x):
        shapes.add(x.shape)
        return x

    predict_sliding(network, picture, (8, 10, 12), 0.5)
    assert shapes == {(1, 2, 8, 10, 12)}


def test_windows_at_the_edge_are_shifted_and_not_padded():
    ones = np.ones((1, 19, 20, 23), np.float32)

    def network(x):
        assert x.all()
        return x

    logits, _ = predict_sliding(network, ones, (8, 8, 8), 0.25)
    np.testing.assert_allclose(logits, 1, rtol=1e-6)


def test_windows_without_mask_are_not_run(picture):
    mask = np.zeros(SHAPE, bool)
    mask[2, 3, 4] = True
    calls = []

    def network(x):
        calls.append(x)
        return pointwise(x)

    logits, seen = predict_sliding(network, picture, (8, 8, 8), 0.0, mask=mask)
    assert len(calls) == 1
    assert seen.sum() == 8**3
    np.testing.assert_allclose(logits[:, seen], pointwise(picture[None])[0][:, seen], atol=1e-5)
    assert not logits[:, ~seen].any()


def test_an_empty_mask_runs_nothing(picture):
    def network(x):
        raise AssertionError("was run")

    _, seen = predict_sliding(network, picture, (8, 8, 8), 0.5, mask=np.zeros(SHAPE, bool))
    assert not seen.any()


def test_progress_counts_windows(picture):
    told = []
    predict_sliding(pointwise, picture, (8, 8, 12), 0.0, progress=lambda done, todo: told.append((done, todo)))
    assert told == [(n, 6) for n in range(1, 7)]


def test_the_whole_is_padded_to_a_multiple_and_cut_back(picture):
    shapes = []

    def network(x):
        shapes.append(x.shape)
        return pointwise(x)

    logits = predict_whole(network, picture, 8)
    assert shapes == [(1, 2, 24, 8, 24)]
    np.testing.assert_allclose(logits, pointwise(picture[None])[0], atol=1e-6)


def test_padding_keeps_the_original_in_its_place(picture):
    image, inner = padded(picture, (20, 8, 30))
    assert image.shape == (2, 20, 8, 30)
    np.testing.assert_array_equal(image[(slice(None), *inner)], picture)
    assert image.sum() == pytest.approx(picture.sum(), rel=1e-5)


@pytest.mark.parametrize("overlap", [-0.1, 1.0, 2.0])
def test_an_overlap_outside_its_range_is_refused(overlap):
    with pytest.raises(BadInputError, match="overlap"):
        tiles(SHAPE, (4, 4, 4), overlap)
