"""Projection and its way back."""

import numpy as np
import pytest

from willis.errors import GeometryError
from willis.image.project import project, project_back, project_labels


def test_the_largest_value_of_each_ray_is_shown():
    data = np.zeros((4, 5, 6))
    data[1, 2, 3], data[1, 2, 5] = 7, 9
    mask = np.zeros_like(data)
    mask[1, 2, 3] = 1
    assert project(data)[1, 2] == 9
    assert project(data, mask)[1, 2] == 7
    assert project(data, mask).sum() == 7


def test_what_is_marked_in_the_picture_is_found_in_the_volume():
    labels = np.zeros((6, 7, 8), np.uint8)
    labels[2, 3, 4:6], labels[4, 5, 1] = 2, 3
    picture = project_labels(labels, (1, 2, 3))
    assert picture[2, 3] == 2
    back = project_back(picture == 2, labels)
    np.testing.assert_array_equal(back, labels == 2)
    with pytest.raises(GeometryError):
        project_back(picture, labels, axis=0)


def test_the_first_label_of_the_order_wins():
    labels = np.zeros((1, 1, 3), np.uint8)
    labels[0, 0] = (3, 1, 2)
    assert project_labels(labels, (2, 1, 3))[0, 0] == 2
