"""Where lesions of masks in MNI space lie, and that masks elsewhere are left without a place."""

from pathlib import Path

import numpy as np
import pytest

from willis.tasks.chronic.places import places_in_mni
from willis.tasks.chronic.space import standard_grid
from willis.volume.grid import Grid

HALF_MM = 6.0
INSULA_LEFT, THALAMUS_RIGHT, OCCIPITAL_LEFT, CEREBELLUM_RIGHT = (-38, 4, 2), (12, -18, 8), (-8, -88, 2), (28, -62, -38)


def ball(centres: tuple[tuple[float, float, float], ...], grid: Grid) -> np.ndarray:
    """Balls of 6 mm about places in mm, labelled in their order."""
    where = grid.to_mm(np.argwhere(np.ones(grid.shape)))
    labels = np.zeros(grid.shape, np.int32)
    for number, centre in enumerate(centres, start=1):
        near = np.linalg.norm(where - centre, axis=1) <= HALF_MM
        labels.reshape(-1)[near] = number
    return labels


@pytest.fixture(scope="module")
def grid() -> Grid:
    """4 mm in MNI space, its first axis to the left."""
    affine = np.diag([-4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (96, -132, -72)
    return Grid((49, 58, 47), affine)


def test_lesions_are_placed_by_region_side_and_territory(grid: Grid) -> None:
    labels = ball((INSULA_LEFT, THALAMUS_RIGHT, OCCIPITAL_LEFT, CEREBELLUM_RIGHT), grid)
    found = places_in_mni(Path("sub-01_space-MNI152NLin2009aSym_label-L_mask.nii.gz"), grid, labels, grid)
    assert found is not None
    places, territories = zip(*found, strict=True)
    assert places[0].endswith(" left") and places[2] == "cortical left"
    assert places[1] == "subcortical right" and places[3] == "cerebellar right"
    assert territories == ("left MCA", "right PCA", "left PCA", "right vertebrobasilar")


def test_only_masks_in_mni_space_are_placed(grid: Grid) -> None:
    labels = ball((INSULA_LEFT,), grid)
    assert places_in_mni(Path("sub-01_mask.nii.gz"), grid, labels, grid) is None
    assert places_in_mni(Path("sub-01_mask.nii.gz"), standard_grid(), labels, grid) is not None


def test_no_lesion_has_no_place(grid: Grid) -> None:
    empty = np.zeros(grid.shape, np.int32)
    assert places_in_mni(Path("a_space-MNI_mask.nii.gz"), grid, empty, grid) == []
