"""Fixtures for every room: the real scans, and a few small made-up volumes."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import settings

from willis.volume.grid import Grid
from willis.volume.volume import Volume

if TYPE_CHECKING:
    from willis.nets.deeplab25d import DeepLab25d

settings.register_profile("willis", deadline=None)  # a busy machine is no fault
settings.load_profile("willis")

REAL_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real scans; the test is skipped where they are absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"the real scans are not here: {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def stack_network() -> "Callable[..., DeepLab25d]":
    """Make FVV's network of a seed, random weights and norms: logits of order one, half of each output positive."""

    def make(seed: int, outputs: int = 3, like: "npt.NDArray[np.float32] | None" = None) -> "DeepLab25d":
        """For stacks (N, 2, 7, I, J) like some, else of 64 × 64 normal values."""
        import torch

        from willis.nets.deeplab25d import DeepLab25d, DeepLab25dConfig

        torch.manual_seed(seed)
        network = DeepLab25d(DeepLab25dConfig(inputs=2, outputs=outputs)).eval()
        with torch.no_grad():
            for name, value in network.state_dict().items():
                if name.endswith("running_mean") or name.endswith("norm.bias"):
                    value.normal_(0, 0.1)
                elif name.endswith("running_var") or name.endswith("norm.weight"):
                    value.uniform_(0.7, 1.3)
                elif value.ndim > 1:
                    value.normal_(0, float(np.sqrt(2 / value[0].numel())))  # He et al. 2015: maps keep their size
            x = torch.randn(2, 2, 7, 64, 64) if like is None else torch.from_numpy(like)
            network.head.weight.mul_(3 / network(x).std())
            network.head.bias.sub_(network(x).movedim(1, 0).flatten(1).median(dim=1).values)
        return network

    return make


@pytest.fixture
def oblique_grid() -> Grid:
    """A small grid as a scanner makes it: oblique, anisotropic, LPS-like, away from the origin."""
    a, b = np.radians(12.0), np.radians(-7.0)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z @ np.diag([-0.9, -1.1, 3.0])
    affine[:3, 3] = [11.0, 20.0, -17.0]
    return Grid((24, 20, 12), affine)


@pytest.fixture
def smooth_volume(oblique_grid: Grid) -> Volume:
    """A smooth positive image without any symmetry, on the oblique grid."""
    x, y, z = np.moveaxis(oblique_grid.to_mm(np.moveaxis(np.indices(oblique_grid.shape), 0, -1)), -1, 0)
    data = 100 + 2.0 * x - 1.5 * y + 0.7 * z + 10 * np.sin(x / 6) * np.cos(y / 8)
    return Volume(data.astype(np.float32), oblique_grid, role="flair")


@pytest.fixture
def ball_mask() -> Volume:
    """A ball of radius 6 mm at the middle of a 1 mm RAS grid, ``uint8``."""
    grid = Grid((24, 26, 28), np.eye(4))
    i, j, k = np.indices(grid.shape)
    inside = (i - 12) ** 2 + (j - 13) ** 2 + (k - 14) ** 2 <= 36
    return Volume(inside.astype(np.uint8), grid, role="lesion")


@pytest.fixture(scope="session")
def with_bar() -> "Callable[..., npt.NDArray[np.uint8]]":
    """Draw a bar into pictures (rows, columns, slices, 3), at a column, low end below."""

    def draw(
        pictures: npt.NDArray[np.uint8], colours: npt.NDArray[np.uint8], column: int, width: int = 10
    ) -> "npt.NDArray[np.uint8]":
        out = pictures.copy()
        rows = pictures.shape[0]
        span = slice(rows // 5, rows - rows // 5)
        line = colours[np.rint(np.linspace(len(colours) - 1, 0, span.stop - span.start)).astype(int)]
        out[span, column : column + width] = line[:, None, None]
        return out

    return draw
