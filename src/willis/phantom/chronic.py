"""Chronic infarcts: a cavity with a gliotic rim where tissue has died, and what is left of the brain drawn towards it.

Sizes follow the published distribution of 655 traced lesions (doi:10.1101/2025.09.26.25336733). Shapes are grown from
a seed within one hemisphere, first within the territory of the seed's artery, or taken from masks of real lesions in
MNI space.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.deform import Field, smooth_noise
from willis.phantom.labels import BRAIN, PARENCHYMA, RIGHT_SIDE, SIDE_MASK, Tissue, lookup
from willis.phantom.lesions import Lesions, vascular_field
from willis.phantom.scene import LesionScene
from willis.phantom.territories import OUTSIDE_TERRITORY, Territory, territories

Codes = npt.NDArray[np.uint8]
Box = tuple[slice, slice, slice]

LESION_TISSUES = (*PARENCHYMA, Tissue.CSF)  # where lesions can lie: tissue, and the sulci between it
SIZE_EDGES = (30, 5_000, 30_000, 60_000, 100_000, 200_000, 350_000)  # voxels of 1 mm³; both ends assumed
SIZE_COUNTS = (319, 154, 64, 49, 44, 25)  # subjects in each bin; doi:10.1101/2025.09.26.25336733
SECOND_LESION_SHARE = 0.3  # of patients; assumed
PLACES = {"cortical": 0.60, "deep": 0.25, "cerebellar": 0.10, "brainstem": 0.05}  # share of seeds; assumed
LARGEST_ML = {"cortical": 350.0, "deep": 25.0, "cerebellar": 40.0, "brainstem": 2.0}  # assumed
SCAR_SHARE, SCAR_ML = 0.2, 10.0  # of lesions below this volume that never cavitate; assumed
RIM_MM = (1.0, 4.0)  # thickness of the gliotic rim; assumed
SCAR = (0.1, 0.7)  # T1 signal of gliosis, from cortex (0) to CSF (1); assumed: malacic tissue is hypointense on T1
PULL_MM = (0.0, 5.0)  # how far the nearest ventricle and sulci widen towards a large lesion; assumed
PULL_REACH_MM = 15.0  # the widening falls to 1/e this far from the lesion; assumed
WMH_SHARE, WMH_ML = 0.6, (0.5, 25.0)  # of patients that have WMH beside, and how much; assumed


@dataclass(frozen=True)
class Chronic:
    """Chronic infarcts of one head.

    Parameters
    ----------
    codes
        (I, J, K) label codes after ventricles and sulci have widened.
    lesion
        (I, J, K) share of each voxel that is lesion, cavity and rim alike: the truth at 0.5.
    lesions
        Cavity, rim, and the WMH beside them, to be painted.
    parameters
        What was drawn.
    """

    codes: Codes
    lesion: Field
    lesions: Lesions
    parameters: dict[str, Any] = field(default_factory=dict)


def draw_volume_voxels(rng: np.random.Generator) -> int:
    """A lesion load in voxels of 1 mm³ by the published bins, log-uniform within each."""
    bin_ = int(rng.choice(len(SIZE_COUNTS), p=np.array(SIZE_COUNTS) / sum(SIZE_COUNTS)))
    low, high = np.log(SIZE_EDGES[bin_]), np.log(SIZE_EDGES[bin_ + 1])
    return int(np.exp(rng.uniform(low, high)))


def draw_chronic(
    rng: np.random.Generator,
    scene: LesionScene,
    *,
    shape: Field | None = None,
    volume_voxels: int | None = None,
) -> Chronic:
    """Draw the chronic infarcts of one patient.

    Parameters
    ----------
    scene
        The head, 1 mm.
    shape
        (I, J, K) where the lesion lies, as :func:`~willis.phantom.traced.traced_lesion` gives it; grown when None.
    volume_voxels
        Load to grow; drawn when None, and 0 makes a head without infarct.
    """
    wanted = draw_volume_voxels(rng) if volume_voxels is None else volume_voxels
    lesion = np.zeros(scene.codes.shape, np.float32)
    place, territory = "none" if shape is None else "given", ""
    if shape is not None:
        lesion = np.clip(ndimage.gaussian_filter(shape, 0.8), 0, 1) * lookup(LESION_TISSUES)[scene.codes]
    elif wanted:
        place, territory = _grow_all(rng, scene.codes, lesion, wanted)
    parameters: dict[str, Any] = {"place": place, "aimed_ml": wanted * scene.voxel_ml if shape is None else None}
    if territory:
        parameters["territory"] = territory
    lesions = _beside(rng, scene, lesion)
    codes = scene.codes
    if lesion.any():
        parameters |= _scar(rng, lesion, lesions)
        codes = _widened(rng, scene, lesion, parameters)
    np.multiply(lesions.wmh, 1 - lesion, out=lesions.wmh)
    return Chronic(codes, lesion, lesions, parameters)


def _grow_all(rng: np.random.Generator, codes: Codes, lesion: Field, voxels: int) -> tuple[str, str]:
    """Grow one lesion, or a large and a small one; gives the first one's place and territory."""
    shares = [1.0]
    if rng.random() < SECOND_LESION_SHARE:
        second = float(rng.uniform(0.05, 0.4))
        shares = [1 - second, second]
    fitting = [p for p in PLACES if LARGEST_ML[p] * 1000 >= voxels] or ["cortical"]
    weights = np.array([PLACES[p] for p in fitting])
    supply = territories(codes)
    grown = []
    for share in shares:
        place = str(rng.choice(fitting, p=weights / weights.sum()))
        grown.append((place, _grow(rng, codes, supply, lesion, place, max(int(voxels * share), 20))))
    return grown[0]


