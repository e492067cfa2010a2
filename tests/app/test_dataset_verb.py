"""``willis dataset``: from masks to tables, folds, their check, batches and slices; one sentence for what can't be."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis.app.cli.main import call
from willis.io.tables import read_table

SHAPE = (24, 30, 20)


def _save(data: np.ndarray, path: Path, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, np.eye(4) if affine is None else affine)
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def _subject(folder: Path, number: int, session: str = "ses-1", side: int = 4) -> None:
    """ATLAS names: a T1 whose first and last two axial slices are empty, and two lesions."""
    stem = f"sub-r001s{number:03d}_{session}_space-MNI152NLin2009aSym"
    place = folder / f"sub-r001s{number:03d}" / session / "anat"
    t1 = np.full(SHAPE, 100, np.int16)
    t1[:, :, :2] = t1[:, :, -2:] = 0
    mask = np.zeros(SHAPE, np.uint8)
    mask[2 : 2 + side, 3:6, 5:9] = 1
    mask[20, 20, 10] = 1
    _save(t1, place / f"{stem}_T1w.nii.gz")
    _save(mask, place / f"{stem}_label-L_desc-T1lesion_mask.nii.gz")


def test_t1s_without_a_mask_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    for number in (1, 2, 3):
        _subject(folder, number)
    for number in (2, 3):
        (mask,) = folder.glob(f"sub-r001s{number:03d}/**/*_mask.nii.gz")
        mask.unlink()
    assert call(["dataset", "describe", str(folder), "-o", str(tmp_path / "out"), "--workers", "1"]) == 0
    said = capsys.readouterr().out
    assert "Left out, with a T1 and no lesion mask: 2 sessions, such as sub-r001s002_ses-1." in said
    _subject(folder, 2)
    _subject(folder, 3)
    assert call(["dataset", "describe", str(folder), "-o", str(tmp_path / "all"), "--workers", "1"]) == 0
    assert "Left out" not in capsys.readouterr().out


@pytest.fixture
def atlas(tmp_path: Path) -> Path:
    folder = tmp_path / "atlas"
    for number in range(1, 9):
        _subject(folder, number, side=2 + number % 4)
    _subject(folder, 1, "ses-2")
    return folder


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_from_masks_to_checked_folds_and_batches(
    atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables, split = tmp_path / "tables", tmp_path / "folds.json"
    assert call(["dataset", "describe", str(atlas), "-o", str(tables), "--workers", "1"]) == 0
    assert "9 sessions of 8 patients, 18 lesions" in capsys.readouterr().out
    first = _rows(tables / "lesions_3d.csv")[0]
    assert first["subject_name"] == "sub-r001s001_ses-1"
    lesion = read_table(tables / "lesions.tsv")[0]
    assert lesion["side"] == "right" and str(lesion["place"]).endswith("right")  # its name says MNI space
    assert str(lesion["territory"]).startswith("right ")
    assert [first[name] for name in ("number_of_lesion", "sum_voxel", "max_size")] == ["2", "37", "36"]
    axial = [row for row in _rows(tables / "lesions_axial.csv") if row["subject_name"] == first["subject_name"]]
    assert [(row["slide"], row["sum_voxel"]) for row in axial] == [*((str(k), "9") for k in range(5, 9)), ("10", "1")]
    extent = read_table(tables / "subjects.tsv")[0]
    assert (extent["axial_first"], extent["axial_stop"]) == ("2", "18")
    assert (tables / "figures" / "sizes.png").stat().st_size > 1000

    made = ["dataset", "folds", str(tables), "--count", "2", "-o", str(split)]
    assert call(made) == 0
    content = split.read_bytes()
    assert call(made) == 0
    assert split.read_bytes() == content
    parts = json.loads(content)["parts"]
    assert any({"sub-r001s001_ses-1", "sub-r001s001_ses-2"} <= set(part["subjects"]) for part in parts)
    assert call(["dataset", "check", str(split)]) == 0

    assert call(["dataset", "batches", str(tables), str(split), "--batch", "4", "-o", str(tmp_path / "b")]) == 0
    batch = _rows(tmp_path / "b" / "fold_1" / "Train_lesion_normal_batches.csv")
    assert {row["batch"] for row in batch} == {str(n) for n in range(1, max(int(r["batch"]) for r in batch) + 1)}
    assert sum(row["sum_voxel"] == "0" for row in batch) * 2 == len(batch)


def test_slices_keep_their_place(atlas: Path, tmp_path: Path) -> None:
    out = tmp_path / "slices"
    assert call(["dataset", "slices", str(atlas), "--planes", "coronal", "--lesion-only", "-o", str(out)]) == 0
    path = out / "coronal" / "sub-r001s002_ses-1" / "sub-r001s002_ses-1_slice_4_mask.nii.gz"
    image = nib.load(path)
    assert image.shape == (24, 1, 20)
    assert image.affine[1, 3] == 4.0
    assert not (path.parent / "sub-r001s002_ses-1_slice_9_mask.nii.gz").exists()


def _told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert call(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("willis: ")
    return error


def test_what_can_t_be_described_is_told_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["-o", str(tmp_path / "out"), "--workers", "1"]
    odd = tmp_path / "odd"
    _save(np.full(SHAPE, 3, np.uint8), odd / "sub-1_mask.nii.gz")
    assert "holds the value 3" in _told(["dataset", "describe", str(odd), *where], capsys)
    other = tmp_path / "other"
    _subject(other, 1)
    _save(np.arange(125, dtype=np.int16).reshape(5, 5, 5), next(other.rglob("*_T1w.nii.gz")))
    assert "lie on different grids" in _told(["dataset", "describe", str(other), *where], capsys)
    table = tmp_path / "paths.tsv"
    table.write_text("subject\tt1\na\tb.nii.gz\n")
    assert "lacks the column 'mask'" in _told(["dataset", "describe", str(table), *where], capsys)
    table.write_text("subject\tmask\na\todd/sub-1_mask.nii.gz\na\todd/sub-1_mask.nii.gz\n")
    assert "a is listed twice" in _told(["dataset", "describe", str(table), *where], capsys)
    assert "does not exist" in _told(["dataset", "describe", str(tmp_path / "absent"), *where], capsys)
    assert not (tmp_path / "out").exists()


def test_a_mask_of_shares_is_refused_alike_before_slices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "shares"
    _subject(folder, 1)
    path = next(folder.rglob("*_mask.nii.gz"))
    _save(np.full(SHAPE, 0.1, np.float32), path)
    for verb in ("describe", "slices"):
        said = _told(["dataset", verb, str(folder), "-o", str(tmp_path / verb), "--workers", "1"], capsys)
        assert "holds the value 0.1; a lesion mask holds 0 and 1 alone" in said


def test_a_side_is_named_in_mni_space_alone(tmp_path: Path) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:5, 3:6, 5:9] = 1
    for name in ("space-MNI152_mask", "space-orig_mask"):
        _save(mask, tmp_path / name / f"sub-1_{name}.nii.gz")
        out = tmp_path / f"{name}-tables"
        assert call(["dataset", "describe", str(tmp_path / name), "-o", str(out), "--workers", "1"]) == 0
    sides = {
        name: read_table(tmp_path / f"{name}-tables" / "lesions.tsv")[0]["side"]
        for name in ("space-MNI152_mask", "space-orig_mask")
    }
    assert sides == {"space-MNI152_mask": "right", "space-orig_mask": None}


def test_more_folds_than_patients_is_told(atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = tmp_path / "tables"
    assert call(["dataset", "describe", str(atlas), "-o", str(tables), "--workers", "1"]) == 0
    many = ["dataset", "folds", str(tables), "--count", "9", "-o", str(tmp_path / "f.json")]
    assert "8 patients can't be shared out into 9 parts" in _told(many, capsys)
    (tables / "lesions_axial.csv").write_text("subject_name,slide\n")
    many[4] = "2"
    assert "lacks the column sum_voxel" in _told(many, capsys)


def test_a_split_without_any_lesion_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(4):
        _save(np.zeros(SHAPE, np.uint8), tmp_path / "none" / f"sub-{number}_mask.nii.gz")
    tables = tmp_path / "tables"
    assert call(["dataset", "describe", str(tmp_path / "none"), "-o", str(tables), "--workers", "1"]) == 0
    made = ["dataset", "split", str(tables), "-o", str(tmp_path / "s.json")]
    assert "no subject has a lesion" in _told(made, capsys)


def test_sessions_of_one_patient_in_two_published_folds_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"one": ("sub-1_ses-1", "sub-2_ses-1"), "two": ("sub-1_ses-2", "sub-3_ses-1"), "three": (" sub-2_ses-1 ",)}
    for fold, held in names.items():
        lines = "".join(f"{name},3\n" for name in held)
        (tmp_path / f"{fold}.csv").write_text(f"subject_name,slice\n{lines},\n\n")
    files = [str(tmp_path / f"{fold}.csv") for fold in names]
    told = _told(["dataset", "check", *files], capsys)
    assert "(one and two: 1; one and three: 1)" in told
    assert "is one fold; name the files of all folds" in _told(["dataset", "check", files[0]], capsys)


def _described(atlas: Path, tmp_path: Path) -> tuple[str, str]:
    tables, split = str(tmp_path / "tables"), str(tmp_path / "folds.json")
    assert call(["dataset", "describe", str(atlas), "-o", tables, "--workers", "1"]) == 0
    assert call(["dataset", "folds", tables, "--count", "2", "-o", split]) == 0
    return tables, split


def test_a_check_that_checks_nothing_is_refused(
    atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, split = _described(atlas, tmp_path)
    whole = json.loads(Path(split).read_text())
    bare = [{"part": "fold_1", "of": "subjects"}]
    for change, said in (
        ({"parts": []}, "the split has no part"),
        ({"balance": []}, "balance is not that of its parts"),
        ({"balance": bare}, "balance is not that of its parts"),
    ):
        Path(split).write_text(json.dumps(whole | change))
        assert said in _told(["dataset", "check", split], capsys)
    Path(split).write_text(json.dumps(whole))
    assert "--least-p is nan" in _told(["dataset", "check", split, "--least-p", "nan"], capsys)


def test_nothing_half_written_is_left(atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables, split = _described(atlas, tmp_path)
    made = tmp_path / "made"
    content = json.loads(Path(split).read_text())
    content["parts"][1]["subjects"] = ["sub-9"]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(content))
    batches = ["dataset", "batches", tables, split, "--batch", "4", "-o", str(made)]
    assert "sub-9 of the split file is not in the tables" in _told([*batches[:3], str(other), *batches[4:]], capsys)
    assert "--repeat is 0" in _told([*batches, "--repeat", "0"], capsys)
    assert "the seed is -1" in _told([*batches, "--seed", "-1"], capsys)
    content["normals"]["axial"] = {name: [0] for name in content["parts"][0]["subjects"]}
    content["parts"][1] = json.loads(Path(split).read_text())["parts"][1]
    other.write_text(json.dumps(content))
    assert "no slice without lesion" in _told([*batches[:3], str(other), *batches[4:]], capsys)
    _save(np.full(SHAPE, 3, np.uint8), sorted(atlas.rglob("*_mask.nii.gz"))[-1])
    assert "holds the value 3" in _told(["dataset", "slices", str(atlas), "-o", str(made)], capsys)
    assert not made.exists()


def test_voxels_that_are_not_of_1_mm_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:5, 3:6, 5:9] = 1
    for number, edge in enumerate((1.0, 2.0), start=1):
        _save(mask, tmp_path / "two" / f"sub-{number}_mask.nii.gz", np.diag([edge, edge, edge, 1]))
    assert call(["dataset", "describe", str(tmp_path / "two"), "-o", str(tmp_path / "out"), "--workers", "1"]) == 0
    assert "1 session of voxels that aren't of 1 mm" in capsys.readouterr().out


def test_a_table_of_the_same_name_is_not_overwritten_by_a_balance(
    atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables, split = _described(atlas, tmp_path)
    table = tmp_path / "atlas.tsv"
    table.write_text("subject\tmask\n1\ta.nii\n")
    asked = ["dataset", "folds", tables, "--count", "2", "-o"]
    assert "is no balance of a split" in _told([*asked, str(tmp_path / "atlas.json")], capsys)
    assert table.read_text().startswith("subject") and not (tmp_path / "atlas.json").exists()
    assert call([*asked, split]) == 0
    assert "name it with --within" in _told([*asked, split, "--part", "test"], capsys)


@pytest.mark.parametrize("verb", ["split", "folds"])
def test_another_split_is_replaced_only_when_that_is_asked(
    verb: str, atlas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables, _ = _described(atlas, tmp_path)
    made = tmp_path / "made.json"
    asked = ["dataset", verb, tables, "-o", str(made), *(("--count", "2") if verb == "folds" else ("--test", "0.5"))]
    made.write_text('{"notes": "mine"}')
    assert "made.json is there already and isn't this split. Pass --overwrite" in _told(asked, capsys)
    assert made.read_text() == '{"notes": "mine"}' and not made.with_suffix(".tsv").exists()
    assert call([*asked, "--overwrite"]) == 0
    first, balance = made.read_bytes(), made.with_suffix(".tsv").read_bytes()
    assert call(asked) == 0
    assert "is there already" in _told([*asked, "--seed", "7"], capsys)
    assert (made.read_bytes(), made.with_suffix(".tsv").read_bytes()) == (first, balance)
    assert call([*asked, "--seed", "7", "--overwrite"]) == 0
    assert made.read_bytes() != first


def test_a_table_of_sessions_in_a_task_s_folder_is_left_alone(atlas: Path, tmp_path: Path) -> None:
    (atlas / "subjects.tsv").write_text("participant\tage\nsub-r001s001\t61\n")
    asked = ["dataset", "folds", str(atlas), "--task", "chronic", "--count", "2", "-o", str(tmp_path / "f.json")]
    assert call(asked) == 0
