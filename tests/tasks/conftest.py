"""A made-up head, prepared as the LVO task prepares one."""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from willis.image.deform import Deformation
from willis.image.mirror import HalfDifference
from willis.tasks.lvo.prepare import PreparedHead, left_of
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GRID = Grid((20, 24, 16), np.array([[1.5, 0, 0, -14.25], [0, 1.5, 0, -18], [0, 0, 1.5, -12], [0, 0, 0, 1.0]]))


def ct_of(values: np.ndarray) -> Volume:
    return Volume(values.astype(np.float32), GRID, role="ncct")


def head_values(rng: np.random.Generator) -> np.ndarray:
    values = np.full(GRID.shape, -1000.0)
    values[2:18, 2:22, 2:14] = rng.normal(33, 4, (16, 20, 12))
    return values


def _prepared_head(darker_side: slice = slice(0, 10)) -> PreparedHead:
    """A made-up head on one grid, its one half darker by 6 HU."""
    values = head_values(np.random.default_rng(2))
    inside = values > -500
    values[inside] = 33
    dark = np.zeros(GRID.shape, bool)
    dark[darker_side] = True
    values[inside & dark] = 27
    ct = ct_of(values)
    signed = np.where(inside, np.where(dark, -6.0, 6.0), np.nan).astype(np.float32)
    territories = np.where(inside, 2, 0).astype(np.uint8)
    territories[10:] += np.uint8(10) * (territories[10:] > 0)
    still = Deformation(np.zeros((3, 4, 4, 4), np.float32), GRID)
    head = SimpleNamespace(
        grid=GRID, hu=ct, inside=Volume(inside.astype(np.uint8), GRID), brain=Volume(inside.astype(np.uint8), GRID)
    )
    return PreparedHead(
        ct=ct,
        head=head,  # type: ignore[arg-type]
        difference=HalfDifference(signed, np.where(inside, 6.0, 0).astype(np.float32), still),
        darker=np.where(inside, -signed, 0).astype(np.float32),
        territories=territories,
        left=left_of(GRID, GRID),
        vessels=Volume(np.where(inside, 1, 0).astype(np.uint8), GRID),
        prior=None,
        notes=(),
    )


@pytest.fixture
def make_head() -> Callable[..., PreparedHead]:
    return _prepared_head


@pytest.fixture
def prepared_head() -> PreparedHead:
    return _prepared_head()
