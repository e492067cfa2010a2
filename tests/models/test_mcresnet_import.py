"""Published McResNet checkpoints become bundles, whatever their names, and never run code."""

import pickle

import pytest
import torch

from willis.errors import BadInputError
from willis.models.importers.mcresnet import import_mcresnet, renamed
from willis.nets.mcresnet import McResNet, McResNetConfig

FOREIGN = {  # as others may have named the parts that have no settled name
    "cbam.channel.reduce.weight": "ca.fc.0.weight",
    "cbam.channel.expand.weight": "ca.fc.2.weight",
    "cbam.spatial.conv.weight": "sa.conv1.weight",
}


@pytest.fixture(scope="module")
def ours() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return {name: torch.randn_like(value) for name, value in McResNet(McResNetConfig()).state_dict().items()}


def foreign(ours: dict[str, torch.Tensor], prefix: str = "") -> dict[str, torch.Tensor]:
    state = {}
    for name, value in ours.items():
        for own, other in FOREIGN.items():
            if name.endswith(own):
                name = name.removesuffix(own) + other
                value = value.flatten(1) if "ca.fc" in other else value  # linear layers there
        name = name.replace("fc1.", "fc.0.").replace("fc2.", "fc.3.")
        state[prefix + name] = value
        if name.endswith("running_var"):
            state[prefix + name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    return state


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_come_through_under_our_names(ours, tmp_path, prefix):
    file = tmp_path / "best.pth"
    torch.save({"epoch": 3, "state_dict": foreign(ours, prefix)}, file)
    bundle = import_mcresnet(file, tmp_path / "bundle")
    weights = bundle.member_weights(0)
    assert set(weights) == set(ours)
    for name in (
        "conv1.weight",
        "layer3.1.cbam.channel.reduce.weight",
        "layer2.0.downsample.1.running_var",
        "fc2.bias",
    ):
        torch.testing.assert_close(torch.from_numpy(weights[name]), ours[name])
    assert bundle.manifest.shape == (512, 512, 200)
    assert bundle.manifest.axes == "LAS"


def test_a_file_that_would_run_code_is_not_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (exec, ("raise SystemExit('ran')",))

    file = tmp_path / "trap.pth"
    with file.open("wb") as stream:
        pickle.dump({"state_dict": Trap()}, stream)
    with pytest.raises(BadInputError, match="was not loaded"):
        import_mcresnet(file, tmp_path / "bundle")
    torch.save({"state_dict": Trap()}, file)
    with pytest.raises(BadInputError, match="was not loaded"):
        import_mcresnet(file, tmp_path / "bundle")


def test_other_weights_are_refused(ours, tmp_path):
    state = foreign(ours)
    short = {name: value for name, value in state.items() if not name.startswith("layer4.1.conv2")}
    with pytest.raises(BadInputError, match="lacks 1 weight of"):
        renamed({n: v for n, v in short.items() if "num_batches" not in n}, tmp_path / "x.pth")
    with pytest.raises(BadInputError, match="no place"):
        renamed({**ours, "layer5.0.conv1.weight": torch.zeros(2)}, tmp_path / "x.pth")
    with pytest.raises(BadInputError, match="has shape"):
        renamed({**ours, "conv1.weight": torch.zeros(64, 1, 7, 7, 7)}, tmp_path / "x.pth")
