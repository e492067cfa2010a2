"""FVV's published files as bundles: both layouts of checkpoints, ONNX graphs, older models with four outputs."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.infer.ensemble import predict
from willis.infer.slices import stack_about
from willis.io.study import read_study
from willis.models.importers.fvv import STACK, find_models, import_fvv, read_graph, read_weights
from willis.models.store import open_bundle
from willis.nets.deeplab25d import DeepLab25d, DeepLab25dConfig
from willis.tasks.fvv.dataset import FvvData
from willis.tasks.fvv.prepare import pair_of, prepare
from willis.volume.grid import Grid

onnx = pytest.importorskip("onnx")

PUBLISHED = {  # start of our names: published, in the order in which they are tried
    "encoder.stem.conv": "encoder._conv_stem", "encoder.stem.norm": "encoder._bn0",
    "encoder.head.conv": "encoder._conv_head", "encoder.head.norm": "encoder._bn1",
    "decoder.pyramid.near.conv": "decoder.aspp.0.convs.0.0", "decoder.pyramid.near.norm": "decoder.aspp.0.convs.0.1",
    "decoder.pyramid.whole.conv": "decoder.aspp.0.convs.4.1", "decoder.pyramid.whole.norm": "decoder.aspp.0.convs.4.2",
    "decoder.pyramid.join.conv": "decoder.aspp.0.project.0", "decoder.pyramid.join.norm": "decoder.aspp.0.project.1",
    "decoder.smooth.depth": "decoder.aspp.1.0", "decoder.smooth.point.conv": "decoder.aspp.1.1",
    "decoder.smooth.point.norm": "decoder.aspp.2", "decoder.skip.conv": "decoder.block1.0",
    "decoder.skip.norm": "decoder.block1.1", "decoder.fuse.depth": "decoder.block2.0.0",
    "decoder.fuse.point.conv": "decoder.block2.0.1", "decoder.fuse.point.norm": "decoder.block2.1",
    "head": "segmentation_head.0",
}  # fmt: skip
IN_BLOCK = {
    "expand.conv": "_expand_conv", "expand.norm": "_bn0", "depthwise.conv": "_depthwise_conv",
    "depthwise.norm": "_bn1", "reduce": "_se_reduce", "widen": "_se_expand", "project.conv": "_project_conv",
    "project.norm": "_bn2",
}  # fmt: skip


def published_name(name: str, wrapped: bool) -> str:
    """The published name of one of our weights; ``wrapped``: with ``.conv3D`` in those of the encoder's kernels."""
    stem, _, last = name.rpartition(".")
    if stem.startswith("encoder.blocks."):
        number, part = stem.removeprefix("encoder.blocks.").split(".", 1)
        theirs = f"encoder._blocks.{number}.{IN_BLOCK[part]}"
    elif stem.startswith("decoder.pyramid.atrous."):
        number, part = stem.removeprefix("decoder.pyramid.atrous.").split(".", 1)
        ends = {"depth": "0.0", "point.conv": "0.1", "point.norm": "1"}
        theirs = f"decoder.aspp.0.convs.{int(number) + 1}.{ends[part]}"
    else:
        theirs = PUBLISHED[stem]
    inner = wrapped and theirs.startswith("encoder") and "_bn" not in theirs
    return f"{theirs}{'.conv3D' if inner else ''}.{last}"


def made_up(seed: int, outputs: int = 3) -> DeepLab25d:
    torch.manual_seed(seed)
    network = DeepLab25d(DeepLab25dConfig(inputs=2, outputs=outputs)).eval()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_mean"):
                value.normal_(0, 0.1)
    return network


def save_checkpoint(network: nn.Module, path: Path, *, wrapped: bool, parallel: bool = False) -> None:
    start = "module." if parallel else ""
    state = {start + published_name(name, wrapped): value for name, value in network.state_dict().items()}
    state[f"{start}encoder._bn0.num_batches_tracked"] = torch.tensor(3)
    torch.save(state, path)


def save_graph(network: nn.Module, path: Path) -> None:
    torch.onnx.export(
        network, (torch.zeros(1, *STACK),), str(path), dynamo=False, opset_version=17, input_names=["modelInput"],
        output_names=["modelOutput"], dynamic_axes={"modelInput": {0: "batch"}, "modelOutput": {0: "batch"}},
    )  # fmt: skip


