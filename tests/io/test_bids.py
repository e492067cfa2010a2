from pathlib import Path

import numpy as np
import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.io.bids import find_images, find_labelled, find_labels, find_patients
from willis.io.nifti import read_nifti, write_nifti
from willis.volume.grid import Grid
from willis.volume.volume import Volume


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def patient(folder: Path, prefix: str, place: str, *suffixes: str) -> None:
    for suffix in suffixes:
        touch(folder / place / "anat" / f"{prefix}_{suffix}.nii.gz")


def mask(folder: Path, prefix: str, pipeline: str = "truth") -> Path:
    path = folder / "derivatives" / pipeline / f"{prefix}_space-flair_label-wmh_mask.nii.gz"
    touch(path)
    return path


def find(folder: Path):
    return find_labelled(folder, ("t1", "flair"), "flair", "wmh", "flair")


def test_sessions_images_and_masks_by_name(tmp_path):
    patient(tmp_path, "sub-02", "sub-02", "FLAIR")
    patient(tmp_path, "sub-01_ses-b", "sub-01/ses-b", "FLAIR", "T1w")
    patient(tmp_path, "sub-03", "sub-03", "T1w")
    second, first = mask(tmp_path, "sub-02"), mask(tmp_path, "sub-01_ses-b", "raters")
    found = find(tmp_path)
    assert [(s.subject, s.session, sorted(s.images), s.mask) for s in found] == [
        ("sub-01", "ses-b", ["flair", "t1"], first),
        ("sub-02", None, ["flair"], second),
    ]


def test_a_patient_without_a_mask_or_with_two_is_named(tmp_path):
    patient(tmp_path, "sub-02", "sub-02", "FLAIR")
    with pytest.raises(BadInputError, match=r"sub-02_space-flair_label-wmh_mask.nii.gz is absent"):
        find(tmp_path)
    mask(tmp_path, "sub-02", "one")
    mask(tmp_path, "sub-02", "two")
    with pytest.raises(BadInputError, match="is there 2 times"):
        find(tmp_path)


@pytest.mark.parametrize("t1", ["acq-mprage_T1w", "run-1_T1w", "T1w"])
def test_a_t1_of_other_entities_is_the_session_s_own(tmp_path, t1):
    patient(tmp_path, "sub-01", "sub-01", "acq-3d_FLAIR", t1)
    mask(tmp_path, "sub-01")
    (study,) = find(tmp_path)
    assert study.images["t1"].name == f"sub-01_{t1}.nii.gz"


def test_of_several_t1s_the_one_with_the_flair_s_entities_is_taken_and_else_none(tmp_path):
    patient(tmp_path, "sub-01", "sub-01", "FLAIR", "T1w", "ce-gadolinium_T1w")
    mask(tmp_path, "sub-01")
    (study,) = find(tmp_path)
    assert study.images["t1"].name == "sub-01_T1w.nii.gz"
    (tmp_path / "sub-01/anat/sub-01_T1w.nii.gz").rename(tmp_path / "sub-01/anat/sub-01_run-1_T1w.nii.gz")
    with pytest.raises(
        BadInputError, match=r"sub-01: 2 images of the kind t1, .*gadolinium_T1w.nii.gz and sub-01_run-1_T1w"
    ):
        find(tmp_path)


def test_one_mask_for_two_flairs_is_refused(tmp_path):
    patient(tmp_path, "sub-01", "sub-01", "run-1_FLAIR", "run-2_FLAIR")
    mask(tmp_path, "sub-01")
    with pytest.raises(BadInputError, match=r"sub-01 has 2 files of the kind FLAIR, sub-01_run-1_FLAIR.nii.gz and"):
        find(tmp_path)


def test_a_folder_without_patients_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="a BIDS folder is expected"):
        find(tmp_path)
    with pytest.raises(BadInputError, match="is not a folder"):
        find(tmp_path / "absent")


def placed(path: Path, shape: tuple[int, int, int], size_mm: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) % 2
    return write_nifti(Volume(values, Grid(shape, np.diag([size_mm, size_mm, size_mm, 1.0]))), path)


