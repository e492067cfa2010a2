"""The outline of the brain may have a threshold of its own; its parts keep that of the bundle."""

from types import SimpleNamespace

import numpy as np
import pytest

from willis.infer.ensemble import Prediction
from willis.models.manifest import Rule, Threshold
from willis.tasks.brain import find
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GRID = Grid((40, 40, 40), np.diag([3.0, 3.0, 3.0, 1.0]))


def bundle_with(**rules):
    manifest = SimpleNamespace(
        outputs=("brain", "ventricles"),
        threshold=Threshold(value=0.5, origin="a test"),
        rules={name: Rule(value=value, origin="a test") for name, value in rules.items()},
    )
    return SimpleNamespace(manifest=manifest)


@pytest.fixture
def found(monkeypatch):
    """What is found in a ball of probability 0.9 with a shell of 0.45, and ventricles of the same within."""
    away = np.linalg.norm(np.indices(GRID.shape) - 19.5, axis=0)

    def ball(radius):
        return np.where(away <= radius, 0.9, np.where(away <= radius + 3, 0.45, 0.0)).astype(np.float32)

    def predicted(bundle, x, settings):
        probability = np.stack([ball(15), ball(4)])
        return Prediction(probability, (), np.zeros_like(probability), "torch", "float32", 0.0, 0.0)

    monkeypatch.setattr(find, "predict_both_ways", predicted)
    monkeypatch.setattr(find, "prepare", lambda image: (image.data[None], GRID))
    monkeypatch.setattr(find, "extracted_region", lambda image, brain: None)
    image = Volume(np.ones(GRID.shape, np.float32), GRID)
    return lambda **rules: find.find_brain(image, bundle=bundle_with(**rules))


def voxels(volume):
    return int(np.count_nonzero(volume.data))


def test_a_rule_widens_the_outline_and_no_other_part(found):
    plain, wide = found(), found(brain_threshold=0.4)
    assert voxels(wide.mask_on(GRID)) > 1.4 * voxels(plain.mask_on(GRID))
    assert voxels(wide.part_on("ventricles", GRID)) == voxels(plain.part_on("ventricles", GRID))
    assert voxels(wide.mask_on(GRID, tight=True)) == voxels(plain.mask_on(GRID))


def test_the_rule_of_another_part_is_that_part_s(found):
    plain, wide = found(), found(ventricles_threshold=0.4)
    assert voxels(wide.part_on("ventricles", GRID)) > 1.5 * voxels(plain.part_on("ventricles", GRID))
    assert voxels(wide.mask_on(GRID)) == voxels(plain.mask_on(GRID))
