"""Volumes between voxels: of a ball they are its own, whatever grid the scan has."""

import numpy as np
import pytest

from willis.tasks.fvv.subvoxel import COUNTED_MM, counted_between_voxels, divided
from willis.tasks.fvv.votes import count_votes
from willis.volume.grid import Grid

LATTICE = Grid((40, 40, 36), np.array([[2.0, 0, 0, -40], [0, 2.0, 0, -38], [0, 0, 2.0, -36], [0, 0, 0, 1]]))
RADII_MM = (7.0, 5.0)  # of the infarct and of what is visible of it
CENTRE_MM = np.array([-6.3, 3.1, 0.7])
SCANS = {
    "as the lattice": (2.0, 2.0, 2.0),
    "fine": (0.9, 0.9, 2.0),
    "thick": (1.2, 1.2, 4.0),
    "coarse": (2.3, 2.3, 2.3),
}


def member(scale: float) -> np.ndarray:
    """(3, I, J, K) probabilities that cross 0.5 at the radii times ``scale``."""
    far = np.linalg.norm(LATTICE.to_mm(np.moveaxis(np.indices(LATTICE.shape), 0, -1)) - CENTRE_MM, axis=-1)
    balls = [1 / (1 + np.exp((far - scale * radius) / 1.2)) for radius in RADII_MM]
    return np.stack([(far < 32).astype(float), *balls]).astype(np.float32)


def scan_grid(spacing: tuple[float, float, float]) -> Grid:
    shape = tuple(int(78 / s) for s in spacing)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = LATTICE.centre_mm - np.array(spacing) * (np.array(shape) - 1) / 2
    return Grid((shape[0], shape[1], shape[2]), affine)


@pytest.mark.parametrize("spacing", SCANS.values(), ids=SCANS)
def test_a_balls_volume_does_not_hang_on_the_scans_grid(spacing):
    from willis.infer.back import probability_to_grid

    members, grid = [member(1.0), member(0.9)], scan_grid(spacing)
    on_scan = (np.stack([probability_to_grid(p, LATTICE, grid, kernel="spline").data for p in one]) for one in members)
    votes = counted_between_voxels(count_votes(on_scan, grid), members, LATTICE, 0.5)
    expected = [4 / 3 * np.pi * (s * RADII_MM[1]) ** 3 / 1000 for s in (1.0, 0.9)]
    np.testing.assert_allclose(votes.visible_ml, expected, rtol=0.04)
    assert votes.counted_ml == pytest.approx(4 / 3 * np.pi * RADII_MM[0] ** 3 / 1000, rel=0.04)


def test_without_an_infarct_nothing_is_counted():
    votes = count_votes(iter([0 * member(1.0)]), LATTICE)
    assert counted_between_voxels(votes, [0 * member(1.0)], LATTICE, 0.5) == votes


def test_voxels_are_divided_in_their_place():
    grid = scan_grid((1.2, 2.0, 4.0))
    parts = np.array([2, 2, 4])
    fine = divided(grid, [3, 5, 2], (4, 6, 8), parts)
    assert max(fine.spacing_mm) <= COUNTED_MM
    np.testing.assert_allclose(fine.to_mm(np.array([0.5, 0.5, 1.5])), grid.to_mm(np.array([3, 5, 2])))
    np.testing.assert_allclose(fine.to_mm(np.array([3.5, 5.5, 7.5])), grid.to_mm(np.array([4.5, 7.5, 3.5])))
