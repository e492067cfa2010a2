import numpy as np
import pytest

from willis.errors import GeometryError
from willis.volume.crop import Box, centred_box, crop_or_pad


def test_a_box_inside_holds_what_numpy_cuts(smooth_volume):
    cut = crop_or_pad(smooth_volume, Box((2, 3, 4), (5, 6, 7)))
    np.testing.assert_array_equal(cut.data, smooth_volume.data[2:7, 3:9, 4:11])
    np.testing.assert_allclose(cut.grid.to_mm([0, 0, 0]), smooth_volume.grid.to_mm([2, 3, 4]))


def test_padding_keeps_place_and_fills(smooth_volume):
    box = Box((-3, -2, -1), (30, 30, 30))
    padded = crop_or_pad(smooth_volume, box, fill=-7)
    assert (padded.data == -7).sum() == padded.data.size - smooth_volume.data.size
    np.testing.assert_array_equal(padded.data[3:27, 2:22, 1:13], smooth_volume.data)
    np.testing.assert_allclose(padded.grid.to_mm([3, 2, 1]), smooth_volume.grid.to_mm([0, 0, 0]), atol=1e-12)


def test_the_inverse_puts_everything_back(smooth_volume):
    box = Box((-3, 4, 2), (40, 9, 20))
    back = crop_or_pad(crop_or_pad(smooth_volume, box, fill=1), box.inverse(smooth_volume.grid.shape), fill=0)
    assert back.grid.same_as(smooth_volume.grid)
    np.testing.assert_array_equal(back.data[:, 4:13, 2:], smooth_volume.data[:, 4:13, 2:])
    assert not back.data[:, :4].any()
    assert not back.data[:, 13:].any()
    assert not back.data[:, :, :2].any()


def test_a_box_beside_the_image_is_all_fill(smooth_volume):
    for start in [(100, 0, 0), (-100, 0, 0)]:
        assert (crop_or_pad(smooth_volume, Box(start, (4, 4, 4)), fill=5).data == 5).all()


@pytest.mark.parametrize(
    ("centre", "shape", "start"),
    [
        ((10, 10, 10), (5, 5, 5), (8, 8, 8)),
        ((10.4, 9.5, 0), (4, 4, 4), (9, 8, -1)),
        ((0, 0, 0), (160, 214, 176), (-79, -106, -87)),
    ],
)
def test_the_centred_box_by_hand(centre, shape, start):
    assert centred_box(centre, shape) == Box(start, shape)


def test_a_box_without_voxels_is_refused():
    with pytest.raises(GeometryError, match="at least one voxel"):
        Box((0, 0, 0), (0, 3, 3))
