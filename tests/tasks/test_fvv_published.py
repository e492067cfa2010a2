"""The files of the published software: votes, heat map, the synthesis on any axes, and the keys of its text."""

import gzip
import io

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from willis.tasks.fvv.published import (
    LEAST_PANEL_PX,
    heatmap,
    lettered,
    outline,
    published_files,
    synthesis_slices,
    synthesis_text,
    votes_of_ten,
)
from willis.tasks.fvv.votes import Votes, count_votes
from willis.tasks.provenance import Stopwatch
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

SHAPE = (20, 24, 10)
GRID = Grid(SHAPE, np.diag([-5.0, 5.0, 5.0, 1.0]))  # LAS, 0.125 ml a voxel
BRAIN, LESION, VISIBLE = 0, 1, 2
PUBLISHED_TIMES = {
    "Time-1-Load", "Time-2-ScanningDir", "Time-3-Normalization", "Time-4-Stacking", "Time-5-Inference",
    "Time-6-BackRescaling", "Time-7-Heatmap", "Time-8-Figure",
}  # fmt: skip


def member(visible: int) -> np.ndarray:
    """A brain box, and low on the patient's right in front a lesion of 12 voxels, its first rows visible."""
    answer = np.zeros((3, *SHAPE), dtype=np.float32)
    answer[BRAIN, 2:18, 2:22, 1:9] = 0.9
    answer[LESION, 4:7, 15:19, 3] = 0.8
    answer[VISIBLE, 4 : 4 + visible, 15:19, 3] = 0.7
    return answer


def drawn(code: str) -> tuple[dict[str, bytes], Votes, Grid]:
    """The published files of one patient whose images have their axes in the order and sense of a code."""
    votes = count_votes([member(2)], GRID)
    maps = {"brain": votes.brain.astype(np.uint8), "lesion": votes.lesion.astype(np.uint8)}
    maps["visible"] = votes_of_ten(votes)
    native = {name: reorient(Volume(data, GRID), code).data for name, data in maps.items()}
    image = np.random.default_rng(0).uniform(0, 100, SHAPE).astype(np.float32)
    b1000 = reorient(Volume(image, GRID, role="b1000"), code)
    files = published_files(votes, native, b1000, Stopwatch())
    return {file.name: file.content for file in files}, votes, b1000.grid


def test_ten_members_votes_stay_their_number() -> None:
    votes = count_votes([member(3)] * 3 + [member(0)] * 7, GRID)
    assert set(np.unique(votes_of_ten(votes))) == {0, 3}


def test_the_heat_map_does_not_overflow() -> None:
    image = np.linspace(0, 1000, int(np.prod(SHAPE))).reshape(SHAPE)
    native = {name: np.zeros(SHAPE, np.uint8) for name in ("brain", "lesion", "visible")}
    plain = heatmap(image, native)
    assert plain.reshape(-1, 3)[-1].tolist() == [255, 255, 255]
    native["visible"][5, 5, 5] = 10
    changed = heatmap(image, native)
    assert changed[5, 5, 5, 0] > plain[5, 5, 5, 0]
    assert changed[5, 5, 5, 1] == plain[5, 5, 5, 1]


def test_outlines_are_two_voxels_wide_and_in_the_plane() -> None:
    mask = np.zeros((11, 11, 3), dtype=bool)
    mask[5, 5, 1] = True
    rim = outline(mask)
    assert rim[:, :, 1].sum() == 24
    assert not rim[:, :, [0, 2]].any() and not rim[5, 5, 1]


@pytest.fixture(scope="module")
def upright() -> dict[str, bytes]:
    return drawn("LAS")[0]


@pytest.mark.parametrize("code", ["RAS", "LPS", "SRP", "PIL", "AIR", "ILA"])
def test_any_orientation_gives_the_same_picture(code: str, upright: dict[str, bytes]) -> None:
    files, _, grid = drawn(code)
    assert files["synthesis.png"] == upright["synthesis.png"]
    assert grid.orientation == code
    colours, wanted = (nib.Nifti1Image.from_bytes(unpacked(one["heatmap.nii.gz"])) for one in (files, upright))
    assert np.allclose(colours.affine, grid.affine)
    for colour in "RGB":
        back = reorient(Volume(np.asarray(colours.dataobj)[colour], grid), "LAS")
        assert np.array_equal(back.data, np.asarray(wanted.dataobj)[colour])


