"""Traced lesions in phantoms: laid where the head has the same place, within the tissues asked, on either side."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError, WillisError
from willis.phantom.acute import PATTERNS, Acute, draw_acute
from willis.phantom.anatomy import Anatomy
from willis.phantom.chronic import Chronic, draw_chronic
from willis.phantom.labels import BRAIN, PARENCHYMA, SIDE_MASK, Tissue, lookup
from willis.phantom.traced import MNI_BRAIN_MM, find_traced, traced_lesion

MIDDLE_MM = (-35.0, 10.0, 25.0)  # left, above the ventricles
TRACED_SEED = 7  # whose first patient is one of the half with a traced infarct


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """A ball of 14 mm in MNI space, stored with the left last, and an empty mask."""
    folder = tmp_path_factory.mktemp("traced")
    affine = np.array([[-2.0, 0, 0, 78], [0, 2.0, 0, -112], [0, 0, 2.0, -70], [0, 0, 0, 1]])
    at = nib.affines.apply_affine(affine, np.moveaxis(np.indices((79, 95, 76)), 0, -1))
    ball = np.linalg.norm(at - np.array(MIDDLE_MM), axis=-1) < 14
    for name, mask in (("ball", ball), ("empty", np.zeros_like(ball))):
        image = nib.Nifti1Image(mask.astype(np.uint8), affine)
        image.set_qform(affine, 1)
        nib.save(image, folder / f"{name}.nii.gz")
    return find_traced(folder)


def test_an_infarct_lies_where_it_was_traced(toy_anatomy: Anatomy, masks: tuple[Path, ...]) -> None:
    brain = np.argwhere(lookup(BRAIN)[toy_anatomy.codes])
    low, high = brain.min(0), brain.max(0)
    sides = set()
    for seed in range(6):
        share, name = traced_lesion(np.random.default_rng(seed), masks, toy_anatomy.codes, 1.0)
        assert name == "ball.nii.gz"
        assert not share[~lookup(PARENCHYMA)[toy_anatomy.codes]].any()
        found = (np.argwhere(share > 0.5).mean(0) - low) / (high - low)
        wanted = [(m - a) / (b - a) for m, (a, b) in zip(MIDDLE_MM, MNI_BRAIN_MM, strict=True)]
        sides.add(bool(found[0] < 0.5))
        assert min(found[0], 1 - found[0]) == pytest.approx(wanted[0], abs=0.06)
        assert found[1:] == pytest.approx(wanted[1:], abs=0.08)
    assert sides == {True, False}


def test_sulci_belong_to_a_lesion_when_asked(toy_anatomy: Anatomy, masks: tuple[Path, ...]) -> None:
    codes = toy_anatomy.codes.copy()
    codes[:, ::4] = np.where(lookup(PARENCHYMA)[codes[:, ::4]], np.uint8(Tissue.CSF), codes[:, ::4])
    tissue, _ = traced_lesion(np.random.default_rng(0), masks, codes, 1.0)
    wider, _ = traced_lesion(np.random.default_rng(0), masks, codes, 1.0, (*PARENCHYMA, Tissue.CSF))
    gained = (wider > 0) & (tissue == 0)
    assert not ((tissue > 0) & (wider == 0)).any()
    assert set(np.unique(codes[gained] & SIDE_MASK)) == {int(Tissue.CSF)}


def test_half_of_the_drawn_patients_have_a_traced_lesion(toy_anatomy: Anatomy, masks: tuple[Path, ...]) -> None:
    drawn = [draw_acute(np.random.default_rng(s), toy_anatomy.codes, 1.0, traced=masks) for s in range(8)]
    traced = [acute for acute in drawn if acute.parameters["pattern"] == "traced"]
    assert 0 < len(traced) < 8
    for acute in traced:
        hours = acute.hours[acute.fraction > 0]
        assert 0 < hours.min() <= hours.max() <= acute.parameters["hours"]


def test_the_command_draws_a_traced_infarct_by_its_seed_alone(
    tmp_path: Path, toy_anatomy: Anatomy, masks: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command draws the same infarct; patients end here, before they are scanned."""
    drawn: list[Acute] = []

    def until_drawn(*given: Any, **more: Any) -> Acute:
        drawn.append(draw_acute(*given, **more))
        raise WillisError("far enough")

    monkeypatch.setattr("willis.phantom.patient.builtin_anatomy", lambda: toy_anatomy)
    monkeypatch.setattr("willis.phantom.fvv.draw_acute", until_drawn)
    words = ["phantom", "fvv", "--seed", str(TRACED_SEED), "-o", str(tmp_path / "out")]
    for _ in range(2):
        assert call([*words, "--infarcts", str(masks[0].parent)]) != 0
    assert call(words) != 0
    one, two, grown = drawn
    assert np.array_equal(one.fraction, two.fraction) and np.array_equal(one.hours, two.hours)
    assert one.parameters == two.parameters and one.parameters["mask"] == "ball.nii.gz"
    ball_ml = 4 / 3 * np.pi * 1.4**3  # in MNI space, whose brain is larger than the toy's
    assert 0.3 * ball_ml < one.fraction.sum() / 1000 < ball_ml
    assert grown.parameters["pattern"] in PATTERNS and not np.array_equal(one.fraction, grown.fraction)


def test_the_command_draws_traced_scars_for_about_half_of_the_patients(
    tmp_path: Path, toy_anatomy: Anatomy, masks: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Chronic] = []

    def until_drawn(*given: Any, **more: Any) -> Chronic:
        drawn.append(draw_chronic(*given, **more))
        raise WillisError("far enough")

    monkeypatch.setattr("willis.phantom.patient.builtin_anatomy", lambda: toy_anatomy)
    monkeypatch.setattr("willis.phantom.chronic_patient.draw_chronic", until_drawn)
    for seed in range(6):
        words = ["phantom", "chronic", "--seed", str(seed), "--infarcts", str(masks[0].parent)]
        assert call([*words, "-o", str(tmp_path / "out")]) != 0
    traced = [chronic for chronic in drawn if chronic.parameters["place"] == "given"]
    assert len(drawn) == 6 and 0 < len(traced) < 6
    ball_ml = 4 / 3 * np.pi * 1.4**3  # in MNI space, whose brain is larger than the toy's
    for chronic in traced:
        assert 0.3 * ball_ml < chronic.lesion.sum() / 1000 < ball_ml


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_of_no_masks_makes_no_patients(tmp_path: Path, capsys: pytest.CaptureFixture[str], made: bool) -> None:
    if made:
        (tmp_path / "in").mkdir()
    assert call(["phantom", "fvv", "--infarcts", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 2
    assert "holds no NIfTI file; give a folder of lesion masks" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_other_kinds_take_no_infarcts(tmp_path: Path) -> None:
    assert call(["phantom", "wmh", "--infarcts", str(tmp_path), "-o", str(tmp_path / "out")]) == 2


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no NIfTI file"):
        find_traced(tmp_path)
