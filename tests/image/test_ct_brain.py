"""The brain mask on CT keeps to the skull's inside, with calcium in it and without what lies beyond an opening."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.image import ct_brain
from willis.image.ct_brain import ct_brain_mask
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SHAPE = (92, 92, 44)
GRID = Grid(SHAPE, np.array([[-2.0, 0, 0, 91], [0, -2.0, 0, 91], [0, 0, 4.0, -86], [0, 0, 0, 1.0]]))
AT = GRID.to_mm(np.moveaxis(np.indices(SHAPE), 0, -1))
RADIUS = np.linalg.norm(AT / (1.0, 1.1, 0.95), axis=-1)
INNER_MM, OUTER_MM, SCALP_MM = 64.0, 70.0, 76.0


def head() -> Volume:
    """A skull with an opening of 5 mm below, brain within, scalp about it."""
    values = np.full(SHAPE, -1000.0)
    values[RADIUS < SCALP_MM] = 45
    values[RADIUS < OUTER_MM] = 1000
    values[RADIUS < INNER_MM] = 32
    opening = (np.hypot(AT[..., 0], AT[..., 1]) < 2.5) & (AT[..., 2] < 0) & (RADIUS < SCALP_MM)
    values[opening & (RADIUS > INNER_MM - 2)] = 32
    values[np.linalg.norm(AT - (20, -10, 10), axis=-1) < 4] = 200  # calcium
    values[np.linalg.norm(AT - (-20, 10, 0), axis=-1) < 12] = 6  # fluid
    values += np.random.default_rng(2).normal(0, 4, SHAPE)
    return Volume(values.astype(np.float32), GRID, role="ncct", unit="HU")


def prior(shift_mm: float = 4.0) -> Volume:
    near = np.linalg.norm((AT + np.array([shift_mm, 0, 0])) / (1.0, 1.1, 0.95), axis=-1) < INNER_MM - 3
    return Volume(near.astype(np.uint8), GRID)


def test_the_inside_of_the_skull_is_the_brain():
    mask = ct_brain_mask(head(), prior()).data > 0
    truth = RADIUS < INNER_MM
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.96
    assert not mask[RADIUS > OUTER_MM].any()
    assert mask[np.linalg.norm(AT - (20, -10, 10), axis=-1) < 4].all()
    assert mask[np.linalg.norm(AT - (-20, 10, 0), axis=-1) < 12].all()


@pytest.mark.parametrize("more", [0, 1])
def test_a_mirrored_scan_of_fine_pixels_has_the_mirrored_mask(more, monkeypatch):
    monkeypatch.setattr(ct_brain, "LEAST_BRAIN_ML", 20.0)
    shape = (150, 141 + more, 14)
    grid = Grid(shape, np.diag([0.5, 0.5, 4.0, 1.0]))
    i, j, k = (x - n / 2 for x, n in zip(np.indices(shape), shape, strict=True))
    radius = np.sqrt((0.5 * i) ** 2 + (0.55 * j + 0.02 * i) ** 2 + (4.0 * k) ** 2)
    values = np.full(shape, -1000.0)
    values[radius < 30] = 900
    values[radius < 26] = 32
    values[(np.hypot(i - 9, j + 20) < 4) & (radius < 27)] = 90  # the outline isn't smooth
    values += np.random.default_rng(3).normal(0, 6, shape)
    ct = Volume(values.astype(np.float32), grid, role="ncct", unit="HU")
    near = np.zeros(shape, np.uint8)
    near[35 : 116 + more, 35:107, 2:-2] = 1
    judge = ct_brain_mask(ct, Volume(near, grid)).data
    for axis in (0, 1):
        there = ct_brain_mask(*(v.with_data(np.flip(v.data, axis).copy()) for v in (ct, Volume(near, grid)))).data
        np.testing.assert_array_equal(np.flip(there, axis), judge)


def test_no_brain_is_said():
    empty = head().with_data(np.full(SHAPE, -1000.0, np.float32))
    with pytest.raises(BadInputError, match="no brain was found"):
        ct_brain_mask(empty, prior())
    with pytest.raises(BadInputError, match="outside the scan"):
        ct_brain_mask(head(), prior().with_data(np.zeros(SHAPE, np.uint8)))
