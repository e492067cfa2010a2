import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "models"


@pytest.fixture
def keras_file(tmp_path) -> Callable[..., Path]:
    """Give a golden H5 file, made by Keras itself, under the name of a published fold."""

    def unpack(name: str, fold: int = 0, folder: str = "T1-FLAIR.WMH") -> Path:
        path = tmp_path / "download" / folder / f"2023_Unet3D-2.3.2-1.5-X.WMH_fold_{fold}_model.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.decompress((GOLDEN / f"{name}.h5.gz").read_bytes()))
        return path

    return unpack


@pytest.fixture
def keras_answer() -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Give an image (1, C, I, J, K) and the probability (I, J, K) that Keras predicted for it."""

    def read(name: str) -> tuple[np.ndarray, np.ndarray]:
        stored = np.load(GOLDEN / f"{name}.npz")
        shape = (1, *stored["shape"], int(stored["inputs"]))
        image = np.random.default_rng(int(stored["seed"])).random(shape, dtype=np.float32)
        return np.ascontiguousarray(np.moveaxis(image, -1, 1)), stored["probability"]

    return read
