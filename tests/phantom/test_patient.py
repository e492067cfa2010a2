"""A patient on a scanner's grids: truth that adds up, files that are the same each time."""

import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.io.tables import read_table
from willis.phantom.anatomy import Anatomy
from willis.phantom.labels import Region
from willis.phantom.patient import Patient, make_patient
from willis.phantom.scanner import Protocol, fraction, rigid, scanner_grid


@pytest.fixture(scope="module")
def patient(toy_anatomy: Anatomy) -> Patient:
    return make_patient("wmh", 3, 0, [toy_anatomy], load_ml=25.0)


def test_volumes_are_those_of_the_fraction_field(patient: Patient) -> None:
    field = patient.truth["fraction_anatomy"]
    assert patient.row["wmh_volume_ml"] == pytest.approx(field.data.sum() * field.grid.voxel_ml, abs=1e-3)
    assert patient.row["wmh_mask_volume_ml"] == pytest.approx((field.data >= 0.5).sum() / 1000, abs=1e-3)
    parts = [v for k, v in patient.row.items() if k.split("_")[0] in ("left", "right", "brainstem")]
    assert sum(parts) <= patient.row["wmh_volume_ml"] + 1e-3
    assert sum(parts) > 0.9 * patient.row["wmh_volume_ml"]
    assert patient.row["wmh_volume_ml"] == pytest.approx(25, rel=0.3)


def test_both_grids_hold_the_same_head(patient: Patient) -> None:
    for name in ("brain", "ventricles"):
        flair, anatomy = patient.truth[name], patient.truth[f"{name}_anatomy"]
        assert flair.volume_ml == pytest.approx(anatomy.volume_ml, rel=0.08)
    flair = patient.truth["wmh"]
    assert flair.grid == patient.study["flair"].grid
    assert not flair.data[patient.truth["brain"].data == 0].any()


def test_the_truth_lies_where_the_head_lies_in_each_image(patient: Patient) -> None:
    """Through the recorded motion, the brain's centre on the FLAIR's grid is the anatomy's."""
    motion = np.array(patient.parameters["images"]["flair"]["motion"])
    centres = []
    for name in ("brain", "brain_anatomy"):
        mask = patient.truth[name]
        centres.append(mask.grid.to_mm(np.argwhere(mask.data).mean(0)))
    moved = motion[:3, :3] @ centres[0] + motion[:3, 3]
    assert moved == pytest.approx(centres[1], abs=1.0)


def test_images_are_as_a_scanner_gives_them(patient: Patient) -> None:
    for role in ("t1", "flair"):
        image = patient.study[role]
        assert image.data.dtype == np.uint16
        assert image.data.max() > 100
        assert np.abs(image.grid.directions).max() < 1 or role == "t1"  # oblique
    assert not patient.study["t1"].grid.same_as(patient.study["flair"].grid)


def test_lesions_are_bright_on_the_flair(patient: Patient) -> None:
    image, wmh = patient.study["flair"].data, patient.truth["wmh"].data > 0
    regions = patient.truth["regions"].data % 10
    white = np.isin(regions, [Region.DEEP, Region.PERIVENTRICULAR]) & ~wmh
    assert np.median(image[wmh]) > np.median(image[white]) * 1.1


def test_regions_follow_the_distances(patient: Patient) -> None:
    regions = patient.truth["regions_anatomy"].data % 10
    ventricles = patient.truth["ventricles_anatomy"].data > 0
    mm = ndimage.distance_transform_edt(~ventricles)
    assert mm[regions == Region.PERIVENTRICULAR].max() < 12  # the fourth ventricle counts as brainstem's neighbour
    assert np.median(mm[regions == Region.PERIVENTRICULAR]) <= 2.5
    assert mm[regions == Region.DEEP].min() >= 2


