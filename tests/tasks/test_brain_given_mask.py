"""A brain mask that was given is held against the brain that is found in its image."""

from types import SimpleNamespace

import numpy as np
import pytest

from willis.models.manifest import Threshold
from willis.tasks.brain.find import Brain
from willis.tasks.brain.mask import mask_notes
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GRID = Grid((48, 48, 48), np.diag([4.0, 4.0, 4.0, 1.0]))
RADIUS_MM = 70.0


def ball(radius_mm=RADIUS_MM, shift_mm=0.0):
    middle = np.array([94.0 + shift_mm, 94.0, 94.0])
    away = np.linalg.norm(np.indices(GRID.shape).T * 4.0 - middle, axis=-1).T
    return away < radius_mm


@pytest.fixture
def brain():
    manifest = SimpleNamespace(outputs=("brain",), threshold=Threshold(value=0.5, origin="a test"), rules={})
    return Brain(ball()[None].astype(np.float32), GRID, SimpleNamespace(manifest=manifest), None)


def told(brain, mask):
    return mask_notes(Volume(mask.astype(np.uint8), GRID, role="brain"), brain, "T1")


@pytest.mark.parametrize("mask", [ball(), ball(RADIUS_MM - 8), ball(RADIUS_MM + 2), ball(RADIUS_MM - 8, 4.0)])
def test_masks_as_people_draw_them_are_taken_unsaid(brain, mask):
    assert told(brain, mask) == []


@pytest.mark.parametrize("mask", [ball(shift_mm=30.0), ball(RADIUS_MM + 10), ball(RADIUS_MM - 20), ball(20.0, 40.0)])
def test_a_mask_that_lies_elsewhere_or_holds_much_else_or_little_is_told(brain, mask):
    (note,) = told(brain, mask)
    assert note.startswith("The brain mask that was given doesn't fit the T1")


def test_the_note_says_how_far_both_agree(brain):
    (note,) = told(brain, ball(shift_mm=30.0))
    assert "69% of it lie in the brain that is found there, of which it holds 68%; at least 90% and 60%" in note
