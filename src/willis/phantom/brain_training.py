"""Phantoms of any contrast for training brain extraction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom import mr
from willis.phantom.acquire import acquire, draw_acquisition
from willis.phantom.anatomy import Anatomy
from willis.phantom.contrast import (
    Palette,
    ct_palette,
    draw_person,
    fat_saturated,
    flair_palette,
    lookup_table_of,
    loosened,
    random_palette,
    scaled,
    t1_palette,
)
from willis.phantom.deform import Field, smooth_noise, upsample
from willis.phantom.ellipsoids import paint_ellipsoid
from willis.phantom.head import Head, Size, draw_head, draw_pose
from willis.phantom.labels import BRAIN, PARENCHYMA, RIGHT_SIDE, Tissue, lookup
from willis.phantom.outline import outlined

BRAIN_SHAPE = (128, 128, 128)
SPACING_MM = 2.0
CONTRASTS = ("t1", "t2", "flair", "pd", "b0", "b1000", "adc", "ct", "random")
CONTRAST_SHARES = (0.17, 0.11, 0.16, 0.05, 0.08, 0.12, 0.06, 0.08, 0.17)
STRIPPED_SHARE = 0.3
SIZES = Size(1.05, 0.08, 0.8, 1.3)  # of people, and of heads that were normalised to a template, which are larger


@dataclass(frozen=True)
class BrainCase:
    """An image of any contrast on a 2 mm RAS grid of (128, 128, 128) with the truth: brain and tissue codes."""

    image: Field
    brain: npt.NDArray[np.uint8]
    codes: npt.NDArray[np.uint8]
    contrast: str
    stripped: bool
    parameters: dict[str, Any] = field(default_factory=dict)


def brain_case(rng: np.random.Generator, anatomies: Sequence[Anatomy]) -> BrainCase:
    """One image of random contrast, whole head or stripped, of any field of view, with lesions of all kinds."""
    anatomy = anatomies[int(rng.integers(len(anatomies)))]
    pose = draw_pose(rng, rotation_deg=16.0, shift_mm=22.0, size=SIZES)
    contrast = str(rng.choice(CONTRASTS, p=CONTRAST_SHARES))
    head = draw_head(rng, anatomy, pose, BRAIN_SHAPE, SPACING_MM, distances=False)
    codes = head.codes
    palette = draw_palette(rng, contrast)
    image = paint(rng, head, palette)
    _add_lesions(rng, image, head, palette)
    if contrast in ("b0", "b1000", "adc"):
        image, codes = distort(rng, image, codes)
    brain = outlined(codes, SPACING_MM)
    outside = float(palette["air"]) if contrast == "ct" else 0.0
    stripped = bool(rng.random() < STRIPPED_SHARE)
    if not stripped:
        _deface(rng, image, brain, outside)
    image = scan(rng, image, contrast)
    if stripped:
        tissue = lookup(BRAIN)[codes]
        kept = stripped_to(rng, tissue if rng.random() < 0.5 else brain)
        image = strip(rng, image, kept, outside)
        brain &= kept | tissue
    codes = _crop(rng, image, codes, outside)
    return BrainCase(
        image,
        (brain & (codes > 0)).astype(np.uint8),
        codes,
        contrast,
        stripped,
        {"anatomy": head.anatomy, **pose.record(), **palette.parameters},
    )


def draw_palette(rng: np.random.Generator, contrast: str) -> Palette:
    """Tissue values of one of the ``CONTRASTS``."""
    if contrast == "ct":
        return ct_palette(rng)
    if contrast == "random":
        return random_palette(rng)
    tissue, strength = draw_person(rng)
    pd, t1, t2, adc = tissue.proton_density, tissue.t1_ms, tissue.t2_ms, tissue.adc
    if contrast == "t1":
        palette = t1_palette(rng, tissue, strength, volumetric=bool(rng.random() < 0.6))
    elif contrast == "flair":
        palette = flair_palette(rng, tissue, strength)
    elif contrast == "t2":
        palette = scaled("t2", mr.spin_echo(pd, t1, t2, tr=rng.uniform(2500, 7000), te=rng.uniform(75, 130)), {})
    elif contrast == "pd":
        palette = scaled("pd", mr.spin_echo(pd, t1, t2, tr=rng.uniform(2000, 5000), te=rng.uniform(10, 35)), {})
    else:
        b0 = mr.spin_echo(pd, t1, t2, tr=rng.uniform(3500, 9000), te=rng.uniform(60, 110))
        b = 0.0 if contrast == "b0" else float(rng.choice([800, 1000, 1000, 1000, 1200]))
        signal = adc if contrast == "adc" else mr.diffusion_weighted(b0, adc, b=b)
        suppressed = np.array([0.12 if n in ("fat", "skin", "marrow") else 1.0 for n in tissue.names])
        palette = scaled(contrast, signal * suppressed, {"b": b})
    palette = fat_saturated(rng, palette)
    return loosened(rng, palette) if rng.random() < 0.5 else palette


def paint(rng: np.random.Generator, head: Head, palette: Palette) -> Field:
    """The ideal image with a texture of its own in each tissue."""
    table = lookup_table_of(palette)
    span = float(np.ptp(palette.signal[:8]))
    for tissue in Tissue:
        if tissue != Tissue.AIR:
            table[[tissue, tissue | RIGHT_SIDE]] += 0.06 * span * rng.standard_normal()
    image = table[head.codes]
    texture = np.where(lookup(BRAIN)[head.codes], np.float32(0.04), np.float32(rng.uniform(0.05, 0.25)))
    rough = smooth_noise(rng, image.shape, 5) + 0.6 * smooth_noise(rng, image.shape, 2)
    image += texture * span * rough * (head.codes > 0)
    return image


def _add_lesions(rng: np.random.Generator, image: Field, head: Head, palette: Palette) -> None:
    """Bright, dark and fluid-filled lesions of all sizes inside the brain; ``image`` is changed."""
    parenchyma = lookup((*PARENCHYMA, Tissue.CSF))[head.codes]
    if rng.random() < 0.45:
        return
    where = np.flatnonzero(lookup(PARENCHYMA)[head.codes])
    low, high = float(palette.signal[:8].min()), float(palette.signal[:8].max())
    for _ in range(int(rng.integers(1, 5))):
        voxel = np.array(np.unravel_index(int(rng.choice(where)), image.shape), dtype=float)
        radius = float(np.exp(rng.uniform(np.log(1.5), np.log(20))))
        fraction = np.zeros(image.shape, dtype=np.float32)
        basis, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        paint_ellipsoid(rng, fraction, voxel, radius * rng.uniform(0.6, 1.3, 3), basis, softness=2.0, roughness=0.4,
                        allowed=parenchyma.astype(np.float32))  # fmt: skip
        value = (
            palette["csf"] if rng.random() < 0.35 else rng.uniform(low - 0.3 * (high - low), high + 0.3 * (high - low))
        )
        image += fraction * (np.float32(value) - image)


def distort(
    rng: np.random.Generator, image: Field, codes: npt.NDArray[np.uint8]
) -> tuple[Field, npt.NDArray[np.uint8]]:
    """Echo-planar distortion along anterior-posterior, and signal loss above the sinuses and ears.

    The truth goes with the image: a mask of a distorted image is wanted where the image shows the brain.
    """
    nodes = rng.standard_normal((8, 8, 8), dtype=np.float32)
    shift = upsample(ndimage.gaussian_filter(nodes, 0.8), image.shape) * float(rng.uniform(0, 5))
    y = np.arange(image.shape[1], dtype=np.float32)[None, :, None] + shift
    low = np.clip(np.floor(y), 0, image.shape[1] - 2).astype(np.int32)
    weight = np.clip(y - low, 0, 1).astype(np.float32)
    moved = np.take_along_axis(image, low, 1) * (1 - weight) + np.take_along_axis(image, low + 1, 1) * weight
    moved_codes = np.take_along_axis(codes, np.rint(y).clip(0, image.shape[1] - 1).astype(np.int32), 1)
    where = np.argwhere(lookup(BRAIN)[codes[::4, ::4, ::4]]) * 4
    for _ in range(int(rng.integers(0, 3))):
        lowest = where[where[:, 2] < np.quantile(where[:, 2], 0.35)]
        centre = lowest[int(rng.integers(len(lowest)))].astype(float)
        loss = np.zeros(image.shape, dtype=np.float32)
        paint_ellipsoid(rng, loss, centre, rng.uniform(4, 10, 3), np.eye(3), softness=6.0)
        moved *= 1 - loss * float(rng.uniform(0.3, 0.95))
    return moved.astype(np.float32), moved_codes


def scan(rng: np.random.Generator, image: Field, contrast: str) -> Field:
    """The image through a scanner; CT has normal noise, no bias and no sign lost."""
    thick = int(rng.choice([2, 1, 0], p=[0.85, 0.08, 0.07])) if rng.random() < 0.55 else None
    acquisition = draw_acquisition(
        rng, thick_axis=thick, thickness_mm=(3.0, 7.0), in_plane_mm=(1.8, 2.6), kspace=contrast != "ct"
    )
    if contrast == "ct":
        offset = np.float32(2000.0)
        shifted = acquire(rng, image + offset, acquisition.without_bias(), SPACING_MM, 0.0)
        return np.asarray(shifted - offset + rng.normal(0, rng.uniform(1, 12), image.shape).astype(np.float32))
    return acquire(rng, image, acquisition, SPACING_MM, 1.0)


def stripped_to(rng: np.random.Generator, brain: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What a skull stripper keeps: a tight, generous or ragged edge of the brain."""
    soft = ndimage.gaussian_filter(brain.astype(np.float32), 1.0)
    level = float(rng.uniform(0.12, 0.6))
    ragged = soft + float(rng.choice([0.0, 0.1, 0.25])) * smooth_noise(rng, brain.shape, 4)
    return np.asarray((ragged > level) & (soft > 0.05))


