"""What looks like a white matter hyperintensity and is none."""

from __future__ import annotations

import numpy as np

from willis.phantom.deform import Field, smooth_noise
from willis.phantom.ellipsoids import paint_ellipsoid, random_axes, random_voxels
from willis.phantom.labels import SIDE_MASK, Tissue, lookup
from willis.phantom.scene import LesionScene, allowed_tissue, horn_tips

CAP_SHARE = 0.6  # of people
CAP_STRENGTH = (0.1, 0.45)
CAP_MM = (1.5, 4.0)
CAP_DEPTH = 8.0  # voxels behind the tip of the horn


def draw_dirty(rng: np.random.Generator, scene: LesionScene, load_ml: float) -> Field:
    """Diffusely bright white matter, the thin bright rim of normal ventricles, bright lines of normal tracts."""
    white = (scene.codes & SIDE_MASK) == Tissue.WHITE_MATTER
    dirty = np.zeros(scene.codes.shape, dtype=np.float32)
    if rng.random() < 0.6:  # haze around the ventricles, wider with load
        strength = float(rng.uniform(0.02, 0.15))
        reach = float(rng.uniform(3, 8)) * (1 + 0.01 * load_ml)
        dirty += strength * np.exp(-scene.ventricle_mm / reach)
    if rng.random() < 0.7:  # ependymal rim
        width = float(rng.uniform(0.4, 1.1))
        dirty += float(rng.uniform(0.05, 0.35)) * np.exp(-((scene.ventricle_mm / (0.7 + width)) ** 4))
    if rng.random() < 0.5:
        dirty += float(rng.uniform(0.02, 0.1)) * smooth_noise(rng, scene.codes.shape, 10)
    dirty += normal_caps(rng.spawn(1)[0], scene)
    dirty *= white
    return dirty


def normal_caps(rng: np.random.Generator, scene: LesionScene) -> Field:
    """The pale caps of the frontal horns that healthy people have, as a share of a lesion's contrast."""
    strength, reach_mm = float(rng.uniform(*CAP_STRENGTH)), float(rng.uniform(*CAP_MM))
    if rng.random() >= CAP_SHARE:
        return np.zeros(scene.codes.shape, dtype=np.float32)
    _, front = horn_tips(scene.codes)
    along = np.exp(-(((np.arange(scene.codes.shape[1]) - front) / CAP_DEPTH) ** 2)).astype(np.float32)
    return np.asarray(strength * along[None, :, None] * np.exp(-((scene.ventricle_mm / reach_mm) ** 2)))


def add_fluid(rng: np.random.Generator, scene: LesionScene, fluid: Field, gliosis: Field) -> None:
    """Perivascular spaces and lacunes in basal ganglia and white matter, rarely an old cortical infarct."""
    tissue = scene.codes & SIDE_MASK
    ganglia = lookup((Tissue.PUTAMEN, Tissue.PALLIDUM, Tissue.THALAMUS, Tissue.CAUDATE))[scene.codes]
    white = (tissue == Tissue.WHITE_MATTER) & (scene.cortex_mm > 1.5)
    allowed = allowed_tissue(scene.codes)
    spaces = int(rng.poisson(rng.choice([2, 8, 25])))
    for place, count in ((ganglia, spaces // 2), (white, spaces - spaces // 2)):
        for voxel in random_voxels(rng, place, count):
            axes = random_axes(rng, np.array([rng.normal(0, 0.4), rng.normal(0, 0.4), 1.0]))
            radii = np.array([rng.uniform(1.5, 5.0), rng.uniform(0.5, 0.9), rng.uniform(0.5, 0.9)])
            paint_ellipsoid(rng, fluid, voxel.astype(float), radii, axes, softness=0.8, roughness=0, allowed=allowed)
    for voxel in random_voxels(rng, ganglia | white, int(rng.poisson(0.6))):
        radius = float(rng.uniform(1.3, 4.5))
        radii = radius * rng.uniform(0.8, 1.3, 3)
        axes = random_axes(rng)
        if rng.random() < 0.6:
            paint_ellipsoid(rng, gliosis, voxel.astype(float), radii, axes, allowed=allowed, layer=1.2, roughness=0.1)
        paint_ellipsoid(rng, fluid, voxel.astype(float), radii, axes, allowed=allowed, roughness=0.1)
    if rng.random() < 0.05:
        add_old_infarct(rng, scene, fluid, gliosis)


def add_old_infarct(rng: np.random.Generator, scene: LesionScene, fluid: Field, gliosis: Field) -> None:
    """A cavity of cortex and white matter with a bright wall."""
    place = ((scene.codes & SIDE_MASK) == Tissue.WHITE_MATTER) & (scene.cortex_mm < 4)
    brain = lookup((Tissue.WHITE_MATTER, Tissue.CORTEX, Tissue.PUTAMEN, Tissue.CAUDATE))[scene.codes].astype(np.float32)
    for voxel in random_voxels(rng, place, 1):
        radii = float(rng.uniform(6, 22)) * rng.uniform(0.6, 1.3, 3)
        axes = random_axes(rng)
        state = int(rng.integers(2**31))
        for target, layer in ((gliosis, float(rng.uniform(1.5, 5))), (fluid, 0.0)):
            paint_ellipsoid(
                np.random.default_rng(state), target, voxel.astype(float), radii, axes,
                allowed=brain, layer=layer, softness=2.0, roughness=0.35,
            )  # fmt: skip
