"""One case: every metric by name, and which pairs of masks may be compared."""

import math

import numpy as np
import pytest

from willis.errors import BadInputError, GeometryError
from willis.measure.case import COLUMNS, METRICS, empty_like, evaluate_case, mask_of, onto_axes_of
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume


def masks(grid: Grid) -> tuple[Volume, Volume]:
    rng = np.random.default_rng(11)
    p, r = rng.random((2, *grid.shape)) > 0.9
    return Volume(p, grid), Volume(r.astype(np.uint8), grid)


def test_a_case_holds_every_metric(oblique_grid: Grid) -> None:
    prediction, reference = masks(oblique_grid)
    found = evaluate_case(prediction, reference)
    assert tuple(found) == COLUMNS
    for metric in METRICS:
        alone = metric(prediction.data, reference.data, oblique_grid.spacing_mm)
        assert found[metric.name] == pytest.approx(alone)
    assert found["predicted_ml"] == pytest.approx(prediction.volume_ml)
    assert found["reference_ml"] == pytest.approx(reference.volume_ml)
    assert found["predicted_lesions"] - found["reference_lesions"] == found["lesion_count_difference"]


@pytest.mark.parametrize("code", ORIENTATIONS)
def test_the_order_of_axes_does_not_matter(code: str, oblique_grid: Grid) -> None:
    prediction, reference = masks(oblique_grid)
    expected = evaluate_case(prediction, reference)
    for turned in (
        evaluate_case(reorient(prediction, code), reference),
        evaluate_case(reorient(prediction, code), reorient(reference, code)),
    ):
        assert turned == pytest.approx(expected)


def test_turning_is_noted_and_staying_is_not(oblique_grid: Grid) -> None:
    prediction, _ = masks(oblique_grid)
    assert onto_axes_of(oblique_grid, prediction).notes == ()
    turned = onto_axes_of(oblique_grid, reorient(prediction, "RAS"))
    assert any("Reoriented from RAS" in note for note in turned.notes)


def test_under_shear_volumes_are_true() -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.5
    grid = Grid((4, 4, 4), affine)
    full = Volume(np.ones(grid.shape, dtype=bool), grid)
    assert evaluate_case(empty_like(full), full)["volume_difference_ml"] == pytest.approx(-0.064)


def test_under_shear_distances_are_those_between_the_points() -> None:
    tilted = np.eye(4)
    tilted[:3, :3] = [[0.9, 0, 0], [0, 0.9, 2.5 * np.tan(np.radians(25))], [0, 0, 2.5]]
    grid = Grid((12, 40, 20), tilted)
    rng = np.random.default_rng(4)
    for _ in range(5):
        marks = rng.integers((12, 40, 20), size=(2, 3))
        masks = np.zeros((2, *grid.shape), dtype=bool)
        for mask, mark in zip(masks, marks, strict=True):
            mask[tuple(mark)] = True
        found = evaluate_case(Volume(masks[0], grid), Volume(masks[1], grid))
        apart = np.linalg.norm(np.subtract(*grid.to_mm(marks)))
        assert found["hd95_mm"] == pytest.approx(apart) and found["assd_mm"] == pytest.approx(apart)
    corners = grid.to_mm(np.array(list(np.ndindex(2, 2, 2))) * grid.shape - 0.5)
    longest = max(np.linalg.norm(a - b) for a in corners for b in corners)
    empty = Volume(np.zeros(grid.shape, dtype=bool), grid)
    assert evaluate_case(empty, Volume(masks[1], grid))["hd95_mm"] == pytest.approx(longest)


@pytest.mark.parametrize("change", ["shift", "spacing", "shape", "mirror"])
def test_other_grids_are_refused(change: str) -> None:
    grid = Grid((6, 6, 6), np.eye(4))
    affine, shape = np.eye(4), (6, 6, 6)
    if change == "shift":
        affine[2, 3] = 0.5
    elif change == "spacing":
        affine[0, 0] = 1.1
    elif change == "shape":
        shape = (6, 6, 7)
    else:
        affine[0, 0] = -1
    other = Grid(shape, affine)
    with pytest.raises(GeometryError, match=r"different grids: .* Resample one onto the other"):
        evaluate_case(Volume(np.zeros(shape, bool), other), Volume(np.zeros(grid.shape, bool), grid))


def test_masks_as_they_are_stored() -> None:
    grid = Grid((2, 2, 2), np.eye(4))
    ones = np.array([0, 1, 1, 0, 0, 0, 0, 1]).reshape(2, 2, 2)
    for data in (ones, ones.astype(np.float32), ones * 255, ones == 1):
        assert np.array_equal(mask_of(Volume(data, grid)).data, ones == 1)
    assert mask_of(Volume(ones * 255, grid)).notes == ("255 was taken as 1.",)
    assert np.array_equal(mask_of(Volume(ones * 2 + 1, grid), label=3).data, ones == 1)
    assert not mask_of(Volume(ones * 0, grid)).data.any()


@pytest.mark.parametrize("values", [(0, 2), (0, 1, 2), (0.0, 0.5), (0, 1, 255), (-1, 0), (0.0, math.nan)])
def test_images_that_are_no_masks_are_refused(values: tuple[float, ...]) -> None:
    grid = Grid((3, 2, 2), np.eye(4))
    data = np.resize(np.array(values), grid.shape)
    with pytest.raises(BadInputError, match=r"not a binary mask: .* --label"):
        mask_of(Volume(data, grid))
