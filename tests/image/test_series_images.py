"""Motion on bone, input functions, midline, smoothing within a mask."""

import numpy as np
import pytest
from scipy import ndimage

from willis.errors import BadInputError
from willis.image.frame_smoothing import choose_width_mm, smooth_within
from willis.image.input_functions import area_ratio, count_baseline, find_inputs, fit_gamma_variate
from willis.image.lost_frames import lost_frames
from willis.image.midline import find_midline
from willis.image.mirror import find_midplane
from willis.image.series_motion import find_motion, find_turned, undo_motion
from willis.phantom.deform import rotation
from willis.phantom.perfusion_curves import Input, arterial_curve, dispersed
from willis.phantom.scanner import scanner_grid
from willis.volume.series import Series
from willis.volume.volume import Volume

TIMES = np.arange(40) * 1.5


def ring(shape=(60, 70, 6)):
    x, y, z = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in shape], indexing="ij")
    r = np.hypot(x / 22, y / 28)
    return np.where((r < 1.1) & (r > 0.95), 900.0 + 20 * z, np.where(r <= 0.95, 30.0, -1000.0)), r < 0.95


def test_shifts_are_found_to_a_part_of_a_voxel_and_undone():
    head, _ = ring()
    grid = scanner_grid("LPS", head.shape, (1.5, 1.5, 5.0), (0, 0, 0))
    moved = [(0, 0), (1.0, -2.0), (2.4, 0.6), (0, 0)]
    frames = [ndimage.shift(head, (i, j, 0), order=1, mode="nearest") for i, j in [(0, 0)] * 3 + moved]
    series = Series(np.stack(frames, -1).astype(np.float32), grid, np.arange(7.0))
    motion = find_motion(series)
    for found, (i, j) in zip(motion.shifts_mm[3:], moved, strict=True):
        assert found[:2] == pytest.approx((1.5 * i, 1.5 * j), abs=0.35)
    still = undo_motion(series, motion)
    assert np.abs(still.data[..., 4] - head).mean() < 0.6 * np.abs(series.data[..., 4] - head).mean()


def test_a_still_head_is_left_as_it_is():
    head, _ = ring()
    grid = scanner_grid("LPS", head.shape, (1.5, 1.5, 5.0), (0, 0, 0))
    noisy = head[..., None] + np.random.default_rng(0).standard_normal((*head.shape, 5))
    series = Series(noisy, grid, np.arange(5.0))
    assert undo_motion(series, find_motion(series)) is series


def test_a_frame_is_lost_where_the_head_should_be_and_not_above_it():
    head, _ = ring()
    head[:, :, 5] = -1000.0
    head[28:32, 33:37, 5] = 40.0  # the vertex, in all frames but one
    grid = scanner_grid("LPS", head.shape, (1.5, 1.5, 5.0), (0, 0, 0))
    data = np.repeat(head[..., None], 6, axis=3)
    data[:, :, 5, 1] = -1000.0
    data[:, :, 2, 3] = 0.0
    data[..., 4] = -1024.0
    assert lost_frames(Series(data, grid, np.arange(6.0))).tolist() == [False, False, False, True, True, False]


def test_a_far_frame_keeps_the_shift_that_was_found():
    head, _ = ring()
    grid = scanner_grid("LPS", head.shape, (1.5, 1.5, 5.0), (0, 0, 0))
    series = Series(np.stack([*[head] * 4, np.roll(head, 12, axis=1)], -1), grid, np.arange(5.0))
    motion = find_motion(series)
    assert motion.too_far.tolist() == [False] * 4 + [True]
    assert motion.of_frames(~motion.too_far).largest_mm < 0.25


def vessels(noise=1.0):
    fine = np.arange(0, 61, 0.1)
    source = Input(peak_hu=300.0)
    aif = np.interp(TIMES, fine, arterial_curve(fine, source))
    vein = np.interp(fine - 4, fine, dispersed(arterial_curve(fine, source), fine, 2.0), left=0.0)
    vof = np.interp(TIMES, fine, vein)
    data = noise * np.random.default_rng(0).standard_normal((40, 40, 4, 40))
    data += 0.02 * np.interp(TIMES - 2, TIMES, aif)
    data[10:13, 10:13, 1:3] += 0.6 * aif
    data[30:34, 28:32, 2:] += vof
    return data, aif, vof


def test_artery_and_vein_are_found_and_partial_volume_is_undone():
    data, aif, _ = vessels()
    found = find_inputs(data, np.ones(data.shape[:3], bool), TIMES, 4)
    assert all(10 <= i < 13 and 10 <= j < 13 for i, j, _ in found.aif.voxels)
    assert found.vof is not None and all(30 <= i < 34 and 28 <= j < 32 for i, j, _ in found.vof.voxels)
    assert found.scale == pytest.approx(1 / 0.6, rel=0.12)
    assert np.corrcoef(found.aif.curve, aif)[0, 1] > 0.995


def test_bone_that_moves_into_a_voxel_is_no_artery():
    data, aif, _ = vessels()
    data[20:24, :, :, 25:] += 500.0
    found = find_inputs(data, np.ones(data.shape[:3], bool), TIMES, 4)
    assert np.corrcoef(found.aif.curve, aif)[0, 1] > 0.99


def test_noise_alone_has_no_artery():
    data = np.random.default_rng(0).standard_normal((30, 30, 4, 40))
    with pytest.raises(BadInputError, match="no artery was found"):
        find_inputs(data, np.ones((30, 30, 4), bool), TIMES, 4)


