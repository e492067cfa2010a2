"""Slices from stacks: every slice in its place, the ends filled, any batch alike."""

import numpy as np
import pytest

from willis.infer.slices import neighbours_as_channels, predict_slices, stack_about

Array = np.ndarray


def middle(stack: Array) -> Array:
    """A network that gives back the middle slice of each channel."""
    return stack[:, :, stack.shape[2] // 2]


def weighted(stack: Array) -> Array:
    weights = np.arange(1, stack.shape[2] + 1, dtype=np.float32).reshape(1, 1, -1, 1, 1)
    return (stack * weights).sum(2)


@pytest.mark.parametrize("batch", [1, 2, 4, 9])
def test_the_middle_of_each_stack_is_its_slice(batch: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 7)).astype(np.float32)
    assert np.array_equal(predict_slices(middle, x, 7, batch=batch), x)


def test_batches_of_any_size_give_the_same() -> None:
    x = np.random.default_rng(1).standard_normal((2, 4, 4, 10)).astype(np.float32)
    one = predict_slices(weighted, x, 5, batch=1)
    for batch in (2, 3, 4, 11):
        assert predict_slices(weighted, x, 5, batch=batch) == pytest.approx(one, abs=1e-5)


def test_beyond_the_ends_lies_the_least_value() -> None:
    x = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 1, 4)
    first = stack_about(x, 0, 7, float(x.min()))
    assert first.ravel().tolist() == [1, 1, 1, 1, 2, 3, 4]
    assert stack_about(x, 3, 3, -9.0).ravel().tolist() == [3, 4, -9]


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_channel_j_of_slice_i_is_slice_i_plus_j_less_half_the_depth(depth: int) -> None:
    """As D-UNet's authors lay stacks (github.com/SZUHvern/D-UNet, data_load.py): zeros beyond the volume."""
    x = np.random.default_rng(2).uniform(1, 2, (2, 3, 4, 7)).astype(np.float32)
    stacked = neighbours_as_channels(x, depth)
    assert stacked.shape == (2 * depth, 3, 4, 7)
    for channel in range(2):
        for i in range(7):
            for j in range(depth):
                there = i + j - depth // 2
                wanted = x[channel, ..., there] if 0 <= there < 7 else np.zeros((3, 4))
                assert np.array_equal(stacked[channel * depth + j, ..., i], wanted)
    assert np.array_equal(neighbours_as_channels(x, depth, [6, 2]), stacked[..., [6, 2]])


def test_progress_ends_with_all_slices() -> None:
    told: list[tuple[int, int]] = []
    predict_slices(middle, np.zeros((1, 2, 2, 5), np.float32), 3, progress=lambda done, todo: told.append((done, todo)))
    assert told == [(4, 5), (5, 5)]
