"""Three planes through a point, at one scale, and the box drawn true to the world."""

import numpy as np
import pytest

from willis.draw.palette import BOX, FOUND
from willis.draw.panel import Outline
from willis.draw.views import plane_views
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume


def scan_and_mark(centre=(-20.0, 30.0, 25.0)) -> tuple[Volume, Volume]:
    grid = Grid((50, 60, 40), np.array([[2, 0, 0, -49], [0, 2, 0, -59], [0, 0, 3, -58.5], [0, 0, 0, 1.0]]))
    world = grid.to_mm(np.stack(np.indices(grid.shape), axis=-1))
    mark = ((world - centre) ** 2).sum(axis=-1) < 7**2
    return Volume(np.full(grid.shape, 50.0), grid, "t1"), Volume(mark, grid, "lesion")


@pytest.mark.parametrize("code", ["RAS", "LPS", "SAL", "PIR"])
def test_the_mark_is_on_its_side_in_all_three_planes(drawn, code):
    scan, mark = (reorient(volume, code) for volume in scan_and_mark())
    picture = drawn(plane_views(scan, (-20, 30, 25), [Outline(mark, FOUND)], window=(0, 200)))
    rows, columns = picture.where(FOUND).T
    middle = (picture.height - 44) / 2
    for panel, column_side in enumerate((1, 1, -1)):  # left on the right, left on the right, anterior on the left
        inside = (columns * 3 // picture.width) == panel
        assert inside.sum() > 40
        centre = (panel + 0.5) * picture.width / 3
        assert column_side * (columns[inside].mean() - centre) > 20
        assert rows[inside].mean() < middle - 20  # anterior and superior are up


def test_the_box_has_its_size_in_mm_even_beyond_the_scan(drawn):
    scan, _ = scan_and_mark()
    box = Grid((120, 130, 140), np.array([[1, 0, 0, -60], [0, 1, 0, -65], [0, 0, 1, -70], [0, 0, 0, 1.0]]))
    picture = drawn(plane_views(reorient(scan, "PIL"), (0, 0, 0), box=box))
    found = picture.where(BOX)
    found = found[found[:, 0] < picture.height - 44]
    for panel, size in enumerate([(130, 120), (140, 120), (140, 130)]):
        inside = found[(found[:, 1] * 3 // picture.width) == panel]
        tall_wide = (inside.max(axis=0) - inside.min(axis=0)) / picture.scale_px_per_mm()
        assert tuple(tall_wide) == pytest.approx(size, rel=0.02)


def test_a_point_outside_the_scan_shows_its_nearest_slices(drawn):
    scan, mark = scan_and_mark()
    assert drawn(plane_views(scan, (500, -500, 500), [Outline(mark)])).width > 0