def test_the_baseline_ends_before_contrast_comes():
    fine = np.arange(0, 61, 0.1)
    curve = 30 + np.interp(TIMES, fine, arterial_curve(fine, Input(arrival_s=9.0))) / 60
    count = count_baseline(curve, TIMES)
    assert TIMES[count - 1] <= 9.0 and TIMES[count] > 6.0


def test_the_area_of_equal_curves_is_equal_though_the_scan_cuts_one():
    fine = np.arange(0, 45, 0.5)
    aif = arterial_curve(fine, Input())
    vof = np.interp(fine - 6, fine, aif, left=0.0)
    assert area_ratio(aif, vof, fine) == pytest.approx(1.0, abs=0.02)
    assert area_ratio(0.5 * aif, vof, fine) == pytest.approx(2.0, rel=0.02)


def test_a_gamma_variate_is_the_first_pass_alone():
    clean = arterial_curve(TIMES, Input(again_share=0.0, tail_share=0.0))
    whole = arterial_curve(TIMES, Input())
    fitted = fit_gamma_variate(whole, TIMES)
    assert np.abs(fitted - clean).max() < 0.06 * clean.max()
    assert fitted[-1] < 0.2 * whole[-1]


@pytest.mark.parametrize("turn", [-33.0, -12.0, 0.0, 9.0, 28.0])
def test_the_midline_turns_with_the_head(turn):
    grid = scanner_grid("LPS", (80, 90, 4), (2.0, 2.0, 6.0), (4.0, -3.0, 10.0), (0, 0, np.deg2rad(turn)))
    x, y, _ = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in grid.shape], indexing="ij")
    mask = np.hypot(x / 30, y / 40) < 1
    right = find_midline(Volume(mask.astype(np.uint8), grid)).right_of(grid)
    assert (right[mask] == (x[mask] < 0)).mean() > 0.97


def test_smoothing_sees_the_mask_alone():
    grid = scanner_grid("LPS", (40, 40, 2), (1.0, 1.0, 5.0), (0, 0, 0))
    mask = np.zeros((40, 40, 2), bool)
    mask[5:35, 5:20] = True
    frames = np.where(mask, 7.0, 500.0)[..., None].repeat(3, axis=3)
    smooth = smooth_within(frames, mask, grid, 3.0)
    assert np.allclose(smooth[mask], 7.0, atol=1e-3) and not smooth[~mask].any()


def test_more_noise_asks_for_more_smoothing():
    grid = scanner_grid("LPS", (60, 60, 3), (1.0, 1.0, 5.0), (0, 0, 0))
    mask = np.ones((60, 60, 3), bool)
    noise = np.random.default_rng(0).standard_normal((60, 60, 3, 2))
    widths = [choose_width_mm(level * noise, mask, grid) for level in (0.3, 1.5, 4.0)]
    assert widths[0] == 0.0 and widths[0] < widths[1] < widths[2]


def lying_head(turn_deg, tilt_deg, slices=20):
    """An ellipsoid of brain with a pair of dark ventricles in a skull, and what is right of its own middle plane."""
    angles = (0.0, np.deg2rad(tilt_deg), np.deg2rad(turn_deg))
    grid = scanner_grid("LPS", (90, 100, slices), (2.2, 2.2, 6.0), (4.0, -3.0, 10.0), (0, 0, 0))
    mm = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - grid.centre_mm
    x, y, z = np.moveaxis(mm @ rotation(angles), -1, 0)
    r = np.sqrt((x / 66) ** 2 + (y / 82) ** 2 + (z / 70) ** 2)
    hu = np.where(r < 1.12, 900.0, -1000.0)
    hu[r < 1.0] = 35.0
    hu[(np.hypot((np.abs(x) - 14) / 9, y / 30) < 1) & (np.abs(z) < 20)] = 5.0
    hu = hu + np.random.default_rng(0).normal(0, 3, hu.shape)
    return Volume(hu.astype(np.float32), grid, unit="HU"), Volume((r < 1.0).astype(np.uint8), grid), x > 0


@pytest.mark.parametrize(("turn", "tilt"), [(0, 0), (28, 0), (0, 10), (-4, 20), (12, -18), (3, 27)])
@pytest.mark.parametrize("ct", [True, False])
def test_the_midplane_turns_and_tilts_with_the_head(turn, tilt, ct):
    image, brain, right = lying_head(turn, tilt)
    plane = find_midplane(brain, image if ct else None)
    inside = brain.data > 0
    assert (plane.right_of(brain.grid) == right)[inside].mean() > 0.97
    assert plane.turn_deg == pytest.approx(turn, abs=4) and abs(plane.tilt_deg) == pytest.approx(abs(tilt), abs=4)


def test_few_slices_are_divided_by_a_vertical_plane():
    image, brain, right = lying_head(10, 0, slices=6)
    plane = find_midplane(brain, image)
    assert plane.normal[2] == 0 and (plane.right_of(brain.grid) == right)[brain.data > 0].mean() > 0.97


@pytest.mark.parametrize(("deg", "turned"), [(0, False), (10, True), (15, True)])
def test_a_frame_with_a_turned_head_is_found(deg, turned):
    image, _, _ = lying_head(0, 0)
    frames = [image.data] * 5 + [ndimage.shift(image.data, (3, 2, 0), order=1, mode="nearest")]
    frames[4] = ndimage.rotate(image.data, deg, (0, 1), reshape=False, order=1, mode="nearest")
    series = Series(np.rint(np.stack(frames, 3)).astype(np.int16), image.grid, np.arange(6.0), "ctp", "HU")
    assert find_turned(undo_motion(series, find_motion(series))).tolist() == [False] * 4 + [turned, False]
