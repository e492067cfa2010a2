"""The perfusion task on a made-up head: an ellipse of brain in a ring of bone, one artery, one vein, a sick side."""

from dataclasses import dataclass, replace

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

import willis
from willis.app.cli.main import call
from willis.errors import BadInputError, GeometryError
from willis.findings import Measurement
from willis.io.colormap import paint
from willis.io.colour_bar import find_bar
from willis.io.colour_tables import jet
from willis.io.derivatives import read_derivatives
from willis.io.nifti import write_nifti
from willis.io.nifti_series import write_series
from willis.io.pictures import read_pictures
from willis.measure.overlap import dice
from willis.phantom.deform import rotation
from willis.phantom.perfusion_curves import Input, arterial_curve, dispersed, tissue_curves
from willis.study import Study
from willis.tasks.perfusion import figures
from willis.tasks.perfusion import run as task
from willis.tasks.perfusion.beside import told_of_network
from willis.tasks.perfusion.from_series import maps_from_series
from willis.tasks.perfusion.interpret import Thresholds, summarise, without_small
from willis.tasks.perfusion.prepare import prepare
from willis.tasks.perfusion.spec import MAPS, SPEC
from willis.tasks.perfusion.trials import BOUNDS, criteria
from willis.tasks.registry import run_task
from willis.volume.grid import Grid
from willis.volume.orient import reorient
from willis.volume.series import Series
from willis.volume.volume import Volume

DRAW = figures.make
SHAPE, SPACING = (56, 56, 6), (4.0, 4.0, 8.0)
RANGES = {"cbf": (0, 80), "cbv": (0, 8), "mtt": (0, 24), "ttp": (0, 40), "tmax": (0, 16)}


@dataclass
class Head:
    series: Series
    core: np.ndarray
    penumbra: np.ndarray


def made_up(*, noise=1.0, sick=True, step_s=1.5, frames=42, arrival_s=8.0, seed=0):
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    grid = Grid(SHAPE, affine)
    x, y, _ = np.moveaxis(grid.to_mm(np.stack(np.indices(SHAPE), -1)), -1, 0)
    r = np.hypot(x / 78, y / 92)
    still = np.where(r < 1.12, 1000.0, -1000.0)
    brain = r < 1.0
    still[brain] = 33.0
    still[(np.abs(x) < 10) & (np.abs(y) < 26)] = 5.0
    cbf, mtt, delay = np.full(SHAPE, 45.0), np.full(SHAPE, 4.5), np.full(SHAPE, 0.8)
    left = (x < -20) & brain & (np.abs(y) < 55)
    core = left & (x < -48) & (np.abs(y) < 35) if sick else np.zeros(SHAPE, bool)
    penumbra = left & ~core if sick else core
    cbf[penumbra], mtt[penumbra], delay[penumbra] = 24.0, 10.0, 8.5
    cbf[core], mtt[core], delay[core] = 6.0, 12.0, 11.5
    times = np.arange(frames) * step_s
    source = Input(arrival_s=arrival_s, peak_hu=330.0)
    fine = np.arange(0, times[-1] + 0.1, 0.1)
    aif = arterial_curve(fine, source)
    vof = np.interp(fine - 4.0, fine, dispersed(aif, fine, 2.0), left=0.0)
    data = np.repeat(still[..., None], frames, axis=3)
    fed = brain & (still > 10)
    data[fed] += tissue_curves(times, source, cbf[fed], mtt[fed], delay[fed])
    artery = (np.hypot(x - 14, y - 60) < 6) & brain
    vein = (np.hypot(x, y + 84) < 6) & brain
    data[artery] = 40 + np.interp(times, fine, aif)
    data[vein] = 45 + np.interp(times, fine, vof)
    data += noise * np.random.default_rng(seed).standard_normal(data.shape)
    return Head(Series(np.rint(data).astype(np.int16), grid, times, "ctp", "HU"), core, penumbra)


