import json
import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from willis.learn.augment import Params, apply, make_params, source_shape
from willis.learn.recipe import AugmentationSettings

EVERYTHING = {
    "flip_axes": [0, 1, 2],
    **dict.fromkeys(["affine", "gamma", "contrast", "brightness", "noise", "blur", "bias", "channel_dropout"], 1.0),
    "shear": 0.1,
    "translate": 0.1,
    "offset": 1.0,
}


def settings(**values: object) -> AugmentationSettings:
    return AugmentationSettings.parse(values, "test")


def ball(shape: tuple[int, int, int] = (21, 23, 25)) -> tuple[torch.Tensor, torch.Tensor]:
    axes = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    distance = np.sqrt(((np.stack(axes, -1) - [3, 1, -2]) ** 2).sum(-1))
    image = torch.from_numpy(np.exp(-((distance / 6) ** 2)).astype(np.float32))
    return torch.stack([image, image * 0.5]), torch.from_numpy((distance < 5).astype(np.uint8))[None]


def test_no_change_is_the_identity() -> None:
    image, labels = ball()
    got, moved = apply(Params(), image, labels, (21, 23, 25))
    assert torch.equal(got, image) and torch.equal(moved, labels)


def test_the_same_parameters_give_the_same_patch_and_can_be_written_down() -> None:
    image, labels = ball((40, 40, 40))
    params = make_params(settings(**EVERYTHING), 2, (16, 16, 16), np.random.default_rng(3))
    again = make_params(settings(**EVERYTHING), 2, (16, 16, 16), np.random.default_rng(3))
    assert params == again != make_params(settings(**EVERYTHING), 2, (16, 16, 16), np.random.default_rng(4))
    assert json.loads(json.dumps(params.to_json()))["noise_seed"] == params.noise_seed
    first, second = (apply(p, image.clone(), labels, (16, 16, 16)) for p in (params, again))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert first[0].shape == (2, 16, 16, 16) and first[1].shape == (1, 16, 16, 16)


def test_apply_leaves_its_input_alone() -> None:
    image, labels = ball()
    before = image.clone()
    apply(Params(contrast=(2.0, 2.0), noise_std=(0.1, 0.1), dropped=0), image, labels, (21, 23, 25))
    assert torch.equal(image, before)


def test_flips_move_image_and_labels_alike() -> None:
    image, labels = ball()
    got, moved = apply(Params(flips=(0, 2)), image, labels, (21, 23, 25))
    assert torch.equal(got, image.flip([1, 3])) and torch.equal(moved, labels.flip([1, 3]))


def test_affine_is_scipy_s() -> None:
    image, labels = ball((31, 29, 27))
    matrix = np.array([[0.913, 0.117, 0.003], [-0.109, 1.087, 0.051], [0.023, 0.007, 0.957]])
    params = Params(affine=tuple(map(tuple, matrix.tolist())))
    patch = (15, 17, 13)
    got, moved = apply(params, image, labels, patch)
    have, want = (np.array(image.shape[1:]) - 1) / 2, (np.array(patch) - 1) / 2
    offset = have - matrix @ want
    theirs = ndimage.affine_transform(image[0].numpy(), matrix, offset, output_shape=patch, order=1)
    assert np.abs(got[0].numpy() - theirs).max() < 1e-4
    nearest = ndimage.affine_transform(labels[0].numpy(), matrix, offset, output_shape=patch, order=0)
    assert (moved[0].numpy() != nearest).mean() < 0.002


