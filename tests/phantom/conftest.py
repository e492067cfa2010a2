"""A made-up head of ellipsoids in FreeSurfer codes."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis.phantom.anatomy import Anatomy, anatomy_from_labels
from willis.volume.grid import Grid

SHAPE = (150, 176, 160)
CENTRE = (75.0, 88.0, 84.0)


def ellipsoid(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    i, j, k = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return ((i - centre[0]) / radii[0]) ** 2 + ((j - centre[1]) / radii[1]) ** 2 + ((k - centre[2]) / radii[2]) ** 2


def toy_labels() -> np.ndarray:
    """Nested ellipsoids: skin, soft tissue, bone, CSF, cortex, white matter, ventricles; RAS, 1 mm."""
    depth = np.sqrt(ellipsoid(CENTRE, (70, 84, 76)))
    labels = np.zeros(SHAPE, dtype=np.int32)
    for code, limit in ((511, 1.0), (507, 0.97), (515, 0.91), (24, 0.85), (3, 0.81), (2, 0.73)):
        labels[depth < limit] = code
    labels[ellipsoid((75, 60, 50), (34, 22, 16)) < 1] = 8
    labels[ellipsoid((75, 60, 50), (22, 12, 8)) < 1] = 7
    labels[ellipsoid((75, 84, 44), (9, 9, 22)) < 1] = 16
    for side in (-1, 1):
        labels[ellipsoid((75 + side * 26, 90, 80), (6, 12, 9)) < 1] = 12
        labels[ellipsoid((75 + side * 9, 90, 92), (6, 28, 8)) < 1] = 4
        labels[ellipsoid((75 + side * 30, 80, 66), (3, 12, 3)) < 1] = 5
    labels[ellipsoid((75, 90, 76), (2, 10, 8)) < 1] = 14
    right = np.arange(SHAPE[0])[:, None, None] > 75
    for left, code in ((2, 41), (3, 42), (4, 43), (5, 44), (7, 46), (8, 47), (12, 51)):
        labels[right & (labels == left)] = code
    for x in (50, 100):
        labels[ellipsoid((x, 158, 70), (9, 9, 9)) < 1] = 506
    return labels


@pytest.fixture
def toy_map() -> np.ndarray:
    """Its FreeSurfer codes."""
    return toy_labels()


@pytest.fixture(scope="session")
def toy_anatomy() -> Anatomy:
    return anatomy_from_labels(toy_labels(), Grid(SHAPE, np.eye(4)), "toy")


@pytest.fixture
def toy_folder(tmp_path: Path) -> Path:
    """A folder with the made-up head as a label map, in another orientation than RAS."""
    folder = tmp_path / "heads"
    folder.mkdir()
    affine = np.array([[-1.0, 0, 0, 75], [0, 0, 1, -80], [0, -1, 0, 80], [0, 0, 0, 1]])
    labels = toy_labels()[::-1, :, ::-1].transpose(0, 2, 1)  # RAS to LIA
    nib.save(nib.Nifti1Image(np.ascontiguousarray(labels), affine), folder / "toy.nii.gz")
    return folder