def _grow(rng: np.random.Generator, codes: Codes, supply: Codes, lesion: Field, place: str, voxels: int) -> str:
    """Add the voxels that a rough front from a seed reaches first, in one hemisphere; ``lesion`` is changed.

    The front is slower beyond the territory that the seed lies in, whose name is given back.
    """
    tissue = codes & SIDE_MASK
    seeds = {
        "cortical": lookup((Tissue.CORTEX,))[codes],
        "deep": lookup((Tissue.PUTAMEN, Tissue.CAUDATE, Tissue.PALLIDUM, Tissue.THALAMUS, Tissue.WHITE_MATTER))[codes],
        "cerebellar": lookup((Tissue.CEREBELLAR_CORTEX, Tissue.CEREBELLAR_WHITE_MATTER))[codes],
        "brainstem": tissue == Tissue.BRAINSTEM,
    }[place]
    flat = np.flatnonzero(seeds)
    if not flat.size:
        return ""
    seed = np.array(np.unravel_index(int(flat[int(rng.integers(flat.size))]), codes.shape))
    box = _box(seed, int(np.ceil((voxels * 3 / (4 * np.pi)) ** (1 / 3) * 2.6)) + 6, codes.shape)
    inside = _may_take(codes[box], codes[tuple(seed)], place)
    arrival = _arrival(rng, seed, box)
    own = supply[tuple(seed)]
    arrival[(supply[box] != own) & (supply[box] != Territory.NONE)] *= OUTSIDE_TERRITORY
    values = arrival[inside]
    if not values.size:
        return ""
    keep = int(np.clip(voxels, 1, values.size))
    front = float(np.partition(values, keep - 1)[keep - 1])
    soft = float(rng.uniform(0.8, 1.8))
    share = np.where(inside, np.clip((front - arrival) / soft + 0.5, 0, 1), 0)
    pieces = ndimage.label(share > 0, np.ones((3, 3, 3)))[0]
    share[pieces != pieces[tuple(s - b.start for s, b in zip(seed, box, strict=True))]] = 0  # one infarct, no islands
    np.maximum(lesion[box], share, out=lesion[box])
    return Territory(int(own) & SIDE_MASK).name.lower()


def _may_take(codes: Codes, seed: np.uint8, place: str) -> npt.NDArray[np.bool_]:
    """What a lesion may spread into: the seed's hemisphere, above or below the tentorium as the seed."""
    below = (Tissue.CEREBELLAR_CORTEX, Tissue.CEREBELLAR_WHITE_MATTER)
    if place == "brainstem":
        return np.asarray((codes & SIDE_MASK) == Tissue.BRAINSTEM)
    other_side = (codes ^ seed) & RIGHT_SIDE > 0
    csf = (codes & SIDE_MASK) == Tissue.CSF  # of neither side: sulci
    if place == "cerebellar":
        return np.asarray(lookup(below)[codes] & ~other_side)
    above = tuple(t for t in PARENCHYMA if t not in (*below, Tissue.BRAINSTEM))
    return np.asarray((lookup(above)[codes] & ~other_side) | csf)


def _box(seed: npt.NDArray[np.intp], reach: int, shape: tuple[int, ...]) -> Box:
    i, j, k = (slice(max(int(s) - reach, 0), min(int(s) + reach + 1, n)) for s, n in zip(seed, shape, strict=True))
    return i, j, k


