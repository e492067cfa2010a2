"""Which images of a folder belong to a patient, and what is said of one who lacks some."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis.errors import BadInputError
from willis.tasks.fvv.folder import find_patients


def put(folder: Path, *names: str, volumes: int = 1, bval: str = "") -> None:
    """Small images under these names, without values that anybody would read."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shape = (3, 3, 3, volumes) if volumes > 1 else (3, 3, 3)
        nib.save(nib.Nifti1Image(np.zeros(shape, np.uint8), np.eye(4)), folder / f"{name}.nii.gz")
        if bval:
            (folder / f"{name}.bval").write_text(bval)


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (("b0", "b1000"), {"b0", "b1000"}),
        (("x_B0", "x_DWI", "x_adc"), {"b0", "b1000"}),
        (("adc", "b1000", "flair"), {"adc", "b1000", "flair"}),
        (("sub-01_acq-b0_dwi", "sub-01_acq-b1000_dwi"), {"b0", "b1000"}),
        (("sub-01_dwi", "sub-01_adc"), {"b1000", "adc"}),
        (("dwi", "adc"), {"b1000", "adc"}),
    ],
)
def test_a_pair_is_known_by_its_names(tmp_path: Path, names: tuple[str, ...], roles: set[str]) -> None:
    put(tmp_path / "p", *names)
    patient = find_patients(tmp_path)["p"]
    assert set(patient.images) == roles and not patient.problem


def test_a_series_is_known_by_its_volumes(tmp_path: Path) -> None:
    put(tmp_path / "sub-01" / "dwi", "sub-01_dwi", volumes=2, bval="0 1000")
    put(tmp_path / "sub-02", "x_DWI", volumes=2, bval="0 1000")
    assert [set(patient.images) for patient in find_patients(tmp_path).values()] == [{"dwi"}, {"dwi"}]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("b1000",), "b1000.nii.gz has neither a b0 nor an ADC map beside it"),
        (("sub-01_dwi",), "sub-01_dwi.nii.gz has neither a b0 nor an ADC map"),
        (("b0", "flair"), "b0.nii.gz has no b1000 beside it"),
        (("x_adc",), "x_adc.nii.gz has no b1000 beside it"),
        (("run-1_b1000", "run-2_b1000", "b0"), "2 b1000 images, run-1_b1000.nii.gz and run-2_b1000.nii.gz"),
        (("run-1_adc", "run-2_adc", "b1000"), "2 adc images"),
    ],
)
def test_one_who_lacks_an_image_is_found_with_the_problem(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    put(tmp_path / "p", *names)
    put(tmp_path / "whole", "b0", "b1000")
    found = find_patients(tmp_path)
    assert set(found) == {"p", "whole"}
    assert said in found["p"].problem and not found["p"].images


def test_two_series_are_a_problem(tmp_path: Path) -> None:
    put(tmp_path / "sub-C" / "dwi", "sub-C_run-1_dwi", "sub-C_run-2_dwi", volumes=2, bval="0 1000")
    assert "2 diffusion series" in find_patients(tmp_path)["sub-C"].problem


def test_a_damaged_image_is_a_problem_of_its_patient_alone(tmp_path: Path) -> None:
    put(tmp_path / "p", "b0")
    (tmp_path / "p" / "b1000.nii.gz").write_bytes(b"no image")
    put(tmp_path / "whole", "b0", "b1000")
    found = find_patients(tmp_path)
    assert "b1000.nii.gz is not a NIfTI file" in found["p"].problem and not found["whole"].problem


def test_folders_without_diffusion_are_no_patients(tmp_path: Path) -> None:
    put(tmp_path / "sub-01" / "anat", "sub-01_FLAIR", "sub-01_T1w")
    put(tmp_path / "sub-01" / "dwi", "sub-01_dwi", volumes=2, bval="0 1000")
    assert set(find_patients(tmp_path)) == {"sub-01"}


def test_of_two_places_of_one_name_none_is_lost(tmp_path: Path) -> None:
    put(tmp_path / "sub-01", "b1000")
    put(tmp_path / "sub-01" / "dwi", "b0", "b1000")
    assert len(find_patients(tmp_path)) == 2


def test_one_patient_alone_who_lacks_an_image_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "b1000")
    with pytest.raises(BadInputError, match="neither a b0 nor an ADC map"):
        find_patients(tmp_path)


@pytest.mark.parametrize("ending", [".nii", ".NII", ".NII.GZ", ".Nii.gz"])
def test_images_are_found_whatever_the_case_of_their_ending(tmp_path: Path, ending: str) -> None:
    put(tmp_path / "p", "b0", "b1000")
    for path in (tmp_path / "p").iterdir():
        path.rename(path.with_name(path.name.replace(".nii.gz", ending)))
    patient = find_patients(tmp_path)["p"]
    assert set(patient.images) == {"b0", "b1000"} and not patient.problem


def test_two_files_of_one_name_are_a_problem_of_their_patient(tmp_path: Path) -> None:
    put(tmp_path / "p", "b0", "b1000", "flair", "other")
    put(tmp_path / "whole", "b0", "b1000", "other")
    for name in ("p/flair", "whole/other"):
        (tmp_path / f"{name}.nii").write_bytes((tmp_path / f"{name}.nii.gz").read_bytes())
    found = find_patients(tmp_path)
    assert found["p"].problem == "flair.nii and flair.nii.gz differ by their ending alone; keep the one that is meant."
    assert not found["p"].images and not found["whole"].problem
