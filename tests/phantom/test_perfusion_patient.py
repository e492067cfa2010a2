"""Perfusion phantoms: truth and curves belong together, groups differ, one seed gives one patient."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.image.deconvolution import deconvolve
from willis.phantom.anatomy import builtin_anatomy
from willis.phantom.perfusion import perfusion_patient
from willis.phantom.perfusion_curves import Input, arterial_curve
from willis.phantom.perfusion_scene import GROUPS, SITES, draw_occlusion

SIDE = 64


def made(seed, group, site, noise=0.0, **options):
    return perfusion_patient(
        np.random.default_rng(seed), builtin_anatomy(), "01", group=group, site=site, side=SIDE, noise=noise, **options
    )


@pytest.fixture(scope="module")
def occluded():
    return made(1, "lvo", "M2 superior")


@pytest.fixture(scope="module")
def stenosed():
    return made(2, "none", "carotid stenosis")


def curves_of(patient, where):
    data = patient.study.series["ctp"].data[where].astype(float)
    return data - data[:, :3].mean(axis=1, keepdims=True)


def test_truth_lies_on_the_series_and_parts_do_not_overlap(occluded):
    series, truth = occluded.study.series["ctp"], occluded.truth
    assert all(volume.grid == series.grid for volume in truth.values())
    core, penumbra, brain = (truth[name].data > 0 for name in ("core", "penumbra", "brain"))
    assert not (core & penumbra).any() and penumbra.any()
    assert ((core | penumbra) & brain).sum() > 0.9 * (core | penumbra).sum()
    assert occluded.row["penumbra_volume_ml"] == pytest.approx(truth["penumbra"].volume_ml, abs=0.01)


def test_the_series_behaves_as_its_true_maps_say(occluded):
    series, truth = occluded.study.series["ctp"], occluded.truth
    source = Input(**occluded.parameters["input"])
    fine = np.arange(0, series.times_s[-1] + 0.1, 0.1)
    aif = np.interp(series.times_s, fine, arterial_curve(fine, source))
    where = (truth["brain"].data > 0) & (truth["cbf"].data > 25) & (series.data[..., :3].mean(3) < 80)
    where &= series.data.max(axis=3) - series.data[..., 0] < 25
    found = deconvolve(curves_of(occluded, where), aif, series.times_s)
    assert np.median(found.cbf / truth["cbf"].data[where]) == pytest.approx(1.0, abs=0.12)
    assert np.median(np.abs(found.tmax - truth["tmax"].data[where])) < 0.6


def test_core_has_low_flow_and_penumbra_is_late_with_volume_kept(occluded):
    truth = occluded.truth
    penumbra, brain = truth["penumbra"].data > 0, truth["brain"].data > 0
    well = brain & ~penumbra & (truth["core"].data == 0) & (truth["cbf"].data > 15)
    assert np.median(truth["tmax"].data[penumbra]) > 5 > np.percentile(truth["tmax"].data[well], 75)
    assert np.median(truth["cbf"].data[penumbra]) < 0.8 * np.median(truth["cbf"].data[well])
    assert np.median(truth["cbv"].data[penumbra]) > 0.8 * np.median(truth["cbv"].data[well])


def test_a_stenosis_delays_one_side_without_a_stroke(stenosed):
    truth = stenosed.truth
    assert not truth["core"].data.any() and not truth["penumbra"].data.any()
    brain = (truth["brain"].data > 0) & (truth["cbf"].data > 15)
    assert truth["tmax"].data[brain].max() < 8
    x = truth["tmax"].grid.to_mm(np.argwhere(brain))[:, 0]
    late = truth["tmax"].data[brain]
    middle = np.median(x)
    assert abs(np.median(late[x > middle]) - np.median(late[x < middle])) > 0.7
    assert stenosed.row["group"] == "none" and 0 <= stenosed.study.scalars["nihss"] <= 42


def test_one_seed_gives_one_patient(occluded):
    again = made(1, "lvo", "M2 superior")
    assert np.array_equal(again.study.series["ctp"].data, occluded.study.series["ctp"].data)
    assert again.row == occluded.row


def test_another_residue_changes_the_curves_and_nothing_else(occluded):
    assert "residue" not in occluded.parameters
    boxed = made(1, "lvo", "M2 superior", residue="box")
    assert boxed.parameters["residue"]["kind"] == "box"
    assert boxed.row == occluded.row and boxed.study.scalars == occluded.study.scalars
    assert all(np.array_equal(boxed.truth[name].data, occluded.truth[name].data) for name in occluded.truth)
    one, other = (patient.study.series["ctp"] for patient in (occluded, boxed))
    assert np.array_equal(one.times_s, other.times_s) and np.array_equal(one.data[..., 0], other.data[..., 0])
    fed = occluded.truth["cbf"].data > 25
    assert (one.data[fed] != other.data[fed]).mean() > 0.1


def test_residues_are_drawn_by_the_patients_own_seed():
    first, again = (made(4, "none", "nothing", residue="drawn") for _ in range(2))
    assert np.array_equal(first.study.series["ctp"].data, again.study.series["ctp"].data)
    with pytest.raises(BadInputError, match="residue is 'spline'"):
        made(4, "none", "nothing", residue="spline")


@pytest.mark.parametrize("group", GROUPS)
def test_sites_belong_to_their_group(group):
    drawn = {draw_occlusion(np.random.default_rng(seed), group).site for seed in range(60)}
    assert drawn == set(SITES[group])
