"""The default bundle for chronic stroke on real T1s: a patient with a stroke on the left, and a healthy template."""

from pathlib import Path

import numpy as np
import pytest

import willis
from willis.findings import Findings

pytestmark = [pytest.mark.real, pytest.mark.slow]


def found_in(t1: Path, cache: Path) -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WILLIS_CACHE", str(cache))
        return willis.run("chronic", willis.read_study(t1=t1))


def test_a_stroke_on_the_left_is_found_in_all_three_planes(real_data: Path, tmp_path: Path) -> None:
    found = found_in(real_data / "chronic_cstar/T1.nii.gz", tmp_path)
    masks = {mask.label: mask.volume for mask in found.masks}
    assert masks["lesion"].volume_ml > 1
    middle = masks["brain"].grid.to_mm(np.argwhere(masks["brain"].data > 0))[:, 0].mean()
    for label in ("lesion", "lesionaxial", "lesionsagittal", "lesioncoronal"):
        x = masks[label].grid.to_mm(np.argwhere(masks[label].data > 0))[:, 0]
        assert (x < middle).mean() > 0.8, label


def test_next_to_nothing_is_found_in_a_healthy_brain(real_data: Path, tmp_path: Path) -> None:
    found = found_in(real_data / "chronic_lesions_ch2/ch2.nii.gz", tmp_path)
    assert found.measurements["lesion_volume"].value < 1
