"""What a scanner adds: noise by its moments, slices by their profile, fields by their spread."""

import numpy as np
import pytest

from willis.phantom.acquire import (
    AxisSampling,
    acquire,
    bias_field,
    draw_acquisition,
    ghosted,
    interpolation_matrix,
    profile_matrix,
    rician,
)


def test_noise_without_signal_is_rayleigh() -> None:
    noise = rician(np.random.default_rng(0), np.zeros((60, 60, 60), dtype=np.float32), 2.0)
    assert noise.mean() == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.01)
    assert noise.var() == pytest.approx((2 - np.pi / 2) * 4.0, rel=0.02)


@pytest.mark.parametrize("signal", [0.5, 2.0, 10.0])
def test_second_moment_of_noise(signal: float) -> None:
    image = np.full((60, 60, 60), signal, dtype=np.float32)
    assert np.mean(rician(np.random.default_rng(1), image, 1.0).astype(float) ** 2) == pytest.approx(
        signal**2 + 2, rel=0.01
    )


@pytest.mark.parametrize("kernel", ["slice", "kspace"])
def test_samples_weigh_to_one(kernel: str) -> None:
    axis = AxisSampling(2.5, 2.5, kernel, 0.0)
    matrix = profile_matrix(60, 1.0, np.arange(5, 50, 2.5), axis)
    assert matrix.sum(1) == pytest.approx(1, abs=1e-4)


def test_a_slice_sees_its_thickness() -> None:
    """Partial volume: half of a slice over a border gives the mean of both sides; the next slices are pure."""
    step = (np.arange(60) >= 30).astype(np.float32)
    axis = AxisSampling(5.0, 5.0, "slice", 0.0, 1.0, 0.0)
    seen = profile_matrix(60, 1.0, np.array([19.5, 24.5, 29.5, 34.5, 39.5]), axis) @ step
    assert seen == pytest.approx([0, 0, 0.5, 1, 1], abs=0.03)


def test_truncation_rings_and_a_window_calms_it() -> None:
    step = (np.arange(80) >= 40).astype(np.float32)
    centres = np.arange(20, 60, 0.25)
    bare = profile_matrix(80, 1.0, centres, AxisSampling(2.0, 2.0, "kspace", 0.0, 0.0, 0.0)) @ step
    calm = profile_matrix(80, 1.0, centres, AxisSampling(2.0, 2.0, "kspace", 0.0, 1.0, 0.0)) @ step
    assert bare.max() > 1.04
    assert calm.max() < bare.max()


def test_lanczos_keeps_samples_and_constants() -> None:
    assert interpolation_matrix(np.arange(8.0), 8, "lanczos") == pytest.approx(np.eye(8), abs=1e-6)
    assert interpolation_matrix(np.linspace(0, 7, 40), 8, "lanczos").sum(1) == pytest.approx(1, abs=1e-6)


def test_bias_field_is_positive_and_as_strong_as_asked() -> None:
    field = bias_field(np.random.default_rng(2), (50, 50, 50), 0.2)
    assert field.min() > 0
    assert np.log(field).std() == pytest.approx(0.2, rel=0.35)
    assert np.abs(np.diff(np.log(field), axis=0)).max() < 0.1


def test_motion_of_nothing_changes_nothing() -> None:
    image = np.random.default_rng(3).random((8, 32, 8)).astype(np.float32)
    assert ghosted(np.random.default_rng(0), image, 1, 0.0) == pytest.approx(image, abs=1e-5)
    moved = ghosted(np.random.default_rng(0), image, 1, 2.0)
    assert np.abs(moved - image).max() > 0.01
    assert moved.shape == image.shape


@pytest.mark.parametrize("thick", [None, 2])
def test_a_constant_image_stays_constant(thick: int | None) -> None:
    rng = np.random.default_rng(4)
    acquisition = draw_acquisition(rng, thick_axis=thick).without_bias()
    out = acquire(rng, np.full((40, 42, 44), 3.0, dtype=np.float32), acquisition, 1.0, 1.0)
    assert out == pytest.approx(3.0, abs=1e-3)


def test_thick_slices_blur_across_and_not_within() -> None:
    rng = np.random.default_rng(5)
    acquisition = draw_acquisition(rng, thick_axis=2, thickness_mm=(5.0, 5.0)).without_bias()
    image = np.zeros((60, 60, 60), dtype=np.float32)
    image[30, 30, 30] = 1.0
    out = acquire(rng, image, acquisition, 1.0, 1.0)
    within, across = (np.abs(out).sum(axis=a) for a in ((1, 2), (0, 1)))
    width = [np.sqrt((p * (np.arange(60) - (p * np.arange(60)).sum() / p.sum()) ** 2).sum() / p.sum()) for p in
             (within, across)]  # fmt: skip
    assert width[1] > width[0] * 0.9
    assert (across > 0.1 * across.max()).sum() >= 4
