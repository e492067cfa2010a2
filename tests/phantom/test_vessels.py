"""The circle of Willis lies where its landmarks say, with the volume and the length that its course has."""

from functools import lru_cache

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.phantom.labels import RIGHT_SIDE
from willis.phantom.vessels import (
    C7,
    COURSES_MM,
    LANDMARKS_MM,
    M1,
    M2,
    OTHER,
    RADII_MM,
    VARIANTS,
    Artery,
    draw_arteries,
    labelled,
    place_in,
    tube_share,
)

SHAPE = (110, 120, 90)
MIDDLE = np.array([54.0, 60.0, 45.0])


@lru_cache
def straight_head() -> np.ndarray:
    return head()


def head(turn: np.ndarray | None = None) -> np.ndarray:
    """Labels with a ball for each deep nucleus, MNI mm moved by ``turn`` about the array's middle."""
    codes = np.zeros(SHAPE, dtype=np.uint8)
    at = np.moveaxis(np.indices(SHAPE), 0, -1)
    for tissue, (x, y, z) in LANDMARKS_MM.items():
        for right in (False, True):
            centre = (np.eye(3) if turn is None else turn) @ [x if right else -x, y, z] + MIDDLE
            ball = np.linalg.norm(at - centre, axis=-1) < 3.5
            codes[ball] = tissue | (RIGHT_SIDE if right else 0)
    return codes


def test_the_nuclei_give_back_the_map_that_placed_them():
    turn = 0.95 * np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.05]])
    matrix = place_in(head(turn))
    for point in ((15, 6, -15), (-35, 4, -13), (0, -14, -14)):
        np.testing.assert_allclose((matrix @ [*point, 1.0])[:3], turn @ point + MIDDLE, atol=0.6)
    with pytest.raises(BadInputError, match="0 of 14"):
        place_in(np.zeros(SHAPE, dtype=np.uint8))


@pytest.mark.parametrize("radius", [0.8, 1.3, 1.9])
def test_a_tube_has_the_volume_of_a_cylinder_with_round_ends(radius):
    points = np.linspace([10, 12, 8], [34, 26, 20], 60)
    artery = Artery("m1", True, points, np.full(60, radius))
    length = np.linalg.norm(points[-1] - points[0])
    wanted = np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3
    assert artery.length_mm == pytest.approx(length)
    assert tube_share([artery], (50, 40, 30)).sum() == pytest.approx(wanted, rel=0.12)


def test_every_part_is_drawn_once_on_its_own_side():
    arteries, drawn = draw_arteries(np.random.default_rng(3), straight_head())
    assert {a.name for a in arteries} <= set(COURSES_MM)
    names = [(a.name, a.right) for a in arteries]
    assert len(names) == len(set(names))
    for artery in arteries:
        x = artery.points[:, 0] - MIDDLE[0]
        if artery.name in ("c7", "m1", "m2 superior", "m2 inferior"):
            assert (x > 5).all() if artery.right else (x < -5).all()
    for right, side in ((False, "left"), (True, "right")):
        present = {a.name for a in arteries if a.right == right}
        assert ("a1" in present) != drawn[side]["missing a1"]
        assert ("p1" in present) != drawn[side]["fetal pca"]
        assert ("m2 middle" in present) == drawn[side]["trifurcation"]


def test_m1_begins_where_the_carotid_ends_and_m2_where_m1_ends():
    arteries, _ = draw_arteries(np.random.default_rng(8), straight_head())
    by = {(a.name, a.right): a for a in arteries}
    for right in (False, True):
        np.testing.assert_allclose(by["c7", right].points[-1], by["m1", right].points[0], atol=1e-6)
        for trunk in ("m2 superior", "m2 inferior"):
            np.testing.assert_allclose(by["m1", right].points[-1], by[trunk, right].points[0], atol=1e-6)
        assert 18 < by["m1", right].length_mm < 30


def test_variants_come_at_about_their_rates():
    codes = straight_head()
    rng = np.random.default_rng(0)
    sides = [side for _ in range(15) for side in draw_arteries(rng, codes)[1].values()]
    had = [sum(side[name] for side in sides) for name in VARIANTS]
    assert sum(had) > 3
    assert all(count < len(sides) / 2 for count in had)


def test_labels_overlap_only_where_vessels_meet():
    arteries, _ = draw_arteries(np.random.default_rng(5), straight_head())
    shares = labelled(arteries, SHAPE)
    assert set(shares) == {C7, M1, M2, OTHER}
    assert all(share.max() > 0.9 for share in shares.values())
    assert ((shares[C7] > 0.5) & (shares[M2] > 0.5)).sum() == 0


def test_a_piece_of_an_artery_has_the_length_asked_for():
    artery = next(a for a in draw_arteries(np.random.default_rng(5), straight_head())[0] if a.name == "m1")
    assert artery.part(4.0, 12.0).length_mm == pytest.approx(8.0, abs=1.0)


@pytest.mark.parametrize(
    ("name", "end", "mean_mm", "spread_mm"), [("c7", 1, 3.6, 0.4), ("m1", 0, 3.1, 0.4), ("m2 superior", 0, 2.4, 0.4)]
)
def test_radii_lie_within_what_was_measured_in_adults(name, end, mean_mm, spread_mm):
    """Means and standard deviations of diameters by CT angiography: Rai 2013, J Neurointerv Surg 5:371."""
    assert 2 * RADII_MM[name][end] == pytest.approx(mean_mm, abs=spread_mm)
    m1 = np.linalg.norm(np.diff(COURSES_MM["m1"], axis=0), axis=1).sum()
    assert m1 == pytest.approx(22.5, abs=8.1)
