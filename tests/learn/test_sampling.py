from pathlib import Path

import numpy as np
import pytest

from willis.learn.cache import StoredCase, open_case, write_case
from willis.learn.case import Case
from willis.learn.sampling import cut, draw_centre, place


@pytest.fixture
def case(tmp_path: Path) -> StoredCase:
    shape = (20, 24, 16)
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape) % 251
    target = np.zeros((2, *shape), np.uint8)
    target[0, 3, 4, 5] = 1
    target[1, 15:18, 20:22, 10] = 1
    mask = np.zeros(shape, bool)
    mask[2:18, 3:22, 4:12] = True
    write_case(Case(image, target, mask, "a", (1.0, 1.0, 1.0)), tmp_path / "case")
    return open_case(tmp_path / "case")


def test_foreground_centres_stay_near_a_label_and_every_label_is_visited(case: StoredCase) -> None:
    rng = np.random.default_rng(0)
    patch = (8, 8, 8)
    near = [0, 0]
    for _ in range(200):
        centre = np.array(draw_centre(case, patch, 1.0, rng))
        hits = [np.abs(np.argwhere(label) - centre).max(axis=1).min() <= 2 for label in case.target]
        assert any(hits)
        near[int(hits[1])] += 1
    assert min(near) > 60


def test_other_centres_lie_in_the_mask_and_cover_it(case: StoredCase) -> None:
    rng = np.random.default_rng(0)
    centres = np.array([draw_centre(case, (8, 8, 8), 0.0, rng) for _ in range(2000)])
    assert case.mask[tuple(centres.T)].all()
    assert (centres.min(0) <= [2, 3, 4]).all() and (centres.max(0) >= [17, 21, 11]).all()


def test_share_of_foreground_patches(case: StoredCase) -> None:
    rng = np.random.default_rng(1)
    near = 0
    for _ in range(1000):
        centre = np.array(draw_centre(case, (4, 4, 4), 0.3, rng))
        near += any(np.abs(np.argwhere(label) - centre).max(axis=1).min() <= 1 for label in case.target)
    assert 0.27 < near / 1000 < 0.40


@pytest.mark.parametrize("filled", [0, 1])
def test_nearly_empty_and_empty_masks(tmp_path: Path, filled: int) -> None:
    shape = (40, 40, 40)
    mask = np.zeros(shape, bool)
    mask[7, 8, 9] = bool(filled)
    nothing = np.zeros((1, *shape), np.uint8)
    write_case(Case(nothing.astype(np.float32), nothing, mask, "a", (1.0, 1.0, 1.0)), tmp_path / "case")
    centre = draw_centre(open_case(tmp_path / "case"), (8, 8, 8), 1.0, np.random.default_rng(0))
    assert centre == ((7, 8, 9) if filled else (20, 20, 20))


def test_place_keeps_the_patch_inside_where_it_fits() -> None:
    assert place((0, 10, 19), (8, 8, 8), (20, 20, 20)) == (0, 6, 12)
    assert place((3, 3, 3), (8, 9, 8), (20, 5, 8)) == (0, -2, 0)


def test_cut_pads_with_zeros(case: StoredCase) -> None:
    piece = cut(case, (-3, 20, 12), (6, 8, 8))
    padded = np.pad(case.image[0].astype(np.float32), ((3, 9), (9, 9), (9, 9)))
    assert np.array_equal(piece.image[0], padded[0:6, 29:37, 21:29])
    inside = cut(case, (2, 3, 4), (5, 6, 7))
    assert np.array_equal(inside.image[0], case.image[0, 2:7, 3:9, 4:11])
    assert np.array_equal(inside.target, case.target[:, 2:7, 3:9, 4:11])
    outside = cut(case, (50, 50, 50), (4, 4, 4))
    assert outside.image.shape == (1, 4, 4, 4) and not outside.image.any()
