"""Volumes and their differences."""

import numpy as np
import pytest

from willis.measure import volumetry as v


def masks() -> tuple[np.ndarray, np.ndarray]:
    p, r = np.zeros((2, 10, 10, 10), dtype=bool)
    p[:5, :4, :2] = True  # 40 voxels
    r[5:, :5, :4] = True  # 100 voxels
    return p, r


def test_differences_in_ml_and_per_cent() -> None:
    p, r = masks()
    spacing = (2.0, 1.0, 5.0)  # 0.01 ml a voxel
    assert v.volume_difference_ml(p, r, spacing) == pytest.approx(-0.6)
    assert v.absolute_volume_difference_ml(p, r, spacing) == pytest.approx(0.6)
    assert v.volume_difference_percent(p, r, spacing) == pytest.approx(-60)
    assert v.absolute_volume_difference_percent(p, r, spacing) == pytest.approx(60)
    assert v.volume_difference_percent(r, p, spacing) == pytest.approx(150)


def test_a_balls_volume_is_that_of_the_formula() -> None:
    i, j, k = np.indices((60, 60, 60)) - 29.5
    ball = (0.5 * i) ** 2 + (0.5 * j) ** 2 + (0.5 * k) ** 2 <= 12**2
    found = v.volume_difference_ml(ball, np.zeros_like(ball), (0.5, 0.5, 0.5))
    assert found == pytest.approx(4 / 3 * np.pi * 12**3 / 1000, rel=5e-3)
