"""What hangs on the brain by a thin neck is left out; a brain that the field of view cuts stays whole."""

from types import SimpleNamespace

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.infer.ensemble import Prediction
from willis.tasks.brain import find
from willis.tasks.brain.find import field_of_view, without_leaks
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SPACING_MM = (2.0, 2.0, 2.0)
EVERYWHERE = np.ones((40, 40, 60), dtype=bool)


def ball(centre, radius_mm):
    places = np.moveaxis(np.indices(EVERYWHERE.shape), 0, -1) * 2.0
    return np.linalg.norm(places - centre, axis=-1) <= radius_mm


BRAIN = ball((40, 40, 40), 30)


@pytest.fixture
def leak():
    return ball((40, 40, 90), 12)


def neck(radius_mm):
    i, j, k = np.indices(EVERYWHERE.shape) * 2.0
    return (np.hypot(i - 40, j - 40) <= radius_mm) & (k > 60) & (k < 84)


def test_what_hangs_on_by_a_thin_neck_is_left_out(leak):
    kept = without_leaks(BRAIN | neck(2.5) | leak, EVERYWHERE, SPACING_MM)
    assert not (kept & leak).any()
    assert kept[BRAIN].all()


def test_a_brainstem_stays(leak):
    whole = BRAIN | neck(8) | leak
    np.testing.assert_array_equal(without_leaks(whole, EVERYWHERE, SPACING_MM), whole)


def test_a_brain_cut_by_the_field_of_view_stays_whole():
    in_view = np.zeros_like(EVERYWHERE)
    in_view[:, :, 19:22] = True
    slab = BRAIN & in_view
    np.testing.assert_array_equal(without_leaks(slab, in_view, SPACING_MM), slab)
    assert not without_leaks(slab, EVERYWHERE, SPACING_MM).any()


def test_nothing_found_stays_nothing():
    assert not without_leaks(np.zeros_like(EVERYWHERE), EVERYWHERE, SPACING_MM).any()


def test_the_field_of_view_is_where_the_image_has_voxels():
    shown, grid = Grid((10, 10, 10), np.diag([1.0, 1.0, 1.0, 1.0])), Grid((8, 8, 8), np.diag([2.0, 2.0, 2.0, 1.0]))
    seen = field_of_view(shown, grid)
    assert seen[:5, :5, :5].all()
    assert seen.sum() == 125


def test_a_brain_beyond_the_image_is_none(monkeypatch):
    def predict(bundle, x, **settings):
        everything = np.ones((1, *x.shape[1:]), dtype=np.float32)
        return Prediction(everything, (), np.zeros_like(everything), "torch", "float32", 0.0, 0.0)

    monkeypatch.setattr(find, "predict", predict)
    manifest = SimpleNamespace(outputs=("brain",), threshold=SimpleNamespace(value=0.5), rules={})
    image = Volume(np.random.default_rng(0).random((11, 9, 7)), Grid((11, 9, 7), np.diag([2.0, 2.0, 2.0, 1.0])))
    with pytest.raises(BadInputError, match="no brain was found"):
        find.find_brain(image, bundle=SimpleNamespace(manifest=manifest))


def test_a_brain_far_from_the_middle_of_a_long_image_is_found_whole(monkeypatch):
    grid = Grid((40, 40, 110), np.array([[-5.0, 0, 0, 90], [0, 5.0, 0, -80], [0, 0, 4.0, -300], [0, 0, 0, 1]]))
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    for top_mm in (0.0, 20.0):  # cut by half, and by nearly all, at 256 mm about the middle
        centre = np.array([-7.5, 15.0, 45.0 + top_mm])
        ball = (np.linalg.norm(grid.to_mm(index) - centre, axis=-1) <= 65).astype(np.float32)
        looks = []

        def predicted(bundle, x, settings, looks=looks):
            looks.append(x)
            return Prediction(x, (), np.zeros_like(x), "torch", "float32", 0.0, 0.0)

        monkeypatch.setattr(find, "predict_both_ways", predicted)
        monkeypatch.setattr(find, "extracted_region", lambda image, brain: None)
        manifest = SimpleNamespace(outputs=("brain",), threshold=SimpleNamespace(value=0.5), rules={})
        found = find.find_brain(Volume(ball, grid), bundle=SimpleNamespace(manifest=manifest))
        assert found.mask_on(grid).volume_ml == pytest.approx(ball.sum() * grid.voxel_ml, rel=0.05)
        assert len(looks) > 1


def test_a_brain_that_the_image_itself_cuts_is_looked_for_once():
    shown = Grid((20, 20, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
    found = np.ones((8, 8, 8), bool)
    assert find.is_cut(found, Grid((8, 8, 8), shown.affine), shown)
    assert not find.is_cut(found, shown.shifted((12, 12, 12), (8, 8, 8)), shown.shifted((12, 12, 12), (8, 8, 8)))
    assert not find.is_cut(found & False, Grid((8, 8, 8), shown.affine), shown)


def test_what_is_larger_than_any_brain_is_none(monkeypatch):
    def predict(bundle, x, **settings):
        everything = np.ones((1, *x.shape[1:]), dtype=np.float32)
        return Prediction(everything, (), np.zeros_like(everything), "torch", "float32", 0.0, 0.0)

    monkeypatch.setattr(find, "predict", predict)
    manifest = SimpleNamespace(outputs=("brain",), threshold=SimpleNamespace(value=0.5), rules={})
    image = Volume(np.random.default_rng(0).random((30, 30, 30)), Grid((30, 30, 30), np.diag([5.0, 5.0, 5.0, 1.0])))
    with pytest.raises(BadInputError, match="300 to 2500 ml are expected"):
        find.find_brain(image, bundle=SimpleNamespace(manifest=manifest))
