"""Masks that belong together by their names."""

from pathlib import Path

import pytest

from willis.errors import BadInputError
from willis.io.pairs import pair_files


@pytest.fixture
def folders(tmp_path: Path):
    def make(predictions: list[str], references: list[str]) -> tuple[Path, Path]:
        for folder, names in (("p", predictions), ("r", references)):
            for name in names:
                path = tmp_path / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return tmp_path / "p", tmp_path / "r"

    return make


def named(pairs) -> dict[str, tuple[str | None, str | None]]:
    return {p.case: (p.prediction and p.prediction.name, p.reference and p.reference.name) for p in pairs}


@pytest.mark.parametrize(
    ("prediction", "reference", "case"),
    [
        ("sub-01_space-flair_label-wmh_mask.nii.gz", "sub-01_label-lesion_dseg.nii", "sub-01"),
        ("sub-01/sub-01_label-wmh_mask.nii.gz", "sub-01/truth/wmh.nii.gz", "sub-01"),
        ("sub-01_ses-2_mask.nii.gz", "sub-01/ses-2/anat/sub-01_ses-2_dseg.nii.gz", "sub-01_ses-2"),
        ("sub-01_run-2_mask.nii.gz", "sub-01_run-2_mask.nii.gz", "sub-01_run-2"),
        ("case_001.nii.gz", "case_001.nii.gz", "case_001"),
        ("case_001_pred.nii.gz", "case_001_gt.nii", "case_001"),
        ("patient07_wmh_mask.nii.gz", "patient07/lesion_mask.nii.gz", "patient07"),
        ("site2/patient07/out.nii.gz", "site2/patient07/out_seg.nii.gz", "out"),
        ("a/mask.nii.gz", "a/consensus_gt.nii.gz", "a"),
        ("mask.nii.gz", "mask.nii.gz", "mask"),
    ],
)
def test_names_that_belong_together(folders, prediction: str, reference: str, case: str) -> None:
    found = pair_files(*folders([prediction], [reference]))
    assert named(found) == {case: (Path(prediction).name, Path(reference).name)}


def test_what_has_no_partner_is_named(folders) -> None:
    found = pair_files(*folders(["a_mask.nii", "b_mask.nii"], ["b_gt.nii", "c_gt.nii"]))
    assert named(found) == {"a": ("a_mask.nii", None), "b": ("b_mask.nii", "b_gt.nii"), "c": (None, "c_gt.nii")}


def test_one_patients_name_is_not_the_start_of_anothers(folders) -> None:
    found = named(pair_files(*folders(["p1_mask.nii", "p10_mask.nii"], ["p1.nii", "p10.nii", "p11.nii"])))
    assert found == {"p1": ("p1_mask.nii", "p1.nii"), "p10": ("p10_mask.nii", "p10.nii"), "p11": (None, "p11.nii")}


def test_images_beside_the_masks_are_left_alone(folders) -> None:
    predictions = [
        "sub-01/sub-01_space-flair_label-wmh_probseg.nii.gz",
        "sub-01/sub-01_space-flair_label-wmh_mask.nii.gz",
    ]
    references = ["sub-01/anat/sub-01_FLAIR.nii.gz", "sub-01/anat/sub-01_label-wmh_mask.nii.gz", ".x/sub-01_mask.nii"]
    assert named(pair_files(*folders(predictions, references))) == {
        "sub-01": ("sub-01_space-flair_label-wmh_mask.nii.gz", "sub-01_label-wmh_mask.nii.gz")
    }


def test_of_several_masks_label_counts_before_space(folders) -> None:
    predictions = [f"sub-01_space-{s}_label-{label}_mask.nii" for s in ("t1", "flair") for label in ("brain", "wmh")]
    pairs = pair_files(*folders(predictions, ["sub-01_space-flair_label-wmh_dseg.nii"]))
    assert pairs[0].prediction is not None
    assert pairs[0].prediction.name == "sub-01_space-flair_label-wmh_mask.nii"


def test_the_same_label_in_another_space_is_nearer_than_another_label(folders) -> None:
    predictions = ["sub-01_space-t1_label-wmh_mask.nii", "sub-01_space-flair_label-brain_mask.nii"]
    pairs = pair_files(*folders(predictions, ["sub-01_space-flair_label-wmh_dseg.nii"]))
    assert pairs[0].prediction is not None
    assert pairs[0].prediction.name == "sub-01_space-t1_label-wmh_mask.nii"


def test_several_masks_that_could_be_meant_are_a_problem_of_that_case(folders) -> None:
    predictions = ["sub-01_label-brain_mask.nii", "sub-01_label-wmh_mask.nii", "sub-02_mask.nii"]
    first, second = pair_files(*folders(predictions, ["sub-01_dseg.nii", "sub-02_dseg.nii"]))
    assert "sub-01_label-brain_mask.nii, sub-01_label-wmh_mask.nii" in first.problem
    assert (second.problem, second.prediction is None) == ("", False)


