"""ImageNet weights for the encoders: Keras' and torchvision's layouts, what they compute, what is refused."""

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

from willis.errors import BadInputError
from willis.models.importers import vgg16
from willis.models.importers.vgg16 import MEAN, STD, imagenet_start, read_vgg16
from willis.nets.registry import build_network

THIN = (4, 4, 4, 4, 4)
CONFIG = {"maps": 2, "size": 32, "vgg": THIN, "branch": 4, "bottom": 4, "up": [4, 4, 4, 4], "head": 4}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(vgg16, "WIDTHS", THIN)


def layers():
    rng = np.random.default_rng(0)
    before, found = 3, {}
    for block, count in enumerate((2, 2, 3, 3, 3)):
        for conv in range(count):
            found[block, conv] = (
                rng.normal(size=(3, 3, before, 4)).astype(np.float32),
                rng.normal(size=4).astype(np.float32),
            )
            before = 4
    return found


def keras_file(folder, held):
    with h5py.File(folder / "notop.h5", "w") as file:
        names = [f"block{b + 1}_conv{c + 1}" for b, c in held]
        file.attrs["layer_names"] = [n.encode() for n in names]
        for name, (kernel, bias) in zip(names, held.values(), strict=True):
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}/kernel:0".encode(), f"{name}/bias:0".encode()]
            group[f"{name}/kernel:0"], group[f"{name}/bias:0"] = kernel, bias
    return folder / "notop.h5"


def torch_file(folder, held):
    state, place = {}, 0
    for block, count in enumerate((2, 2, 3, 3, 3)):
        for conv in range(count):
            kernel, bias = held[block, conv]
            state[f"features.{place}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            state[f"features.{place}.bias"] = torch.from_numpy(bias)
            place += 2
        place += 1
    torch.save(state, folder / "vgg16.pth")
    return folder / "vgg16.pth"


def test_every_map_gets_the_same_encoder_and_the_rest_stays_random(tmp_path):
    held = layers()
    torch.manual_seed(3)
    weights = imagenet_start(keras_file(tmp_path, held), CONFIG)
    torch.manual_seed(3)
    plain = build_network("vgg_fusion", CONFIG).state_dict()
    for m in range(2):
        assert np.allclose(weights[f"vgg.{m}.4.2.weight"], held[4, 2][0].transpose(3, 2, 0, 1))
        assert np.allclose(weights[f"vgg.{m}.0.1.bias"], held[0, 1][1])
    assert all(torch.equal(weights[n], plain[n]) for n in plain if not n.startswith("vgg."))
    build_network("vgg_fusion", CONFIG).load_state_dict(weights)


def test_torchvision_s_first_layer_takes_blue_green_red_up_to_255(tmp_path):
    held = layers()
    kernel, bias = read_vgg16(torch_file(tmp_path, held))[0, 0]
    rgb = torch.rand(1, 3, 8, 8)
    theirs = (rgb - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    first = torch.from_numpy(held[0, 0][0].transpose(3, 2, 0, 1).copy())
    expected = functional.conv2d(theirs, first, torch.from_numpy(held[0, 0][1]))
    assert torch.allclose(functional.conv2d(255 * rgb.flip(1), kernel, bias), expected, atol=1e-4)


def test_what_is_no_vgg_is_refused(tmp_path):
    held = layers()
    with pytest.raises(BadInputError, match="VGG-16 has"):
        read_vgg16(
            keras_file(tmp_path, {**held, (3, 0): (np.zeros((3, 3, 4, 5), np.float32), np.zeros(5, np.float32))})
        )
    del held[2, 1]
    with pytest.raises(BadInputError, match="no layer block3_conv2"):
        read_vgg16(keras_file(tmp_path, held))
    with pytest.raises(BadInputError, match=r"no features\.0\.weight"):
        torch.save({"other": torch.zeros(2)}, tmp_path / "x.pth")
        read_vgg16(tmp_path / "x.pth")
    with pytest.raises(BadInputError, match="Leave network"):
        imagenet_start(keras_file(tmp_path, layers()), {**CONFIG, "vgg": (8,) * 5})
