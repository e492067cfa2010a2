"""What a run gives back: every mask and map on the scanner's own slices too, and a prior of one's own."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.infer.memory import GB, resident_bytes
from willis.io.nifti import write_nifti
from willis.models.bundle import Bundle
from willis.models.store import open_bundle
from willis.study import Source, Study
from willis.tasks.lvo import look, occlusion, run
from willis.tasks.lvo.judge import Judged, unused_note
from willis.tasks.lvo.prepare import read_prior
from willis.tasks.lvo.spec import SPEC
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.stack import SliceStack
from willis.volume.volume import Volume

SETTINGS = RunSettings(threads=1)
STEPS_MM = (0.0, 3.0, 6.0, 9.0, 15.0, 21.0)  # of two even runs


def findings_of(prepared_head, monkeypatch, hu=None, settings=SETTINGS, **options):
    """Of a made-up head with a clot in a corner of a vessel of some HU, whose scanner took uneven slices."""
    labels = np.zeros(prepared_head.ct.grid.shape, np.uint8)
    labels[4:8, 6:10, 4:9] = 2
    clot = np.zeros_like(labels)
    clot[4:8, 6:10, 4:6] = 1
    grid = prepared_head.ct.grid
    fit = SimpleNamespace(matrix=np.eye(4), correlation=0.9, overlap=1.0)
    prepared_head.head.fit, prepared_head.head.deformation = fit, prepared_head.difference.mirror
    prepared_head.head.deformed_by = "demons of a made-up version"
    ct = prepared_head.ct
    if hu is not None:
        ct = ct.with_data(np.where(labels > 0, hu, ct.data).astype(np.float32))
    head = replace(prepared_head, ct=ct, vessels=Volume(labels, grid, role="vessels"))
    judged = Judged(0.9, 0.5, side="left", segment="m1", segments={"m1": 1.0}, place=Volume(clot, grid, role="clot"))
    monkeypatch.setattr(run, "prepare", lambda *_: head)
    monkeypatch.setattr(run, "judge", lambda *_: (head, judged))
    monkeypatch.setattr(run.figures, "make", lambda *_: [])
    first = grid.to_mm(np.zeros(3))
    origins = first + np.array(STEPS_MM)[:, None] * [0, 0, 1.0]
    stack = SliceStack(grid.shape[:2], grid.affine[:3, :2], origins)
    study = Study({"ncct": head.ct}, sources={"ncct": Source(Path("ct"), "0", stack)})
    return run.run(study, SPEC.resolve_options(options), settings=settings)


@pytest.fixture
def findings(prepared_head, monkeypatch):
    return findings_of(prepared_head, monkeypatch)


def test_everything_is_given_on_the_scanners_own_slices_too(findings):
    by_space = {space: {m.label: m.volume for m in findings.masks if m.space == space} for space in
                ("ncct", "scanner1", "scanner2")}  # fmt: skip
    assert {"brain", "darker", "m1", "clot"} <= by_space["ncct"].keys()
    assert by_space["ncct"].keys() == by_space["scanner1"].keys() == by_space["scanner2"].keys()
    assert {m.space for m in findings.maps} == by_space.keys()
    m1 = by_space["scanner1"]["m1"]  # z of 6 to 12 mm from the first slice
    assert m1.grid.shape == (20, 24, 4)
    np.testing.assert_array_equal(m1.data.any(axis=(0, 1)), [False, False, True, True])
    np.testing.assert_array_equal(m1.data[:, :, 2].astype(bool), by_space["ncct"]["m1"].data[:, :, 4].astype(bool))
    assert by_space["scanner1"]["clot"].data.any()
    assert not by_space["scanner2"]["clot"].data.any()


def test_contrast_in_the_vessels_makes_the_decision_uncertain(findings, prepared_head, monkeypatch):
    enhanced = findings_of(prepared_head, monkeypatch, hu=250.0)
    assert findings.decision.certain
    assert not any("contrast agent" in note for note in findings.notes)
    assert not enhanced.decision.certain
    assert any("median is 250 HU" in note and "contrast agent" in note for note in enhanced.notes)


def test_vessels_that_a_bundle_finds_and_nobody_asked_for_are_named(prepared_head, monkeypatch):
    monkeypatch.setattr(run, "check_vessel_bundle", lambda bundle: (f"{bundle.name} finds basilar too",))
    monkeypatch.setattr(run, "find_vessels", lambda *_: prepared_head.vessels)
    assert "lvo finds basilar too" in findings_of(prepared_head, monkeypatch, vessel_bundle="lvo").notes


def test_settings_that_change_nothing_are_told():
    halves = open_bundle("lvo")
    mcresnet = Bundle(halves.manifest.changed(name="made", channels=occlusion.CHANNELS), halves.folder)
    for engine, precision in (("auto", "auto"), ("torch", "float32")):
        assert unused_note(mcresnet, RunSettings(engine=engine, precision=precision)) == ""
    asked = RunSettings(engine="openvino", precision="bfloat16")
    assert unused_note(halves, asked) == ""
    both = "--engine and --precision were not used for the bundle made, which torch runs in float32."
    assert unused_note(mcresnet, asked) == both
    assert unused_note(mcresnet, RunSettings(precision="bfloat16")).startswith("--precision was not used")


def test_a_memory_limit_that_cannot_be_kept_is_refused_in_one_sentence(prepared_head, monkeypatch):
    held = findings_of(prepared_head, monkeypatch, settings=RunSettings(threads=1, memory_limit_gb=64))
    assert not [note for note in held.notes if "memory" in note]
    monkeypatch.setattr(look, "scaled_part", None)  # nothing is computed
    tight = RunSettings(threads=1, engine="torch", memory_limit_gb=resident_bytes() / GB)
    with pytest.raises(BadInputError, match=r"limit of .* GB can't be kept: lvo.* needs at least .* GB here"):
        look.look(prepared_head.ct, np.eye(4), open_bundle("lvo"), tight)


def test_a_prior_of_ones_own_lies_by_its_affine_and_must_be_a_probability(tmp_path):
    flipped = Grid((10, 6, 6), np.array([[-2.0, 0, 0, 9], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]))
    values = np.zeros(flipped.shape, np.float32)
    values[:5] = 0.7  # x above 0
    prior = read_prior(write_nifti(Volume(values, flipped), tmp_path / "prior.nii.gz"))
    assert prior.grid.to_mm(np.argwhere(prior.data > 0))[:, 0].min() > 0
    codes = write_nifti(Volume((2 * (values > 0)).astype(np.float32), flipped), tmp_path / "codes.nii.gz")
    with pytest.raises(BadInputError, match=r"values from 0 to 2.*--territories"):
        read_prior(codes)


def test_the_prior_takes_the_place_of_the_territory_in_the_channel_of_its_name(prepared_head):
    manifest = SimpleNamespace(name="made", channels=occlusion.CHANNELS, shape=None, missing_channels="error")
    given = Volume(np.full(prepared_head.head.grid.shape, 0.25, np.float32), prepared_head.head.grid)
    built_in = occlusion.network_input(prepared_head, manifest)
    own = occlusion.network_input(replace(prepared_head, prior=given), manifest)
    at = occlusion.CHANNELS.index("prior")
    assert (own[at] == 0.25).all()
    assert not np.allclose(built_in[at], own[at])
    np.testing.assert_array_equal(np.delete(own, at, axis=0), np.delete(built_in, at, axis=0))


def test_a_prior_that_no_network_reads_is_refused(prepared_head, tmp_path):
    options = SPEC.resolve_options({"prior": tmp_path / "prior.nii.gz"})
    with pytest.raises(BadInputError, match="reads no prior"):
        run.run(Study({"ncct": prepared_head.ct}), options, settings=RunSettings())