def unpacked(packed: bytes) -> bytes:

    return gzip.decompress(packed)


def test_the_patients_right_is_on_the_left_and_anterior_on_top() -> None:
    votes = count_votes([member(2)], GRID)
    colours = np.repeat(votes.lesion[..., None], 3, axis=-1).astype(np.uint8)
    (picture,) = synthesis_slices(colours, votes.lesion.astype(np.uint8))
    rows, columns = np.nonzero(picture[..., 0])
    assert picture.shape == (24, 20, 3)
    assert columns.max() < 10  # low x index of LAS: the patient's right
    assert rows.max() < 12  # high y index: in front


def test_sides_are_written_on_each_slice() -> None:
    picture = lettered(np.zeros((24, 20, 3), np.uint8))
    assert max(picture.shape) >= LEAST_PANEL_PX
    left, right = np.array_split(picture[..., 0] > 128, 2, axis=1)
    assert left.sum() > right.sum() > 0  # R has more ink than L
    foot = np.nonzero(right.any(axis=1))[0].max()
    assert right[foot - 1].sum() > 2 * right[foot // 2].sum()  # an L stands on its widest line


def test_the_picture_holds_the_letters(upright: dict[str, bytes]) -> None:
    pixels = np.asarray(Image.open(io.BytesIO(upright["synthesis.png"])).convert("RGB"))
    panel = pixels[pixels.shape[0] // 2 :, : pixels.shape[1] // 5]
    corners = panel[: panel.shape[0] // 5]
    white = (corners > 250).all(axis=2)
    assert white[:, : panel.shape[1] // 3].any() and white[:, -panel.shape[1] // 3 :].any()


def test_the_published_keys_are_all_there() -> None:
    seconds = {"load": 1, "pair": 2, "prepare": 4, "predict": 8, "votes": 16, "interpret": 32, "heatmap": 64}
    stages = [{"stage": name, "wall_s": wall} for name, wall in {**seconds, "synthesis": 128, "other": 1e6}.items()]
    text = synthesis_text(count_votes([member(3), member(1)], GRID), stages)
    values = {key: float(value) for key, value in (line.split("=") for line in text.splitlines())}
    assert {key for key in values if key.startswith("Time-")} == PUBLISHED_TIMES
    assert [values[key] for key in sorted(PUBLISHED_TIMES)] == [1, 2, 4, 0, 8, 48, 64, 128]
    assert values["FlairVizVoxels"] == 8
    assert values["FlairVizArea"] == pytest.approx(8 * 0.125)
    assert values["StrokeBlobVolume"] == pytest.approx(1.5)
    assert {"BrainMaskVoxels", "StrokeBlobVoxels", "VoxVolume", "BrainMaskVolume"} <= set(values)


def test_times_of_a_drawing_are_measured(upright: dict[str, bytes]) -> None:
    values = dict(line.split("=") for line in upright["synthesis.txt"].decode("ascii").splitlines())
    assert float(values["Time-8-Figure"]) > 0


@pytest.mark.parametrize(("pixel_mm", "tall_over_wide"), [((1.0, 1.0), 1.2), ((5.0, 1.0), 6.0), ((0.9, 1.8), 0.6)])
def test_a_slice_keeps_its_proportions(pixel_mm: tuple[float, float], tall_over_wide: float) -> None:
    tall, wide, _ = lettered(np.zeros((24, 20, 3), np.uint8), pixel_mm).shape
    assert tall / wide == pytest.approx(tall_over_wide, rel=0.02)
    assert max(tall, wide) >= LEAST_PANEL_PX


@pytest.mark.parametrize("members", [1, 2, 3, 5, 10, 11, 13, 15, 25])
def test_five_of_ten_votes_are_half_of_any_number_of_members(members: int) -> None:
    visible = np.arange(members + 1, dtype=np.uint8).reshape(1, 1, -1)
    grid = Grid(visible.shape, np.eye(4))
    votes = Votes(grid, visible >= 0, visible >= 0, visible, members, (0.0,) * members, 1.0)
    assert np.array_equal(2 * votes_of_ten(votes) >= 10, votes.visible_mask)
