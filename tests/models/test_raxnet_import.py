"""``willis models import raxnet``: H5 files of three planes or fewer become one bundle; what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from willis.app.cli.main import call
from willis.models.importers import raxnet
from willis.models.store import open_bundle
from willis.nets.raxnet import RaxNetConfig
from willis.nets.registry import build_network

h5py = pytest.importorskip("h5py")

NARROW = {"filters": [2, 3], "down_units": [2], "up_units": [1, 1]}
KERAS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raxnet, "RaxNetConfig", lambda: RaxNetConfig.parse(NARROW, "test"))


def _weights(seed: int) -> dict[str, np.ndarray]:
    torch.manual_seed(seed)
    network = build_network("raxnet", NARROW)
    return {
        name: torch.rand_like(value).numpy()
        for name, value in network.state_dict().items()
        if value.is_floating_point()
    }


def _save(path: Path, held: dict[str, np.ndarray], left_out: str = "") -> None:
    """Write weights as Keras does: layers numbered in the order of making, kernels with channels last."""
    layers: dict[str, dict[str, np.ndarray]] = {}
    for number, stem in enumerate(dict.fromkeys(_layer(name) for name in held if _layer(name) != left_out)):
        arrays = {name.removeprefix(f"{stem}."): a for name, a in held.items() if _layer(name) == stem}
        if "running_mean" in arrays:
            layers[f"batch_normalization_{number}"] = {KERAS[name]: a for name, a in arrays.items()}
        elif "depthwise.weight" in arrays:
            layers[f"separable_conv2d_{number}"] = {
                "depthwise_kernel": arrays["depthwise.weight"].transpose(2, 3, 0, 1),
                "pointwise_kernel": arrays["pointwise.weight"].transpose(2, 3, 1, 0),
                "bias": arrays["pointwise.bias"],
            }
        else:
            kind = "conv2d_transpose" if stem.startswith("up.") and ".unit." in stem else "conv2d"
            kernel = arrays["weight"].transpose(2, 3, 1, 0)
            layers[f"{kind}_{number}"] = {"kernel": kernel, "bias": arrays["bias"]}
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{role}:0".encode() for role in arrays]
            for role, array in arrays.items():
                group[f"{name}/{role}:0"] = array


def _layer(name: str) -> str:
    return name.rpartition(".")[0].removesuffix(".depthwise").removesuffix(".pointwise")


def test_three_planes_become_the_members_of_one_bundle(tmp_path: Path) -> None:
    held = {plane: _weights(seed) for seed, plane in enumerate(("axial", "sagittal", "coronal"))}
    for plane, weights in held.items():
        _save(tmp_path / f"{plane}.h5", weights)
    out = tmp_path / "bundle"
    assert call(["models", "import", "raxnet", str(tmp_path), "-o", str(out)]) == 0
    bundle = open_bundle(out, "chronic")
    assert [view.plane for view in bundle.manifest.planes] == list(held)
    for index, weights in enumerate(held.values()):
        found = bundle.member_weights(index)
        assert all(np.array_equal(found[name], value) for name, value in weights.items())


def test_a_plane_without_a_file_is_left_out_and_no_file_at_all_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["models", "import", "raxnet", str(tmp_path), "-o", str(tmp_path / "bundle")]
    assert call(command) == 2
    assert "holds none of axial.h5, sagittal.h5 and coronal.h5" in capsys.readouterr().err
    for seed, plane in enumerate(("axial", "coronal")):
        _save(tmp_path / f"{plane}.h5", _weights(seed))
    assert call(command) == 0
    assert [view.plane for view in open_bundle(tmp_path / "bundle").manifest.planes] == ["axial", "coronal"]


def test_a_file_that_lacks_a_layer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _save(tmp_path / "axial.h5", _weights(0), left_out="head")
    assert call(["models", "import", "raxnet", str(tmp_path), "-o", str(tmp_path / "bundle")]) == 2
    assert "fewer layers than the published RAX-NET" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
