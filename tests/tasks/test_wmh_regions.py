"""Regions of lesions: by hand on a made-up brain, and by the parts that the brain network finds in a phantom."""

import numpy as np
import pytest
from scipy import ndimage

from willis.image.components import label_components
from willis.image.morphology import distance_mm
from willis.measure.overlap import dice
from willis.phantom.anatomy import builtin_anatomy
from willis.phantom.labels import RIGHT_REGION, Region
from willis.phantom.patient import make_patient
from willis.tasks.brain.find import find_brain
from willis.tasks.wmh.regions import (
    OF_PLACE,
    PERIVENTRICULAR_MM,
    PLACES,
    RegionMaps,
    assign_regions,
    part_in,
    region_of_voxels,
    region_volumes,
)
from willis.tasks.wmh.spec import REGIONS

SHAPE = (40, 40, 20)
SPACING_MM = (1.0, 1.0, 3.0)
VOXEL_ML = 0.003

LEAST_DICE = {"periventricular": 0.84, "juxtacortical": 0.74, "cerebellar": 0.94, "brainstem": 0.9}  # of found places


def region_maps():
    empty = np.zeros(SHAPE, dtype=bool)
    ventricles, cortex, cerebellum, brainstem, left = (empty.copy() for _ in range(5))
    ventricles[18:22, 18:22] = True
    cortex[:, 36:] = True
    cerebellum[:, :8, :6] = True
    brainstem[18:22, 8:12, :6] = True
    left[:20] = True
    return RegionMaps(ventricles, cortex, cerebellum, brainstem, left)


def lesion(start, size):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))] = True
    return mask


def regions_of(mask, maps=None, spacing_mm=SPACING_MM):
    labels, count = label_components(mask, 26)
    return assign_regions(labels, count, region_of_voxels(maps or region_maps(), spacing_mm))


@pytest.mark.parametrize(
    ("start", "region"),
    [
        ((14, 18, 10), "periventricular left"),
        ((23, 18, 10), "periventricular right"),
        ((5, 20, 10), "deep left"),
        ((32, 20, 10), "deep right"),
        ((5, 33, 10), "juxtacortical left"),
        ((32, 33, 10), "juxtacortical right"),
        ((5, 2, 2), "cerebellar left"),
        ((30, 2, 2), "cerebellar right"),
        ((19, 9, 2), "brainstem"),
    ],
)
def test_region_of_a_lesion_by_its_place(start, region):
    assert regions_of(lesion(start, (2, 2, 2))) == [region]


def test_the_band_is_as_wide_as_it_is_said_to_be():
    region = region_of_voxels(region_maps(), SPACING_MM)[:, 20, 10]
    first = 18 - int(PERIVENTRICULAR_MM)
    assert [REGIONS[index] for index in region[first - 1 : first + 1]] == ["deep left", "periventricular left"]


def test_between_cortex_and_ventricle_the_nearer_one_counts():
    maps = region_maps()
    maps.cortex[:, 27:] = True
    region = [REGIONS[index] for index in region_of_voxels(maps, SPACING_MM)[25, 22:27, 10]]
    assert region[:2] == ["periventricular right"] * 2
    assert region[3:] == ["juxtacortical right"] * 2


def test_distance_is_in_mm_across_thick_slices():
    maps = region_maps()
    maps.ventricles[:] = False
    maps.ventricles[19:21, 19:21, 5] = True
    mask = lesion((19, 19, 9), (2, 2, 1))
    assert regions_of(mask, maps) == ["deep left"]
    assert regions_of(mask, maps, (1.0, 1.0, 1.0)) == ["periventricular left"]


def test_a_confluent_lesion_gives_each_region_its_part_and_counts_once():
    mask = lesion((2, 19, 10), (15, 3, 2))
    region = region_of_voxels(region_maps(), SPACING_MM)
    volumes = region_volumes(mask, region, VOXEL_ML)
    assert volumes["deep left"] == pytest.approx(6 * 3 * 2 * VOXEL_ML)
    assert volumes["periventricular left"] == pytest.approx(9 * 3 * 2 * VOXEL_ML)
    assert regions_of(mask) == ["periventricular left"]


def test_a_bridge_between_two_lesions_moves_next_to_no_volume():
    apart = lesion((2, 19, 10), (5, 3, 2)) | lesion((12, 19, 10), (5, 3, 2))
    joined = apart | lesion((7, 19, 10), (5, 1, 1))
    region = region_of_voxels(region_maps(), SPACING_MM)
    before, after = (region_volumes(mask, region, VOXEL_ML) for mask in (apart, joined))
    assert sum(abs(after[name] - before[name]) for name in REGIONS) == pytest.approx(5 * VOXEL_ML)


