"""White matter hyperintensities by where and how they occur."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field, smooth_noise, upsample
from willis.phantom.ellipsoids import paint_ellipsoid, random_axes, random_voxels
from willis.phantom.labels import SIDE_MASK, Tissue, lookup
from willis.phantom.lookalikes import add_fluid, draw_dirty
from willis.phantom.scene import LesionScene, allowed_tissue, horn_tips

NO_LESION_SHARE = 0.08  # of patients
LOAD_ML = (0.5, 80.0)  # log-uniform
LARGE_LOAD_ML = (20.0, 80.0)  # uniform
CONTRAST_ENDS = (0.5, 1.5)  # of a place within a lesion, share of the patient's
MIDLINE_SPARED_MM = 5.0


@dataclass
class Lesions:
    """Fractions of each voxel, (I, J, K) in [0, 1].

    Parameters
    ----------
    wmh
        White matter hyperintensity: the truth at 0.5.
    contrast
        Its local contrast as a share of the full one: brightest foci stand in paler confluent areas.
    dirty
        Diffusely abnormal white matter and thin normal rims: bright, yet no lesion.
    fluid
        Lacunes, enlarged perivascular spaces, old cavities: CSF.
    gliosis
        Bright rims of cavities: not counted as WMH.
    scar
        Signal of gliosis on T1, from cortex (0) to CSF (1); None: nearly that of WMH.
    parameters
        What was drawn.
    """

    wmh: Field
    contrast: Field
    dirty: Field
    fluid: Field
    gliosis: Field
    parameters: dict[str, Any] = field(default_factory=dict)
    scar: float | None = None


def draw_load_ml(rng: np.random.Generator, large_share: float = 0.0) -> float:
    """Total lesion volume: large in ``large_share`` of patients; of the others, 0 in some, else log-uniform."""
    if large_share and rng.random() < large_share:
        return float(rng.uniform(*LARGE_LOAD_ML))
    if rng.random() < NO_LESION_SHARE:
        return 0.0
    return float(np.exp(rng.uniform(*np.log(LOAD_ML))))


def draw_lesions(rng: np.random.Generator, scene: LesionScene, load_ml: float | None = None) -> Lesions:
    """Draw WMH of a total load and the look-alikes."""
    load = draw_load_ml(rng) if load_ml is None else load_ml
    shape = scene.codes.shape
    pattern = str(rng.choice(["vascular", "inflammatory", "mixed"], p=[0.5, 0.25, 0.25]))
    wmh = np.zeros(shape, dtype=np.float32)
    if load > 0:
        if pattern == "inflammatory":
            field_share = float(rng.uniform(0.0, 0.4))
        else:
            field_share = float(rng.uniform(0.5, 1.0) if pattern == "vascular" else rng.uniform(0.3, 0.8))
        if load * field_share > 0.02:
            wmh = vascular_field(rng, scene, load * field_share)
        add_foci(rng, scene, wmh, load, pattern)
    contrast = 1 + float(rng.uniform(0.1, 0.25)) * smooth_noise(rng, shape, 12) + 0.08 * smooth_noise(rng, shape, 3)
    np.clip(contrast, *CONTRAST_ENDS, out=contrast)
    dirty = draw_dirty(rng, scene, load)
    fluid = np.zeros(shape, dtype=np.float32)
    gliosis = np.zeros(shape, dtype=np.float32)
    add_fluid(rng, scene, fluid, gliosis)
    wmh *= 1 - np.maximum(fluid, gliosis)
    return Lesions(wmh, contrast, dirty, fluid, gliosis, {"load_ml": load, "pattern": pattern})


def vascular_field(rng: np.random.Generator, scene: LesionScene, load_ml: float) -> Field:
    """Caps, bands, deep and confluent lesions: a noisy score of closeness to the ventricles, cut at the load."""
    shape = scene.codes.shape
    white = (scene.codes & SIDE_MASK) == Tissue.WHITE_MATTER
    where = np.flatnonzero(white)
    reach = float(np.exp(rng.uniform(np.log(2.5), np.log(10.0))))  # mm, half of the band's score is left here
    slope = reach * float(rng.uniform(0.15, 0.5))
    patchy = np.clip(1 + rng.uniform(0.2, 0.9) * smooth_noise(rng, shape, 14), 0, 3)
    score = rng.uniform(1.5, 5.0) * patchy / (1 + np.exp((scene.ventricle_mm - reach) / slope))
    score -= rng.uniform(0.0, 3.0) * _near_temporal_horn(scene)
    score += smooth_noise(rng, shape, 9) * rng.uniform(0.6, 1.5)
    score += smooth_noise(rng, shape, 5) * rng.uniform(0.4, 1.0)
    score += smooth_noise(rng, shape, 2.5) * rng.uniform(0.1, 0.4)
    score -= rng.uniform(0.5, 3.0) * np.exp(-((scene.cortex_mm / rng.uniform(1.5, 3.5)) ** 2))
    score += _caps(rng, scene) * np.exp(-scene.ventricle_mm / 8)
    score -= 6 * np.exp(-((scene.midline_mm / MIDLINE_SPARED_MM) ** 2))  # septum, fornix, corpus callosum
    values = score.ravel()[where]
    keep = int(np.clip(load_ml / scene.voxel_ml, 1, 0.5 * len(values)))
    threshold = float(np.partition(values, len(values) - keep)[len(values) - keep])
    softness = float(rng.uniform(0.25, 0.9))
    fraction = np.zeros(shape, dtype=np.float32)
    fraction.ravel()[where] = np.clip((values - threshold) / softness + 0.5, 0, 1)
    return fraction


def _near_temporal_horn(scene: LesionScene) -> Field:
    """About 1 around the temporal horns, where vascular lesions come late, and 0 elsewhere."""
    horn = ((scene.codes[::4, ::4, ::4] & SIDE_MASK) == Tissue.INFERIOR_HORN).astype(np.float32)
    near = ndimage.gaussian_filter(horn, 2.0)
    return upsample(np.minimum(20 * near, 1).astype(np.float32), scene.codes.shape)


def _caps(rng: np.random.Generator, scene: LesionScene) -> Field:
    """A score that favours the tips of the frontal and the occipital horns."""
    back, front = horn_tips(scene.codes)
    y = np.arange(scene.codes.shape[1])
    strength = rng.uniform(0, 3.0, 2)
    profile = strength[0] * np.exp(-(((y - front) / 12.0) ** 2)) + strength[1] * np.exp(-(((y - back) / 14.0) ** 2))
    return np.asarray(profile[None, :, None], dtype=np.float32)


FOCUS_SHARES = {  # of the foci of each pattern: periventricular, deep, juxtacortical, deep grey, brainstem, cerebellum
    "vascular": (0.20, 0.62, 0.08, 0.05, 0.03, 0.02),
    "inflammatory": (0.42, 0.24, 0.22, 0.03, 0.04, 0.05),
    "mixed": (0.30, 0.45, 0.14, 0.04, 0.04, 0.03),
}
FOCUS_RADIUS_MM = 2.2  # median
MOST_FOCI = 150


def _focus_places(rng: np.random.Generator, scene: LesionScene) -> list[npt.NDArray[np.bool_]]:
    tissue = scene.codes & SIDE_MASK
    white = (tissue == Tissue.WHITE_MATTER) & (scene.midline_mm > rng.choice([2.0, MIDLINE_SPARED_MM]))
    near = scene.ventricle_mm < 4
    cortical = scene.cortex_mm < 2.5
    grey = lookup((Tissue.THALAMUS, Tissue.PUTAMEN, Tissue.CAUDATE, Tissue.PALLIDUM))[scene.codes]
    return [
        white & near,
        white & ~near & ~cortical,
        white & ~near & cortical,
        grey,
        tissue == Tissue.BRAINSTEM,
        tissue == Tissue.CEREBELLAR_WHITE_MATTER,
    ]


def _gradient_at(volume: Field, voxel: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    g = np.zeros(3)
    for axis in range(3):
        step = np.zeros(3, dtype=int)
        step[axis] = 2
        low, high = np.maximum(voxel - step, 0), np.minimum(voxel + step, np.array(volume.shape) - 1)
        g[axis] = float(volume[tuple(high)]) - float(volume[tuple(low)])
    return g


def add_foci(rng: np.random.Generator, scene: LesionScene, wmh: Field, load_ml: float, pattern: str) -> None:
    """Paint single lesions until the load is reached; periventricular ones stand on the ventricle's wall."""
    places = _focus_places(rng, scene)
    allowed = allowed_tissue(scene.codes)
    shares = np.array(FOCUS_SHARES[pattern]) * rng.gamma(2.0, 0.5, len(places))
    kinds = rng.choice(len(places), MOST_FOCI, p=shares / shares.sum())
    voxels = [random_voxels(rng, place, MOST_FOCI) for place in places]
    median = FOCUS_RADIUS_MM * float(np.exp(rng.normal(0, 0.25))) * (1 + 0.02 * load_ml)
    missing = load_ml / scene.voxel_ml - float(wmh.sum())
    for n, kind in enumerate(kinds):
        if missing <= 0:
            break
        if not len(voxels[kind]):
            continue
        centre = voxels[kind][n]
        largest = (3 * max(missing, 15) / (4 * np.pi)) ** (1 / 3)
        radius = float(np.clip(median * np.exp(rng.normal(0, 0.45)), 1.1, min(10, 1.3 * largest + 0.6)))
        first = _gradient_at(scene.ventricle_mm, centre) if kind == 0 else None
        long = float(rng.uniform(1.2, 2.6)) if kind == 0 else float(rng.uniform(1.0, 1.7))
        radii = radius * np.array([long, 1, rng.uniform(0.7, 1.0)]) / long ** (1 / 3)
        missing -= paint_ellipsoid(
            rng, wmh, centre + rng.uniform(-0.5, 0.5, 3), radii, random_axes(rng, first),
            softness=float(rng.uniform(0.7, 2.0)), roughness=float(rng.uniform(0.1, 0.4)), allowed=allowed,
        )  # fmt: skip
