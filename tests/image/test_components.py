import numpy as np
import pytest
import SimpleITK as sitk

from willis.errors import BadInputError
from willis.image.components import component_sizes, label_components, largest_component


@pytest.mark.parametrize(("connectivity", "count"), [(6, 3), (18, 2), (26, 1)])
def test_faces_edges_and_corners(connectivity, count):
    mask = np.zeros((4, 4, 4), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 0] = mask[2, 2, 1] = 1  # an edge is shared, then a corner
    assert label_components(mask, connectivity)[1] == count


@pytest.mark.parametrize(("connectivity", "full"), [(6, False), (26, True)])
def test_simpleitk_agrees(connectivity, full):
    mask = (np.random.default_rng(0).random((20, 21, 22)) < 0.25).astype(np.uint8)
    labels, count = label_components(mask, connectivity)
    judge = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(mask), full))
    assert count == judge.max()
    pairs = np.unique(np.stack([labels[mask > 0], judge[mask > 0]]), axis=1)
    assert pairs.shape[1] == count


def test_labels_fall_in_size():
    mask = np.zeros((10, 10, 10), np.uint8)
    mask[0, 0, :2] = 1
    mask[4:7, 4:7, 4:7] = 1
    mask[9, 9, 5:9] = 1
    labels, count = label_components(mask)
    assert component_sizes(labels, count).tolist() == [27, 4, 2]
    assert labels[5, 5, 5] == 1
    np.testing.assert_array_equal(largest_component(mask), labels == 1)


def test_an_empty_mask_has_none():
    labels, count = label_components(np.zeros((3, 3, 3)))
    assert (count, labels.max(), component_sizes(labels, count).size) == (0, 0, 0)
    assert not largest_component(np.zeros((3, 3, 3))).any()


def test_an_unknown_connectivity_is_named():
    with pytest.raises(BadInputError, match="connectivity is 8; allowed are 6, 18, 26"):
        label_components(np.zeros((3, 3, 3)), 8)
