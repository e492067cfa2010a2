"""The default FVV bundle on a real DWI; figures for its card come from benchmarks/real_fvv.py."""

from pathlib import Path

import numpy as np
import pytest

import willis
from willis.findings import Findings
from willis.image.components import component_sizes, label_components
from willis.io.nifti import read_nifti
from willis.measure.overlap import dice

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