@pytest.mark.parametrize(("wrapped", "parallel"), [(True, False), (False, False), (False, True)])
def test_both_layouts_are_read(tmp_path: Path, wrapped: bool, parallel: bool) -> None:
    network = made_up(0)
    save_checkpoint(network, tmp_path / "model1.pth", wrapped=wrapped, parallel=parallel)
    weights = read_weights(tmp_path / "model1.pth")
    state = network.state_dict()
    assert set(weights) == set(state)
    assert all(np.array_equal(weights[name], value.numpy()) for name, value in state.items())


@pytest.mark.parametrize("half", [False, True])
def test_imported_weights_are_those_of_the_checkpoint(tmp_path: Path, half: bool) -> None:
    """Bit for bit, unless rounding of the kernels is asked for."""
    network = made_up(5)
    save_checkpoint(network, tmp_path / "model1.pth", wrapped=True)
    words = ["models", "import", "fvv", str(tmp_path), "-o", str(tmp_path / "bundle"), *(["--half"] if half else [])]
    assert call(words) == 0
    weights = open_bundle(tmp_path / "bundle").member_weights(0)
    same = [np.array_equal(weights[name], value.numpy()) for name, value in network.state_dict().items()]
    assert len(weights) == len(same) and all(same) is not half


def test_one_model_under_two_names_is_refused(tmp_path: Path) -> None:
    save_checkpoint(made_up(5), tmp_path / "model1.pth", wrapped=True)
    (tmp_path / "model1 (1).pth").write_bytes((tmp_path / "model1.pth").read_bytes())
    with pytest.raises(BadInputError, match=r"model1 \(1\).pth and model1.pth of .* are one model"):
        import_fvv(tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_of_four_outputs_three_are_kept(tmp_path: Path) -> None:
    network = made_up(1, outputs=4)
    save_checkpoint(network, tmp_path / "model1.pth", wrapped=True)
    weights = read_weights(tmp_path / "model1.pth")
    assert np.array_equal(weights["head.bias"], network.head.bias.detach().numpy()[[0, 2, 3]])


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [3, 4])
def test_graph_and_checkpoint_give_the_same_logits(
    tmp_path: Path, outputs: int, stack_network: Callable[..., DeepLab25d]
) -> None:
    rng = np.random.default_rng(3)
    network = stack_network(2, outputs, rng.uniform(-1.7, 1.7, (2, 2, 7, 128, 128)).astype(np.float32))
    for kind in ("onnx", "pth"):
        (tmp_path / kind).mkdir()
    save_graph(network, tmp_path / "onnx" / "model1.onnx")
    save_checkpoint(network, tmp_path / "pth" / "model1.pth", wrapped=False)
    bundles = [import_fvv(tmp_path / kind, tmp_path / f"bundle-{kind}") for kind in ("onnx", "pth")]
    x = rng.uniform(-1.7, 1.7, (2, 256, 256, 3)).astype(np.float32)
    found = [
        predict(bundle, x, engine=engine).probability for bundle, engine in zip(bundles, ("onnx", "torch"), strict=True)
    ]
    assert found[0].shape == (3, 256, 256, 3)
    plain = (found[0] > 0.01) & (found[0] < 0.99)  # where a float32 probability tells its logit
    logits = [np.log(p[plain] / (1 - p[plain])) for p in found]
    assert plain.mean() > 0.1 and logits[0].std() > 0.5
    assert np.abs(logits[0] - logits[1]).max() <= 1e-3
    assert found[1][~plain] == pytest.approx(found[0][~plain], abs=1e-5)


