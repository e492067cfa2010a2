"""Overlays show a misfit where there is one, and a map only where it is high."""

import numpy as np
import pytest

from willis.draw.overlay import heat_mosaic, registration_overlay
from willis.draw.palette import REFERENCE
from willis.errors import GeometryError
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GRID = Grid((80, 80, 30), np.array([[2, 0, 0, -79], [0, 2, 0, -79], [0, 0, 4, -58], [0, 0, 0, 1.0]]))
WORLD = GRID.to_mm(np.stack(np.indices(GRID.shape), axis=-1))


def cylinder(radius: float, value: float = 100.0, x: float = 0.0) -> np.ndarray:
    return np.where((WORLD[..., 0] - x) ** 2 + WORLD[..., 1] ** 2 < radius**2, value, 0.0)


def test_edges_are_those_of_the_fixed_image(drawn):
    fixed = Volume(cylinder(70, 50.0) + cylinder(30), GRID, "t1")
    moving = Volume(cylinder(70), GRID, "flair")
    picture = drawn(registration_overlay(fixed, moving, slices=1))
    rows, columns = picture.where(REFERENCE, 60).T
    upper = rows < (picture.height - 44) / 2
    assert not (~upper & (rows < picture.height - 44)).any(), "edges are drawn in the checkerboard"
    scale = picture.scale_px_per_mm()
    centre = picture.width / 2
    inner = np.abs(columns[upper] - centre) / scale
    assert inner.max() == pytest.approx(70, abs=3)
    assert (np.abs(np.hypot(columns[upper] - centre, rows[upper] - np.median(rows[upper])) / scale - 30) < 4).any()


def test_the_checkerboard_holds_both_images(drawn):
    bright, dark = (Volume(cylinder(70, v) + cylinder(10, w), GRID) for v, w in ((100, -70), (1, 99)))
    picture = drawn(registration_overlay(bright, dark, slices=1))
    board = picture.pixels[(picture.height - 44) // 2 + 20 : picture.height - 64, :, 0]
    middle = board[board.shape[0] // 3 : -board.shape[0] // 3, board.shape[1] // 3 : -board.shape[1] // 3]
    assert 0.2 < (middle > 100).mean() < 0.8


def test_images_on_two_grids_are_refused():
    other = Volume(np.zeros((4, 4, 4)), Grid((4, 4, 4), np.eye(4)))
    with pytest.raises(GeometryError):
        registration_overlay(Volume(cylinder(70), GRID), other)


def test_heat_is_laid_only_where_the_map_is_high(drawn):
    scan = Volume(cylinder(70), GRID)
    heat = Volume(cylinder(12, 0.6, x=-40) + cylinder(70, 0.03), GRID)
    picture = drawn(heat_mosaic(scan, heat, "probability", slices=1, columns=1))
    body = picture.pixels[: picture.height - 44, : picture.width - 120]
    _, columns = np.nonzero(body.max(axis=2) - body.min(axis=2) > 40)
    scale = picture.scale_px_per_mm()
    assert (columns.max() - columns.min()) / scale == pytest.approx(24, abs=3)
    assert columns.mean() > body.shape[1] / 2, "the patient's left isn't on the right"


def test_a_map_that_is_nowhere_high_leaves_the_scan_grey(drawn):
    scan = Volume(cylinder(70), GRID)
    picture = drawn(heat_mosaic(scan, Volume(np.zeros(GRID.shape), GRID), "probability", slices=4, columns=2))
    body = picture.pixels[: picture.height - 44, : picture.width - 120]
    assert (body.max(axis=2) - body.min(axis=2)).max() < 30  # the tint of the words


@pytest.mark.parametrize(("highest", "arrow"), [(0.9, False), (1.2, True)])
def test_a_bar_ends_in_an_arrow_where_values_lie_beyond_it(monkeypatch, highest, arrow):
    drawn = []
    monkeypatch.setattr("willis.draw.overlay.encode_png", lambda figure: drawn.append(figure) or b"")
    heat_mosaic(Volume(cylinder(70), GRID), Volume(cylinder(20, highest), GRID), "HU", slices=1, columns=1)
    bar = next(axes for axes in drawn[0].axes if axes.get_ylabel() == "HU")
    assert bool(max(patch.get_path().vertices[:, 1].max() for patch in bar.patches) > 1) is arrow
