"""Large vessels of a perfusion phantom: arteries about the base of the brain, and the venous sinuses."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field
from willis.phantom.labels import RIGHT_SIDE, SIDED, Tissue, lookup
from willis.phantom.perfusion_scene import Occlusion

RADIUS_MM = {"M1": 1.5, "A2": 1.2, "basilar": 1.6}
SINUS_MM = 1.5  # of the sagittal sinus, beneath the skull in the middle plane
Point = npt.NDArray[np.float64]


def arteries(rng: np.random.Generator, codes: npt.NDArray[np.uint8], occlusion: Occlusion) -> Field:
    """(I, J, K) share of each 1 mm voxel that is artery; what lies behind an occlusion is empty.

    Courses are drawn from landmarks: M1 between amygdala and accumbens to the side, A2 forward and up in the middle
    plane, the basilar artery before the brainstem.
    """
    share: Field = (codes & (RIGHT_SIDE - 1) == Tissue.ARTERY).astype(np.float32)
    amygdala = {right: _centre(codes, Tissue.AMYGDALA, right) for right in (False, True)}
    accumbens = {right: _centre(codes, Tissue.ACCUMBENS, right) for right in (False, True)}
    middle = (amygdala[True] + amygdala[False]) / 2
    for right in (False, True):
        shut = occlusion.group == "lvo" and occlusion.site in ("ICA", "M1") and occlusion.right == right
        out = amygdala[right] - middle
        height = (amygdala[right][2] + 2 * accumbens[right][2]) / 3
        start = np.array([middle[0] + 0.35 * out[0], accumbens[right][1] - 4, height])
        end = np.array([middle[0] + 1.55 * out[0], accumbens[right][1] - 8, height + 2])
        _tube(share, [start, start + 0.3 * (end - start)], RADIUS_MM["M1"])
        if not shut:
            bend = (start + end) / 2 + rng.normal(0, 1.5, 3)
            up = end + np.array([0.1 * out[0], -14, 12])
            _tube(share, [start, bend, end, up], RADIUS_MM["M1"])
        near = np.array([middle[0] + 0.08 * out[0], accumbens[right][1] + 6, accumbens[right][2]])
        front = near + np.array([0, 26, 14])
        _tube(share, [near, front, front + np.array([0, -8, 22])], RADIUS_MM["A2"])
    stem = np.argwhere(codes == Tissue.BRAINSTEM)
    front_of = np.array([middle[0], np.percentile(stem[:, 1], 99) + 2, 0.0])
    low, high = np.percentile(stem[:, 2], (45, 80))
    _tube(share, [front_of + np.array([0, 0, low]), front_of + np.array([0, 1, high])], RADIUS_MM["basilar"])
    return share


def veins(codes: npt.NDArray[np.uint8]) -> Field:
    """(I, J, K) share of each 1 mm voxel that is venous sinus: that of the labels, and the sagittal one."""
    share: Field = (codes & (RIGHT_SIDE - 1) == Tissue.VENOUS_SINUS).astype(np.float32)
    brain = lookup(tuple(SIDED))[codes]
    i = round(float(np.argwhere(brain)[:, 0].mean()))
    profile = ndimage.binary_fill_holes(np.asarray(brain[i - 3 : i + 4].any(axis=0)))
    rim = ndimage.binary_dilation(profile, iterations=3) & ~ndimage.binary_dilation(profile)
    j, k = np.nonzero(profile)
    upper = np.arange(rim.shape[1])[None] > np.percentile(k, 35)
    behind = np.arange(rim.shape[0])[:, None] < np.percentile(j, 85)
    share[i - 2 : i + 2][:, rim & upper & behind] = 1.0
    return share


def _centre(codes: npt.NDArray[np.uint8], tissue: Tissue, right: bool) -> Point:
    return np.asarray(np.argwhere(codes == (tissue | (RIGHT_SIDE if right else 0))).mean(axis=0))


def _tube(share: Field, points: list[Point], radius_mm: float) -> None:
    """Fill a tube of round section along straight pieces; ``share`` is changed."""
    for start, end in pairwise(points):
        low = np.maximum(np.floor(np.minimum(start, end) - radius_mm - 2), 0).astype(int)
        high = np.minimum(np.ceil(np.maximum(start, end) + radius_mm + 3), share.shape).astype(int)
        if (high <= low).any():
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        at = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), axis=-1)
        way = end - start
        along = np.clip((at - start) @ way / max(float(way @ way), 1e-6), 0, 1)
        away = np.linalg.norm(at - start - along[..., None] * way, axis=-1)
        share[box] = np.maximum(share[box], np.clip(radius_mm + 0.5 - away, 0, 1).astype(np.float32))
