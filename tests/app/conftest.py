"""A made-up scan whose findings are known, and bundles that find them by brightness alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from willis.models.manifest import Intensity, Manifest, Network, Threshold
from willis.models.store import BUNDLES_VARIABLE, write_bundle
from willis.volume.grid import Grid

NETWORK = {"filters": [1], "convs": 1, "decoder": "slim", "final": [], "dropout": [0.0], "decoder_dropout": 0.0}
TISSUE, LESION = 100.0, 250.0


def _swish(x: float) -> float:
    return x / (1 + math.exp(-x))


def brightness_weights(inputs: int, seen: int, border: float) -> dict[str, npt.NDArray[np.float32]]:
    """Weights of the smallest U-Net that say yes where channel ``seen`` is above ``border``, and no elsewhere."""
    first = np.zeros((1, inputs, 3, 3, 3), np.float32)
    first[0, seen, 1, 1, 1] = 1
    second = np.zeros((1, 2, 3, 3, 3), np.float32)
    second[0, 1, 1, 1, 1] = 1  # of (upsampled, skip) the skip
    found = {"encoder.0.0.conv.weight": first, "decoder.0.0.conv.weight": second}
    for unit in ("encoder.0.0", "decoder.0.0"):
        found |= {f"{unit}.norm.{name}": np.ones(1, np.float32) for name in ("weight", "running_var")}
        found |= {f"{unit}.norm.{name}": np.zeros(1, np.float32) for name in ("bias", "running_mean")}
    steep = 500.0
    found["head.weight"] = np.full((1, 1, 1, 1, 1), steep, np.float32)
    found["head.bias"] = np.array([-steep * _swish(_swish(border))], np.float32)
    return found


@pytest.fixture
def brightness() -> Callable[[int, int, float], dict[str, npt.NDArray[np.float32]]]:
    """Makes weights of a network that goes by brightness, see :func:`brightness_weights`."""
    return brightness_weights


def _manifest(task: str, channels: tuple[str, ...], scheme: Intensity, spacing_mm: float) -> Manifest:
    return Manifest(
        name=task,
        title=f"Brightness as {task}",
        task=task,
        network=Network(name="unet3d", config={**NETWORK, "inputs": len(channels), "outputs": 1}),
        channels=channels,
        missing_channels="zero",
        outputs=(task,),
        spacing_mm=(spacing_mm,) * 3,
        intensity=scheme,
        threshold=Threshold(value=0.5, origin="made up"),
        licence="Apache-2.0",
        intended_use="Tests.",
    )


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the bundles ``brain`` and ``wmh``, which go by brightness."""
    root = tmp_path_factory.mktemp("bundles")
    whole = Intensity(scheme="range")
    write_bundle(root / "brain", _manifest("brain", ("image",), whole, 2.0), [brightness_weights(1, 0, 0.15)])
    by_brain = Intensity(scheme="p99")
    members = [brightness_weights(2, 1, border) for border in (1.5, 1.7)]
    write_bundle(root / "wmh", _manifest("wmh", ("t1", "flair"), by_brain, 1.0), members)
    return root


@pytest.fixture
def bundles(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The made-up bundles found before any other, and a cache of their own."""
    monkeypatch.setenv(BUNDLES_VARIABLE, str(bundle_folder))
    monkeypatch.setenv("WILLIS_CACHE", str(bundle_folder.parent / "cache"))
    return bundle_folder


@dataclass(frozen=True)
class MadeUpScan:
    """Files of a T1 and a FLAIR, each on a grid of its own, and what is in them."""

    t1: Path
    flair: Path
    lesion: npt.NDArray[np.bool_]
    lesion_ml: float
    brain_ml: float


def _painted(grid: Grid, centre: tuple[float, float, float], radius_mm: float) -> npt.NDArray[np.bool_]:
    points = grid.to_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    return np.asarray(np.linalg.norm(points - np.array(centre), axis=-1) <= radius_mm)


def _save(data: npt.NDArray[np.float32], grid: Grid, path: Path) -> Path:
    image = nib.Nifti1Image(data, grid.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(grid.affine, code=1)
    nib.save(image, path)
    return path


@pytest.fixture(scope="session")
def scan(tmp_path_factory: pytest.TempPathFactory) -> MadeUpScan:
    """A ball of tissue of radius 60 mm with one bright lesion of radius 9 mm."""
    folder = tmp_path_factory.mktemp("scan")
    turn = np.radians(8)
    axes = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine = np.eye(4)
    affine[:3, :3] = axes @ np.diag([-1.5, -1.5, 3.0])
    flair = Grid((96, 96, 48), affine)
    affine = affine.copy()
    affine[:3, 3] = -axes @ np.diag([-1.5, -1.5, 3.0]) @ (np.array(flair.shape) - 1) / 2
    flair = Grid(flair.shape, affine)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -2.0 * (np.array([72, 72, 72]) - 1) / 2
    t1 = Grid((72, 72, 72), affine)
    middle, spot = (0.0, 0.0, 0.0), (-22.0, 10.0, 14.0)
    lesion = _painted(flair, spot, 9.0)
    bright = (TISSUE * _painted(flair, middle, 60.0)).astype(np.float32)
    bright[lesion] = LESION
    plain = (TISSUE * _painted(t1, middle, 60.0)).astype(np.float32)
    return MadeUpScan(
        _save(plain, t1, folder / "sub-07_T1w.nii.gz"),
        _save(bright, flair, folder / "sub-07_FLAIR.nii.gz"),
        lesion,
        float(lesion.sum()) * flair.voxel_ml,
        4 / 3 * math.pi * 60**3 / 1000,
    )
