"""What a radiologist relies on in a mosaic: sides, proportions, and outlines that are where the mask is."""

import struct

import numpy as np
import pytest

from willis.draw.mosaic import _left_out, axial_mosaic, place
from willis.draw.palette import FOUND, REFERENCE
from willis.draw.panel import Outline, window_of
from willis.draw.png import MOST_BYTES
from willis.draw.slices import choose_slices
from willis.errors import GeometryError
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

LEFT_FRONT = (-30.0, 40.0, 10.0)  # mm RAS+


def head(spacing=(2.0, 2.0, 4.0), turn_deg=0.0, radius=8.0, centre=LEFT_FRONT) -> tuple[Volume, Volume]:
    """An ellipsoid, and a sphere in it as a mask."""
    shape = tuple(round(length / side) for length, side in zip((140, 180, 140), spacing, strict=True))
    turn = np.deg2rad(turn_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(spacing)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = Grid(shape, affine)
    world = grid.to_mm(np.stack(np.indices(shape), axis=-1))
    inside = ((world / (62, 80, 60)) ** 2).sum(axis=-1) < 1
    sphere = ((world - centre) ** 2).sum(axis=-1) < radius**2
    return Volume(np.where(inside, 100.0, 0.0), grid, "flair"), Volume(sphere.astype(np.uint8), grid, "wmh")


@pytest.mark.parametrize("turn_deg", [0.0, 17.0])
@pytest.mark.parametrize("code", ["RAS", "LAS", "LPI", "SRA", "PIR", "ASL", "IPL"])
def test_a_mark_at_the_patients_left_front_is_at_the_pictures_upper_right(drawn, code, turn_deg):
    scan, mark = (reorient(volume, code) for volume in head(turn_deg=turn_deg))
    picture = drawn(axial_mosaic(scan, [Outline(mark, FOUND)], slices=1, columns=1, window=(0, 200)))
    row, column = picture.where(FOUND).mean(axis=0)
    assert column > 0.6 * picture.width
    assert row < 0.4 * picture.height


def test_r_and_l_stand_in_every_panel(drawn):
    scan, _ = head()
    picture = drawn(axial_mosaic(scan, slices=6, columns=3, window=(0, 1000)))
    bright = picture.pixels.min(axis=2) > 180
    wide = picture.width / 3
    for panel in range(3):
        columns = np.flatnonzero(bright[: int(wide / 6), int(panel * wide) : int((panel + 1) * wide)].any(axis=0))
        assert columns.min() < 0.1 * wide, "no letter at the panel's left"
        assert columns.max() > 0.9 * wide, "no letter at the panel's right"


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.0, 3.0, 5.0), (3.0, 1.0, 4.0)])
def test_a_sphere_stays_round_and_true_to_the_scale_bar(drawn, spacing):
    scan, mask = head(spacing, radius=24, centre=(0.0, 0.0, 0.0))
    picture = drawn(axial_mosaic(scan, [Outline(mask, FOUND)], slices=1, columns=1, window=(0, 200)))
    found = picture.where(FOUND)
    tall, wide = (found.max(axis=0) - found.min(axis=0)) / picture.scale_px_per_mm()
    assert tall == pytest.approx(48, abs=spacing[1] + 1)
    assert wide == pytest.approx(48, abs=spacing[0] + 1)


def test_the_outline_runs_along_the_voxels_edges(drawn):
    scan, mask = head((4.0, 4.0, 4.0))
    data = np.zeros_like(mask.data)
    data[10:14, 20:26, 17] = 1
    picture = drawn(axial_mosaic(scan, [Outline(mask.with_data(data), FOUND)], slices=1, columns=1, window=(0, 200)))
    found = picture.where(FOUND)
    tall, wide = (found.max(axis=0) - found.min(axis=0)) / picture.scale_px_per_mm()
    assert (tall, wide) == pytest.approx((24, 16), abs=0.6)
    inner = picture.pixels[tuple(np.rint(found.mean(axis=0)).astype(int))]
    assert inner.max() - inner.min() < 10, "the mask is filled"


