"""DWI phantoms for training: fast, one thread, on slices as scanners give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.phantom.acquire import AxisSampling, bias_field, profile_matrix, rician
from willis.phantom.acute import draw_acute
from willis.phantom.anatomy import Anatomy
from willis.phantom.contrast import draw_person
from willis.phantom.deform import Field, Matrix, apply_separable, smooth_noise
from willis.phantom.diffusion import draw_scene, seen
from willis.phantom.epi import draw_epi
from willis.phantom.head import draw_head, draw_pose
from willis.phantom.labels import BRAIN, lookup
from willis.phantom.lesions import draw_lesions
from willis.phantom.scene import LesionScene
from willis.volume.grid import Grid

FINE_MM = 1.5  # of the head that is sampled
HEAD_SHAPE = (128, 156, 112)
STRIPPED_SHARE = 0.45
ISOTROPIC_SHARE = 0.35  # of scans; the others have thicker slices
LARGE_WMH_SHARE = 0.3


@dataclass(frozen=True)
class DwiCase:
    """b0 and b1000 on one RAS grid, with their truth.

    Parameters
    ----------
    b0, b1000
        (I, J, K) float32, arbitrary units from 0.
    lesion, visible, brain
        (I, J, K) share of each voxel, float32, in [0, 1].
    grid
        Of all of them; axes along the scanner's.
    b
        Of the b1000, s/mm².
    stripped
        Whether what is no brain was blanked.
    """

    b0: Field
    b1000: Field
    lesion: Field
    visible: Field
    brain: Field
    grid: Grid
    b: float
    stripped: bool
    parameters: dict[str, Any] = field(default_factory=dict)


def dwi_case(rng: np.random.Generator, anatomies: Sequence[Anatomy], traced: Sequence[Path] = ()) -> DwiCase:
    """One DWI of a random person; ``traced`` as :func:`willis.phantom.acute.draw_acute` takes it."""
    anatomy = anatomies[int(rng.integers(len(anatomies)))]
    head = draw_head(rng, anatomy, draw_pose(rng, rotation_deg=10.0, shift_mm=5.0), HEAD_SHAPE, FINE_MM, distances=True)
    assert head.ventricle_mm is not None and head.cortex_mm is not None and head.midline_mm is not None
    acute = draw_acute(rng, head.codes, FINE_MM, traced=traced)
    load_ml = None if rng.random() < LARGE_WMH_SHARE else float(rng.uniform(0, 3))
    scene = LesionScene(head.codes, head.ventricle_mm, head.cortex_mm, head.midline_mm, FINE_MM**3 / 1000)
    old = draw_lesions(rng, scene, load_ml)
    tissue, strength = draw_person(rng)
    ideal = draw_scene(rng, head.codes, acute, old, tissue, strength, with_flair=False)
    epi = draw_epi(rng, head.codes, FINE_MM)
    shapes = [
        epi.moved(share) for share in (acute.fraction, ideal.visible, lookup(BRAIN)[head.codes].astype(np.float32))
    ]
    images = seen(ideal, epi, head.codes)
    samplings, plain, grid = _sampling(rng)
    shading = bias_field(rng, HEAD_SHAPE, float(rng.uniform(0.03, 0.28)))
    noise = float(np.exp(rng.uniform(np.log(0.006), np.log(0.05))))
    native = [rician(rng, apply_separable(image * shading, samplings), noise) for image in images]
    lesion, visible, brain = (np.clip(apply_separable(share, plain), 0, 1) for share in shapes)
    stripped = bool(rng.random() < STRIPPED_SHARE)
    if stripped:
        kept = ragged(rng, brain)
        native = [image * kept for image in native]
        brain = brain * kept
    scale = float(np.exp(rng.uniform(np.log(100), np.log(1500))))
    return DwiCase(
        native[0] * np.float32(scale), native[1] * np.float32(scale), lesion, visible, brain, grid, ideal.b, stripped,
        {"anatomy": head.anatomy, **acute.parameters, **ideal.parameters},
    )  # fmt: skip


def ragged(rng: np.random.Generator, brain: Field) -> npt.NDArray[np.bool_]:
    """(I, J, K) what a brain extraction keeps: a border that is tight or generous, and uneven."""
    level = float(rng.uniform(0.2, 0.75))
    uneven = float(rng.uniform(0, 0.12)) * smooth_noise(rng, (brain.shape[0], brain.shape[1], brain.shape[2]), 6)
    return np.asarray((brain + uneven > level) & (brain > 0.02))


def _sampling(
    rng: np.random.Generator,
) -> tuple[tuple[Matrix, Matrix, Matrix], tuple[Matrix, Matrix, Matrix], Grid]:
    """Matrices from the fine grid to the scanner's voxels, for images and for shares of voxels, and their grid."""
    isotropic = bool(rng.random() < ISOTROPIC_SHARE)
    resolution = float(rng.uniform(1.7, 2.3) if isotropic else rng.uniform(1.2, 2.4))
    stored = resolution * float(rng.choice([1.0, 1.0, 0.7, 0.5])) if not isotropic else resolution
    stored = max(stored, 1.1)
    thick = resolution if isotropic else float(rng.uniform(2.5, 6.5))
    filled = float(rng.choice([1.0, rng.uniform(0.75, 1.0)]))
    apodise, blur = float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.5, 0.9))
    sides, spacings, images, shares, first = [], [], [], [], []
    for axis, n in enumerate(HEAD_SHAPE):
        spacing = thick if axis == 2 else stored
        count = int(n * FINE_MM / spacing)
        start = float(rng.uniform(0, n * FINE_MM - (count - 1) * spacing - FINE_MM / 2)) if axis == 2 else spacing / 2
        centres = start + np.arange(count) * spacing
        if axis == 2:
            sampling = AxisSampling(spacing, spacing * filled, "slice", 0.0, 1.0, blur)
        else:
            sampling = AxisSampling(spacing, resolution, "kspace", 0.0, apodise, blur)
        images.append(profile_matrix(n, FINE_MM, centres, sampling))
        shares.append(profile_matrix(n, FINE_MM, centres, AxisSampling(spacing, spacing, "slice", 0.0, 1.0, 0.0)))
        sides.append(count)
        spacings.append(spacing)
        first.append(float(centres[0]))
    affine = np.diag([*spacings, 1.0])
    affine[:3, 3] = np.array(first) - (np.array(HEAD_SHAPE) - 1) * FINE_MM / 2
    grid = Grid((sides[0], sides[1], sides[2]), affine)
    return (images[0], images[1], images[2]), (shares[0], shares[1], shares[2]), grid