def test_a_pattern_chooses(folders) -> None:
    p, r = folders(["a_x.nii", "a_y.nii", "sub/a_y.nii"], ["a_x_gt.nii", "a_y_gt.nii"])
    found = pair_files(p, r, prediction_pattern="*_y.nii", reference_pattern="*_y_gt.nii")
    assert named(found) == {"a_y": ("a_y.nii", "a_y_gt.nii")}


def test_the_same_name_in_many_folders_pairs_by_folder(folders) -> None:
    names = ["p1/flair_wmh.nii.gz", "p2/flair_wmh.nii.gz"]
    assert sorted(named(pair_files(*folders(names, names)))) == ["p1/flair", "p2/flair"]


def test_two_files_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    a, b = tmp_path / "mine.nii.gz", tmp_path / "yours.nii"
    a.touch(), b.touch()
    assert named(pair_files(a, b)) == {"mine": ("mine.nii.gz", "yours.nii")}
    with pytest.raises(BadInputError, match="two folders or two files"):
        pair_files(a, tmp_path)


def test_nothing_to_pair_is_refused(folders, tmp_path: Path) -> None:
    p, r = folders(["a_mask.nii"], ["b_mask.nii"])
    with pytest.raises(BadInputError, match=r"no mask in .* cases a and b"):
        pair_files(p, r)
    with pytest.raises(BadInputError, match="does not exist"):
        pair_files(p, tmp_path / "absent")
    with pytest.raises(BadInputError, match=r"holds no file like \*\.mgz"):
        pair_files(p, r, prediction_pattern="*.mgz")


@pytest.mark.parametrize("ending", [".nii", ".NII.GZ", ".Nii"])
def test_endings_are_known_in_any_case(folders, ending: str) -> None:
    pairs = pair_files(
        *folders([f"case1_pred{ending}", f"sub-02_mask{ending}"], ["case1_gt.nii.gz", "sub-02_mask.nii"])
    )
    assert named(pairs) == {
        "case1": (f"case1_pred{ending}", "case1_gt.nii.gz"), "sub-02": (f"sub-02_mask{ending}", "sub-02_mask.nii")
    }  # fmt: skip


def test_two_files_that_differ_by_their_ending_alone_are_refused(folders) -> None:
    pairs = pair_files(*folders(["a/out.nii", "a/out.nii.gz", "b/out.nii"], ["a/out.nii", "b/out.nii"]))
    told = {pair.case: pair.problem for pair in pairs}
    assert told["a/out"] == "out.nii and out.nii.gz differ by their ending alone; keep the one that is meant."
    assert not told["b/out"]


@pytest.mark.parametrize("inner", ["p", "r"])
def test_what_lies_in_one_sides_folder_is_not_of_the_other(tmp_path: Path, inner: str) -> None:
    """References in the BIDS folder whose derivatives hold the predictions: each prediction was its own reference."""
    whole, part = tmp_path / "bids", tmp_path / "bids" / "derivatives" / "willis"
    for folder, name in ((whole / "sub-01" / "anat", "lesion"), (part / "sub-01", "wmh")):
        folder.mkdir(parents=True)
        (folder / f"sub-01_space-flair_label-{name}_mask.nii.gz").touch()
    (pair,) = pair_files(part, whole) if inner == "p" else pair_files(whole, part)
    found = [path.name for path in (pair.prediction, pair.reference) if path]
    names = ["sub-01_space-flair_label-wmh_mask.nii.gz", "sub-01_space-flair_label-lesion_mask.nii.gz"]
    assert found == (names if inner == "p" else names[::-1])


def test_no_file_of_two_folders_is_compared_with_itself(folders) -> None:
    p, r = folders(["a_x.nii", "a_y.nii"], ["b.nii"])
    (r / "a.nii").symlink_to(p / "a_x.nii")
    for ours, theirs in ((p, p), (p, r)):
        with pytest.raises(BadInputError, match="is a prediction and its own reference"):
            pair_files(ours, theirs)


def test_one_folder_may_hold_both_sides_under_patterns(folders) -> None:
    p, _ = folders(["a_pred.nii", "a_gt.nii"], ["b.nii"])
    found = pair_files(p, p, prediction_pattern="*_pred.nii", reference_pattern="*_gt.nii")
    assert named(found) == {"a": ("a_pred.nii", "a_gt.nii")}


@pytest.mark.parametrize("pattern", ["{}/*.nii", "../*.nii"])
def test_a_pattern_that_leads_out_of_the_folder_is_refused(tmp_path, pattern):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "sub-1_mask.nii").touch()
    (tmp_path / "sub-2_mask.nii").touch()
    with pytest.raises(BadInputError, match=r"leads out of .*; give it as seen from there"):
        pair_files(tmp_path / "in", tmp_path / "in", prediction_pattern=pattern.format(tmp_path / "in"))