def _arrival(rng: np.random.Generator, seed: npt.NDArray[np.intp], box: Box) -> Field:
    """How late a front from the seed comes by, voxels: a rough, elongated distance."""
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0] / np.exp(rng.normal(0, 0.25, 3))[:, None]
    index = [np.arange(s.start, s.stop, dtype=np.float32) - c for s, c in zip(box, seed, strict=True)]
    i, j, k = np.ix_(*index)
    squares = sum((i * np.float32(a[0]) + j * np.float32(a[1]) + k * np.float32(a[2])) ** 2 for a in axes)
    size = tuple(len(line) for line in index)
    rough = rng.uniform(0.1, 0.4) * smooth_noise(rng, size, max(min(size) / 5, 2))  # type: ignore[arg-type]
    rough += rng.uniform(0.05, 0.25) * smooth_noise(rng, size, 4)  # type: ignore[arg-type]
    return np.asarray(np.sqrt(squares) * np.clip(1 + rough, 0.3, 3), dtype=np.float32)


def _beside(rng: np.random.Generator, scene: LesionScene, lesion: Field) -> Lesions:
    """WMH, which are not the target, and nothing else yet."""
    empty = np.zeros_like(lesion)
    wmh = np.zeros_like(lesion)
    if rng.random() < WMH_SHARE:
        wmh = vascular_field(rng, scene, float(np.exp(rng.uniform(*np.log(WMH_ML)))))
    return Lesions(wmh, np.ones_like(lesion), empty, empty.copy(), empty.copy())


def _scar(rng: np.random.Generator, lesion: Field, lesions: Lesions) -> dict[str, Any]:
    """Make the lesion's inside fluid and its rim gliosis; ``lesions`` is changed."""
    rim = float(rng.uniform(*RIM_MM))
    cavitates = bool(rng.random() > SCAR_SHARE) or float(lesion.sum()) > 1000 * SCAR_ML
    box = ndimage.find_objects((lesion > 0).astype(np.uint8))[0]
    part = np.pad(lesion[box], 1)
    depth = ndimage.distance_transform_edt(part >= 0.5)[1:-1, 1:-1, 1:-1]
    rough = float(rng.uniform(0.2, 1.2)) * smooth_noise(rng, depth.shape, 5)
    cavity = np.clip(depth - rim + rough, 0, 1) * lesion[box] * cavitates
    cavity *= 1 - np.clip(smooth_noise(rng, depth.shape, 3.5) - 1, 0, 0.7)  # strands that cross it
    if cavitates and not (cavity > 0.5).any():  # too small for a rim: all of it is a cavity
        cavity = lesion[box] * np.float32(rng.uniform(0.6, 1.0))
    lesions.fluid[box] = cavity
    lesions.gliosis[box] = np.clip(lesion[box] - cavity, 0, 1) * np.float32(rng.uniform(0.6, 1.2))
    np.clip(lesions.gliosis, 0, 1, out=lesions.gliosis)
    lesions.scar = float(rng.uniform(*SCAR))
    return {"rim_mm": rim, "cavitates": cavitates, "scar": lesions.scar}


def _widened(rng: np.random.Generator, scene: LesionScene, lesion: Field, parameters: dict[str, Any]) -> Codes:
    """Codes in which the ventricle and sulci near the lesion have widened into the tissue about them (ex vacuo)."""
    size_ml = float(lesion.sum()) * scene.voxel_ml
    pull = float(rng.uniform(*PULL_MM)) * min(1.0, (size_ml / 60.0) ** (1 / 3))
    parameters["pull_mm"] = pull
    if pull < 0.5:
        return scene.codes
    codes = scene.codes.copy()
    box = ndimage.find_objects(lookup(BRAIN)[codes].astype(np.uint8))[0]
    inner = codes[box]
    away = 2 * ndimage.distance_transform_edt(lesion[box][::2, ::2, ::2] < 0.5).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    widening = pull * np.exp(-away[tuple(slice(n) for n in inner.shape)] / PULL_REACH_MM)
    white = lookup((Tissue.WHITE_MATTER, Tissue.CAUDATE, Tissue.THALAMUS))[inner]
    side = inner & RIGHT_SIDE
    near_ventricle = scene.ventricle_mm[box] < widening
    inner[white & near_ventricle] = (Tissue.LATERAL_VENTRICLE | side)[white & near_ventricle]
    csf = (inner & SIDE_MASK) == Tissue.CSF
    crowd = ndimage.uniform_filter(csf.astype(np.float32), 3, mode="nearest")
    cortex = (inner & SIDE_MASK) == Tissue.CORTEX
    inner[cortex & (crowd > 0.65 - 0.12 * widening)] = Tissue.CSF
    return codes
