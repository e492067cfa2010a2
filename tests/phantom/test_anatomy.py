"""Label maps become anatomies, or are refused with a reason."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from willis.errors import BadInputError
from willis.phantom.anatomy import Anatomy, anatomy_from_labels, builtin_anatomy, read_anatomies
from willis.phantom.labels import BRAIN, RIGHT_SIDE, SIDED, Tissue, lookup, side_swap
from willis.volume.grid import Grid


def test_orientation_is_undone(toy_anatomy: Anatomy, toy_folder: Path) -> None:
    (read,) = read_anatomies(toy_folder)
    assert read.name == "toy"
    assert np.array_equal(read.codes, toy_anatomy.codes)
    assert read.grid.orientation == "RAS"


def test_right_is_right(toy_anatomy: Anatomy) -> None:
    x = toy_anatomy.grid.to_mm(np.argwhere(toy_anatomy.codes & RIGHT_SIDE))[:, 0]
    assert x.min() > 75


def test_swapping_sides_twice_is_nothing() -> None:
    swap = side_swap()
    assert np.array_equal(swap[swap], np.arange(256))
    assert swap[Tissue.CORTEX] == Tissue.CORTEX | RIGHT_SIDE
    assert all(swap[t] == t for t in Tissue if t not in SIDED)


def test_distances_are_millimetres(toy_anatomy: Anatomy) -> None:
    steps = toy_anatomy.ventricle_distance
    ventricle = lookup((Tissue.LATERAL_VENTRICLE,))[toy_anatomy.codes]
    assert not steps[ventricle].any()
    near = steps[lookup(BRAIN)[toy_anatomy.codes] & (steps > 0)]
    assert near.min() == 10  # the first voxel outside lies 1 mm away
    i, j, k = np.argwhere(ventricle).mean(0).astype(int)
    up = int(np.argwhere(ventricle[i, j]).max()) if ventricle[i, j].any() else k
    column = steps[i, j, up : up + 12]
    assert (np.diff(column.astype(int)) >= 0).all()


def test_fluid_between_folds_belongs_to_the_brain(toy_anatomy: Anatomy) -> None:
    codes = toy_anatomy.codes
    assert (codes == Tissue.OUTER_CSF).any()
    assert (codes == Tissue.DURA).any()
    assert (codes == Tissue.FAT).any()
    brain = lookup(BRAIN)[codes]
    labelled = lookup(tuple(t for t in BRAIN if t != Tissue.CSF))[codes]
    assert (brain & ~labelled).sum() < 0.05 * labelled.sum()  # the toy's surface is smooth


@pytest.mark.parametrize(("wide_mm", "inside"), [(16, True), (40, False)])
def test_a_wide_cleft_is_brain_and_a_gap_is_not(toy_map: np.ndarray, wide_mm: int, inside: bool) -> None:
    cleft = np.zeros(toy_map.shape, dtype=bool)
    cleft[75 - wide_mm // 2 : 75 + wide_mm // 2, 60:110, 130:] = True
    toy_map[cleft & np.isin(toy_map, (2, 3, 41, 42))] = 24
    found = anatomy_from_labels(toy_map, Grid(toy_map.shape, np.eye(4)), "cleft")
    at = np.rint(found.grid.to_index((75.0, 85.0, 138.0))).astype(int)
    assert found.codes[tuple(at)] == (Tissue.CSF if inside else Tissue.OUTER_CSF)


def test_midline_is_where_both_sides_meet(toy_anatomy: Anatomy) -> None:
    brain = np.argwhere(lookup((Tissue.WHITE_MATTER,))[toy_anatomy.codes])
    x = toy_anatomy.grid.to_mm(brain)[:, 0]
    mm = 0.1 * toy_anatomy.midline_distance[tuple(brain.T)]
    shallow = mm < 20
    assert mm[shallow] == pytest.approx(np.abs(x[shallow] - 75.5), abs=6)
    assert mm[np.abs(x - 75) < 1].max() < 7


def test_a_folder_without_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds no label map"):
        read_anatomies(tmp_path)
    with pytest.raises(BadInputError, match="holds no label map"):
        read_anatomies(tmp_path / "absent")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.full((8, 8, 8), 1.5, dtype=np.float32), "whole numbers"),
        (np.zeros((8, 8, 8, 2), dtype=np.int16), "three axes"),
        (np.ones((8, 8, 8), dtype=np.int16), "FreeSurfer codes"),
        (np.full((8, 8, 8), np.nan, dtype=np.float32), "whole numbers"),
    ],
)
def test_other_images_are_refused(tmp_path: Path, data: np.ndarray, words: str) -> None:
    nib.save(nib.Nifti1Image(data, np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(BadInputError, match=words):
        read_anatomies(tmp_path)


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"no image")
    with pytest.raises(BadInputError, match=r"a\.nii\.gz can't be read"):
        read_anatomies(tmp_path)


def test_the_builtin_head_is_a_head() -> None:
    head = builtin_anatomy()
    brain_ml = lookup(BRAIN)[head.codes].sum() / 1000
    assert 1100 < brain_ml < 1700
    present = {Tissue(int(c) & (RIGHT_SIDE - 1)) for c in np.unique(head.codes)}
    assert {Tissue.SKIN, Tissue.FAT, Tissue.BONE, Tissue.MUSCLE, Tissue.VITREOUS, Tissue.CSF, *SIDED} - present <= {
        Tissue.PERIVASCULAR_SPACE
    }
    left = (head.codes == Tissue.WHITE_MATTER).sum()
    right = (head.codes == Tissue.WHITE_MATTER | RIGHT_SIDE).sum()
    assert left == pytest.approx(right, rel=0.1)
    x = np.argwhere(head.codes == Tissue.CORTEX | RIGHT_SIDE).mean(0)[0]
    assert x > head.centre_voxel[0] + 20
