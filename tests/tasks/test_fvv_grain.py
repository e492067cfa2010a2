"""The noise that an ADC shares with the b1000 it was computed from."""

import numpy as np
import pytest

from willis.tasks.fvv.grain import shared_grain
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

GRID = Grid((48, 40, 6), np.diag([2.0, 2.0, 5.0, 1.0]))
MASK = np.ones(GRID.shape, dtype=bool)


def images(noise: tuple[float, float], adc: float = 0.8e-3) -> tuple[np.ndarray, np.ndarray]:
    """ln b1000 and the ADC of flat tissue, with noise of these shares in b0 and in b1000."""
    rng = np.random.default_rng(3)
    first, second = (rng.normal(0, share, GRID.shape) for share in noise)
    return -1000 * adc + second, adc + (first - second) / 1000


def grain(log_b1000: np.ndarray, adc: np.ndarray, mask: np.ndarray = MASK) -> float | None:
    return shared_grain(Volume(500 * np.exp(log_b1000), GRID), Volume(adc, GRID), mask)


@pytest.mark.parametrize("noise", [(0.02, 0.02), (0.01, 0.03), (0.03, 0.01)])
def test_the_correlation_is_that_of_the_noise(noise: tuple[float, float]) -> None:
    expected = -noise[1] / np.hypot(*noise)
    assert grain(*images(noise)) == pytest.approx(expected, abs=0.02)


def test_another_image_shares_none() -> None:
    _, adc = images((0.02, 0.02))
    other = np.random.default_rng(4).normal(0, 0.02, GRID.shape)
    assert abs(grain(other, adc)) < 0.05


def test_smooth_anatomy_does_not_count() -> None:
    log_b1000, adc = images((0.02, 0.02))
    i, j, _ = np.indices(GRID.shape)
    slope = 0.3 * np.sin(i / 12) * np.cos(j / 12)
    assert grain(log_b1000 + slope, adc) == pytest.approx(grain(log_b1000, adc), abs=0.01)


def test_stored_axes_make_no_difference() -> None:
    log_b1000, adc = images((0.02, 0.02))
    turned = [reorient(Volume(data, GRID), "SPL") for data in (np.exp(log_b1000), adc)]
    assert shared_grain(*turned, np.ones(turned[0].data.shape, bool)) == pytest.approx(grain(log_b1000, adc))


@pytest.mark.parametrize("why", ["fluid", "few", "flat"])
def test_nothing_is_told_without_tissue_or_grain(why: str) -> None:
    log_b1000, adc = images((0.0, 0.0) if why == "flat" else (0.02, 0.02), 3e-3 if why == "fluid" else 0.8e-3)
    mask = np.zeros_like(MASK)
    mask[:20, :20, :2] = True
    assert grain(log_b1000, adc, mask if why == "few" else MASK) is None
