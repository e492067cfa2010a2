"""A head that its file calls backwards is turned for pictures, and no other."""

import numpy as np
import pytest

from willis.image.affine import AffineFit
from willis.tasks.facing import BACKWARDS_NOTE, facing_notes
from willis.volume.grid import Grid
from willis.volume.volume import Volume

CT = Volume(np.arange(24, dtype=np.float32).reshape(2, 3, 4), Grid((2, 3, 4), np.diag([1.0, 1.0, 2.0, 1.0])))


def fit_turned(degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(4)
    matrix[:2, :2] = [[c, -s], [s, c]]
    return AffineFit(matrix, correlation=0.8, overlap=1.0)


@pytest.mark.parametrize("degrees", [0, 30, -80])
def test_a_head_that_faces_forwards_stays_as_it_is(degrees):
    fit = fit_turned(degrees)
    assert not fit.faces_backwards
    assert fit.upright(CT) is CT
    assert facing_notes(fit) == ()


@pytest.mark.parametrize("degrees", [180, 150])
def test_a_head_that_faces_backwards_is_shown_with_front_and_sides_turned(degrees):
    fit = fit_turned(degrees)
    turned = fit.upright(CT)
    np.testing.assert_array_equal(turned.data, CT.data)
    there = turned.grid.to_mm([1, 2, 3])
    np.testing.assert_allclose(there, [-1, -2, 6])
    assert turned.grid.orientation == "LPS"
    assert facing_notes(fit) == (BACKWARDS_NOTE,)


def test_without_a_fit_nothing_is_known():
    assert facing_notes(None) == ()
