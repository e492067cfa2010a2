"""The infarct's b0 against the other side: the ratio is found however the head lies and the coil shades."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from willis.image.mirror import find_reflection, plane_of
from willis.tasks.fvv.asymmetry import b0_ratio, reflection_of
from willis.tasks.fvv.interpret import describe_lesions, left_share
from willis.tasks.fvv.votes import Votes
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SHAPE = (64, 72, 52)
GRID = Grid(SHAPE, np.array([[2.5, 0, 0, -79], [0, 2.5, 0, -89], [0, 0, 2.5, -64], [0, 0, 0, 1.0]]))
AT = GRID.to_mm(np.moveaxis(np.indices(SHAPE), 0, -1))
B = 1000.0


def scan(yaw: float, roll: float, shift: float, gain: float) -> tuple[np.ndarray, ...]:
    """b0, b1000, brain, infarct and the plane's normal, of a turned head with features on both sides."""
    turn = Rotation.from_euler("zy", [yaw, roll], degrees=True)
    own = (AT - [shift, 0, 0]) @ turn.as_matrix()

    def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        return (((own - centre) / radii) ** 2).sum(axis=-1) < 1

    brain = ball((0, 0, 0), (60, 74, 54))
    b0 = np.where(brain, 500.0, 0.0)
    adc = np.full(SHAPE, 0.8e-3)
    for side in (-1, 1):
        ventricle = ball((side * 12, 6, 6), (6, 22, 10))
        b0[ventricle], adc[ventricle] = 1500, 3e-3
        b0[ball((side * 24, 4, 0), (9, 16, 10))] *= 1.3
    infarct = ball((-38, -10, 8), (13, 15, 13)) & brain
    b0[infarct] *= gain
    adc[infarct] = 0.45e-3
    b0 = b0 + np.random.default_rng(2).normal(0, 8, SHAPE) * brain
    return b0, b0 * np.exp(-B * adc), brain, infarct, turn.apply([1.0, 0, 0])


@pytest.mark.parametrize(("yaw", "roll", "shift"), [(0, 0, 0), (9, -5, 6), (-12, 4, -9)])
def test_the_reflection_of_a_turned_head_is_found(yaw, roll, shift):
    b0, _, brain, _, normal = scan(yaw, roll, shift, 1.3)
    matrix = find_reflection(Volume(b0.astype(np.float32), GRID), Volume(brain, GRID))
    expected = np.eye(3) - 2 * np.outer(normal, normal)
    turned = np.rad2deg(np.arccos((np.trace(expected.T @ matrix[:3, :3]) - 1) / 2))
    assert turned < 3.5
    moved = (matrix @ [shift, 0, 0, 1])[:3] - [shift, 0, 0]
    assert np.linalg.norm(moved) < 2.5
    np.testing.assert_allclose(matrix @ matrix, np.eye(4), atol=1e-9)


def ratio_of(b0: np.ndarray, b1000: np.ndarray, brain: np.ndarray, infarct: np.ndarray) -> float | None:
    first, second = (Volume(image.astype(np.float32), GRID) for image in (b0, b1000))
    return b0_ratio(first, second, infarct, brain, B)


@pytest.mark.parametrize("gain", [1.0, 1.15, 1.5])
@pytest.mark.parametrize("shading", [0.0, 0.004])
def test_the_ratio_is_that_of_the_infarct(gain, shading):
    b0, b1000, brain, infarct, _ = scan(6, -3, 4, gain)
    coil = np.exp(shading * AT[..., 0] * (1 + AT[..., 1] / 150))
    assert ratio_of(b0 * coil, b1000 * coil, brain, infarct) == pytest.approx(gain, rel=0.04)


def test_scale_and_side_do_not_matter():
    b0, b1000, brain, infarct, _ = scan(5, 2, 3, 1.4)
    found = ratio_of(b0, b1000, brain, infarct)
    assert ratio_of(7 * b0, 7 * b1000, brain, infarct) == pytest.approx(found, rel=1e-3)
    assert ratio_of(b0[::-1], b1000[::-1], brain[::-1], infarct[::-1]) == pytest.approx(found, rel=0.02)


def test_fluid_and_infarct_on_the_other_side_are_not_compared():
    b0, b1000, brain, infarct, _ = scan(0, 0, 0, 1.2)
    assert ratio_of(b0, b1000, brain, infarct | infarct[::-1]) is None
    pool = infarct[::-1] & (AT[..., 2] > 6)
    wet, free = np.where(pool, 1500, b0), np.where(pool, 1500 * np.exp(-3), b1000)
    assert ratio_of(wet, free, brain, infarct) == pytest.approx(1.2, rel=0.04)


def test_without_an_infarct_there_is_no_ratio():
    b0, b1000, brain, infarct, _ = scan(0, 0, 0, 1.0)
    assert ratio_of(b0, b1000, brain, np.zeros_like(infarct)) is None


@pytest.mark.parametrize("roll", [-18, 18])
def test_sides_are_the_brains_own_in_a_tilted_head(roll):
    """Infarcts near the middle, high up, of which the scanner's own vertical plane has one on the wrong side."""
    b0, _, brain, _, normal = scan(0, roll, 0, 1.0)
    reflection = reflection_of(Volume(b0.astype(np.float32), GRID), brain)
    wrong = 0
    for side, sign in (("left", -1), ("right", 1)):
        own = sign * (AT @ normal)
        lesion = brain & (own > 4) & (own < 12) & (AT[..., 2] > 35)
        votes = Votes(GRID, brain, lesion, lesion.astype(np.uint8), 1, (1.0,), 1.0, plane=plane_of(reflection))
        assert left_share(votes) == pytest.approx(100 if side == "left" else 0, abs=1)
        wrong += abs(left_share(replace(votes, plane=None)) - left_share(votes)) > 50
        (part,) = describe_lesions(lesion, lesion, lesion.astype(np.float32), brain, GRID, votes.plane)
        assert part.region.startswith(side)
    assert wrong == 1
