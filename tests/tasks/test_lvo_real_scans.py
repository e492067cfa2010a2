"""On real CTs the brain lies right and the difference of the halves lights up at the infarct that can be seen."""

import numpy as np
import pytest

from willis.io.study import read_study
from willis.tasks.lvo import interpret
from willis.tasks.lvo.prepare import prepare
from willis.tasks.lvo.spec import SPEC

pytestmark = [pytest.mark.real, pytest.mark.slow]


def test_a_tilted_ct_with_a_left_temporo_occipital_infarct(real_data):
    study = read_study(ncct=real_data / "ct_dicom_ge")
    prepared = prepare(study, SPEC.resolve_options({}))
    assert prepared.head.fit.correlation > 0.75
    assert 1250 < prepared.head.brain.volume_ml < 1550
    darker = interpret.darker_mask(prepared, 4.0)
    found = {(t.name, t.side): t.darker_ml for t in interpret.describe_territories(prepared, darker)}
    left = sum(ml for (_, side), ml in found.items() if side == "left")
    right = sum(ml for (_, side), ml in found.items() if side == "right")
    assert left > 5 * right
    assert found["pca", "left"] == max(found.values())
    middle = prepared.head.grid.to_mm(np.argwhere(darker).mean(axis=0))
    assert middle[0] < prepared.head.grid.centre_mm[0] - 15
    assert middle[1] < prepared.head.grid.centre_mm[1] - 15


def test_a_head_that_its_file_calls_backwards_is_named(real_data):
    study = read_study(ncct=real_data / "ct_cranium" / "cranium_ct.nii.gz")
    prepared = prepare(study, SPEC.resolve_options({}))
    assert any("faces backwards" in note for note in prepared.notes)
    assert 1250 < prepared.head.brain.volume_ml < 1550