def test_a_lesion_across_the_midline_gives_each_side_its_part():
    mask = lesion((12, 18, 10), (10, 4, 2))
    volumes = region_volumes(mask, region_of_voxels(region_maps(), SPACING_MM), VOXEL_ML)
    assert volumes["periventricular left"] == pytest.approx(8 * 4 * 2 * VOXEL_ML)
    assert volumes["periventricular right"] == pytest.approx(2 * 4 * 2 * VOXEL_ML)
    assert regions_of(mask) == ["periventricular left"]


def test_the_side_is_the_one_that_holds_most_of_the_place():
    left_deep = lesion((2, 19, 10), (6, 1, 1))
    right_periventricular = lesion((8, 19, 10), (20, 1, 1))
    assert regions_of(left_deep | right_periventricular) == ["periventricular left"]
    assert regions_of(left_deep | lesion((8, 19, 10), (23, 1, 1))) == ["periventricular left"]
    assert regions_of(lesion((15, 19, 10), (16, 1, 1))) == ["periventricular right"]


def test_regions_add_up_to_the_total_and_parts_to_the_lesions():
    mask = lesion((14, 18, 10), (3, 3, 3)) | lesion((32, 33, 10), (2, 2, 2)) | lesion((5, 2, 2), (2, 2, 1))
    region = region_of_voxels(region_maps(), SPACING_MM)
    assert sum(region_volumes(mask, region, VOXEL_ML).values()) == pytest.approx(mask.sum() * VOXEL_ML)
    parts = [part_in(place, mask, region) for place in PLACES]
    np.testing.assert_array_equal(np.sum(parts, axis=0), mask)
    assert [part.sum() for part in parts] == [27, 0, 8, 4, 0]


def test_without_lesions_there_are_no_regions_and_no_volumes():
    assert regions_of(np.zeros(SHAPE, dtype=bool)) == []
    volumes = region_volumes(np.zeros(SHAPE, dtype=bool), region_of_voxels(region_maps(), SPACING_MM), VOXEL_ML)
    assert volumes == dict.fromkeys(REGIONS, 0.0)


def test_without_ventricles_nothing_is_periventricular():
    maps = region_maps()
    maps.ventricles[:] = False
    region = region_of_voxels(maps, SPACING_MM)
    assert not part_in("periventricular", np.ones(SHAPE, dtype=bool), region).any()


def true_regions(truth):
    """Index in REGIONS on the phantom's own 1 mm grid, and where it is known: white matter, cerebellum, brainstem."""
    codes = truth["regions_anatomy"].data
    place, right = codes % RIGHT_REGION, codes >= RIGHT_REGION
    near = distance_mm(truth["ventricles_anatomy"].data, truth["ventricles_anatomy"].grid.spacing_mm)
    region = np.where(near <= PERIVENTRICULAR_MM, 0, 2)
    for code, index in ((Region.JUXTACORTICAL, 4), (Region.CEREBELLAR, 6)):
        region[place == code] = index
    region = region + right
    region[place == Region.BRAINSTEM] = 8
    return region, np.isin(place, [1, 2, 3, 4, 5])


@pytest.mark.slow
def test_parts_found_in_a_phantom_give_the_regions_of_its_true_anatomy():
    patient = make_patient("wmh", 4242, 3, [builtin_anatomy()])
    grid = patient.truth["regions_anatomy"].grid
    brain = find_brain(patient.study["t1"])
    parts = (brain.part_on(n, grid).data > 0 for n in ("ventricles", "cortex", "cerebellum", "brainstem"))
    found = region_of_voxels(RegionMaps(*parts, brain.left_half_on(grid).data > 0), grid.spacing_mm)
    true, known = true_regions(patient.truth)
    assert (found == true)[known].mean() >= 0.8
    near_lesions = known & ndimage.binary_dilation(patient.truth["wmh_anatomy"].data > 0, iterations=2)
    assert (found == true)[near_lesions].mean() >= 0.9
    for name, least in LEAST_DICE.items():
        of_place = np.flatnonzero(OF_PLACE[PLACES.index(name)])
        assert dice(np.isin(found, of_place) & known, np.isin(true, of_place) & known) >= least, name
