"""Lesions lie where lesions lie, and add up to the load."""

import numpy as np
import pytest

from willis.phantom.anatomy import DISTANCE_STEP_MM, Anatomy
from willis.phantom.ellipsoids import paint_ellipsoid
from willis.phantom.labels import BRAIN, RIGHT_SIDE, Tissue, lookup
from willis.phantom.lesions import NO_LESION_SHARE, add_foci, draw_lesions, draw_load_ml, vascular_field
from willis.phantom.lookalikes import CAP_MM, CAP_SHARE, CAP_STRENGTH, normal_caps
from willis.phantom.scene import LesionScene, allowed_tissue, horn_tips


@pytest.fixture(scope="module")
def scene(toy_anatomy: Anatomy) -> LesionScene:
    step = np.float32(DISTANCE_STEP_MM)
    return LesionScene(
        toy_anatomy.codes,
        toy_anatomy.ventricle_distance * step,
        toy_anatomy.cortex_distance * step,
        toy_anatomy.midline_distance * step,
    )


def test_loads_are_often_none_and_log_uniform() -> None:
    rng = np.random.default_rng(0)
    loads = np.array([draw_load_ml(rng) for _ in range(4000)])
    assert (loads == 0).mean() == pytest.approx(NO_LESION_SHARE, abs=0.02)
    logs = np.log(loads[loads > 0])
    assert np.median(logs) == pytest.approx((logs.min() + logs.max()) / 2, abs=0.2)
    assert loads.max() <= 80


def test_a_share_of_loads_is_large() -> None:
    rng = np.random.default_rng(1)
    loads = np.array([draw_load_ml(rng, large_share=0.5) for _ in range(4000)])
    others = (np.array([draw_load_ml(rng) for _ in range(4000)]) >= 20).mean()
    assert (loads >= 20).mean() == pytest.approx(0.5 + 0.5 * others, abs=0.03)
    assert np.median(loads[loads >= 20]) == pytest.approx(50, abs=3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("load", [0.5, 12.0])
def test_load_is_reached(scene: LesionScene, load: float, seed: int) -> None:
    found = draw_lesions(np.random.default_rng(seed), scene, load)
    assert found.wmh.min() >= 0
    assert found.wmh.max() <= 1
    assert found.wmh.sum() / 1000 == pytest.approx(load, rel=0.35, abs=0.2)


def test_no_load_no_lesion_but_lookalikes(scene: LesionScene) -> None:
    found = [draw_lesions(np.random.default_rng(seed), scene, 0.0) for seed in range(6)]
    assert all(not f.wmh.any() for f in found)
    assert any(f.fluid.any() for f in found)
    assert any(f.dirty.max() > 0.1 for f in found)


def test_healthy_frontal_horns_may_have_pale_caps(scene: LesionScene) -> None:
    drawn = [normal_caps(np.random.default_rng(seed), scene) for seed in range(60)]
    seen = [caps for caps in drawn if caps.any()]
    assert len(seen) / len(drawn) == pytest.approx(CAP_SHARE, abs=0.2)
    back, front = horn_tips(scene.codes)
    assert back < front
    for caps in seen:
        assert 0 < caps.max() <= CAP_STRENGTH[1]
        assert caps[:, front].max() > 10 * caps[:, back].max()
        assert caps[scene.ventricle_mm > 3 * CAP_MM[1]].max() < 0.01 * caps.max()


def test_lesions_stay_in_tissue(scene: LesionScene) -> None:
    forbidden = allowed_tissue(scene.codes) == 0
    for seed in range(4):
        assert not draw_lesions(np.random.default_rng(seed), scene, 20.0).wmh[forbidden].any()
    assert forbidden[~lookup(BRAIN)[scene.codes]].all()
    assert forbidden[lookup((Tissue.LATERAL_VENTRICLE, Tissue.CSF))[scene.codes]].all()


def test_vascular_lesions_hug_the_ventricles(scene: LesionScene) -> None:
    white = lookup((Tissue.WHITE_MATTER,))[scene.codes]
    nearer = []
    for seed in range(6):
        share = vascular_field(np.random.default_rng(seed), scene, 8.0) >= 0.5
        assert not share[~white].any()
        nearer.append(np.median(scene.ventricle_mm[share]) < np.median(scene.ventricle_mm[white]))
    assert sum(nearer) >= 5


def test_vascular_lesions_spare_the_midline(scene: LesionScene) -> None:
    share = sum((vascular_field(np.random.default_rng(seed), scene, 8.0) >= 0.5).astype(int) for seed in range(6))
    white = lookup((Tissue.WHITE_MATTER,))[scene.codes]
    close = white & (scene.midline_mm < 4)
    off = white & (scene.midline_mm > 8) & (scene.ventricle_mm < 10)
    assert share[close].mean() < 0.3 * share[off].mean()


def test_inflammatory_foci_lie_in_their_places(scene: LesionScene) -> None:
    counts = {"periventricular": 0.0, "cortical": 0.0, "below": 0.0}
    for seed in range(6):
        wmh = np.zeros(scene.codes.shape, dtype=np.float32)
        add_foci(np.random.default_rng(seed), scene, wmh, 10.0, "inflammatory")
        counts["periventricular"] += wmh[scene.ventricle_mm < 4].sum()
        counts["cortical"] += wmh[scene.cortex_mm < 2.5].sum()
        tissue = scene.codes & (RIGHT_SIDE - 1)
        below = (tissue == Tissue.BRAINSTEM) | (tissue == Tissue.CEREBELLAR_WHITE_MATTER)
        counts["below"] += wmh[below].sum()
    total = sum(counts.values())
    assert counts["periventricular"] > 0.2 * total
    assert min(counts.values()) > 0
    assert counts["below"] < counts["periventricular"]


def test_ellipsoid_has_its_volume() -> None:
    rng = np.random.default_rng(0)
    target = np.zeros((60, 60, 60), dtype=np.float32)
    gain = paint_ellipsoid(
        rng, target, np.array([30.2, 29.7, 30.1]), np.array([12.0, 8.0, 6.0]), np.eye(3), softness=1.0, roughness=0.0
    )
    assert gain == pytest.approx(float(target.sum()), rel=1e-5)
    assert gain == pytest.approx(4 / 3 * np.pi * 12 * 8 * 6, rel=0.03)
    length = [np.ptp(np.flatnonzero((target >= 0.5).any(axis=axes))) for axes in ((1, 2), (0, 2), (0, 1))]
    assert length == pytest.approx([24, 16, 12], abs=1.5)


def test_ellipsoid_beyond_the_border_is_cut() -> None:
    target = np.zeros((10, 10, 10), dtype=np.float32)
    radii = np.full(3, 4.0)
    assert paint_ellipsoid(np.random.default_rng(0), target, np.array([40.0, 5, 5]), radii, np.eye(3)) == 0
    assert paint_ellipsoid(np.random.default_rng(0), target, np.array([0.0, 5, 5]), radii, np.eye(3)) > 50


def test_fluid_is_never_lesion(scene: LesionScene) -> None:
    for seed in range(5):
        found = draw_lesions(np.random.default_rng(seed), scene, 20.0)
        assert not (found.wmh >= 0.5)[found.fluid > 0.6].any()
