from pathlib import Path

import pytest

from willis.errors import BadInputError
from willis.io.bids import find_labelled


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


def test_a_folder_without_patients_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="a BIDS folder is expected"):
        find(tmp_path)
    with pytest.raises(BadInputError, match="is not a folder"):
        find(tmp_path / "absent")
