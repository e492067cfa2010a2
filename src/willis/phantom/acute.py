"""Acute infarcts: where arteries lead, grown outwards from a seed, each voxel with its own time since onset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.phantom.deform import Field, smooth_noise
from willis.phantom.labels import PARENCHYMA, RIGHT_SIDE, Tissue, lookup
from willis.phantom.territories import OUTSIDE_TERRITORY, Territory, territories
from willis.phantom.traced import traced_lesion

Codes = npt.NDArray[np.uint8]
Voxels = npt.NDArray[np.bool_]

NO_INFARCT_SHARE = 0.08  # of patients: mimics
PATTERNS = {"territorial": 0.27, "cortical": 0.20, "perforator": 0.18, "shower": 0.22, "posterior": 0.13}
TRACED_SHARE = 0.5  # of patients with an infarct, where there are traced masks
EARLY_SHARE = 0.55  # of patients scanned within EARLY_H
EARLY_H, LATE_H = (0.5, 8.0), (8.0, 120.0)  # hours, log-uniform
GROWTH_H = (0.5, 4.0)  # from the first voxel to the last; never more than half of the time since onset


@dataclass
class Acute:
    """Infarcts of one head.

    Parameters
    ----------
    fraction
        (I, J, K) share of each voxel that is infarcted, in [0, 1].
    hours
        (I, J, K) since its own onset; 0 outside.
    parameters
        What was drawn.
    """

    fraction: Field
    hours: Field
    parameters: dict[str, Any] = field(default_factory=dict)


def draw_hours(rng: np.random.Generator) -> float:
    """Time from onset to scan, h."""
    low, high = EARLY_H if rng.random() < EARLY_SHARE else LATE_H
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_acute(
    rng: np.random.Generator, codes: Codes, voxel_mm: float, *, hours: float | None = None, pattern: str | None = None,
    traced: Sequence[Path] = (),
) -> Acute:  # fmt: skip
    """Draw the infarcts of one patient.

    Parameters
    ----------
    codes
        (I, J, K) label codes, RAS.
    voxel_mm
        Edge of a voxel.
    hours
        Since onset; drawn when None.
    pattern
        One of :data:`PATTERNS`, or ``none``; drawn when None.
    traced
        Masks of real infarcts in MNI space; half of the patients whose pattern is drawn then have one of them.
    """
    onset = draw_hours(rng) if hours is None else hours
    drawn = pattern or _pattern(rng)
    acute = Acute(np.zeros(codes.shape, np.float32), np.zeros(codes.shape, np.float32))
    acute.parameters |= {"pattern": drawn, "hours": onset}
    if drawn == "none":
        return acute
    growth = min(float(rng.uniform(*GROWTH_H)), onset / 2)
    if traced and pattern is None and rng.random() < TRACED_SHARE:
        acute.fraction, name = traced_lesion(rng, traced, codes, voxel_mm)
        delay = growth * np.clip(0.5 + 0.25 * smooth_noise(rng, acute.fraction.shape, 10 / voxel_mm), 0, 1)
        acute.hours = np.where(acute.fraction > 0, onset - delay, 0).astype(np.float32)
        acute.parameters |= {"pattern": "traced", "mask": name}
        return acute
    places = territories(codes)
    for where, volume_ml in _seeds(rng, drawn, codes, places):
        _grow(rng, acute, codes, places, where, volume_ml, voxel_mm, onset, growth)
    return acute


def _pattern(rng: np.random.Generator) -> str:
    if rng.random() < NO_INFARCT_SHARE:
        return "none"
    return str(rng.choice(list(PATTERNS), p=list(PATTERNS.values())))


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _seeds(rng: np.random.Generator, pattern: str, codes: Codes, places: Codes) -> list[tuple[Voxels, float]]:
    """Where each infarct may begin, and its volume in ml."""
    side = RIGHT_SIDE if rng.random() < 0.5 else 0

    def of(*wanted: Territory) -> Voxels:
        return np.asarray(np.isin(places, [t | side for t in wanted]))

    cortex = lookup((Tissue.CORTEX,))[codes]
    if pattern == "territorial":
        artery = Territory(int(rng.choice([Territory.MCA, Territory.ACA, Territory.PCA], p=[0.72, 0.12, 0.16])))
        return [(of(artery), _log_uniform(rng, 3, 150 if artery == Territory.MCA else 40))]
    if pattern == "cortical":
        artery = Territory(int(rng.choice([Territory.MCA, Territory.ACA, Territory.PCA], p=[0.7, 0.15, 0.15])))
        return [(of(artery) & cortex, _log_uniform(rng, 0.1, 8)) for _ in range(int(rng.integers(1, 4)))]
    if pattern == "perforator":
        deep = of(Territory.PERFORATORS) | (of(Territory.PCA) & lookup((Tissue.THALAMUS,))[codes])
        white = lookup((Tissue.WHITE_MATTER,))[codes] & of(Territory.MCA)
        where = deep if rng.random() < 0.6 else white
        return [(where, _log_uniform(rng, 0.1, 4))]
    if pattern == "posterior":
        if rng.random() < 0.35:
            return [(np.isin(places, [Territory.BASILAR, Territory.BASILAR | RIGHT_SIDE]), _log_uniform(rng, 0.1, 3))]
        count = int(rng.choice([1, 1, 2, 4]))
        return [(of(Territory.CEREBELLAR), _log_uniform(rng, 0.2, 30) / count) for _ in range(count)]
    arteries = [Territory.MCA, Territory.PERFORATORS] + ([Territory.ACA, Territory.PCA] if rng.random() < 0.5 else [])
    where = of(*arteries)
    if rng.random() < 0.25:
        where = places > 0
    return [(where, _log_uniform(rng, 0.03, 1.5)) for _ in range(int(rng.integers(3, 22)))]


def _grow(
    rng: np.random.Generator, acute: Acute, codes: Codes, places: Codes, where: Voxels, volume_ml: float,
    voxel_mm: float, onset_h: float, growth_h: float,
) -> None:  # fmt: skip
    """Add one infarct: the voxels that a rough front reaches first, until the volume is full."""
    flat = np.flatnonzero(where)
    if not flat.size:
        return
    seed = np.array(np.unravel_index(int(flat[int(rng.integers(flat.size))]), where.shape))
    box = _box(seed, volume_ml, voxel_mm, codes.shape)
    inside = lookup(PARENCHYMA)[codes[box]]
    arrival = _arrival_mm(rng, seed, box, inside.shape, voxel_mm, codes.shape)
    arrival[places[box] != places[tuple(seed)]] *= OUTSIDE_TERRITORY
    if rng.random() < 0.35:  # cortex suffers first
        arrival[~lookup((Tissue.CORTEX, Tissue.CEREBELLAR_CORTEX))[codes[box]]] *= float(rng.uniform(1.0, 1.5))
    values = arrival[inside]
    if not values.size:
        return
    keep = int(np.clip(volume_ml * 1000 / voxel_mm**3, 1, values.size))
    front = float(np.partition(values, keep - 1)[keep - 1])
    soft = float(rng.uniform(0.8, 2.0)) * voxel_mm
    fraction = np.where(inside, np.clip((front - arrival) / soft + 0.5, 0, 1), 0).astype(np.float32)
    delay = growth_h * np.clip(arrival / max(front, 1e-3), 0, 1)
    newer = fraction > acute.fraction[box]
    acute.hours[box] = np.where(newer, onset_h - delay, acute.hours[box])
    np.maximum(acute.fraction[box], fraction, out=acute.fraction[box])


def _box(
    seed: npt.NDArray[np.intp], volume_ml: float, voxel_mm: float, shape: tuple[int, ...]
) -> tuple[slice, slice, slice]:
    """Room for the infarct about its seed, however elongated."""
    reach = int(np.ceil(((volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3) * 2.4 + 6) / voxel_mm))
    i, j, k = (slice(max(int(s) - reach, 0), min(int(s) + reach + 1, n)) for s, n in zip(seed, shape, strict=True))
    return i, j, k


def _arrival_mm(
    rng: np.random.Generator, seed: npt.NDArray[np.intp], box: tuple[slice, slice, slice], inner: tuple[int, ...],
    voxel_mm: float, shape: tuple[int, ...],
) -> Field:  # fmt: skip
    """How late a front that starts at the seed comes by, as a rough elongated distance; wedges point to the middle."""
    basis = rng.standard_normal((3, 3))
    if rng.random() < 0.6:
        basis[0] = seed - np.array(shape) / 2 + rng.normal(0, 8, 3)
    axes = np.linalg.qr(basis.T)[0].T
    stretch = np.exp(rng.normal(0, 0.25, 3))
    stretch[0] *= float(rng.uniform(1.0, 1.7))
    index = [np.arange(s.start, s.stop, dtype=np.float32) - c for s, c in zip(box, seed, strict=True)]
    squares = np.zeros(inner, dtype=np.float32)
    for axis, scale in zip(axes * voxel_mm, stretch, strict=True):
        along = sum((index[a] * np.float32(axis[a])).reshape([-1 if b == a else 1 for b in range(3)]) for a in range(3))
        squares += np.asarray(along, dtype=np.float32) ** 2 / np.float32(scale**2)
    size = (inner[0], inner[1], inner[2])
    rough = float(rng.uniform(0.1, 0.35)) * smooth_noise(rng, size, max(min(size) / 6, 2))
    rough += float(rng.uniform(0.05, 0.3)) * smooth_noise(rng, size, max(4.0 / voxel_mm, 2))
    return np.asarray(np.sqrt(squares) * np.clip(1 + rough, 0.3, 3), dtype=np.float32)
