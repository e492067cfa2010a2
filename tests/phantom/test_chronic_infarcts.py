"""Chronic infarcts of phantoms: sizes as published, one hemisphere, cavity and rim, widening towards the lesion."""

import numpy as np
import pytest

from willis.phantom.anatomy import Anatomy
from willis.phantom.chronic import (
    SIZE_COUNTS,
    SIZE_EDGES,
    draw_chronic,
    draw_volume_voxels,
)
from willis.phantom.labels import BRAIN, RIGHT_SIDE, SIDE_MASK, SIDED, VENTRICLES, lookup
from willis.phantom.scene import LesionScene
from willis.phantom.territories import Territory, territories


@pytest.fixture(scope="module")
def scene(toy_anatomy: Anatomy) -> LesionScene:
    a = toy_anatomy
    return LesionScene(
        a.codes, *(d.astype(np.float32) / 10 for d in (a.ventricle_distance, a.cortex_distance, a.midline_distance))
    )


def test_loads_follow_the_published_bins() -> None:
    rng = np.random.default_rng(0)
    drawn = [draw_volume_voxels(rng) for _ in range(4000)]
    counts = np.histogram(drawn, SIZE_EDGES)[0] / 4000
    np.testing.assert_allclose(counts, np.array(SIZE_COUNTS) / sum(SIZE_COUNTS), atol=0.03)


def test_a_lesion_has_its_volume_and_keeps_to_one_side(scene: LesionScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("willis.phantom.chronic.SECOND_LESION_SHARE", 0.0)
    for seed in range(3):
        made = draw_chronic(np.random.default_rng(seed), scene, volume_voxels=3000)
        assert made.lesion.sum() == pytest.approx(3000, rel=0.1)
        inside = made.lesion >= 0.5
        sided = inside & lookup(tuple(SIDED))[scene.codes]
        sides = np.unique(scene.codes[sided] & RIGHT_SIDE)
        assert len(sides) == 1
        assert not inside[~lookup(BRAIN)[scene.codes]].any()


def test_a_lesion_grows_in_its_territory_first(scene: LesionScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("willis.phantom.chronic.SECOND_LESION_SHARE", 0.0)
    monkeypatch.setattr("willis.phantom.chronic.PLACES", {"cortical": 1.0})
    supply = territories(scene.codes)

    def share_of_own(seed: int) -> float:
        made = draw_chronic(np.random.default_rng(seed), scene, volume_voxels=25_000)
        inside = supply[(made.lesion >= 0.5) & (supply > 0)]
        own = Territory[made.parameters["territory"].upper()]
        return float(np.mean(inside & SIDE_MASK == own))

    held = np.array([share_of_own(seed) for seed in range(6)])
    monkeypatch.setattr("willis.phantom.chronic.OUTSIDE_TERRITORY", 1.0)
    free = np.array([share_of_own(seed) for seed in range(6)])
    assert (held >= free).all() and held.mean() > free.mean() + 0.03 and held.mean() > 0.85


def test_cavity_and_rim_fill_the_lesion(scene: LesionScene) -> None:
    made = draw_chronic(np.random.default_rng(4), scene, volume_voxels=20_000)
    cavity, rim = made.lesions.fluid, made.lesions.gliosis
    assert made.parameters["cavitates"]
    assert not (cavity[made.lesion == 0].any() or rim[made.lesion == 0].any())
    assert 0.2 < cavity.sum() / made.lesion.sum() < 1
    assert (cavity + rim <= 1.5).all()
    assert not (made.lesions.wmh[made.lesion >= 0.999] > 1e-3).any()


def test_ventricles_widen_near_the_lesion_alone(scene: LesionScene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("willis.phantom.chronic.PULL_MM", (5.0, 5.0))
    made = draw_chronic(np.random.default_rng(2), scene, volume_voxels=60_000)
    ventricles = lookup(VENTRICLES)
    gained = ventricles[made.codes] & ~ventricles[scene.codes]
    assert not (ventricles[scene.codes] & ~ventricles[made.codes]).any()
    assert gained.any()
    middle = np.argwhere(made.lesion >= 0.5).mean(axis=0)
    others = np.argwhere(ventricles[scene.codes])
    near, far = (np.linalg.norm(points - middle, axis=1).mean() for points in (np.argwhere(gained), others))
    assert near < far


def test_no_lesion_is_a_head_without_one(scene: LesionScene) -> None:
    made = draw_chronic(np.random.default_rng(0), scene, volume_voxels=0)
    assert not made.lesion.any()
    assert made.parameters["place"] == "none"
    np.testing.assert_array_equal(made.codes, scene.codes)