def save_scan(folder: Path) -> tuple[Path, Path]:
    """Three thick slices of a ball whose voxels all differ; b0 and b1000."""
    grid = Grid((32, 40, 3), np.diag([-6.0, 6.0, 8.0, 1.0]))
    at = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1)) - grid.centre_mm
    rng = np.random.default_rng(0)
    brain = np.linalg.norm(at, axis=-1) < 80
    b0 = np.where(brain, 250 + 700 * rng.random(grid.shape), 3.0)
    b1000 = np.where(brain, b0 * np.exp(-rng.uniform(0.3, 1.3, grid.shape)), 2 + rng.random(grid.shape))
    for name, data in (("b0", b0), ("b1000", b1000)):
        image = nib.Nifti1Image(data.astype(np.float32), grid.affine)
        image.header.set_xyzt_units("mm")
        image.set_qform(grid.affine, 1)
        nib.save(image, folder / f"{name}.nii.gz")
    return folder / "b0.nii.gz", folder / "b1000.nii.gz"


@pytest.mark.slow
def test_both_kinds_give_the_same_predictions(tmp_path: Path, stack_network: Callable[..., DeepLab25d]) -> None:
    """From published files to the published file, each by the engine of its kind, voxel for voxel."""
    b0, b1000 = save_scan(tmp_path)
    manifest = FvvData.model_validate({"preparation": "slices"}).manifest
    prepared = prepare(pair_of(read_study(b0=b0, b1000=b1000), {}), manifest).image
    seen = np.stack([stack_about(prepared, k, 7, float(prepared.min()))[..., ::2, ::2] for k in (0, 1)])
    network = stack_network(4, 3, seen)
    for kind in ("onnx", "pth"):
        (tmp_path / kind).mkdir()
    save_graph(network, tmp_path / "onnx" / "model1.onnx")
    save_checkpoint(network, tmp_path / "pth" / "model1.pth", wrapped=True)
    found = []
    for kind, engine in (("onnx", "onnx"), ("pth", "torch")):
        bundle, out = tmp_path / f"bundle-{kind}", tmp_path / f"out-{kind}"
        assert call(["models", "import", "fvv", str(tmp_path / kind), "-o", str(bundle)]) == 0
        words = ["--b0", str(b0), "--b1000", str(b1000), "--bundle", str(bundle), "--engine", engine, "-o", str(out)]
        assert call(["run", "fvv", *words]) == 0
        found.append(np.asarray(nib.load(out / "published" / "predictions.nii.gz").dataobj))
    assert np.array_equal(found[0], found[1])
    shares = (found[0] > 0).mean(axis=(0, 1, 2))  # brain, infarct, visible part: none of them everywhere or nowhere
    assert (shares > 0.05).all() and (shares < 0.95).all()


def test_models_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1):
        (tmp_path / f"model{number}.pth").touch()
    assert [path.name for path in find_models(tmp_path)] == ["model1.pth", "model2.pth", "model10.pth"]


def test_folders_without_models_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInputError, match=r"no \.onnx or \.pth file"):
        find_models(tmp_path)
    (tmp_path / "model1.pth").touch()
    (tmp_path / "model1.onnx").touch()
    assert call(["models", "import", "fvv", str(tmp_path)]) == 2
    assert "both .onnx and .pth" in capsys.readouterr().err


def test_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"encoder.layer1.weight": torch.zeros(3)}, tmp_path / "model1.pth")
    with pytest.raises(BadInputError, match="another network"):
        read_weights(tmp_path / "model1.pth")
    network = made_up(0)
    state = {published_name(name, False): value for name, value in network.state_dict().items()}
    state.pop("decoder.block1.0.weight")
    torch.save(state, tmp_path / "model2.pth")
    with pytest.raises(BadInputError, match=r"decoder\.skip\.conv\.weight"):
        read_weights(tmp_path / "model2.pth")


def test_a_pickle_with_code_is_not_loaded(tmp_path: Path) -> None:
    torch.save(made_up(0), tmp_path / "model1.pth")
    with pytest.raises(BadInputError, match="not loaded"):
        read_weights(tmp_path / "model1.pth")


def test_a_graph_of_another_shape_is_refused(tmp_path: Path) -> None:
    class Other(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    torch.onnx.export(
        Other(), (torch.zeros(1, 1, 4, 4),), str(tmp_path / "model1.onnx"), dynamo=False,
        input_names=["modelInput"], output_names=["modelOutput"],
    )  # fmt: skip
    with pytest.raises(BadInputError, match="a graph of FVV takes modelInput"):
        read_graph(tmp_path / "model1.onnx")
