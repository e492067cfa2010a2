"""The default bundles on real scans; figures for the cards come from benchmarks/real_scans.py."""

import os
from pathlib import Path

import numpy as np
import pytest

import willis
from willis.io.nifti import read_nifti, write_nifti
from willis.measure.overlap import dice
from willis.tasks.brain.find import find_brain
from willis.volume.orient import reorient
from willis.volume.resample import resample_to

pytestmark = pytest.mark.real

GOLDEN = Path(__file__).parents[1] / "golden/brain/deepbet.npz"


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    before = os.environ.get("WILLIS_CACHE")
    os.environ["WILLIS_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("WILLIS_CACHE") if before is None else os.environ.update(WILLIS_CACHE=before)


def found_wmh(t1: Path, flair: Path):
    findings = willis.run("wmh", willis.read_study(t1=t1, flair=flair))
    return findings, next(m.volume for m in findings.masks if (m.label, m.space) == ("wmh", "flair"))


@pytest.fixture(scope="module")
def patient19(real_data):
    folder = real_data / "wmh_openms/patient19"
    return folder, *found_wmh(folder / "t1.nii.gz", folder / "flair.nii.gz")


@pytest.mark.slow
def test_many_lesions_are_found_where_the_raters_saw_them(patient19):
    folder, _, found = patient19
    truth = read_nifti(folder / "lesion_mask.nii.gz", allow_empty=True)
    assert found.grid.same_as(truth.grid)
    assert dice(found.data, truth.data) >= 0.70


@pytest.mark.slow
def test_few_lesions_are_found_where_the_raters_saw_them(real_data):
    folder = real_data / "wmh_openms/patient07"
    _, found = found_wmh(folder / "t1.nii.gz", folder / "flair.nii.gz")
    truth = read_nifti(folder / "lesion_mask.nii.gz", allow_empty=True)
    assert dice(found.data, truth.data) >= 0.35


@pytest.mark.slow
def test_an_input_in_another_orientation_gives_the_same_lesions(patient19, tmp_path):
    folder, findings, found = patient19
    for name in ("t1", "flair"):
        write_nifti(reorient(read_nifti(folder / f"{name}.nii.gz"), "PSR"), tmp_path / f"{name}.nii.gz")
    turned_findings, turned = found_wmh(tmp_path / "t1.nii.gz", tmp_path / "flair.nii.gz")
    volume, turned_volume = (f.measurements["wmh_volume"].value for f in (findings, turned_findings))
    assert turned_volume == pytest.approx(volume, rel=0.005)
    assert dice(reorient(turned, found.grid.orientation).data, found.data) >= 0.99


JUDGED = [
    "t1 patient07",
    "t1 patient19",
    "t1 whole head",
    "t1 chronic",
    "t1 ch2",
    "flair patient07",
    "flair patient19",
    "flair whole head",
    "flair chronic",
    "flair acute",
    "t2 chronic",
    "t2 whole head",
]
LESIONS = [
    ("wmh_openms/patient07/t1.nii.gz", "wmh_openms/patient07/lesion_mask.nii.gz"),
    ("wmh_openms/patient19/flair.nii.gz", "wmh_openms/patient19/lesion_mask.nii.gz"),
    ("acute_isles22/sub-strokecase0009_ses-0001_dwi.nii.gz", "acute_isles22/sub-strokecase0009_ses-0001_msk.nii.gz"),
    ("chronic_t2/t2.nii.gz", "chronic_t2/lesion_mask.nii.gz"),
]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*JUDGED, "dwi acute"])
def test_brain_mask_is_deepbet_s(real_data, name):
    least = 0.93 if name.startswith("dwi") else 0.95
    golden = np.load(GOLDEN)
    image = read_nifti(real_data / str(golden[f"{name}|file"]), "image")
    shape = tuple(golden[f"{name}|shape"])
    judged = np.unpackbits(golden[f"{name}|bits"], count=int(np.prod(shape))).reshape(shape)
    assert dice(find_brain(image).mask_on(image.grid).data, judged) >= least


@pytest.mark.slow
@pytest.mark.parametrize(("scan", "lesion"), LESIONS)
def test_real_lesions_lie_in_the_brain_mask(real_data, scan, lesion):
    image, truth = read_nifti(real_data / scan, "image"), read_nifti(real_data / lesion, "lesion", allow_empty=True)
    moved = resample_to(truth.with_data((truth.data > 0).astype(np.float32)), image.grid).data >= 0.5
    assert find_brain(image).mask_on(image.grid).data[moved].mean() >= 0.99
