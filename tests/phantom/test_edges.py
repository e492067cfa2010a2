"""The scanner's own sharpening: an unsharp mask within the slices, drawn for some images."""

import numpy as np
import pytest

from willis.phantom.acquire import acquire, draw_acquisition
from willis.phantom.edges import AMOUNT, REACH_MM, SHARPENED_SHARE, EdgeFilter, draw_edge_filter


def test_flat_areas_keep_their_value_and_a_wave_grows_as_the_gaussian_says():
    filtered = EdgeFilter(0.8, 1.2)
    np.testing.assert_allclose(
        filtered.apply(np.full((8, 9, 7), 3.0, np.float32), (1.0, 1.0, 1.0), None), 3.0, rtol=1e-6
    )
    x = np.arange(96)
    wave = np.sin(2 * np.pi * x / 8)[:, None, None] * np.ones((1, 4, 4))
    sharp = filtered.apply((10 + wave).astype(np.float32), (0.5, 0.5, 5.0), 2)
    gaussian = np.exp(-2 * (np.pi * 1.2 / (8 * 0.5)) ** 2)
    middle = slice(24, 72)
    np.testing.assert_allclose(sharp[middle] - 10, wave[middle] * (1 + 0.8 * (1 - gaussian)), atol=0.01)


def test_slices_are_sharpened_one_by_one():
    image = np.zeros((9, 9, 9), np.float32)
    image[:, :, 4] = 5.0
    np.testing.assert_array_equal(EdgeFilter(1.0, 1.0).apply(image, (1.0, 1.0, 1.0), 2), image)
    assert EdgeFilter(1.0, 1.0).apply(image, (1.0, 1.0, 1.0), None).max() > 6.0


def test_magnitudes_stay_above_zero():
    rng = np.random.default_rng(1)
    assert EdgeFilter(1.2, 1.5).apply(rng.random((8, 8, 8), np.float32), (1.0, 1.0, 1.0), None).min() >= 0


def test_a_share_of_images_is_sharpened_within_the_limits():
    rng = np.random.default_rng(5)
    drawn = [draw_edge_filter(rng) for _ in range(400)]
    used = [d for d in drawn if d]
    assert len(used) / len(drawn) == pytest.approx(SHARPENED_SHARE, abs=0.08)
    assert all(AMOUNT[0] <= d.amount <= AMOUNT[1] and REACH_MM[0] <= d.reach_mm <= REACH_MM[1] for d in used)


@pytest.mark.parametrize("thick_axis", [None, 2])
def test_an_acquisition_with_a_filter_has_sharper_edges_and_the_truth_none(thick_axis):
    image = np.zeros((40, 40, 40), np.float32)
    image[12:28, 12:28, 8:32] = 1.0
    plain = draw_acquisition(np.random.default_rng(2), thick_axis=thick_axis).without_bias()
    sharp = type(plain)(**{**vars(plain), "edges": EdgeFilter(1.0, 1.2)})
    before, after = (acquire(np.random.default_rng(3), image, a, 1.0, 1.0) for a in (plain, sharp))
    assert after.max() > before.max() + 0.1
    assert after[18:22, 18:22, 18:22].mean() == pytest.approx(before[18:22, 18:22, 18:22].mean(), abs=0.05)
    assert sharp.without_bias().edges is None
