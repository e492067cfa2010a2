"""A scan that doesn't show the vessels answers no question about them."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.tasks.ct_template import template
from willis.tasks.lvo.courses import seen_shares, unseen_vessels
from willis.volume.volume import Volume

PADDING_HU = -3024.0


def above(z_mm: float, *, padded: bool = False):
    """The template's head above a plane; below it padding, or no slices at all."""
    ct = template("ct")
    first = int(np.ceil(ct.grid.to_index([0.0, 0.0, z_mm])[2]))
    if padded:
        data = ct.data.astype(np.float32)
        data[:, :, :first] = PADDING_HU
        return ct.with_data(data)
    i, j, k = ct.grid.shape
    return Volume(ct.data[:, :, first:].copy(), ct.grid.shifted((0, 0, first), (i, j, k - first)))


def test_a_whole_head_shows_all_vessels():
    shares = seen_shares(template("ct"), np.eye(4))
    assert min(shares.values()) > 0.95
    assert unseen_vessels(shares, "ncct") == ""


@pytest.mark.parametrize("padded", [False, True])
def test_a_scan_without_the_skull_base_is_refused(padded):
    shares = seen_shares(above(-5.0, padded=padded), np.eye(4))
    assert shares["c7", "left"] == shares["m1", "right"] == 0
    with pytest.raises(BadInputError, match=r"shows only .*% of where C7, M1 and M2 usually run; at least 50%"):
        unseen_vessels(shares, "ncct")


def test_a_scan_that_cuts_the_ica_termini_names_them():
    note = unseen_vessels(seen_shares(above(-20.0), np.eye(4)), "ncct")
    assert "left ICA terminus" in note and "right ICA terminus" in note and "M2" not in note


def test_a_side_that_is_cut_is_the_one_that_is_named():
    ct = template("ct")
    data = ct.data.astype(np.float32)
    across = ct.grid.to_mm(np.stack([np.arange(ct.grid.shape[0]), *np.zeros((2, ct.grid.shape[0]))], axis=1))[:, 0]
    data[across < -38] = PADDING_HU
    note = unseen_vessels(seen_shares(ct.with_data(data), np.eye(4)), "ncct")
    assert "left M2" in note and "right" not in note
