"""Trained model folders of nnU-Net become bundles; what isn't known here is refused by name."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from willis.app.cli.main import call
from willis.errors import BadInputError, BundleError
from willis.models.importers.nnunet import import_nnunet
from willis.models.store import open_bundle

GOLDEN = Path(__file__).parents[1] / "golden" / "lvo" / "nnUNetTrainer__nnUNetPlans__3d_fullres"


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / GOLDEN.name))


def changed(file: Path, **values) -> None:
    held = json.loads(file.read_text())
    file.write_text(json.dumps({**held, **values}))


def test_the_bundle_says_what_the_plans_say(folder, tmp_path):
    shutil.copytree(folder / "fold_0", folder / "fold_3")
    bundle = import_nnunet(folder, tmp_path / "b", name="vessels")
    assert bundle.manifest.members == ("member_0.safetensors", "member_1.safetensors")
    assert bundle.manifest.outputs == ("background", "c7", "m1")
    assert bundle.manifest.axes == "LAS"
    plan = bundle.manifest.network.config["plan"]
    assert plan["spacing_mm"] == [3.0, 1.0, 1.1]
    assert plan["mirror"] == [0, 1, 2]
    assert plan["values"][0]["scheme"] == "CTNormalization"
    assert plan["values"][0]["high"] == 90.0
    state = torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=False)[
        "network_weights"
    ]  # our own file
    weights = bundle.member_weights(0)
    torch.testing.assert_close(torch.from_numpy(weights["head.weight"]), state["decoder.seg_layers.1.weight"])
    assert len(import_nnunet(folder, tmp_path / "c", name="one", folds=["3"]).manifest.members) == 1
    assert import_nnunet(folder, tmp_path / "d", name="two", axes="lps").manifest.axes == "LPS"
    with pytest.raises(BundleError, match="'XYZ' is no orientation"):
        import_nnunet(folder, tmp_path / "e", name="three", axes="XYZ")


def test_axes_come_with_the_dataset_unless_told_otherwise(folder, tmp_path, capsys):
    def notes(bundle):
        return " ".join(bundle.manifest.peculiarities)

    assert "LAS is assumed" in notes(import_nnunet(folder, tmp_path / "a", name="x"))
    changed(folder / "dataset.json", willis_axes="LPS")
    read = import_nnunet(folder, tmp_path / "b", name="x")
    assert read.manifest.axes == "LPS"
    assert "assumed" not in notes(read)
    assert notes(import_nnunet(folder, tmp_path / "c", name="x", axes="lps")) == notes(read)
    assert (
        call(["models", "import", "nnunet", str(folder), "--name", "x", "--axes", "RAS", "-o", str(tmp_path / "d")])
        == 0
    )
    assert open_bundle(str(tmp_path / "d")).manifest.axes == "RAS"
    assert (
        "Note: Its dataset.json says that its training files lay in LPS; RAS was asked for" in capsys.readouterr().out
    )
    changed(folder / "dataset.json", willis_axes="across")
    with pytest.raises(BundleError, match="'ACROSS' is no orientation"):
        import_nnunet(folder, tmp_path / "e", name="x")


def test_what_is_not_known_is_named(folder, tmp_path):
    with pytest.raises(BadInputError, match=r"fold_7/checkpoint_final.pth is absent"):
        import_nnunet(folder, tmp_path / "b", name="x", folds=["7"])
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["normalization_schemes"] = ["RGBTo01Normalization"]
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(BadInputError, match="RGBTo01Normalization"):
        import_nnunet(folder, tmp_path / "b", name="x")


def test_half_told_regions_cascades_and_old_plans_are_refused(folder, tmp_path):
    original = (folder / "plans.json").read_text()
    changed(folder / "dataset.json", labels={"background": 0, "whole": [1, 2], "core": 2})
    with pytest.raises(BadInputError, match="one label above 0 for each of whole, core; found None"):
        import_nnunet(folder, tmp_path / "b", name="x")
    changed(folder / "dataset.json", labels={"background": 0, "c7": 1, "m1": 3})
    with pytest.raises(BadInputError, match=r"must be 1, 2, 3…, or regions"):
        import_nnunet(folder, tmp_path / "b", name="x")
    shutil.copy(GOLDEN / "dataset.json", folder / "dataset.json")
    for key, value, words in (("previous_stage", "3d_lowres", "cascade"), ("architecture", None, "older than")):
        plans = json.loads(original)
        plans["configurations"]["3d_fullres"][key] = value
        (folder / "plans.json").write_text(json.dumps(plans))
        with pytest.raises(BadInputError, match=words):
            import_nnunet(folder, tmp_path / "b", name="x")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (
            "architecture.network_class_name",
            "x.ResidualUNet",
            "ResidualUNet; known are PlainConvUNet, Res",
        ),
        ("architecture.arch_kwargs.nonlin_first", True, "has nonlin_first = True"),
        ("architecture.arch_kwargs.nonlin_kwargs", {"negative_slope": 0.2}, "leaky ReLU of slope 0.01"),
        (
            "architecture.arch_kwargs.norm_op",
            "torch.nn.BatchNorm3d",
            "has norm_op = torch.nn.BatchNorm3d",
        ),
        ("architecture.arch_kwargs.dropout_op", "torch.nn.Dropout3d", "has dropout_op"),
        ("preprocessor_name", "OwnPreprocessor", "preprocessor_name is OwnPreprocessor"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(path, value, words, folder, tmp_path):
    plans = json.loads((folder / "plans.json").read_text())
    *steps, last = path.split(".")
    held = plans["configurations"]["3d_fullres"]
    for step in steps:
        held = held[step]
    held[last] = value
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(BadInputError, match=words):
        import_nnunet(folder, tmp_path / "b", name="x")


def test_readers_that_turn_files_say_their_axes(folder, tmp_path):
    changed(folder / "plans.json", image_reader_writer="NibabelIOWithReorient")
    changed(folder / "dataset.json", willis_axes="LPS")
    assert import_nnunet(folder, tmp_path / "b", name="x").manifest.axes == "RAS"
    told = import_nnunet(folder, tmp_path / "c", name="x", axes="LPS").manifest
    assert told.axes == "LPS"
    assert "plans say that its training files were read in RAS; LPS was asked for" in told.peculiarities[-1]


def test_weights_of_another_network_are_refused(folder, tmp_path):
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["features_per_stage"] = [4, 6, 9]
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(BadInputError, match="the plans ask for"):
        import_nnunet(folder, tmp_path / "b", name="x")
