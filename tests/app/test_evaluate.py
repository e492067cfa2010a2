"""``willis evaluate`` from files to its table, its summary and its exit code."""

import json
from pathlib import Path

import numpy as np
import pytest

from willis.app.cli.evaluate import evaluate
from willis.errors import BadInputError
from willis.io.nifti import read_nifti, write_nifti
from willis.io.tables import read_table
from willis.measure.agreement import bootstrap_interval
from willis.measure.case import COLUMNS, METRICS, evaluate_case
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.volume import Volume

GRID = Grid((12, 11, 10), np.diag([-1.0, 1.0, 2.0, 1.0]))


def mask(seed: int, density: float = 0.1) -> Volume:
    data = np.random.default_rng(seed).random(GRID.shape) < density
    return Volume(data.astype(np.uint8), GRID)


def write(volume: Volume, folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return write_nifti(volume, folder / name)


@pytest.fixture
def cohort(tmp_path: Path) -> tuple[Path, Path]:
    p, r = tmp_path / "p", tmp_path / "r"
    for n in range(3):
        write(mask(n), p, f"sub-0{n}_space-flair_label-wmh_mask.nii.gz")
        write(mask(n, 0.2), r, f"sub-0{n}_label-wmh_dseg.nii.gz")
    return p, r


def test_a_cohort(cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out" / "metrics.tsv"
    assert evaluate(*cohort, output=output) == 0
    rows = read_table(output)
    assert [row["case"] for row in rows] == ["sub-00", "sub-01", "sub-02"]
    assert tuple(rows[0])[2:-3] == COLUMNS
    expected = [evaluate_case(mask(n), mask(n, 0.2)) for n in range(3)]
    for row, values in zip(rows, expected, strict=True):
        for name in COLUMNS:
            assert float(row[name] or "nan") == pytest.approx(values[name], rel=1e-5)
    summary = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(summary["metrics"]) == [metric.name for metric in METRICS]
    assert summary["metrics"]["dice"]["mean"] == pytest.approx(np.mean([v["dice"] for v in expected]))
    assert summary["agreement"]["volume_ml"]["bland_altman"]["count"] == 3
    shown = capsys.readouterr().out
    assert f"{summary['metrics']['dice']['mean']:.3f}" in shown
    assert "limits of agreement" in shown
    assert str(output) in shown


def test_the_same_seed_gives_the_same_bytes(cohort, tmp_path: Path) -> None:
    contents = []
    for n in range(2):
        output = tmp_path / f"{n}" / "m.tsv"
        evaluate(*cohort, output=output, seed=7)
        contents.append((output.read_bytes(), output.with_suffix(".json").read_bytes()))
    assert contents[0] == contents[1]


def test_a_case_that_fails_is_named_and_the_others_are_done(cohort, tmp_path: Path, capsys) -> None:
    p, r = cohort
    write(mask(1).with_data(mask(1).data * 0.5), p, "sub-01_space-flair_label-wmh_mask.nii.gz")
    output = tmp_path / "m.tsv"
    assert evaluate(p, r, output=output) == 3
    failed = read_table(output)[1]
    assert (failed["status"], failed["dice"]) == ("failed", None)
    assert "not a binary mask" in (failed["notes"] or "")
    assert "sub-01: sub-01_space-flair_label-wmh_mask.nii.gz: not a binary mask" in capsys.readouterr().err
    assert json.loads(output.with_suffix(".json").read_text())["cases"]["evaluated"] == 2


def test_a_mask_on_another_grid_fails_and_one_turned_does_not(cohort, tmp_path: Path) -> None:
    p, r = cohort
    shifted = Volume(mask(0).data, GRID.shifted((1, 0, 0), GRID.shape))
    write(shifted, p, "sub-00_space-flair_label-wmh_mask.nii.gz")
    write(reorient(mask(1), "SPR"), p, "sub-01_space-flair_label-wmh_mask.nii.gz")
    output = tmp_path / "m.tsv"
    assert evaluate(p, r, output=output) == 3
    other, turned, _ = read_table(output)
    assert "different grids" in (other["notes"] or "")
    assert float(turned["dice"] or "nan") == pytest.approx(evaluate_case(mask(1), mask(1, 0.2))["dice"], rel=1e-5)
    assert "Reoriented from SPR to LAS" in (turned["notes"] or "")


def test_what_was_made_of_a_reference_is_noted(cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p, r = cohort
    write(mask(1, 0.2).with_data(mask(1, 0.2).data * 255), r, "sub-01_label-wmh_dseg.nii.gz")
    assert evaluate(p, r, output=tmp_path / "m.tsv") == 0
    assert read_table(tmp_path / "m.tsv")[1]["notes"] == "255 was taken as 1."
    assert "sub-01: 255 was taken as 1." in capsys.readouterr().err


def test_a_missing_prediction_fails_or_counts_as_empty(cohort, tmp_path: Path) -> None:
    p, r = cohort
    (p / "sub-02_space-flair_label-wmh_mask.nii.gz").unlink()
    assert evaluate(p, r, output=tmp_path / "a.tsv") == 3
    assert read_table(tmp_path / "a.tsv")[2]["status"] == "no prediction"
    assert evaluate(p, r, output=tmp_path / "b.tsv", missing_as_empty=True) == 0
    assert read_table(tmp_path / "b.tsv")[2]["dice"] == "0"


def test_a_prediction_without_reference_is_told_but_nothing_failed(cohort, tmp_path: Path, capsys) -> None:
    p, r = cohort
    write(mask(9), p, "sub-09_mask.nii.gz")
    assert evaluate(p, r, output=tmp_path / "m.tsv") == 0
    assert read_table(tmp_path / "m.tsv")[3]["status"] == "no reference"
    assert "sub-09: it has no reference." in capsys.readouterr().err


def test_empty_masks_are_results(cohort, tmp_path: Path) -> None:
    p, r = cohort
    for folder, name in ((p, "sub-00_space-flair_label-wmh_mask.nii.gz"), (r, "sub-00_label-wmh_dseg.nii.gz")):
        write(mask(0, density=0), folder, name)
    assert evaluate(p, r, output=tmp_path / "m.tsv") == 0
    row = read_table(tmp_path / "m.tsv")[0]
    assert (row["dice"], row["hd95_mm"], row["sensitivity"]) == ("1", "0", None)
    undefined = json.loads((tmp_path / "m.json").read_text())["metrics"]["sensitivity"]["undefined"]
    assert undefined == 1


def test_two_files_and_one_label(tmp_path: Path, capsys) -> None:
    a = write(mask(1).with_data(mask(1).data * 3), tmp_path, "a.nii.gz")
    b = write(mask(1).with_data(mask(1).data * 3 + mask(2).data * 1), tmp_path, "b.nii.gz")
    assert evaluate(a, b, output=tmp_path / "m.tsv", label=3) == 0
    both = mask(1).data & ~mask(2).data
    shared = 2 * both.sum() / (mask(1).data.sum() + both.sum())
    assert float(read_table(tmp_path / "m.tsv")[0]["dice"] or "nan") == pytest.approx(shared, rel=1e-5)
    assert "1 case" in capsys.readouterr().out


def test_a_label_that_one_image_lacks_is_told(tmp_path: Path, capsys) -> None:
    """A mask of 0 and 1 beside a label map, and --label 2: the prediction would be empty without a word."""
    ones = write(mask(1), tmp_path, "ones.nii.gz")
    twos = write(mask(1).with_data(mask(1).data * 2), tmp_path, "twos.nii.gz")
    nothing = write(mask(1, density=0), tmp_path, "nothing.nii.gz")
    assert evaluate(ones, twos, output=tmp_path / "m.tsv", label=2) == 0
    assert "ones.nii.gz has labels, but not 2: it was taken as empty." in capsys.readouterr().err
    assert "ones.nii.gz has labels, but not 2" in (read_table(tmp_path / "m.tsv")[0]["notes"] or "")
    assert evaluate(nothing, twos, output=tmp_path / "n.tsv", label=2) == 0
    assert read_table(tmp_path / "n.tsv")[0]["notes"] is None


def test_when_no_case_can_be_evaluated_nothing_is_written(cohort, tmp_path: Path) -> None:
    a = write(mask(1).with_data(mask(1).data * 2), tmp_path, "a.nii.gz")
    with pytest.raises(BadInputError, match=r"no case could be evaluated: a: a\.nii\.gz: not a binary mask"):
        evaluate(a, a, output=tmp_path / "m.tsv")
    assert not (tmp_path / "m.tsv").exists()


def test_a_damaged_file_is_named_once(cohort, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    p, r = cohort
    path = p / "sub-01_space-flair_label-wmh_mask.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    assert evaluate(p, r, output=tmp_path / "m.tsv") == 3
    assert capsys.readouterr().err.count(path.name) == 1


def test_an_output_is_not_replaced_unasked(cohort, tmp_path: Path) -> None:
    output = tmp_path / "m.tsv"
    evaluate(*cohort, output=output)
    with pytest.raises(BadInputError, match="--overwrite"):
        evaluate(*cohort, output=output)
    assert evaluate(*cohort, output=output, overwrite=True) == 0
    with pytest.raises(BadInputError, match=r"written as \.tsv"):
        evaluate(*cohort, output=tmp_path / "m.csv")


@pytest.mark.real
@pytest.mark.parametrize(("patient", "ml"), [("patient07", "1.3"), ("patient19", "49.769")])
def test_a_real_reference_against_itself_says_so(real_data: Path, tmp_path: Path, patient: str, ml: str) -> None:
    reference = real_data / "wmh_openms" / patient / "lesion_mask.nii.gz"
    assert evaluate(reference, reference, output=tmp_path / "m.tsv") == 0
    (row,) = read_table(tmp_path / "m.tsv")
    assert (row["reference_ml"], row["panoptic_quality"]) == (ml, "1")
    assert row["notes"] == "Prediction and reference are one file."


def test_a_folder_is_no_reference_of_itself(cohort, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is a prediction and its own reference"):
        evaluate(cohort[0], cohort[0], output=tmp_path / "m.tsv")


def grouped(folder: Path, *rows: str) -> Path:
    path = folder / "participants.tsv"
    path.write_text("\n".join(["participant_id\tgroup", *rows]) + "\n")
    return path


def test_measures_by_group_and_what_the_table_leaves_open(cohort, tmp_path: Path, capsys) -> None:
    p, r = cohort
    write(mask(3, 0), r, "sub-03_label-wmh_dseg.nii.gz")
    write(mask(3), p, "sub-03_space-flair_label-wmh_mask.nii.gz")
    table = grouped(tmp_path, "sub-00\tLVO", "sub-01\tLVO", "sub-03\twithout stroke", "sub-08\tnon-LVO")
    assert evaluate(p, r, output=tmp_path / "m.tsv", groups=table) == 0
    assert [row["group"] for row in read_table(tmp_path / "m.tsv")] == ["LVO", "LVO", None, "without stroke"]
    rows = {str(row["group"]): row for row in read_table(tmp_path / "m-groups.tsv")}
    assert list(rows) == ["LVO", "without stroke", "all"]
    assert [rows[name]["cases"] for name in rows] == ["2", "1", "4"]
    dices = [evaluate_case(mask(n), mask(n, 0.2))["dice"] for n in range(3)]
    assert float(rows["LVO"]["dice_cases"] or "nan") == pytest.approx(np.mean(dices[:2]), rel=1e-5)
    assert float(rows["all"]["dice_cases"] or "nan") == pytest.approx(np.mean(dices), rel=1e-5)
    none = rows["without stroke"]
    assert (none["dice_cases"], none["false_cases"]) == (None, "1")
    assert float(none["largest_false_ml"] or "nan") == pytest.approx(mask(3).data.sum() * GRID.voxel_ml, rel=1e-5)
    slices = read_table(tmp_path / "m-slices.tsv")
    assert len(slices) == 4 * GRID.shape[2] and slices[0]["group"] == "LVO"
    summary = json.loads((tmp_path / "m.json").read_text())
    assert summary["groups"]["LVO"]["metrics"]["dice"]["mean"] == pytest.approx(np.mean(dices[:2]))
    assert (summary["without_group"], summary["groups_without_case"]) == (["sub-02"], ["non-LVO"])
    shown = capsys.readouterr()
    assert "so only under 'all': sub-02." in shown.err and "without a case here: non-LVO." in shown.err
    assert "without stroke" in shown.out and "By group" in shown.out


def test_a_case_of_a_group_that_failed_is_counted_there(cohort, tmp_path: Path) -> None:
    p, r = cohort
    (p / "sub-02_space-flair_label-wmh_mask.nii.gz").unlink()
    table = grouped(tmp_path, "sub-00\ta", "sub-01\ta", "sub-02\tb")
    assert evaluate(p, r, output=tmp_path / "m.tsv", groups=table) == 3
    rows = {row["group"]: row for row in read_table(tmp_path / "m-groups.tsv")}
    assert (rows["b"]["cases"], rows["b"]["failed"], rows["b"]["dice_cases"]) == ("0", "1", None)
    assert (rows["all"]["cases"], rows["all"]["failed"]) == ("2", "1")


def test_a_miss_never_betters_a_group(cohort, tmp_path: Path) -> None:
    p, r = cohort
    table = grouped(tmp_path, "sub-00\ta", "sub-01\ta", "sub-02\tb")
    (p / "sub-01_space-flair_label-wmh_mask.nii.gz").unlink()
    evaluate(p, r, output=tmp_path / "without.tsv", groups=table)
    evaluate(p, r, output=tmp_path / "missed.tsv", groups=table, missing_as_empty=True)
    found, missed = (read_table(tmp_path / f"{name}-groups.tsv")[0] for name in ("without", "missed"))
    for name in ("dice_cases", "dice_slices", "dice_voxels", "sensitivity_voxels"):
        assert float(missed[name] or "nan") < float(found[name] or "nan")


def test_groups_are_asked_for_wholly_and_no_table_is_overwritten(cohort, tmp_path: Path) -> None:
    table = grouped(tmp_path, "sub-00\ta")
    with pytest.raises(BadInputError, match="--group-column is of the table"):
        evaluate(*cohort, output=tmp_path / "m.tsv", group_column="group")
    with pytest.raises(BadInputError, match="no column site"):
        evaluate(*cohort, output=tmp_path / "m.tsv", groups=table, group_column="site")
    (tmp_path / "m-groups.tsv").write_text("mine")
    with pytest.raises(BadInputError, match=r"m-groups\.tsv is there already"):
        evaluate(*cohort, output=tmp_path / "m.tsv", groups=table)
    assert not (tmp_path / "m.tsv").exists()


SHEAR = np.array([[1, 0, 0.4, 0], [0, 1, 0.3, 0], [0, 0, 5, 0], [0, 0, 0, 1.0]])


def test_sheared_masks_on_one_grid_are_compared_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    grid = Grid((20, 18, 9), SHEAR)
    ours, theirs = (Volume((rng.random(grid.shape) < part).astype(np.uint8), grid) for part in (0.2, 0.3))
    p, r = write(ours, tmp_path, "p.nii.gz"), write(theirs, tmp_path, "r.nii.gz")
    assert evaluate(p, r, output=tmp_path / "m.tsv") == 0
    (row,) = read_table(tmp_path / "m.tsv")
    both = np.count_nonzero(ours.data & theirs.data)
    assert float(row["dice"] or 0) == pytest.approx(2 * both / (ours.data.sum() + theirs.data.sum()), rel=1e-5)
    assert float(row["reference_ml"] or 0) == pytest.approx(int(theirs.data.sum()) * 5e-3, rel=1e-5)
    assert row["notes"] is None


def test_a_reference_on_a_sheared_scan_meets_what_was_found_at_right_angles(tmp_path: Path) -> None:
    drawn = np.zeros((40, 40, 9), np.uint8)
    drawn[12:30, 10:28, 2:7] = 1
    r = write(Volume(drawn, Grid(drawn.shape, SHEAR)), tmp_path, "r.nii.gz")
    p = write(read_nifti(r, allow_empty=True), tmp_path, "p.nii.gz")
    assert evaluate(p, r, output=tmp_path / "m.tsv") == 0
    (row,) = read_table(tmp_path / "m.tsv")
    assert float(row["dice"] or 0) == 1
    assert "resampled (nearest)" in (row["notes"] or "")


@pytest.mark.parametrize("name", ["m.tsv", "m-groups.tsv", "m-slices.tsv"])
def test_the_table_of_groups_is_never_written_over(cohort, tmp_path: Path, name: str) -> None:
    table = grouped(tmp_path, "sub-00\ta").rename(tmp_path / name)
    before = table.read_bytes()
    with pytest.raises(BadInputError, match="is the table of groups and would be written over"):
        evaluate(*cohort, output=tmp_path / "m.tsv", groups=table, overwrite=True)
    assert table.read_bytes() == before


def test_what_is_outside_all_labels_is_no_label(cohort, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="--label is 0; a label is a whole number from 1"):
        evaluate(*cohort, output=tmp_path / "m.tsv", label=0)


def test_sessions_of_one_patient_are_one_patient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four sessions of each of three patients: the interval was that of twelve patients."""
    p, r = tmp_path / "p", tmp_path / "r"
    for s in range(3):
        for n in range(4):
            name = f"sub-{s}_ses-{n}_label-wmh_mask.nii.gz"
            truth = mask(10 * s + n, 0.3)
            write(truth, r, name)
            write(truth.with_data(truth.data * (np.random.default_rng(n).random(GRID.shape) < 0.2 + 0.3 * s)), p, name)
    assert evaluate(p, r, output=tmp_path / "m.tsv") == 0
    summary = json.loads((tmp_path / "m.json").read_text())
    dices = [float(row["dice"] or 0) for row in read_table(tmp_path / "m.tsv")]
    of_patients = [np.mean(dices[n : n + 4]) for n in (0, 4, 8)]
    low, high = summary["metrics"]["dice"]["interval"]
    expected = bootstrap_interval(of_patients, np.random.default_rng(0))
    assert (low, high) == pytest.approx(expected, rel=1e-4)
    assert high - low > 1.5 * np.diff(bootstrap_interval(dices, np.random.default_rng(0)))[0]
    assert (summary["cases"]["evaluated"], summary["cases"]["patients"]) == (12, 3)
    assert "12 cases are of 3 patients" in capsys.readouterr().err