@pytest.mark.parametrize("spacing", [(4.0, 4.0, 4.0), (2.0, 5.0, 3.0)])
def test_the_outline_lies_on_what_it_outlines(drawn, spacing):
    scan, mask = head(spacing, radius=14)
    mask = mask.with_data(np.repeat(mask.data.max(axis=2, keepdims=True), mask.data.shape[2], axis=2))
    bright = scan.with_data(np.where(mask.data > 0, 1000.0, 0.0) + 0.01 * scan.data)
    within = scan.with_data((scan.data > 0).astype(np.uint8))
    look = {"slices": 1, "columns": 1, "window": (0, 1000), "within": within}
    plain, lined = (drawn(axial_mosaic(bright, o, **look)) for o in ([], [Outline(mask, FOUND)]))
    panel = plain.pixels[60 : plain.height - 120, 60 : plain.width - 60].min(axis=2)
    body, outline = np.argwhere(panel > 128) + 60, lined.where(FOUND)
    apart = [outline.min(axis=0) - body.min(axis=0), outline.max(axis=0) - body.max(axis=0)]
    assert np.abs(apart).max() / plain.scale_px_per_mm() < 0.5


def test_two_outlines_keep_their_colours_and_the_legend_names_them(drawn):
    scan, mask = head()
    plain = drawn(axial_mosaic(scan, [Outline(mask, FOUND)], slices=4, columns=4))
    both = [Outline(mask, FOUND, "found"), Outline(mask.with_data(1 - mask.data), REFERENCE, "truth", dashed=True)]
    named = drawn(axial_mosaic(scan, both, slices=4, columns=4))
    assert len(plain.where(REFERENCE)) == 0
    assert len(named.where(REFERENCE)) > 100
    assert (plain.where(FOUND)[:, 0] > plain.height - 40).sum() == 0
    assert (named.where(FOUND)[:, 0] > named.height - 40).sum() > 40


def test_no_lesion_and_an_empty_brain_mask_still_give_a_picture(drawn):
    scan, mask = head()
    empty = mask.with_data(np.zeros_like(mask.data))
    picture = drawn(axial_mosaic(scan, [Outline(empty, FOUND, "WMH")], within=empty, slices=8, columns=4))
    assert (picture.pixels > 60).any()


def test_a_constant_or_empty_scan_gives_a_picture(drawn):
    scan, _ = head()
    for value in (0.0, 7.0, np.nan):
        assert drawn(axial_mosaic(scan.with_data(np.full(scan.data.shape, value)), slices=2, columns=2)).width > 0


def test_bytes_are_the_same_on_every_run_and_hold_nothing_but_the_picture():
    scan, mask = head()
    png = axial_mosaic(scan, [Outline(mask, FOUND, "WMH")], title="WMH")
    assert axial_mosaic(scan, [Outline(mask, FOUND, "WMH")], title="WMH") == png
    kinds, at = set(), 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        kinds.add(kind)
        at += 12 + length
    assert kinds == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


def test_a_noisy_scan_stays_below_the_size_that_a_report_takes():
    scan, mask = head((1.5, 1.5, 3.0))
    noisy = scan.with_data(scan.data + np.random.default_rng(0).normal(0, 10, scan.data.shape))
    assert len(axial_mosaic(noisy, [Outline(mask, FOUND)])) < MOST_BYTES


def test_a_mask_on_another_grid_is_refused():
    scan, _ = head((2.0, 2.0, 4.0))
    _, mask = head((2.0, 2.0, 2.0))
    with pytest.raises(GeometryError):
        axial_mosaic(scan, [Outline(mask)])


def test_window_is_taken_inside_the_mask():
    data = np.concatenate([np.zeros(100), np.linspace(50, 150, 1001), [1e6]])
    low, high = window_of(data, (data > 0) & (data < 1000))
    assert low == pytest.approx(50.5)
    assert high == pytest.approx(149.9)


def test_a_position_is_written_with_its_sign():
    assert place(-12.4, "z") == "z \N{MINUS SIGN}12 mm"
    assert place(7.6, "x") == "x +8 mm"


def test_a_position_near_zero_has_no_minus():
    assert place(-0.3, "z") == place(0.3, "z") == "z +0 mm"


def test_a_mark_outside_the_brain_mask_is_shown(drawn):
    scan, mask = head()
    low = scan.with_data((np.indices(scan.data.shape)[2] < 12).astype(np.uint8))
    picture = drawn(axial_mosaic(scan, [Outline(mask, FOUND)], slices=4, columns=4, within=low, window=(0, 200)))
    assert len(picture.where(FOUND)) > 40


@pytest.mark.parametrize(("count", "told"), [(3, []), (90, ["20 of 90 outlined parts lie on these slices"])])
def test_the_legend_says_what_the_slices_leave_out(count, told):
    held = np.zeros((180, 1, 90), bool)
    held[2 * np.arange(count), 0, np.arange(count)] = True
    assert _left_out(held, choose_slices(np.ones(held.shape, bool), held, 20)) == told