def strip(rng: np.random.Generator, image: Field, kept: npt.NDArray[np.bool_], outside: float) -> Field:
    """Blank what a skull stripper doesn't keep, at times with faint noise."""
    blank = np.full(image.shape, outside if rng.random() < 0.5 else 0.0, dtype=np.float32)
    if rng.random() < 0.15:
        blank += np.abs(rng.normal(0, 0.01, image.shape)).astype(np.float32)
    return np.where(kept, image, blank)


def _deface(rng: np.random.Generator, image: Field, brain: npt.NDArray[np.bool_], outside: float) -> None:
    """Blank the face at times; ``image`` is changed."""
    if rng.random() > 0.12:
        return
    where = np.argwhere(brain[::4, ::4, ::4]) * 4
    front, low = where[:, 1].max(), int(np.quantile(where[:, 2], 0.3))
    y, z = np.arange(image.shape[1])[:, None], np.arange(image.shape[2])[None]
    slope = float(rng.uniform(0.4, 1.2))
    face = (y - (front - 6)) - slope * (z - low) > 0
    image[:, face] = np.where(brain[:, face], image[:, face], outside)


def _crop(
    rng: np.random.Generator, image: Field, codes: npt.NDArray[np.uint8], outside: float
) -> npt.NDArray[np.uint8]:
    """Blank what lies beyond a random field of view, seldom through the brain; ``image`` is changed."""
    codes = codes.copy()
    brain = lookup(BRAIN)[codes]
    ends = [np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))[[0, -1]] for axis in range(3)]
    for axis in range(3):
        for end in (0, 1):
            if rng.random() > (0.5 if axis == 2 else 0.3):
                continue
            margin = float(rng.uniform(-3, 25) if rng.random() < 0.15 else rng.uniform(0, 25))
            cut = (
                slice(0, max(int(ends[axis][0] - margin), 0))
                if end == 0
                else slice(int(ends[axis][1] + 1 + margin), None)
            )
            index = tuple(cut if a == axis else slice(None) for a in range(3))
            image[index] = outside
            codes[index] = 0
    return codes
