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


def test_half_told_regions_and_old_plans_are_refused(folder, tmp_path):
    original = (folder / "plans.json").read_text()
    changed(folder / "dataset.json", labels={"background": 0, "whole": [1, 2], "core": 2})
    with pytest.raises(BadInputError, match="one label above 0 for each of whole, core; found None"):
        import_nnunet(folder, tmp_path / "b", name="x")
    changed(folder / "dataset.json", labels={"background": 0, "c7": 1, "m1": 3})
    with pytest.raises(BadInputError, match=r"must be 1, 2, 3…, or regions"):
        import_nnunet(folder, tmp_path / "b", name="x")
    shutil.copy(GOLDEN / "dataset.json", folder / "dataset.json")
    plans = json.loads(original)
    plans["configurations"]["3d_fullres"]["architecture"] = None
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(BadInputError, match="older than"):
        import_nnunet(folder, tmp_path / "b", name="x")


STAGES = ("nnUNetTrainer__nnUNetCascade__3d_lowres", "nnUNetTrainer__nnUNetCascade__3d_cascade_fullres")


@pytest.fixture
def stages(tmp_path) -> tuple[Path, Path]:
    """Folders of a cascade's two stages, side by side as nnU-Net leaves them."""
    low, high = (Path(shutil.copytree(GOLDEN.parent / name, tmp_path / "results" / name)) for name in STAGES)
    return low, high


def test_a_cascade_is_one_bundle_of_both_stages(stages, tmp_path, capsys):
    low, high = stages
    shutil.copytree(low / "fold_0", low / "fold_1")
    bundle = import_nnunet(high, tmp_path / "b", name="vessels")
    manifest = bundle.manifest
    assert manifest.members == ("member_0.safetensors",)
    assert manifest.previous.members == ("previous_0.safetensors", "previous_1.safetensors")
    assert manifest.network.config["inputs"] == 3
    assert manifest.previous.network.config["inputs"] == 1
    assert manifest.network.config["plan"]["previous"] == {"codes": [1, 2], "channels": 2, "order": 1}
    assert manifest.previous.network.config["plan"]["spacing_mm"] == [3.2, 1.7, 1.9]
    assert any("2 networks of 3d_lowres" in told for told in manifest.peculiarities)
    low.rename(tmp_path / "elsewhere")
    told = ["--name", "x", "--previous", str(tmp_path / "elsewhere"), "--folds", "0", "-o", str(tmp_path / "c")]
    assert call(["models", "import", "nnunet", str(high), *told]) == 0
    out = capsys.readouterr().out
    assert "1 network of 3d_lowres" in out and "x: a cascade of 1 member, then 1 member, " in out
    assert call(["models", "import", "nnunet", str(high), "--name", "y", *told[2:4], "-o", str(tmp_path / "d")]) == 0
    assert "y: a cascade of 2 members, then 1 member, " in capsys.readouterr().out
    assert len(open_bundle(str(tmp_path / "c")).manifest.previous.members) == 1


def test_an_incomplete_cascade_is_refused_whole(stages, folder, tmp_path, capsys):
    low, high = stages
    place = tmp_path / "b"

    def refused(*more: str, of: Path = high) -> str:
        assert call(["models", "import", "nnunet", str(of), "--name", "x", "-o", str(place), *more]) == 2
        assert not place.exists()
        return capsys.readouterr().err

    assert "holds the configuration 3d_fullres; 3d_cascade_fullres sees" in " ".join(
        refused("--previous", str(folder)).split()
    )
    shutil.copytree(high / "fold_0", high / "fold_1")
    assert "fold_1/checkpoint_final.pth is absent" in "".join(refused("--folds", "0,1").split("\n"))
    assert "is no cascade and sees the image alone" in " ".join(refused("--previous", str(low), of=folder).split())
    changed(low / "dataset.json", labels={"background": 0, "m1": 1, "c7": 2})
    assert "differ in their labels" in " ".join(refused().split())
    shutil.copy(high / "dataset.json", low / "dataset.json")
    changed(low / "dataset.json", willis_axes="LPS")
    assert "differ in their axes: LPS in" in " ".join(refused().split())
    shutil.rmtree(low)
    assert "is a cascade and sees the labels of 3d_lowres" in " ".join(refused().split())


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("resampling_fn_seg", "resample_torch_fornnunet", "resample seg by resample_torch_fornnunet"),
        ("resampling_fn_seg_kwargs", {"is_seg": False}, "resample seg with is_seg = False"),
        ("resampling_fn_seg_kwargs", {"is_seg": True, "order_z": 1}, "resample seg with order_z = 1"),
        (
            "resampling_fn_seg_kwargs",
            {"is_seg": True, "force_separate_z": True},
            "force_separate_z is None, None, True",
        ),
    ],
)
def test_labels_that_would_be_resampled_otherwise_are_refused(key, value, words, stages, tmp_path):
    _, high = stages
    plans = json.loads((high / "plans.json").read_text())
    plans["configurations"]["3d_cascade_fullres"][key] = value
    (high / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(BadInputError, match=words):
        import_nnunet(high, tmp_path / "b", name="x")


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


def test_weights_that_the_plans_do_not_speak_of_are_refused_but_for_second_names(folder, tmp_path):
    file = folder / "fold_0" / "checkpoint_final.pth"
    held = torch.load(file, weights_only=False)  # our own file
    state = held["network_weights"]
    kernel = state["encoder.stages.0.0.convs.0.conv.weight"]
    for name in ("encoder.stages.0.0.convs.0.all_modules.0.weight", "decoder.encoder.stages.0.0.convs.0.conv.weight"):
        state[name] = kernel
    state["decoder.seg_layers.0.weight"] = torch.zeros(3, 6, 1, 1, 1)
    torch.save(held, file)
    import_nnunet(folder, tmp_path / "a", name="x")
    state["encoder.stages.0.0.convs.7.conv.weight"] = kernel
    torch.save(held, file)
    with pytest.raises(
        BadInputError, match=r"holds encoder.stages.0.0.convs.7.conv.weight, which the network that its"
    ):
        import_nnunet(folder, tmp_path / "b", name="x")


def test_the_fold_of_all_cases_is_a_member_only_where_it_is_alone_or_named(folder, tmp_path):
    shutil.copytree(folder / "fold_0", folder / "fold_all")
    assert len(import_nnunet(folder, tmp_path / "a", name="x").manifest.members) == 1
    assert len(import_nnunet(folder, tmp_path / "b", name="x", folds=["0", "all"]).manifest.members) == 2
    shutil.rmtree(folder / "fold_0")
    assert len(import_nnunet(folder, tmp_path / "c", name="x").manifest.members) == 1
