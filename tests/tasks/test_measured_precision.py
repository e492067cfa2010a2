"""A bundle measured in a faster precision: which cases are compared, and what is written."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from willis.errors import BadInputError, BundleError
from willis.infer.equivalence import PrecisionLikeness
from willis.learn.case import Case
from willis.learn.recipe import read_recipe
from willis.models.cards import render_card
from willis.models.manifest import make_manifest
from willis.models.publish import write_bundle
from willis.models.store import open_bundle
from willis.tasks import equivalence

RECIPE = read_recipe(Path(__file__).parents[2] / "recipes/fvv.toml")
FOUND = PrecisionLikeness("bfloat16", "openvino", {"lesion": 0.9993}, {"lesion": 0.9997}, 0.02, 5)


def case(value: float) -> Case:
    return Case(
        np.full((2, 4, 5, 6), value, np.float32), np.zeros((3, 4, 5, 6), np.uint8), np.ones((4, 5, 6), bool), "01",
        (1.0, 1.0, 1.0),
    )  # fmt: skip


def bundle(folder: Path, card: str | None = None, **changes):
    manifest = make_manifest(
        {
            "name": "made", "title": "Made up", "task": "fvv", "network": {"name": "unet3d"},
            "channels": ["b1000", "b0"], "outputs": ["lesion"],
            "spacing_mm": [2, 2, 2], "intensity": {"scheme": "p99"}, "licence": "none",
            "threshold": {"value": 0.5, "origin": "a test"}, "intended_use": "tests", **changes,
        },
        "a test",
    )  # fmt: skip
    return write_bundle(folder, manifest, [{"w": np.ones(2, np.float32)}], card=card or render_card(manifest))


@pytest.fixture
def compared(monkeypatch):
    """What the measurement is given."""
    given = {}

    def measure(_bundle, cases, **how):
        given.update(images=[float(image.max()) for image, _ in cases], **how)
        return FOUND

    monkeypatch.setattr(equivalence, "measure_equivalence", measure)
    monkeypatch.setattr(equivalence, "choose_precision", lambda asked: asked)
    return given


def test_cases_left_out_are_compared_and_phantoms_made_as_many_as_asked(compared, monkeypatch, tmp_path):
    asked = []

    def validation_cases(data, folds):
        asked.append(data["phantom"]["validation_count"])
        return [case(0.5), case(0.25), case(0.125)]

    monkeypatch.setattr(equivalence, "task_data", lambda _: SimpleNamespace(validation_cases=validation_cases))
    made = bundle(tmp_path / "made")
    assert equivalence.measure_precision(made, RECIPE, precision="bfloat16", count=2) is FOUND
    assert compared["images"] == [0.5, 0.25]
    assert asked == [2]


def test_images_by_plane_come_from_the_task(compared, monkeypatch, tmp_path):
    made = bundle(tmp_path / "made")
    seen = []

    def validation_images(data, folds, manifest):
        seen.append(manifest)
        yield np.ones((1, 2, 2, 2), np.float32), np.ones((2, 2, 2), bool)

    monkeypatch.setattr(equivalence, "task_data", lambda _: SimpleNamespace(validation_images=validation_images))
    equivalence.measure_precision(made, RECIPE, precision="bfloat16")
    assert compared["images"] == [1.0]
    assert seen == [made.manifest]


def test_another_task_and_no_case_left_out_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(equivalence, "choose_precision", lambda asked: asked)
    nothing = SimpleNamespace(validation_cases=lambda *_: [])
    monkeypatch.setattr(equivalence, "task_data", lambda _: nothing)
    with pytest.raises(BadInputError, match="made is of the task wmh, the recipe of fvv"):
        equivalence.measure_precision(bundle(tmp_path / "wmh", task="wmh"), RECIPE, precision="float32")
    with pytest.raises(BadInputError, match="leaves no case out"):
        equivalence.measure_precision(bundle(tmp_path / "fvv"), RECIPE, precision="float32")


def test_a_measurement_takes_the_place_of_the_earlier_one_of_its_kind(tmp_path):
    earlier = {"precision": "bfloat16", "engine": "openvino", "dice": 0.9, "max_difference": 0.1, "cases": 1}
    made = bundle(tmp_path / "made", precision=[earlier, {**earlier, "engine": "torch"}])
    equivalence.write_measured(made, FOUND, tmp_path / "out", "five phantoms")
    written = open_bundle(tmp_path / "out")
    assert [(m.engine, m.dice) for m in written.manifest.precision] == [("torch", 0.9), ("openvino", 0.9993)]
    assert written.manifest.precision[-1].pooled == 0.9997
    assert np.array_equal(written.member_weights(0)["w"], made.member_weights(0)["w"])
    assert "bfloat16 on openvino against float32: Dice 0.9993 (of all voxels together 0.9997)" in written.card
    assert "5 cases: five phantoms" in written.card
    with pytest.raises(BundleError, match="exists already"):
        equivalence.write_measured(made, FOUND, tmp_path / "out", "five phantoms")


def test_a_card_by_hand_is_kept(tmp_path):
    made = bundle(tmp_path / "made", card="# By hand")
    equivalence.write_measured(made, FOUND, tmp_path / "made", "", replace=True)
    assert open_bundle(tmp_path / "made").card == "# By hand"
