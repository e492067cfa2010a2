"""FVV's published files as bundles: both layouts of checkpoints, ONNX graphs, older models with four outputs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.infer.ensemble import predict
from willis.models.importers.fvv import STACK, find_models, import_fvv, read_graph, read_weights
from willis.nets.deeplab25d import DeepLab25d, DeepLab25dConfig

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


def test_of_four_outputs_three_are_kept(tmp_path: Path) -> None:
    network = made_up(1, outputs=4)
    save_checkpoint(network, tmp_path / "model1.pth", wrapped=True)
    weights = read_weights(tmp_path / "model1.pth")
    assert np.array_equal(weights["head.bias"], network.head.bias.detach().numpy()[[0, 2, 3]])


@pytest.mark.slow
@pytest.mark.parametrize("outputs", [3, 4])
def test_graph_and_checkpoint_give_the_same_logits(tmp_path: Path, outputs: int) -> None:
    network = made_up(2, outputs)
    for kind in ("onnx", "pth"):
        (tmp_path / kind).mkdir()
    save_graph(network, tmp_path / "onnx" / "model1.onnx")
    save_checkpoint(network, tmp_path / "pth" / "model1.pth", wrapped=False)
    bundles = [import_fvv(tmp_path / kind, tmp_path / f"bundle-{kind}") for kind in ("onnx", "pth")]
    x = np.random.default_rng(3).standard_normal((2, 256, 256, 3)).astype(np.float32)
    found = [
        predict(bundle, x, engine=engine).probability for bundle, engine in zip(bundles, ("onnx", "torch"), strict=True)
    ]
    assert found[0].shape == (3, 256, 256, 3)
    logits = [np.log(p / (1 - p)) for p in found]
    assert np.abs(logits[0] - logits[1]).max() <= 1e-3


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