def test_fraction_of_a_box_is_its_volume() -> None:
    base = scanner_grid("RAS", (60, 60, 60), (1.0, 1.0, 1.0), (0, 0, 0))
    box = np.zeros(base.shape, dtype=np.float32)
    box[20:40, 22:38, 25:35] = 1
    grid = scanner_grid("LPS", (80, 80, 20), (0.8, 0.8, 4.0), (1.0, -2.0, 0.5), np.deg2rad([8, -5, 3]))
    motion = rigid(np.deg2rad([2, 1, -2]), (1.0, 0.5, -1.0), (0, 0, 0))
    protocol = Protocol(grid, 2, 4.0, motion, 0.0, 0.0, 0.0, 1.0, 0.5)
    share = fraction(box, base, protocol)
    assert share.sum() * grid.voxel_ml == pytest.approx(box.sum() / 1000, rel=0.03)


@pytest.mark.parametrize("code", ["RAS", "LPS", "PIR", "LIA", "ASL"])
def test_scanner_grid_runs_as_its_letters(code: str) -> None:
    grid = scanner_grid(code, (10, 12, 14), (1.0, 2.0, 3.0), (5, 6, 7), np.deg2rad([3, 2, 1]))
    assert grid.orientation == code
    assert grid.centre_mm == pytest.approx([5, 6, 7])
    assert grid.spacing_mm == pytest.approx((1.0, 2.0, 3.0))


@pytest.mark.parametrize(("task", "contrast"), [("cartoon", "physics"), ("wmh", "cartoon")])
def test_unknown_words_are_refused(toy_anatomy: Anatomy, task: str, contrast: str) -> None:
    with pytest.raises(BadInputError, match="allowed are"):
        make_patient(task, 0, 0, [toy_anatomy], contrast=contrast)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_command_writes_the_same_bytes_twice(tmp_path: Path, toy_folder: Path) -> None:
    for name in ("a", "b"):
        words = ["phantom", "wmh", "--count", "1", "--seed", "8", "-o", str(tmp_path / name)]
        assert call([*words, "--anatomies", str(toy_folder)]) == 0
    one, two = digests(tmp_path / "a"), digests(tmp_path / "b")
    assert one == two
    flair = "sub-0001/anat/sub-0001_FLAIR.nii.gz"
    mask = "derivatives/truth/sub-0001/anat/sub-0001_space-flair_label-wmh_mask.nii.gz"
    assert {flair, "sub-0001/anat/sub-0001_T1w.json", mask, "participants.tsv", "truth.tsv"} <= set(one)
    assert (tmp_path / "a" / flair).read_bytes()[4:8] == bytes(4)  # no time in the gzip header
    image, truth = (nib.load(tmp_path / "a" / name) for name in (flair, mask))
    assert np.array_equal(image.affine, truth.affine)
    (row,) = read_table(tmp_path / "a" / "truth.tsv")
    stored = float(row["wmh_mask_flair_volume_ml"] or "nan")
    voxel_ml = abs(np.linalg.det(truth.affine[:3, :3])) / 1000
    assert stored == pytest.approx(np.count_nonzero(truth.get_fdata()) * voxel_ml, rel=1e-3, abs=1e-3)
    sidecar = json.loads((tmp_path / "a" / "sub-0001/anat/sub-0001_FLAIR.json").read_text())
    assert 5 < sidecar["RepetitionTime"] < 12
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".a")]


def test_a_full_folder_is_left_alone(tmp_path: Path, toy_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("x")
    assert call(["phantom", "wmh", "-o", str(full), "--anatomies", str(toy_folder)]) == 2
    assert "isn't an empty folder" in capsys.readouterr().err
    assert [p.name for p in full.iterdir()] == ["mine"]


@pytest.mark.parametrize("words", [["--count", "0"], ["--seed", "-1"]])
def test_numbers_out_of_range_write_nothing(tmp_path: Path, toy_folder: Path, words: list[str]) -> None:
    out = tmp_path / "out"
    assert call(["phantom", "wmh", "-o", str(out), "--anatomies", str(toy_folder), *words]) == 2
    assert not out.exists()
