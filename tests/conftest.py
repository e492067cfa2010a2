"""Fixtures for every room: the real scans, and a few small made-up volumes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from willis.volume.grid import Grid
from willis.volume.volume import Volume

settings.register_profile("willis", deadline=None)  # a busy machine is no fault
settings.load_profile("willis")

REAL_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real scans; the test is skipped where they are absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real scans are not here: {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def oblique_grid() -> Grid:
    """A small grid as a scanner makes it: oblique, anisotropic, LPS-like, away from the origin."""
    a, b = np.radians(12.0), np.radians(-7.0)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag([-0.9, -1.1, 3.0])
    affine[:3, 3] = [11.0, 20.0, -17.0]
    return Grid((24, 20, 12), affine)


@pytest.fixture
def smooth_volume(oblique_grid: Grid) -> Volume:
    """A smooth positive image without any symmetry, on the oblique grid."""
    x, y, z = np.moveaxis(oblique_grid.to_mm(np.moveaxis(np.indices(oblique_grid.shape), 0, -1)), -1, 0)
    data = 100 + 2.0 * x - 1.5 * y + 0.7 * z + 10 * np.sin(x / 6) * np.cos(y / 8)
    return Volume(data.astype(np.float32), oblique_grid, role="flair")


@pytest.fixture
def ball_mask() -> Volume:
    """A ball of radius 6 mm at the middle of a 1 mm RAS grid, ``uint8``."""
    grid = Grid((24, 26, 28), np.eye(4))
    i, j, k = np.indices(grid.shape)
    inside = (i - 12) ** 2 + (j - 13) ** 2 + (k - 14) ** 2 <= 36
    return Volume(inside.astype(np.uint8), grid, role="lesion")
