"""The default FVV bundle on a real DWI, whose figures come from benchmarks/real_fvv.py, and the published preparing."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import willis
from willis.errors import BadInputError
from willis.findings import Findings
from willis.image.components import component_sizes, label_components
from willis.io.nifti import read_nifti
from willis.measure.overlap import dice
from willis.study import Study
from willis.tasks.fvv.dataset import FvvData
from willis.tasks.fvv.prepare import pair_of, prepare
from willis.tasks.fvv.spec import SPEC
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

pytestmark = [pytest.mark.real, pytest.mark.slow]

CASE = "acute_isles22/sub-strokecase0009_ses-0001"


@pytest.fixture(scope="module")
def found(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Findings:
    start = real_data / CASE
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WILLIS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return willis.run("fvv", willis.read_study(b1000=f"{start}_dwi.nii.gz", adc=f"{start}_adc.nii.gz"))


def test_the_infarct_is_found_where_the_rater_saw_it(found: Findings, real_data: Path) -> None:
    truth = read_nifti(real_data / f"{CASE}_msk.nii.gz", allow_empty=True)
    lesion = next(mask.volume for mask in found.masks if mask.label == "lesion")
    assert lesion.grid.same_as(truth.grid)
    assert dice(lesion.data, truth.data) >= 0.55
    labels, count = label_components(truth.data > 0)
    large = np.flatnonzero(component_sizes(labels, count) * truth.grid.voxel_ml > 0.2) + 1
    assert len(large) == 3
    assert all((lesion.data[labels == index] > 0).any() for index in large)


def test_the_published_preparing_is_that_of_dipy_and_scikit_image(real_data: Path) -> None:
    golden = json.loads((Path(__file__).parents[1] / "golden/fvv/real_preparing.json").read_text(encoding="utf-8"))
    start = real_data / CASE
    b1000 = read_nifti(Path(f"{start}_dwi.nii.gz"), role="b1000")
    adc = read_nifti(Path(f"{start}_adc.nii.gz"))
    b0 = b1000.with_data(b1000.data * np.exp(adc.data.astype(np.float64)), role="b0")
    study = Study({"b0": b0, "b1000": b1000})
    manifest = FvvData.model_validate({"preparation": "slices"}).manifest
    prepared = prepare(pair_of(study, SPEC.resolve_options({})), manifest)
    mask = prepared.mask
    assert [int(mask[..., k].sum()) for k in range(mask.shape[2])] == golden["mask_voxels"]
    assert hashlib.sha256(np.packbits(mask).tobytes()).hexdigest() == golden["mask_sha256"]
    slices = [k for k in range(mask.shape[2]) if mask[..., k].any()]
    for image, mean, std in zip(prepared.image, golden["mean"], golden["std"], strict=True):
        inside = [image[..., k][mask[..., k]] for k in slices]
        np.testing.assert_allclose([v.mean() for v in inside], mean, atol=2e-4)
        np.testing.assert_allclose([v.std() for v in inside], std, atol=2e-4)


def test_a_flair_beside_the_adc_is_refused(real_data: Path) -> None:
    start = real_data / CASE
    b1000, flair = (read_nifti(Path(f"{start}_{name}.nii.gz")) for name in ("dwi", "flair"))
    moved = resample_to(flair.with_data(flair.data.astype(np.float32)), b1000.grid)
    study = Study(
        {"b1000": Volume(moved.data, b1000.grid, role="b1000"), "adc": read_nifti(Path(f"{start}_adc.nii.gz"))}
    )
    manifest = FvvData.model_validate({"preparation": "lattice"}).manifest
    with pytest.raises(BadInputError, match="share no noise"):
        prepare(pair_of(study, SPEC.resolve_options({})), manifest)
