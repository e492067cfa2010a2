"""Classes of the published network, and the pictures that it is given."""

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.image.midline import Midline
from willis.io.colour_tables import COLOUR_TABLES, colour_table, jet
from willis.tasks.perfusion.labels import CLASSES, channel_names, classes_of, one_hot, snapped, table_of
from willis.tasks.perfusion.network import network_image, slice_grid
from willis.tasks.perfusion.prepare import PreparedMaps
from willis.volume.grid import Grid
from willis.volume.volume import Volume


@pytest.mark.parametrize(
    ("count", "expected"), [(4, [0, 0, 1, 1, 2, 3, 3]), (3, [0, 0, 0, 0, 1, 2, 2]), (2, [0, 0, 0, 0, 1, 1, 1])]
)
def test_pictures_are_snapped_to_the_nearest_published_value(count, expected):
    assert snapped(np.array([0, 42, 43, 100, 170, 213, 255]), count).tolist() == expected


@pytest.mark.parametrize("count", CLASSES)
def test_one_hot_maps_are_a_partition(count):
    numbers = snapped(np.random.default_rng(0).integers(0, 256, (5, 6, 2)), count)
    maps = one_hot(numbers, count)
    assert (maps.sum(axis=0) == 1).all() and np.array_equal(maps.argmax(axis=0), numbers)
    assert len(classes_of(count).names) == len(classes_of(count).values) == len(classes_of(count).weights) == count


def test_other_numbers_of_classes_are_refused():
    with pytest.raises(BadInputError, match="classes is 5"):
        classes_of(5)


def prepared():
    grid = Grid((20, 24, 3), np.diag([-4.0, -4.0, 8.0, 1.0]))
    inside = np.zeros(grid.shape, bool)
    inside[4:16, 4:20] = True
    maps = {"cbf": Volume(np.full(grid.shape, 80.0), grid, "cbf"), "tmax": Volume(np.zeros(grid.shape), grid, "tmax")}
    return PreparedMaps(maps, "ctp", inside, inside, Midline((1.0, 0.0, 0.0), 0.0), None, "maps")


def test_maps_are_painted_blue_green_red_and_scalars_stand_everywhere():
    target = slice_grid(prepared().grid, 32, 128.0)
    image = network_image(prepared(), ("cbf", "tmax"), (12.0,), target)
    assert image.shape == (7, 32, 32, 3) and target.orientation == "LPS"
    middle = image[:, 16, 16, 1]
    assert middle[:3].tolist() == jet()[-1][::-1].tolist() and middle[3:6].tolist() == jet()[0][::-1].tolist()
    assert (image[6] == 12).all()
    assert not image[:6, 0, 0].any(), "outside the brain is black"


def test_a_missing_map_is_named():
    with pytest.raises(BadInputError, match="missing is mip"):
        network_image(prepared(), ("cbf", "mip"), (), slice_grid(prepared().grid, 32, 128.0))


@pytest.mark.parametrize("table", COLOUR_TABLES)
def test_maps_are_painted_in_the_declared_table_which_the_channels_name(table):
    target = slice_grid(prepared().grid, 32, 128.0)
    middle = network_image(prepared(), ("cbf", "tmax"), (), target, table)[:, 16, 16, 1]
    colours = colour_table(table)
    assert middle.tolist() == [*colours[-1][::-1].tolist(), *colours[0][::-1].tolist()]
    names = channel_names(("cbf", "tmax"), ("nihss",), colours=True, table=table)
    assert table_of(names) == table and len(set(names)) == 7
    assert table_of(channel_names(("cbf",), (), colours=False)) == "jet"


def test_other_tables_are_refused():
    with pytest.raises(BadInputError, match="colours is 'rust'"):
        network_image(prepared(), ("cbf",), (), slice_grid(prepared().grid, 32, 128.0), "rust")
    for names in (("cbf-rust-blue",), ("cbf-turbo-blue", "cbv-hot-blue")):
        with pytest.raises(BadInputError, match="the network's channels name the colour tables"):
            table_of(names)
