import nibabel as nib
import numpy as np
import pytest

from willis.errors import BadInputError
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, axis_moves, reorient, reorient_grid
from willis.volume.volume import Volume


def test_there_are_48_orientations_all_different():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_there_and_back_is_the_same_image(smooth_volume, code):
    turned = reorient(smooth_volume, code)
    back = reorient(turned, smooth_volume.grid.orientation)
    assert turned.grid.orientation == code
    assert turned.data.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(back.data, smooth_volume.data)
    np.testing.assert_allclose(back.grid.affine, smooth_volume.grid.affine, atol=1e-12)


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_every_value_stays_at_its_place_in_the_patient(smooth_volume, code):
    turned = reorient(smooth_volume, code)
    for index in [(0, 0, 0), (3, 5, 7), (23, 19, 11)]:
        there = turned.grid.to_index(smooth_volume.grid.to_mm(index))
        np.testing.assert_allclose(there, np.round(there), atol=1e-9)
        assert turned.data[tuple(np.round(there).astype(int))] == smooth_volume.data[index]


@pytest.mark.parametrize("code", ["RAS", "LPS", "PIR", "SAL", "ASR", "ILP"])
def test_nibabel_agrees(smooth_volume, code):
    image = nib.Nifti1Image(smooth_volume.data, smooth_volume.grid.affine)
    moves = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(tuple(code))
    )
    judge = image.as_reoriented(moves)
    ours = reorient(smooth_volume, code)
    np.testing.assert_array_equal(ours.data, np.asarray(judge.dataobj))
    np.testing.assert_allclose(ours.grid.affine, judge.affine, atol=1e-9)


def test_the_source_is_left_alone():
    volume = Volume(np.arange(24.0).reshape(2, 3, 4), Grid((2, 3, 4), np.eye(4)))
    turned = reorient(volume, "RAS")
    turned.data[:] = 0
    assert volume.data.sum() == 276


@pytest.mark.parametrize("code", ["RAX", "RRA", "ras", "RA", ""])
def test_a_code_that_is_none_is_refused(oblique_grid, code):
    with pytest.raises(BadInputError, match="orientation is"):
        reorient_grid(oblique_grid, code)


def test_axis_moves_by_hand():
    assert axis_moves("LPS", "RAS") == ((0, 1, 2), (True, True, False))
    assert axis_moves("ASR", "RAS") == ((2, 0, 1), (False, False, False))
