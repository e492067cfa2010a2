"""Volumes of what is labelled in several masks of one patient."""

import numpy as np
import pytest

from willis.errors import GeometryError
from willis.io.nifti import write_nifti
from willis.measure.labelled_sizes import labelled_mm3
from willis.volume.grid import Grid
from willis.volume.volume import Volume


def test_voxels_of_several_masks_count_once_and_grids_must_agree(tmp_path) -> None:
    core, penumbra = np.zeros((2, 6, 6, 6), np.uint8)
    core[2:4], penumbra[3:6] = 1, 1
    grid = Grid((6, 6, 6), np.diag([2.0, 1.0, 1.5, 1.0]))
    for name, mask, place in (
        ("core", core, grid),
        ("penumbra", penumbra, grid),
        ("finer", penumbra, Grid((6, 6, 6), np.eye(4))),
        ("smaller", penumbra[:5], Grid((5, 6, 6), grid.affine)),
    ):
        write_nifti(Volume(mask, place), tmp_path / f"{name}.nii.gz")
    core_path, penumbra_path, *others = (tmp_path / f"{n}.nii.gz" for n in ("core", "penumbra", "finer", "smaller"))
    assert labelled_mm3(core_path) == 2 * 36 * 3
    assert labelled_mm3(core_path, penumbra_path) == 4 * 36 * 3
    for other in others:
        with pytest.raises(GeometryError, match=rf"{other.name} and core.nii.gz lie on different grids"):
            labelled_mm3(core_path, other)
