"""The pictures of a WMH report: which there are, and that the brain can be seen on each."""

import io

import numpy as np
import pytest
from matplotlib.image import imread

from willis.findings import Mask
from willis.infer.ensemble import Prediction
from willis.study import Study
from willis.tasks.prepared import Prepared
from willis.tasks.wmh import figures
from willis.tasks.wmh.interpret import measure
from willis.tasks.wmh.regions import RegionMaps, region_of_voxels, region_volumes
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SHAPE = (48, 56, 24)
GRID = Grid(SHAPE, np.diag([3.0, 3.0, 5.0, 1.0]))
FAT = 20.0  # of the scalp, in brains


@pytest.fixture
def head():
    """A brain of 1 with a ventricle, in air and a bright scalp; one lesion left of the ventricle, one far right."""
    i, j, k = np.indices(SHAPE)
    radius = np.sqrt(((i - 23.5) / 20) ** 2 + ((j - 27.5) / 24) ** 2 + ((k - 11.5) / 10) ** 2)
    brain, ventricle = radius < 0.8, np.zeros(SHAPE, dtype=bool)
    ventricle[20:28, 22:34, 10:14] = True
    values = np.where(brain, 1.0, np.where((radius > 0.9) & (radius < 1), FAT, 0.0)) * ~ventricle
    lesions = np.zeros(SHAPE, dtype=bool)
    lesions[17:20, 26:30, 10:14] = lesions[36:38, 26:30, 10:14] = True
    maps = RegionMaps(ventricle, np.zeros(SHAPE, bool), np.zeros(SHAPE, bool), np.zeros(SHAPE, bool), i < 24)
    return Volume((values + lesions).astype(np.float32), GRID, role="flair"), brain, lesions, maps


def made(head, maps):
    image, brain, lesions, _ = head
    mask = Volume(brain.astype(np.uint8), GRID, role="brain")
    prepared = Prepared(image.data[None], GRID, brain, "flair", mask)
    nothing = np.zeros((1, *SHAPE), dtype=np.float32)
    prediction = Prediction(nothing, (), nothing, "torch", "float32", 0.0, 0.0)
    masks = [Mask("wmh", "flair", mask.with_data(lesions.astype(np.uint8))), Mask("brain", "flair", mask)]
    region = None if maps is None else region_of_voxels(maps, GRID.spacing_mm)
    volumes = None if region is None else region_volumes(lesions, region, GRID.voxel_ml)
    measurements = measure([], mask.volume_ml, None, volumes)
    ventricles = None if maps is None else mask.with_data(maps.ventricles.astype(np.uint8))
    found = figures.make(Study({"flair": image}), prepared, prediction, masks, measurements, ventricles, region)
    return {figure.name: figure for figure in found}


def has_colour(png, colour):
    picture = imread(io.BytesIO(png))[..., :3]
    wanted = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    return bool((np.abs(picture - wanted).max(axis=-1) < 0.02).any())


def test_regions_are_shown_in_numbers_and_on_slices_beside_their_table(head):
    found = made(head, head[3])
    assert [name for name, figure in found.items() if figure.section == "regions"] == ["regions", "places"]
    shown = {place: has_colour(found["places"].png, colour) for place, colour in figures.PLACE_COLOURS.items()}
    assert shown == {
        "periventricular": True,
        "deep": True,
        "juxtacortical": False,
        "cerebellar": False,
        "brainstem": False,
    }


def test_without_regions_lesions_brain_and_crop_remain(head):
    assert list(made(head, None)) == ["lesions", "brain", "crop"]


def test_a_bright_scalp_doesn_t_darken_the_brain_in_the_crop_picture(head):
    picture = imread(io.BytesIO(made(head, None)["crop"].png))[..., :3]
    grey = picture[np.ptp(picture, axis=-1) < 0.02][:, 0]
    assert ((grey > 0.3) & (grey < 0.9)).mean() > 0.05
