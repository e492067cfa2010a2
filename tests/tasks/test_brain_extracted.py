"""An image that shows a brain alone is told from a head, and its own outline is kept."""

import numpy as np
import pytest

from willis.tasks.brain.extracted import extracted_region
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SHAPE = (60, 64, 56)
SPACING = (2.0, 2.0, 3.0)
GRID = Grid(SHAPE, np.diag([*SPACING, 1.0]))


def ball(radius_mm: float) -> np.ndarray:
    index = np.indices(SHAPE).astype(float)
    middle = (np.array(SHAPE) - 1) / 2
    distance = [(index[k] - middle[k]) * SPACING[k] for k in range(3)]
    return np.sqrt(sum(d**2 for d in distance)) <= radius_mm


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def image_of(data: np.ndarray) -> Volume:
    return Volume(data.astype(np.float32), GRID, role="t1")


FOUND = Volume(ball(28).astype(np.uint8), GRID, role="brain")


@pytest.mark.parametrize("background", [0.0, -1024.0])
def test_the_outline_of_an_extracted_image_is_its_brain_mask(rng, background):
    brain = ball(30)
    image = np.where(brain, rng.uniform(50, 100, SHAPE), background)
    region = extracted_region(image_of(image), FOUND)
    assert region is not None and region.grid.same_as(GRID)
    np.testing.assert_array_equal(region.data > 0, brain)


def test_dark_fluid_inside_stays_brain(rng):
    brain, hole = ball(30), ball(8)
    image = np.where(brain & ~hole, rng.uniform(50, 100, SHAPE), 0)
    region = extracted_region(image_of(image), FOUND)
    assert region is not None
    np.testing.assert_array_equal(region.data > 0, brain)


def test_what_was_cut_out_of_a_found_brain_is_brain(rng):
    kept = ball(30)
    kept[:, 36:, 32:] &= ball(24)[:, 36:, 32:]
    found = FOUND.data > 0
    assert (found & ~kept).any() and (kept & ~found).any()
    region = extracted_region(image_of(np.where(kept, rng.uniform(50, 100, SHAPE), 0)), FOUND)
    assert region is not None
    np.testing.assert_array_equal(region.data > 0, kept | found)


def test_a_head_has_more_than_a_brain(rng):
    scalp = ball(52) & ~ball(44)
    image = np.where(ball(30) | scalp, rng.uniform(50, 100, SHAPE), 0)
    assert extracted_region(image_of(image), FOUND) is None


def test_noise_in_the_air_is_no_extraction(rng):
    image = np.where(ball(30), 80.0, 0) + rng.normal(0, 1, SHAPE)
    assert extracted_region(image_of(image), FOUND) is None


def test_a_rim_of_skull_within_reach_is_too_much(rng):
    image = np.where(ball(38), rng.uniform(50, 100, SHAPE), 0)
    assert extracted_region(image_of(image), FOUND) is None


def test_an_image_that_ends_at_the_brain_says_nothing(rng):
    small = Grid((8, 8, 8), np.diag([*SPACING, 1.0]))
    image = Volume(rng.uniform(1, 2, (8, 8, 8)).astype(np.float32), small, role="t1")
    found = Volume(np.ones((8, 8, 8), dtype=np.uint8), small, role="brain")
    assert extracted_region(image, found) is None
