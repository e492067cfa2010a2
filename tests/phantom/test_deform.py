"""Deformations keep topology; separable interpolation is exact where it must be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from willis.phantom.anatomy import Anatomy
from willis.phantom.deform import (
    apply_separable,
    integrate,
    jacobian_determinant,
    linear_matrix,
    random_velocity,
    rotation,
    smooth_noise,
    upsample,
)
from willis.phantom.head import NODE_MM, draw_pose, source_nodes


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_no_fold(seed: int) -> None:
    """The strongest velocity that a pose draws keeps the determinant of the Jacobian above zero."""
    rng = np.random.default_rng(seed)
    velocity = random_velocity(rng, (14, 15, 13), 1.3 / NODE_MM, 0.9) + random_velocity(
        rng, (14, 15, 13), 4.0 / NODE_MM, 2.5
    )
    assert jacobian_determinant(integrate(velocity)).min() > 0


@pytest.mark.parametrize("seed", range(8))
def test_whole_poses_keep_topology(toy_anatomy: Anatomy, seed: int) -> None:
    """Affine, flow and atrophy together: the map from patient to anatomy never turns inside out."""
    rng = np.random.default_rng(seed)
    pose = draw_pose(rng)
    source = source_nodes(rng, toy_anatomy, pose, (160, 214, 176), 1.0)
    gradients = np.stack([np.stack(np.gradient(s)) for s in source])
    determinant = np.linalg.det(np.moveaxis(gradients, (0, 1), (-2, -1))) * (-1 if pose.flip else 1)
    assert determinant.min() > 0


def test_velocity_without_integration_would_fold() -> None:
    """The same strength taken as a displacement folds: the test above can fail."""
    velocity = random_velocity(np.random.default_rng(3), (14, 15, 13), 1.0, 0.9)
    assert jacobian_determinant(velocity).min() < 0


def test_constant_velocity_is_a_shift() -> None:
    velocity = np.zeros((3, 9, 9, 9), dtype=np.float32)
    velocity[1] = 0.7
    assert integrate(velocity) == pytest.approx(velocity, abs=1e-5)


def test_opposite_velocities_undo_each_other() -> None:
    velocity = random_velocity(np.random.default_rng(1), (20, 20, 20), 0.25, 2.5)
    there, back = integrate(velocity), integrate(-velocity)
    from scipy import ndimage

    at = np.indices(there.shape[1:], dtype=np.float32) + there
    residue = there + np.stack([ndimage.map_coordinates(b, at, order=1, mode="nearest") for b in back])
    inner = residue[:, 4:-4, 4:-4, 4:-4]
    assert np.abs(inner).max() < 0.1 * np.abs(there).max()


def test_upsampling_keeps_a_linear_field() -> None:
    index = np.indices((4, 5, 6), dtype=np.float32)
    field = 2 * index[0] - 3 * index[1] + 0.5 * index[2]
    fine = upsample(field, (10, 13, 16))
    i, j, k = np.meshgrid(np.linspace(0, 3, 10), np.linspace(0, 4, 13), np.linspace(0, 5, 16), indexing="ij")
    assert fine == pytest.approx(2 * i - 3 * j + 0.5 * k, abs=1e-4)


def test_separable_is_the_same_as_one_axis_after_another() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(5, 6, 7)).astype(np.float32)
    a, b, c = (rng.normal(size=(n + 1, n)).astype(np.float32) for n in image.shape)
    wanted = np.einsum("ai,bj,ck,ijk->abc", a, b, c, image)
    assert apply_separable(image, (a, b, c)) == pytest.approx(wanted, abs=1e-3)
    assert apply_separable(image, (None, b, None)) == pytest.approx(np.einsum("bj,ijk->ibk", b, image), abs=1e-3)


def test_linear_weights_sum_to_one_and_clamp() -> None:
    matrix = linear_matrix(np.array([-3.0, 0.0, 1.25, 3.0, 9.0]), 4)
    assert matrix.sum(1) == pytest.approx(1)
    assert matrix @ np.arange(4) == pytest.approx([0, 0, 1.25, 3, 3])


def test_rotation_is_a_rotation() -> None:
    matrix = rotation((0.3, -0.2, 0.5))
    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_noise_has_about_unit_spread_at_its_nodes() -> None:
    noise = smooth_noise(np.random.default_rng(5), (60, 60, 60), 1.0)
    assert noise.std() == pytest.approx(1, abs=0.02)
    assert smooth_noise(np.random.default_rng(5), (60, 60, 60), 6.0).std() < 0.75