def test_a_shift_is_scipy_s() -> None:
    image, labels = ball((31, 29, 27))
    shift, patch = (1.5, -2.25, 0.75), (15, 17, 13)
    got, _ = apply(Params(affine=((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), shift=shift), image, labels, patch)
    offset = (np.array(image.shape[1:]) - np.array(patch)) / 2 + np.array(shift)
    theirs = ndimage.affine_transform(image[0].numpy(), np.eye(3), offset, output_shape=patch, order=1)
    assert np.abs(got[0].numpy() - theirs).max() < 1e-4
    drawn = make_params(settings(affine=1.0, translate=0.25), 1, (16, 40, 8), np.random.default_rng(1)).shift
    assert all(0 < abs(s) <= n / 4 for s, n in zip(drawn, (16, 40, 8), strict=True))


SPACINGS = [(1.0, 1.0, 1.0), (0.9, 0.9, 6.0), (2.0, 0.8, 0.8)]


@pytest.mark.parametrize("spacing", SPACINGS)
def test_rotations_are_of_the_head_whatever_its_voxels(spacing: tuple[float, float, float]) -> None:
    asked, edges = settings(affine=1.0, rotation_deg=8.0, scale=(1.0, 1.0)), np.diag(spacing)
    for seed in range(10):
        drawn = make_params(asked, 1, (64, 64, 16), np.random.default_rng(seed), spacing)
        in_mm = edges @ np.array(drawn.affine) @ np.linalg.inv(edges)
        assert np.allclose(in_mm @ in_mm.T, np.eye(3)) and np.linalg.det(in_mm) == pytest.approx(1)
        assert 0 < np.degrees(np.arccos((np.trace(in_mm) - 1) / 2)) < 3 * 8


def test_a_ball_of_flat_voxels_stays_a_ball() -> None:
    spacing, shape = np.array((1.0, 1.0, 4.0)), (61, 61, 17)
    away = np.stack(np.meshgrid(*[np.arange(n) - n // 2 for n in shape], indexing="ij"), -1) * spacing
    image = torch.from_numpy(np.exp(-((away**2).sum(-1) / 200)).astype(np.float32))[None]
    asked = settings(affine=1.0, rotation_deg=30.0, scale=(1.0, 1.0))
    drawn = make_params(asked, 1, shape, np.random.default_rng(0), (1.0, 1.0, 4.0))
    wide = source_shape(drawn, shape)
    padded = torch.zeros(1, *wide)
    lead = [(w - n) // 2 for w, n in zip(wide, shape, strict=True)]
    padded[0, lead[0] : lead[0] + 61, lead[1] : lead[1] + 61, lead[2] : lead[2] + 17] = image[0]
    turned, _ = apply(drawn, padded, torch.zeros(1, *wide, dtype=torch.uint8), shape)
    assert float((turned - image).abs().max()) < 0.06


def test_an_affine_within_slices_leaves_every_slice_where_it_is() -> None:
    asked = settings(affine=1.0, rotation_deg=8.0, shear=0.14, translate=0.04, affine_axes=[0, 1])
    drawn = make_params(asked, 1, (64, 64, 7), np.random.default_rng(2), (1.0, 1.0, 6.0))
    matrix = np.array(drawn.affine)
    assert np.array_equal(matrix[2], [0, 0, 1]) and np.array_equal(matrix[:, 2], [0, 0, 1])
    assert drawn.shift[2] == 0 and all(drawn.shift[:2]) and matrix[0, 1] != 0
    assert source_shape(drawn, (64, 64, 7))[2] <= 7 + 2


def test_what_was_drawn_comes_back_from_its_record() -> None:
    for drawn in (
        Params(dropped=0),
        Params(dropped=1),
        Params(noise_std=(0.0, 0.0)),
        Params(),
        Params(contrast=(1.0,)),
    ):
        assert Params(**drawn.to_json()) == drawn


def test_blur_keeps_a_patch_of_one_value() -> None:
    even, labels = torch.full((1, 9, 8, 7), 0.6), torch.zeros(1, 9, 8, 7, dtype=torch.uint8)
    assert torch.allclose(apply(Params(blur_voxels=(1.0,)), even, labels, (9, 8, 7))[0], even)


def test_source_shape_reaches_every_corner() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        params = make_params(
            settings(affine=1.0, rotation_deg=30, shear=0.2, scale=(0.7, 1.3), translate=0.1), 1, (12, 16, 10), rng
        )
        patch = (12, 16, 10)
        shape = source_shape(params, patch)
        got, _ = apply(params, torch.ones(1, *shape), torch.ones(1, *shape, dtype=torch.uint8), patch)
        assert got.min() > 0.999
        assert all((s - p) % 2 == 0 or s >= p for s, p in zip(shape, patch, strict=True))


def test_zero_stays_zero_and_dropped_channels_are_empty() -> None:
    image, labels = ball()
    image[:, :5] = 0
    params = Params(noise_std=(0.1, 0.1), brightness=(1.2, 0.9), bias=((0.1,) * 64, (-0.1,) * 64), dropped=1)
    got, _ = apply(params, image, labels, (21, 23, 25))
    assert not got[:, :5].any() and not got[1].any() and got[0, 5:].any()
    free, _ = apply(Params(noise_std=(0.1, 0.1)), image, labels, (21, 23, 25), keep_zero=False)
    assert free[:, :5].any()


def test_intensity_changes_by_their_definitions() -> None:
    image, labels = ball()
    shape = (21, 23, 25)
    bright, _ = apply(Params(brightness=(1.5, 2.0)), image, labels, shape)
    assert torch.allclose(bright, image * torch.tensor([1.5, 2.0]).view(2, 1, 1, 1))
    gamma, _ = apply(Params(gamma=(2.0, 0.5)), image, labels, shape)
    top = image.amax((1, 2, 3))
    assert torch.allclose(gamma[0], image[0] ** 2 / top[0], atol=1e-6)
    assert torch.allclose(gamma[1], (image[1] * top[1]).sqrt(), atol=1e-6)
    biased, _ = apply(Params(bias=((0.3,) * 64, (0.0,) * 64)), image, labels, shape)
    assert torch.allclose(biased[0], image[0] * math.exp(0.3)) and torch.allclose(biased[1], image[1])
    blurred, _ = apply(Params(blur_voxels=(1.0, 0.0)), image, labels, shape, keep_zero=False)
    theirs = ndimage.gaussian_filter(image[0].numpy(), 1.0, mode="nearest", truncate=3.0)
    assert np.abs(blurred[0].numpy() - theirs).max() < 1e-5 and torch.equal(blurred[1], image[1])
    noisy, _ = apply(Params(noise_std=(0.05, 0.0), noise_seed=1), image, labels, shape)
    assert float((noisy - image)[0].std()) == pytest.approx(0.05, rel=0.05) and torch.equal(noisy[1], image[1])


def test_only_allowed_channels_are_dropped_and_never_the_only_one() -> None:
    rng = np.random.default_rng(0)
    drops = {
        make_params(settings(channel_dropout=0.5, droppable=[0, 2]), 3, (8, 8, 8), rng).dropped for _ in range(100)
    }
    assert drops == {None, 0, 2}
    assert make_params(settings(channel_dropout=1.0), 1, (8, 8, 8), rng).dropped is None


def test_signed_intensities_keep_their_order_and_their_low_end() -> None:
    """z-scored images are half below zero: contrast scales about the mean, gamma bends between the ends."""
    image = torch.randn(1, 8, 9, 10, generator=torch.Generator().manual_seed(3))
    labels = torch.zeros(1, 8, 9, 10, dtype=torch.uint8)
    scaled, _ = apply(Params(contrast=(1.5,)), image, labels, (8, 9, 10))
    assert torch.allclose(scaled, (image - image.mean()) * 1.5 + image.mean(), atol=1e-5)
    raised, _ = apply(Params(contrast=(0.9,), contrast_about="min", offset=(0.15,)), image, labels, (8, 9, 10))
    assert torch.allclose(raised, (image - image.min()) * 0.9 + image.min() + 0.15, atol=1e-5)
    bent, _ = apply(Params(gamma=(2.0,)), image, labels, (8, 9, 10), keep_zero=False)
    low, high = image.min(), image.max()
    assert torch.allclose(bent, ((image - low) / (high - low)) ** 2 * (high - low) + low, atol=1e-5)