@pytest.fixture
def in_two_spaces(tmp_path: Path) -> Path:
    """A patient whose labels lie in two spaces, as those of WMH phantoms do; the T1 lies in neither."""
    placed(tmp_path / "sub-01/anat/sub-01_FLAIR.nii.gz", (4, 5, 3), 2.0)
    placed(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz", (4, 5, 6))
    truth = tmp_path / "derivatives/truth/sub-01/anat"
    placed(truth / "sub-01_space-flair_label-wmh_mask.nii.gz", (4, 5, 3), 2.0)
    placed(truth / "sub-01_space-anatomy_label-wmh_mask.nii.gz", (7, 7, 7))
    return tmp_path


def test_labels_are_those_on_the_grid_of_the_image(in_two_spaces: Path) -> None:
    ((subject, image, labels),) = find_labels(in_two_spaces, "FLAIR", "wmh")
    assert (subject, image.name, labels.name) == (
        "sub-01", "sub-01_FLAIR.nii.gz", "sub-01_space-flair_label-wmh_mask.nii.gz"
    )  # fmt: skip


def test_where_none_lies_on_the_grid_the_image_to_ask_for_is_named(in_two_spaces: Path) -> None:
    with pytest.raises(BadInputError, match=r"none lies on the grid of sub-01_T1w.nii.gz. Give --image FLAIR"):
        find_labels(in_two_spaces, "T1w", "wmh")
    twin = in_two_spaces / "derivatives/truth/sub-01/anat/sub-01_space-other_label-wmh_mask.nii.gz"
    placed(twin, (4, 5, 3), 2.0)
    with pytest.raises(BadInputError, match="2 of them lie on the grid of sub-01_FLAIR"):
        find_labels(in_two_spaces, "FLAIR", "wmh")
    with pytest.raises(BadInputError, match="sub-01 has no file of the label 'lesion'"):
        find_labels(in_two_spaces, "FLAIR", "lesion")


def test_patients_in_two_spaces_are_exported(in_two_spaces: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for path in list(in_two_spaces.rglob("sub-01*.nii.gz")):
        placed_at = Path(str(path).replace("sub-01", "sub-02"))
        placed_at.parent.mkdir(parents=True, exist_ok=True)
        placed_at.write_bytes(path.read_bytes())
    out = tmp_path_factory.mktemp("out") / "Dataset001_WMH"
    asked = ["export", "nnunet-dataset", str(in_two_spaces), "--image", "FLAIR", "--label", "wmh", "--names", "wmh"]
    assert call([*asked, "--folds", "2", "-o", str(out)]) == 0
    assert read_nifti(out / "labelsTr" / "sub-02.nii.gz").grid.shape == (4, 5, 3)


def test_names_in_capital_letters_are_read_and_twins_are_refused(tmp_path):
    for path in ("sub-01/anat/sub-01_FLAIR.NII.GZ", "sub-01/anat/sub-01_T1w.NII", "sub-01/anat/sub-01_FLAIR.nii.bak"):
        touch(tmp_path / path)
    touch(tmp_path / "derivatives/raters/sub-01_space-flair_label-wmh_mask.NII.GZ")
    (found,) = find(tmp_path)
    assert sorted(path.name for path in found.images.values()) == ["sub-01_FLAIR.NII.GZ", "sub-01_T1w.NII"]
    touch(tmp_path / "sub-01/anat/sub-01_T1w.nii.gz")
    with pytest.raises(BadInputError, match="differ by their ending alone"):
        find(tmp_path)


SUFFIXES = {"t1": ("T1w",), "ct": ("ct", "CT")}


def test_sessions_of_a_folder_with_one_image_for_each_role(tmp_path):
    patient(tmp_path, "sub-01_ses-b", "sub-01/ses-b", "T1w", "acq-2_FLAIR")
    patient(tmp_path, "sub-02", "sub-02", "CT", "T1w")
    patient(tmp_path, "sub-02", "derivatives/x/sub-02", "space-mni_T1w")
    patient(tmp_path, "sub-03", "sub-03", "acq-a_T1w", "acq-b_T1w", "acq-b_ct")
    patient(tmp_path, "sub-04", "sub-04", "FLAIR")
    found = find_patients(tmp_path, SUFFIXES)
    assert {name: sorted(path.name for path in one.images.values()) for name, one in found.items()} == {
        "sub-01_ses-b": ["sub-01_ses-b_T1w.nii.gz"],
        "sub-02": ["sub-02_CT.nii.gz", "sub-02_T1w.nii.gz"],
        "sub-03": ["sub-03_acq-b_T1w.nii.gz", "sub-03_acq-b_ct.nii.gz"],
        "sub-04": [],
    }
    assert {name: one.problem for name, one in found.items() if one.problem} == {
        "sub-04": "its folder holds no NIfTI file with one of these at the end: _T1w, _ct, _CT."
    }


def test_sessions_that_folders_alone_tell_are_not_mixed(tmp_path):
    patient(tmp_path, "sub-01", "sub-01/ses-1", "T1w")
    patient(tmp_path, "sub-01", "sub-01/ses-2", "ct")
    patient(tmp_path, "sub-01_ses-2", "sub-01/ses-2", "T1w")
    found = find_patients(tmp_path, SUFFIXES)
    assert {name: (one.subject, one.session, sorted(one.images)) for name, one in found.items()} == {
        "sub-01_ses-1": ("sub-01", "ses-1", ["t1"]),
        "sub-01_ses-2": ("sub-01", "ses-2", ["ct", "t1"]),
    }
    patient(tmp_path, "sub-01_ses-1", "sub-01/ses-2", "ct")
    assert (
        "is of ses-1 by its name and of ses-2 by its folder"
        in find_patients(tmp_path, SUFFIXES)["sub-01_ses-1"].problem
    )


def test_every_image_by_itself(tmp_path):
    patient(tmp_path, "sub-01", "sub-01/ses-1", "T1w", "acq-2_T1w")
    patient(tmp_path, "sub-01_ses-2", "sub-01/ses-2", "T1w", "ct")
    patient(tmp_path, "sub-02", "sub-02", "ct", "FLAIR")
    patient(tmp_path, "sub-02", "sub-02/more", "ct")
    found = find_images(tmp_path, "image", ("T1w", "ct"))
    assert {name: (one.subject, one.session, len(one.images)) for name, one in found.items()} == {
        "sub-01_ses-1_T1w": ("sub-01", "ses-1", 1),
        "sub-01_ses-1_acq-2_T1w": ("sub-01", "ses-1", 1),
        "sub-01_ses-2_T1w": ("sub-01", "ses-2", 1),
        "sub-01_ses-2_ct": ("sub-01", "ses-2", 1),
        "sub-02_ct": ("sub-02", None, 0),
    }
    assert "2 images of the kind image, sub-02_ct.nii.gz and sub-02_ct.nii.gz" in found["sub-02_ct"].problem


def test_links_are_followed_and_what_was_not_fetched_is_an_image_too(tmp_path):
    patient(tmp_path / "store", "sub-01_ses-1", "", "T1w")
    (tmp_path / "in/sub-01/ses-1").mkdir(parents=True)
    (tmp_path / "in/sub-01/ses-1/anat").symlink_to(tmp_path / "store/anat")
    (tmp_path / "in/sub-02/anat").mkdir(parents=True)
    (tmp_path / "in/sub-02/anat/sub-02_ct.nii.gz").symlink_to(tmp_path / "store/annex/none.nii.gz")
    found = find_patients(tmp_path / "in", SUFFIXES)
    assert {name: sorted(one.images) for name, one in found.items()} == {"sub-01_ses-1": ["t1"], "sub-02": ["ct"]}
    with pytest.raises(BadInputError, match="doesn't exist"):
        read_nifti(found["sub-02"].images["ct"])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("run-1_T1w", "run-2_T1w"), "2 images of the kind t1, sub-01_run-1_T1w.nii.gz and sub-01_run-2_T1w.nii.gz"),
        (("run-1_T1w", "run-2_T1w", "run-1_ct", "run-2_ct"), "2 images of the kind"),
        (("ct", "CT"), "2 images of the kind ct"),
    ],
)
def test_what_cannot_be_told_apart_is_a_session_s_problem(tmp_path, names, said):
    patient(tmp_path, "sub-01", "sub-01", *names)
    patient(tmp_path, "sub-02", "sub-02", "T1w")
    found = find_patients(tmp_path, SUFFIXES)
    assert said in found["sub-01"].problem and not found["sub-01"].images
    assert not found["sub-02"].problem


def test_a_file_in_another_patient_s_folder_and_one_with_two_endings_are_told(tmp_path):
    patient(tmp_path, "sub-01", "sub-02", "T1w")
    patient(tmp_path, "sub-03", "sub-03", "T1w")
    touch(tmp_path / "sub-03" / "anat" / "sub-03_T1w.nii")
    found = find_patients(tmp_path, SUFFIXES)
    assert "is of sub-01 by its name and of sub-02 by its folder" in found["sub-01"].problem
    assert "differ by their ending alone" in found["sub-03"].problem


def test_a_folder_without_such_images_is_refused(tmp_path):
    patient(tmp_path, "sub-01", "sub-01", "FLAIR")
    with pytest.raises(BadInputError, match=r"holds no patient; .* at the end: _T1w, _ct, _CT"):
        find_patients(tmp_path, SUFFIXES)
    with pytest.raises(BadInputError, match="is not a folder"):
        find_patients(tmp_path / "none", SUFFIXES)
