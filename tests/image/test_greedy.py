"""Greedy, where it is installed, finds the same deformation as demons, in the same directions."""

import numpy as np
import pytest

from willis.errors import GeometryError, MissingExtraError
from willis.image import greedy
from willis.image.deform import register_demons, warp_to
from willis.image.greedy import register_greedy
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SHIFT_MM = (5.0, 0.0, -4.0)


def brain(affine, shift=(0.0, 0.0, 0.0)):
    """A made-up brain of tissue with a ventricle, somewhere in the world."""
    grid = Grid((40, 48, 36), np.asarray(affine))
    mm = (
        np.moveaxis(grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0) - grid.centre_mm[:, None, None, None]
    )
    x, y, z = (m - s for m, s in zip(mm, shift, strict=True))
    tissue = 20.0 / (1 + np.exp((np.sqrt((x / 48) ** 2 + (y / 58) ** 2 + (z / 42) ** 2) - 1) * 20))
    fluid = 15.0 / (1 + np.exp((np.sqrt((x / 10) ** 2 + (y / 26) ** 2 + (z / 12) ** 2) - 1) * 6))
    return Volume((tissue - fluid).astype(np.float32), grid)


def turned(degrees, spacing=3.0):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    affine = np.diag([-spacing, spacing, spacing, 1.0])
    affine[:3, :3] = [[c, -s, 0], [s, c, 0], [0, 0, 1]] @ affine[:3, :3]
    affine[:3, 3] = (31.0, -40.0, 12.0)
    return affine


@pytest.mark.parametrize("degrees", [0, 25])
def test_greedy_and_demons_agree_on_where_a_brain_has_moved(degrees):
    pytest.importorskip("picsl_greedy")
    fixed, moving = brain(turned(degrees)), brain(turned(degrees), SHIFT_MM)
    apart = np.abs(moving.data - fixed.data).mean()
    for register in (register_demons, register_greedy):
        found = register(moving, fixed)
        left = np.abs(warp_to(moving, fixed.grid, found).data - fixed.data).mean()
        assert left < 0.3 * apart, register
    rim = (fixed.data > 5) & (fixed.data < 15)
    for register in (register_demons, register_greedy):
        moved = register(moving, fixed).field_mm[:, rim].mean(axis=1)
        assert np.sign(moved[0]) == np.sign(SHIFT_MM[0])
        assert np.sign(moved[2]) == np.sign(SHIFT_MM[2])


def test_greedy_gives_the_same_bits_again():
    pytest.importorskip("picsl_greedy")
    fixed, moving = brain(turned(10)), brain(turned(10), SHIFT_MM)
    one, other = (register_greedy(moving, fixed).field_mm for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_images_on_different_grids_are_refused():
    with pytest.raises(GeometryError, match="one grid"):
        register_greedy(brain(turned(0)), brain(turned(10)))


def test_without_greedy_the_extra_is_named(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(greedy, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"willis\[greedy\]"):
        register_greedy(brain(turned(0)), brain(turned(0)))
