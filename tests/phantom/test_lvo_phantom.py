"""A simulated occlusion shows what its truth says, on the right side and nowhere else."""

import numpy as np
import pytest

from willis.phantom.patient import Patient, make_patient


@pytest.fixture(scope="module")
def occluded() -> Patient:
    return make_patient("lvo", 3, 1, occluded=True, segment="m1", right=True, slice_mm=2.0, side=160)


@pytest.fixture(scope="module")
def middle_mm(occluded: Patient) -> float:
    """World x of the brain's middle."""
    brain = occluded.truth["brain"]
    return float(brain.grid.to_mm(np.argwhere(brain.data > 0))[:, 0].mean())


def test_clot_and_ischaemia_lie_on_the_side_that_is_said(occluded, middle_mm):
    assert (occluded.row["occluded"], occluded.row["segment"], occluded.row["side"]) == (1, "m1", "right")
    for name in ("clot", "ischaemia"):
        mask = occluded.truth[name]
        assert mask.data.any()
        assert mask.grid.to_mm(np.argwhere(mask.data > 0))[:, 0].mean() > middle_mm + 5


def test_the_clot_lies_in_the_segment_that_is_said(occluded):
    clot = occluded.truth["clot"].data > 0
    labels = occluded.truth["vessels"].data[clot]
    assert np.mean(labels == 2) > 0.8


def test_ischaemic_brain_is_darker_than_the_other_side(occluded):
    ct, brain = occluded.study["ncct"], occluded.truth["brain"].data > 0
    fallen = (occluded.truth["ischaemia"].data > 0) & brain
    soft = brain & (ct.data > 15) & (ct.data < 60)
    x = ct.grid.to_mm(np.moveaxis(np.indices(ct.grid.shape), 0, -1))[..., 0]
    middle = float(np.median(x[brain]))
    other = soft & (x < middle) & ~fallen
    difference = ct.data[fallen & soft].mean() - ct.data[other].mean()
    assert difference < -0.25 * occluded.parameters["clot"]["fall_hu"]


def test_the_image_is_a_ct_of_the_slices_asked_for(occluded):
    ct = occluded.study["ncct"]
    assert ct.unit == "HU"
    assert ct.data.dtype == np.int16
    assert ct.data.min() >= -1024
    assert np.linalg.norm(ct.grid.affine[:3, 2]) == pytest.approx(2.0, abs=1e-6)
    assert 25 < np.median(ct.data[occluded.truth["brain"].data > 0]) < 42


@pytest.mark.slow
def test_a_negative_has_vessels_but_neither_clot_nor_ischaemia():
    patient = make_patient("lvo", 3, 2, occluded=False, slice_mm=5.0, side=160)
    assert patient.row["occluded"] == 0
    assert not patient.truth["clot"].data.any()
    assert not patient.truth["ischaemia"].data.any()
    assert set(np.unique(patient.truth["vessels"].data)) == {0, 1, 2, 3, 4}
