"""Make published_network.npz: logits of FVV's network, built of other people's code, on made-up weights and input.

The encoder is segmentation_models_pytorch_3d 1.0.2's EfficientNet-b0 with strides (1, 2, 2) in every strided stage, as
the published fork has them, the decoder segmentation_models_pytorch 0.3.4's DeepLabV3+. Run it in an environment with
torch, giving the folders of both wheels, unpacked:

    python make_published_network.py SMP3D SMP published_network.npz
"""

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import torch

SEED = 5
SIDE = 64


def module_of(path: Path, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def encoder_of(folder: Path) -> torch.nn.Module:
    """EfficientNet-b0 with planes halved and slices left, output stride 16."""
    package = types.ModuleType("judge")
    package.__path__ = [str(folder / "segmentation_models_pytorch_3d" / "encoders")]
    sys.modules["judge"] = package
    for name in ("_utils", "_base"):
        module_of(Path(package.__path__[0]) / f"{name}.py", f"judge.{name}")
    published = module_of(Path(package.__path__[0]) / "efficientnet.py", "judge.efficientnet")
    decode = published.BlockDecoder._decode_block_string

    def strided(text: str):
        block = decode(text)
        return block._replace(stride=(1, 2, 2) if block.stride == [2] else 1)

    published.BlockDecoder._decode_block_string = staticmethod(strided)
    encoder = published.EfficientNetEncoder(
        (3, 5, 9, 16), (3, 32, 24, 40, 112, 320), "efficientnet-b0", strides=((1, 2, 2),) * 5
    )
    encoder.set_in_channels(2, pretrained=False)
    encoder.make_dilated(16)
    return encoder


def main(smp3d: str, smp: str, out: str) -> None:
    encoder = encoder_of(Path(smp3d))
    decoders = Path(smp) / "segmentation_models_pytorch" / "decoders" / "deeplabv3"
    decoder = module_of(decoders / "decoder.py", "judge_decoder").DeepLabV3PlusDecoder((2, 32, 24, 40, 112, 320))
    head = torch.nn.Conv2d(256, 3, 1)
    parts = torch.nn.ModuleDict(
        {"encoder": encoder, "decoder": decoder, "segmentation_head": torch.nn.Sequential(head)}
    )
    state = made_up_state({k: tuple(v.shape) for k, v in parts.state_dict().items() if "num_batches" not in k})
    missing = parts.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()}, strict=False)
    assert all("num_batches" in k for k in missing.missing_keys) and not missing.unexpected_keys
    parts.double().eval()
    with torch.no_grad():
        x = torch.from_numpy(made_up_input()).double()
        flat = [f[:, :, i] for f, i in zip(encoder(x), (3, 3, 2, 2, 1, 1), strict=True)]
        logits = torch.nn.functional.interpolate(
            head(decoder(*flat)), scale_factor=4.0, mode="bilinear", align_corners=True
        )
    names = sorted(state)
    np.savez_compressed(
        out, logits=logits.float().numpy(), names=np.array(names), shapes=np.array([str(state[n].shape) for n in names])
    )


def made_up_input() -> np.ndarray:
    return np.random.default_rng(SEED).standard_normal((2, 2, 7, SIDE, SIDE)).astype(np.float32)


def made_up_state(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Weights by name that keep signals near 1, the same for one name and shape."""
    state = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng([SEED, *name.encode()])
        values = rng.standard_normal(shape)
        if name.endswith("running_var"):
            values = 0.5 + np.abs(values)
        elif len(shape) > 1:
            values = values * np.sqrt(2 / np.prod(shape[1:]))
        elif name.endswith("weight"):
            values = 1 + 0.1 * values
        else:
            values = 0.1 * values
        state[name] = values.astype(np.float32)
    return state


if __name__ == "__main__":
    main(*sys.argv[1:])