@pytest.fixture(scope="module", autouse=True)
def without_pictures():
    """Drawing takes most of a run's time; the test of what is written draws. The network has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "make", lambda *_: [])
        patch.setattr(task, "SPEC", replace(SPEC, default_bundle=None))
        yield


@pytest.fixture(scope="module")
def head():
    return made_up()


@pytest.fixture(scope="module")
def findings(head):
    study = Study({}, series={"ctp": head.series}, scalars={"nihss": 14.0, "age": 70.0})
    return run_task("perfusion", study)


def mask_of(findings, label):
    return next(m.volume.data > 0 for m in findings.masks if m.label == label)


def maps_of(findings):
    return {m.label: m.volume for m in findings.maps}


def scalar_study(findings, **changes):
    inside = maps_of(findings)["cbf"].data > 0
    volumes = {}
    for name, volume in maps_of(findings).items():
        volumes[name] = Volume(np.where(inside, volume.data, np.nan), volume.grid, name)
    return Study({**volumes, **changes})


def test_core_and_penumbra_of_the_series_are_found(head, findings):
    assert dice(mask_of(findings, "core"), head.core) > 0.85
    assert dice(mask_of(findings, "penumbra"), head.penumbra) > 0.8
    found = findings.measurements
    assert found["core_volume"].value == pytest.approx(head.core.sum() * head.series.grid.voxel_ml, rel=0.15)
    assert found["left_share"].value > 95
    assert found["mismatch_ratio"].value == pytest.approx(
        found["hypoperfused_volume"].value / found["core_volume"].value
    )
    assert "left" in findings.summary and "No network was run" in findings.summary
    assert findings.lesions and findings.lesions[0].region == "core left"


def test_numbers_know_the_trials_cutoffs(findings):
    assert {name: m.bounds for name, m in findings.measurements.items() if m.bounds} == BOUNDS


def test_maps_are_near_the_truth(head, findings):
    maps = maps_of(findings)
    well = ~(head.core | head.penumbra) & (maps["cbf"].data > 0)
    for region, cbf, tmax in ((well, 45.0, 0.8), (head.penumbra, 24.0, 8.5)):
        inside = region & (maps["cbf"].data > 0)
        assert np.median(maps["cbf"].data[inside]) == pytest.approx(cbf, rel=0.2)
        assert np.median(maps["tmax"].data[inside]) == pytest.approx(tmax, abs=0.8)


def test_a_well_head_has_neither_core_nor_penumbra():
    found = run_task("perfusion", Study({}, series={"ctp": made_up(sick=False).series}))
    assert found.measurements["hypoperfused_volume"].value == 0
    assert found.measurements["mismatch_ratio"].value is None
    assert "neither core nor penumbra" in found.summary and not found.lesions


def stored(series, code):
    frames = [reorient(series.frame(t), code) for t in range(series.frames)]
    return replace(series, data=np.stack([f.data for f in frames], -1), grid=frames[0].grid)


@pytest.mark.parametrize("code", ["RAS", "PSR", "SLA"])
def test_the_way_the_file_is_stored_changes_nothing(code, head, findings):
    other = run_task("perfusion", Study({}, series={"ctp": stored(head.series, code)}))
    for name in ("core_volume", "penumbra_volume", "left_share"):
        assert other.measurements[name].value == pytest.approx(findings.measurements[name].value, rel=0.02)
    assert other.provenance["perfusion"]["artery_mm"] == findings.provenance["perfusion"]["artery_mm"]
    assert other.provenance["inputs"]["ctp"]["orientation"] == code
    own = stored(head.series, code).grid
    for mask in (*other.masks, *other.probabilities, *other.maps):
        assert mask.volume.grid.same_as(own), mask.label
    core = next(mask.volume for mask in other.masks if mask.label == "core")
    assert dice(reorient(core, "LPS").data > 0, mask_of(findings, "core") > 0) > 0.98


@pytest.mark.parametrize("code", ["PSR", "SLA"])
def test_maps_that_are_not_stored_in_axial_slices_are_read_alike(code, findings):
    study = scalar_study(findings)
    turned = replace(study, volumes={name: reorient(volume, code) for name, volume in study.volumes.items()})
    plain, found = run_task("perfusion", study), run_task("perfusion", turned)
    assert {n: m.value for n, m in found.measurements.items()} == pytest.approx(
        {n: m.value for n, m in plain.measurements.items()}, nan_ok=True
    )
    assert found.tables["slices"] == plain.tables["slices"]
    for mask, other in zip(plain.masks, found.masks, strict=True):
        assert np.array_equal(reorient(other.volume, "LPS").data, reorient(mask.volume, "LPS").data), mask.label


def test_a_head_that_moves_is_brought_back(head, findings):
    data = head.series.data.copy()
    data[..., 20:] = np.roll(data[..., 20:], 2, axis=1)
    moved = run_task("perfusion", Study({}, series={"ctp": head.series.with_data(data)}))
    assert any("The head moved by up to 8" in note for note in moved.notes)
    assert moved.measurements["core_volume"].value == pytest.approx(
        findings.measurements["core_volume"].value, rel=0.25
    )


def test_scalar_maps_read_as_the_series(findings):
    again = run_task("perfusion", scalar_study(findings))
    for name in ("core_volume", "penumbra_volume"):
        assert again.measurements[name].value == pytest.approx(findings.measurements[name].value, rel=0.02)
    for label in ("core", "penumbra"):
        assert dice(mask_of(again, label), mask_of(findings, label)) > 0.98


@pytest.mark.parametrize(
    ("name", "factor", "note"),
    [("tmax", 1000.0, "read as ms"), ("cbf", 1 / 6000, "read as ml/g/s"), ("cbv", 0.01, "read as ml/g")],
)
def test_other_units_are_seen_in_the_values_and_said(findings, name, factor, note):
    volume = scalar_study(findings)[name]
    study = scalar_study(findings, **{name: volume.with_data(volume.data * factor)})
    again = run_task("perfusion", study)
    assert any(note in n for n in again.notes)
    assert again.measurements["core_volume"].value == pytest.approx(
        findings.measurements["core_volume"].value, rel=0.02
    )


def test_a_unit_that_cannot_be_told_is_refused(findings):
    volume = scalar_study(findings)["cbf"]
    with pytest.raises(BadInputError, match="fits no unit"):
        run_task("perfusion", scalar_study(findings, cbf=volume.with_data(volume.data / 60)))


def test_maps_on_two_grids_are_refused(findings):
    volume = scalar_study(findings)["cbf"]
    moved = Volume(volume.data, volume.grid.shifted((1, 0, 0), volume.grid.shape), "cbf")
    with pytest.raises(GeometryError, match="doesn't lie on the grid of TMAX"):
        run_task("perfusion", scalar_study(findings, cbf=moved))


def write_colours(with_bar, findings, folder, names=MAPS):
    """Each map as RGB NIfTI with a bar, as a vendor exports it."""
    paths = {}
    for name in names:
        volume = reorient(maps_of(findings)[name], "LPS")
        data = np.repeat(np.repeat(volume.data, 3, 0), 3, 1)
        inside = np.repeat(np.repeat(reorient(maps_of(findings)["cbf"], "LPS").data > 0, 3, 0), 3, 1)
        rgb = paint(data.transpose(1, 0, 2), RANGES[name], jet(), inside.transpose(1, 0, 2))
        rgb = with_bar(np.pad(rgb, ((0, 0), (0, 40), (0, 0), (0, 0))), jet(), column=180)
        affine = volume.grid.affine.copy()
        affine[:3, :2] /= 3
        stored = np.ascontiguousarray(rgb.transpose(1, 0, 2, 3)).view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
        paths[name] = folder / f"{name}.nii.gz"
        nib.Nifti1Image(stored, affine).to_filename(paths[name])
    return paths


def test_colour_maps_read_nearly_as_the_series(findings, tmp_path, with_bar):
    paths = write_colours(with_bar, findings, tmp_path)
    ranges = ",".join(f"{name}={low}:{high}" for name, (low, high) in RANGES.items())
    again = willis.run("perfusion", willis.read_study(**paths), range=ranges)
    for name in ("core_volume", "penumbra_volume"):
        assert again.measurements[name].value == pytest.approx(findings.measurements[name].value, rel=0.1)
    for label in ("core", "penumbra"):
        finer = np.repeat(np.repeat(mask_of(findings, label), 3, 0), 3, 1)
        shown = mask_of(again, label)[: finer.shape[0], : finer.shape[1]]
        assert dice(shown, finer) > 0.88 and not mask_of(again, label)[finer.shape[0] :].any()
    assert any("bar found at rows" in note for note in again.notes)


def test_late_tissue_with_more_blood_than_tissue_holds_is_no_penumbra(findings):
    study = scalar_study(findings)
    rim = np.zeros(SHAPE, bool)
    rim[12:20, 24:32, 2:4] = True
    assert not mask_of(findings, "penumbra")[rim].any()
    usual = np.nanmedian(study["cbv"].data)
    tmax = study["tmax"].with_data(np.where(rim, 14.0, study["tmax"].data))
    for factor, counted in ((1.5, True), (3.5, False)):
        cbv = study["cbv"].with_data(np.where(rim, factor * usual, study["cbv"].data))
        found = run_task("perfusion", scalar_study(findings, tmax=tmax, cbv=cbv))
        assert mask_of(found, "penumbra")[rim].any() == counted


def test_a_tmax_that_is_late_nearly_everywhere_is_told(findings):
    study = scalar_study(findings)
    tenths = study["tmax"].with_data(np.minimum(study["tmax"].data, 9.5) * 10)  # later ones are refused
    delayed = study["tmax"].with_data(study["tmax"].data + 6)
    for tmax, told in ((study["tmax"], False), (tenths, True), (delayed, True)):
        notes = run_task("perfusion", scalar_study(findings, tmax=tmax)).notes
        assert any("of the tissue is hypoperfused, more than one side" in note for note in notes) == told


def test_a_missing_map_is_named_and_the_rest_is_done(findings, tmp_path, with_bar):
    paths = write_colours(with_bar, findings, tmp_path, ("mtt",))
    found = willis.run("perfusion", willis.read_study(**paths), range="mtt=0:24")
    assert "CBF and Tmax are missing for a full analysis" in found.summary
    assert found.measurements["long_transit_volume"].value > 50
    assert "core_volume" not in found.measurements
    with pytest.raises(BadInputError, match="--range mtt=LOW:HIGH"):
        willis.run("perfusion", willis.read_study(**paths))


def deepest(study, inside, **values):
    """The study with other values of its maps somewhere."""
    changed = {n: study[n].with_data(np.where(inside, value, study[n].data)) for n, value in values.items()}
    return Study({**study.volumes, **changed})


@pytest.mark.parametrize("empty", [0.0, np.nan])
def test_a_core_without_any_flow_is_core(head, findings, empty):
    study = deepest(scalar_study(findings), mask_of(findings, "core"), cbf=empty)
    found = run_task("perfusion", study)
    assert dice(mask_of(found, "core"), mask_of(findings, "core")) > 0.97
    ml = mask_of(findings, "core").sum() * head.series.grid.voxel_ml
    assert any(f"CBF is 0 or no number in {ml:.1f} ml where Tmax or CBV shows" in note for note in found.notes)
    assert not any("CBF is 0" in note for note in run_task("perfusion", scalar_study(findings)).notes)


def test_what_no_other_map_shows_is_dropped_and_said(head, findings):
    core = mask_of(findings, "core")
    study = deepest(scalar_study(findings), core, cbf=0.0, tmax=0.0, cbv=0.0)
    found = run_task("perfusion", study)
    assert not mask_of(found, "core").any()
    ml = core.sum() * head.series.grid.voxel_ml
    assert any(f"in another {ml:.1f} ml of the brain" in note for note in found.notes)


@pytest.mark.parametrize("first", [0, 1])
def test_late_values_outside_the_tissue_are_no_core(findings, first):
    study = scalar_study(findings)
    corner = np.zeros(SHAPE, bool)
    corner[first : first + 6, first : first + 6] = True
    found = run_task("perfusion", deepest(study, corner, cbf=0.0, tmax=14.0))
    assert not (mask_of(found, "core") & corner).any()
    assert any("in another" in note for note in found.notes)


@pytest.mark.parametrize("missing", [np.nan, 0.0])
def test_a_core_without_a_tmax_is_told_and_not_called_early(head, findings, missing):
    late = maps_of(findings)["tmax"].data.copy()
    late[head.core] = missing
    result = run_task("perfusion", scalar_study(findings, tmax=Volume(late, head.series.grid, "tmax")))
    assert not mask_of(result, "core").any()
    assert any("a CBF as low as a core's where Tmax is 0 or no number" in note for note in result.notes)
    assert not any("without delay" in note for note in result.notes)


def test_single_voxels_that_are_no_number_do_not_make_all_of_the_field_brain(findings):
    maps = maps_of(findings)
    study = Study({name: Volume(maps[name].data.copy(), maps[name].grid, name) for name in ("cbf", "tmax")})
    study["cbf"].data[28, 10, 3] = np.nan
    assert np.array_equal(prepare(study, SPEC.resolve_options({})).brain, maps["cbf"].data > 0)


def test_bone_in_a_brain_mask_that_is_given_is_no_tissue(head):
    start = head.series.data[..., 0]
    mask = ndimage.binary_dilation(start < 160) & (np.abs(start) < 2000) & (start > -500)
    found = maps_from_series(head.series, SPEC.resolve_options({"motion": False}), mask)
    assert (mask & (start > 160)).sum() > 500 and not (found.tissue & (start > 160)).any()
    assert any("holds" in note and "of bone: bone and what lies beside it aren't read" in note for note in found.notes)
    assert np.array_equal(found.brain, mask)


def test_a_series_that_is_not_in_hu_is_refused_with_a_brain_mask_too(head):
    raw = head.series.with_data(head.series.data + 1024)
    inside = np.abs(head.series.data[..., 0] - 20) < 40
    with pytest.raises(BadInputError, match=r"holds 0 ml of soft tissue \(-5 to 90 HU\), its median is 105\d"):
        maps_from_series(raw, SPEC.resolve_options({"motion": False}), inside)


def test_a_part_as_large_as_the_least_size_is_kept_whatever_the_affines_rounding():
    grid = Grid((9, 9, 9), np.diag([2.0, 2.0, 2.0 * (1 - 1e-8), 1.0]))
    mask = np.zeros(grid.shape, bool)
    mask[:5, :5, :5] = True
    assert without_small(mask, grid, 1.0).sum() == 125
    mask[0, 0, 0] = False
    assert not without_small(mask, grid, 1.0).any()


@pytest.mark.parametrize(("core", "penumbra", "words"), [
    (69.97, 55.5, "Core 69.97 ml and penumbra 55.5 ml by thresholds; mismatch ratio 1.79."),
    (30.98, 14.96, "Core 30.98 ml and penumbra 14.96 ml by thresholds; mismatch ratio 1.5."),
])  # fmt: skip
def test_the_sentence_does_not_round_across_the_trials_bounds(core, penumbra, words):
    values = {"core_volume": core, "penumbra_volume": penumbra, "hypoperfused_volume": core + penumbra,
              "mismatch_ratio": (core + penumbra) / core}  # fmt: skip
    found = {name: Measurement(name, value, "ml", None, name) for name, value in values.items()}
    assert summarise(found, [], Thresholds(0.3, 6.0, 1.0)) == words
    by_network = {f"network_{name}": m for name, m in found.items()}
    assert words[5:10] in told_of_network(by_network) and words[-5:] in told_of_network(by_network)


def test_tmax_in_ms_is_seen_by_its_high_values_too(findings):
    study = scalar_study(findings)
    tmax = study["tmax"].data
    late = np.where(np.isfinite(tmax) & (tmax <= 6), 0.0, tmax * 1000)
    found = run_task("perfusion", Study({**study.volumes, "tmax": study["tmax"].with_data(late)}))
    assert any("read as ms" in note for note in found.notes)
    assert found.measurements["severe_volume"].value == pytest.approx(
        findings.measurements["severe_volume"].value, rel=0.02
    )
    mixed = np.where(np.isfinite(tmax) & (tmax <= 6), 20.0, tmax * 1000)
    with pytest.raises(BadInputError, match=r"median of 20 and a 99th percentile of .* fit no one unit"):
        run_task("perfusion", Study({**study.volumes, "tmax": study["tmax"].with_data(mixed)}))


def test_the_ratio_and_the_trials_figures_stay_at_their_own_thresholds(findings):
    study = scalar_study(findings)
    usual, other = (run_task("perfusion", study, **o) for o in ({}, {"tmax_above": 9.0, "relative_cbf": 0.05}))
    for name in ("core_volume", "hypoperfused_volume"):
        assert other.measurements[name].value < 0.9 * usual.measurements[name].value
    assert other.measurements["hypoperfusion_intensity_ratio"] == usual.measurements["hypoperfusion_intensity_ratio"]
    assert other.tables["criteria"] == usual.tables["criteria"]
    assert any("stay by Tmax above 6 s and CBF below 30 %" in note for note in other.notes)
    assert not any("stay by" in note for note in usual.notes)
    late = run_task("perfusion", study, tmax_above=12.0)
    assert late.measurements["severe_volume"] == usual.measurements["severe_volume"]


def test_padding_and_metal_are_set_to_usual_values_and_said(head):
    plain = prepare(Study({}, series={"ctp": head.series}), SPEC.resolve_options({}))
    data = head.series.data.copy()
    data[:2], data[-1], data[4, 28, 2] = -3024, -2048, 9000
    found = prepare(Study({}, series={"ctp": head.series.with_data(data)}), SPEC.resolve_options({}))
    said = " ".join(found.notes)
    assert "(lowest -3024), as padding is, and became -1100 HU" in said
    assert "(highest 9000), as metal is, and became 4200 HU" in said
    assert np.array_equal(found.maps["cbf"].data, plain.maps["cbf"].data)
    assert not any("became" in note for note in plain.notes)


def test_many_different_values_below_air_are_refused(head):
    data = head.series.data.copy()
    data[:4] = -2000 - np.arange(data[:4].size).reshape(data[:4].shape) % 50
    with pytest.raises(BadInputError, match="values run from -2049"):
        prepare(Study({}, series={"ctp": head.series.with_data(data)}), SPEC.resolve_options({}))


def test_coarse_sampling_is_said(head):
    coarse = Series(head.series.data[..., ::2], head.series.grid, head.series.times_s[::2], "ctp", "HU")
    found = prepare(Study({}, series={"ctp": coarse}), SPEC.resolve_options({}))
    assert any("A frame was taken every 3 s only" in note for note in found.notes)
    plain = prepare(Study({}, series={"ctp": head.series}), SPEC.resolve_options({}))
    assert not any("A frame was taken" in note for note in plain.notes)


def test_a_gap_while_late_tissue_is_passed_is_said(head):
    kept = np.ones(42, bool)
    kept[20:25] = False
    found = prepare(Study({}, series={"ctp": head.series.of_frames(kept)}), SPEC.resolve_options({}))
    assert any("A frame was taken in places every 9 s only" in note for note in found.notes)
    kept = np.arange(42) % 3 == 0
    kept[:28] = True
    rarer_at_the_end = prepare(Study({}, series={"ctp": head.series.of_frames(kept)}), SPEC.resolve_options({}))
    assert not any("A frame was taken" in note for note in rarer_at_the_end.notes)


def with_frame(series, frame, value, slices=slice(None)):
    data = series.data.copy()
    data[:, :, slices, frame] = value
    return series.with_data(data)


@pytest.mark.parametrize(("frame", "value", "slices"), [(0, 0, slice(None)), (15, -1024, slice(None)), (20, 0, 2)])
def test_a_lost_frame_is_left_out_and_said(frame, value, slices, head, findings):
    found = run_task("perfusion", Study({}, series={"ctp": with_frame(head.series, frame, value, slices)}))
    for name in ("core_volume", "penumbra_volume"):
        assert found.measurements[name].value == pytest.approx(findings.measurements[name].value, rel=0.05)
    at = float(head.series.times_s[frame])
    assert any(f"1 of 42 frames are empty where the head should be (at {at:.4g} s)" in note for note in found.notes)
    assert found.provenance["perfusion"]["frames"] == 41
    assert found.provenance["perfusion"]["frames_left_out_s"] == [at]


def rolled(series, frames, voxels):
    data = series.data.copy()
    data[..., frames] = np.roll(data[..., frames], voxels, axis=0)
    return series.with_data(data)


def test_a_frame_too_far_to_be_brought_back_is_left_out_and_said(head, findings):
    found = run_task("perfusion", Study({}, series={"ctp": rolled(head.series, slice(14, 15), 5)}))
    for name in ("core_volume", "penumbra_volume"):
        assert found.measurements[name].value == pytest.approx(findings.measurements[name].value, rel=0.05)
    assert any("1 of 42 frames show the head more than 15 mm from where" in note for note in found.notes)


def test_times_that_are_given_take_the_place_of_the_headers(head, tmp_path):
    header = "Times are the header's: a frame every 1 s."
    times = tmp_path / "times.txt"
    times.write_text(" ".join(f"{t:g}" for t in head.series.times_s))
    series = replace(head.series, times_s=np.arange(42.0), notes=(header,))
    found = prepare(Study({}, series={"ctp": series}), SPEC.resolve_options({"times": times}))
    assert header not in found.notes and found.curves.times_s[-1] == 61.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: with_frame(s, slice(30, None), 0), "12 of 42 frames are empty where the head should be; at most 20"),
        (lambda s: rolled(s, slice(14, None), 5), "28 of 42 frames show the head more than 15 mm"),
        (lambda s: Series(s.data, s.grid, s.times_s * 1000), "lasts 61500 s.*seem to be in ms"),
        (lambda s: Series(s.data[..., :8], s.grid, s.times_s[:8]), "8 frames; perfusion needs at least 10"),
        (lambda s: Series(s.data, s.grid, None), "--times"),
        (lambda s: Series(s.data, s.grid, s.times_s / 1000), "Are its times in s"),
        (lambda s: Series(s.data[..., 12:], s.grid, s.times_s[12:]), "contrast is already there at the start"),
        (lambda s: Series(np.repeat(s.data[..., :1], 42, 3), s.grid, s.times_s), "no bolus passes"),
        (lambda s: s.with_data((s.data + 1024) * 10), "values run from"),
        (lambda s: s.with_data(np.where(s.data > 200, 200, -1000)), "no brain was found"),
    ],
)
def test_series_that_cannot_be_read_are_refused(head, change, message):
    with pytest.raises(BadInputError, match=message):
        prepare(Study({}, series={"ctp": change(head.series)}), SPEC.resolve_options({}))


@pytest.mark.parametrize("nihss", ["57", "3.5", "ten", "-1", "nan", "inf", "-inf"])
def test_an_impossible_nihss_is_refused(findings, nihss):
    with pytest.raises(BadInputError, match="NIHSS is"):
        run_task("perfusion", scalar_study(findings), nihss=nihss)


def test_an_unknown_nihss_is_said_and_is_not_zero(findings):
    found = run_task("perfusion", scalar_study(findings), nihss="-", age=80.0)
    assert "Unknown: NIHSS; criteria that need it are left unknown. Give it by --nihss or --clinical." in found.notes
    rows = {(r["trial"], r["figure"]): r["met"] for r in found.tables["criteria"]}
    assert rows["DEFUSE 3", "NIHSS"] == "unknown" and rows["DEFUSE 3", "age"] == "met"


def test_clinical_numbers_come_from_a_table(findings, tmp_path):
    table = tmp_path / "nihss.csv"
    table.write_text("patient_id;NIHSS;age\n01;21;66\n02;-;50\n")
    found = run_task("perfusion", scalar_study(findings), clinical=table)
    assert found.provenance["clinical"] == {"nihss": 21.0, "age": 66.0, "sex": None}
    with pytest.raises(BadInputError, match="no row for sub-77"):
        run_task("perfusion", Study(scalar_study(findings).volumes, subject="77"), clinical=table)


@pytest.mark.parametrize(("nihss", "said"), [("NaN", "NaN"), ("", "empty")])
def test_an_empty_cell_of_a_table_is_not_known_and_said(findings, tmp_path, nihss, said):
    table = tmp_path / "nihss.csv"
    table.write_text(f"participant_id,nihss,age\n01,{nihss},66\n")
    found = run_task("perfusion", scalar_study(findings), clinical=table)
    assert found.provenance["clinical"] == {"nihss": None, "age": 66.0, "sex": None}
    assert f"The table's NIHSS is {said}: it is taken as not known." in found.notes


@pytest.mark.parametrize(("row", "message"), [("12,250", "age is '250'; allowed is 0 to 120"),
                                              ("12,inf", "age is 'inf'"), ("inf,60", "NIHSS is 'inf'")])  # fmt: skip
def test_impossible_numbers_of_a_table_are_refused(findings, tmp_path, row, message):
    table = tmp_path / "nihss.csv"
    table.write_text(f"participant_id,nihss,age\n01,{row}\n")
    with pytest.raises(BadInputError, match=message):
        run_task("perfusion", scalar_study(findings), clinical=table)


@pytest.mark.parametrize(
    ("core", "penumbra", "nihss", "age", "met"),
    [
        (20.0, 80.0, 12.0, 82.0, {"DAWN group A": "met", "DAWN group B": "not met", "core volume": "met"}),
        (40.0, 80.0, 22.0, 60.0, {"DAWN group C": "met", "DAWN group B": "not met", "mismatch ratio": "met"}),
        (90.0, 10.0, 22.0, 60.0, {"core volume": "not met", "mismatch ratio": "not met", "mismatch volume": "not met"}),
        (20.0, 80.0, None, 60.0, {"DAWN group A": "not met", "DAWN group B": "unknown", "NIHSS": "unknown"}),
    ],
)
def test_criteria_are_those_of_the_trials(core, penumbra, nihss, age, met):
    volumes = {"core_volume": core, "penumbra_volume": penumbra, "hypoperfused_volume": core + penumbra}
    rows = criteria({k: Measurement(k, v, "ml") for k, v in volumes.items()}, nihss, age)
    found = {row["figure"]: row["met"] for row in rows if row["trial"] == "DEFUSE 3"}
    found |= {row["trial"]: row["met"] for row in rows if row["trial"] != "DEFUSE 3"}
    assert {key: found[key] for key in met} == met


def test_everything_is_written_and_read_back(head, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(figures, "make", DRAW)
    series = write_series(head.series, tmp_path / "sub-07_ctp.nii.gz")
    out = tmp_path / "out"
    assert call(["run", "perfusion", "--ctp", str(series), "--nihss", "14", "-o", str(out)]) == 0
    assert "Core" in capsys.readouterr().out
    again = read_derivatives(out)
    assert {m.label for m in again.maps} == set(MAPS)
    assert {m.label for m in again.masks} == {"brain", "core", "penumbra"}
    assert {f.name for f in again.figures} == {"maps", "curves", "vessels", "brain"}
    assert "DEFUSE 3" in (out / "report.html").read_text()


def turned(grid, deg):
    affine = np.eye(4)
    affine[:3, :3] = rotation((0.0, 0.0, np.deg2rad(deg)))
    return Grid(grid.shape, affine @ grid.affine)


@pytest.mark.parametrize(("deg", "told"), [(0, False), (-27, True), (35, True)])
def test_a_head_that_lies_turned_is_divided_by_its_own_middle_and_told(head, findings, deg, told):
    options = SPEC.resolve_options({})
    grid = turned(head.series.grid, deg)
    maps = {name: replace(volume, grid=grid) for name, volume in scalar_study(findings).volumes.items()}
    own_right = head.series.grid.to_mm(np.stack(np.indices(SHAPE), -1))[..., 0] > 0
    for study in (Study({}, series={"ctp": replace(head.series, grid=grid)}), Study(maps)):
        prepared = prepare(study, options)
        right = prepared.midline.right_of(prepared.grid)
        assert (right == own_right)[prepared.tissue].mean() > 0.97
        notes = [note for note in prepared.notes if note.startswith("Oblique head")]
        assert len(notes) == told and all("less certain" in note for note in notes)


def test_frames_with_a_turned_head_are_told(head):
    data = head.series.data.copy()
    data[..., 30:] = ndimage.rotate(data[..., 30:], 12, (0, 1), reshape=False, order=1, mode="nearest")
    moved = prepare(Study({}, series={"ctp": head.series.with_data(data)}), SPEC.resolve_options({}))
    still = prepare(Study({}, series={"ctp": head.series}), SPEC.resolve_options({}))
    assert any(note.startswith("Turned head: in 12 of 42 frames (at 45, 46.5") for note in moved.notes)
    assert not any("Turned head" in note for note in still.notes)


def test_one_volume_given_as_a_series_is_refused(head, tmp_path, capsys):
    path = write_nifti(head.series.frame(0), tmp_path / "one.nii.gz")
    assert call(["run", "perfusion", "--ctp", str(path), "-o", str(tmp_path / "out")]) == 2
    assert "a series of frames is needed" in capsys.readouterr().err


@pytest.mark.real
def test_the_real_colour_map_is_read_by_its_bar(real_data, monkeypatch):
    path = real_data / "ctp_colour" / "ct_perfusion.nii.gz"
    monkeypatch.setattr(figures, "make", DRAW)
    found = willis.run("perfusion", willis.read_study(mtt=path), range="mtt=0:20")
    assert "CBF and Tmax are missing" in found.summary and "core_volume" not in found.measurements
    assert any("bar found at rows 68 to 246, columns 5 to 12 (179 colours)" in note for note in found.notes)
    assert [figure.name for figure in found.figures] == ["maps", "mtt-as-given"]
    volume = maps_of(found)["mtt"]
    inside = np.isfinite(volume.data) & (volume.data > 0)
    assert 1000 < inside.sum() * volume.grid.voxel_ml < 1500
    assert 4 < np.median(volume.data[inside]) < 12
    pictures, _, _ = read_pictures(path)
    bar = find_bar(pictures)
    again = paint(volume.data.transpose(1, 0, 2), (0.0, 20.0), bar.colours, inside.transpose(1, 0, 2))
    away = np.abs(again.astype(int) - pictures)[inside.transpose(1, 0, 2)]
    assert np.percentile(away, 99) <= 6, "painted anew by the bar, the values look as the picture did"
