"""CT phantoms for training: fast, one thread, the part of a head about its circle of Willis, on a scanner's slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import numpy.typing as npt

from willis.phantom.acquire import AxisSampling, profile_matrix
from willis.phantom.anatomy import Anatomy
from willis.phantom.cisterns import drawn_into_fluid
from willis.phantom.ct import draw_hu, ideal_ct
from willis.phantom.ct_scan import BLUR_MM, NOISE_HU_AT_5_MM, Kernel, ct_noise
from willis.phantom.deform import Field, apply_separable, linear_matrix, smooth_noise
from willis.phantom.head import Pose, draw_pose, flat_index, source_nodes
from willis.phantom.labels import side_swap
from willis.phantom.lvo import AGE_YEARS, FALLEN_HU, LABELLED_SHARE
from willis.phantom.lvo_scene import (
    Clot,
    draw_clot,
    draw_mimic,
    severity_after,
    with_blood,
    with_ischaemia,
    with_mimic,
)
from willis.phantom.protocols import BRAIN_ABOVE_MIDDLE_MM, HEAD_SHAPE
from willis.phantom.vessels import Artery, arteries_at, labelled, place_in
from willis.volume.grid import Grid, Shape3
from willis.volume.volume import Volume

Codes = npt.NDArray[np.uint8]
Box = tuple[slice, slice, slice]

COARSE_SHAPE: Shape3 = (93, 117, 117)  # of the whole head, at 2 mm: nuclei and territories need no more
FINE_SHAPE: Shape3 = (147, 186, 186)  # of the grid that the box is a part of
FINE_MM = 1.253  # between its voxels
MARGIN_VOXELS = 5
PIXEL_MM = (0.9, 1.4)  # finer pixels are averaged on the way to the network anyhow
POINTS_SKIPPED = 2  # of an artery's course, which is drawn at 0.4 mm
SLICES_MM = (0.625, 1.0, 1.5, 2.5, 3.0, 5.0, 5.0)
TILT_DEG = 12.0  # spread of gantry and chin together
BANDS_HU = 2.5  # most of the spread of what beam hardening leaves; assumed
BANDS_MM = 18.0
SHARP_SHARE = 0.1  # of scans come in the kernel for bone alone
NOISE_FACTOR = (0.6, 1.3)  # of usual noise; strong denoising to low dose


@dataclass(frozen=True)
class VesselCase:
    """A part of a head CT with its truth.

    Parameters
    ----------
    ct
        HU on the scanner's slices.
    vessels
        Codes of :mod:`willis.phantom.vessels` on the same grid.
    clot, ischaemia
        Masks there.
    drawn
        The occlusion; None where there is none.
    matrix
        (4, 4) mm of MNI space to mm of the scan, by the head's own nuclei.
    """

    ct: Volume
    vessels: Volume
    clot: Volume
    ischaemia: Volume
    drawn: Clot | None
    matrix: npt.NDArray[np.float64]


def vessel_case(
    rng: np.random.Generator, anatomies: Sequence[Anatomy], low_mm: Sequence[float], high_mm: Sequence[float], *,
    slice_mm: float | None = None, occluded: bool | None = None,
) -> VesselCase:  # fmt: skip
    """One person's CT between two corners in MNI space.

    Parameters
    ----------
    low_mm, high_mm
        Corners of what is wanted; a box of the scan that holds it is made.
    slice_mm
        Thickness of its slices; drawn when None.
    occluded
        Whether a large vessel is occluded; drawn when None.
    """
    anatomy = anatomies[int(rng.integers(len(anatomies)))]
    shut = bool(rng.random() < 0.5) if occluded is None else occluded
    clot = draw_clot(rng) if shut else None
    pose = _tilted(rng, draw_pose(rng, middle_mm=(0.0, 0.0, BRAIN_ABOVE_MIDDLE_MM)))
    nodes = source_nodes(rng, anatomy, pose, HEAD_SHAPE, 1.0)
    coarse = _codes(anatomy, pose, nodes, COARSE_SHAPE)
    step = (np.array(FINE_SHAPE) - 1) / (np.array(COARSE_SHAPE) - 1)
    matrix = np.diag([*step, 1.0]) @ place_in(coarse)  # to voxels of the fine grid
    arteries, _ = arteries_at(rng, matrix)
    box = _box(matrix, low_mm, high_mm)
    codes = _codes(anatomy, pose, nodes, FINE_SHAPE, box)
    severity = _in_box(severity_after(rng, coarse, clot), box)
    start = np.array([s.start for s in box], dtype=np.float64)
    arteries = [_thinned(a, start) for a in drawn_into_fluid(arteries, codes, FINE_MM, start)]
    hu = draw_hu(rng, float(np.clip(rng.normal(*AGE_YEARS), 25, 98)))
    mimic = draw_mimic(rng, clot)
    ideal = with_mimic(rng, ideal_ct(rng, codes, hu), codes, hu, mimic)
    ideal, fall = with_ischaemia(ideal, codes, clot, severity)
    vessels = labelled(arteries, (codes.shape[0], codes.shape[1], codes.shape[2]))
    ideal, clot_share, _ = with_blood(rng, ideal, arteries, vessels, hu, clot, mimic)
    kernel: Kernel = "sharp" if rng.spawn(1)[0].random() < SHARP_SHARE else "soft"
    grid, rows = _scanner(rng, codes.shape, start, slice_mm, kernel)
    labels = _labels(vessels, rows)
    masks = [apply_separable(clot_share, rows) >= LABELLED_SHARE, apply_separable(fall, rows) >= FALLEN_HU]
    clots, ischaemia = (Volume(mask.astype(np.uint8), grid) for mask in masks)
    ct = Volume(_scanned(rng, ideal, rows, grid, kernel), grid, role="ncct", unit="HU")
    to_mm = np.diag([FINE_MM, FINE_MM, FINE_MM, 1.0]) @ matrix
    return VesselCase(ct, Volume(labels, grid, role="vessels"), clots, ischaemia, clot, to_mm)


def _thinned(artery: Artery, start: npt.NDArray[np.float64]) -> Artery:
    """An artery in voxels of the box, its radii too, drawn by fewer points."""
    keep = slice(None, None, POINTS_SKIPPED)
    points = np.concatenate([artery.points[:-1][keep], artery.points[-1:]]) - start
    radii = np.append(artery.radii_mm[:-1][keep], artery.radii_mm[-1]) / FINE_MM
    return replace(artery, points=points, radii_mm=radii)


def _labels(vessels: Mapping[int, Field], rows: tuple[Field, Field, Field]) -> Codes:
    """The code of the vessel that fills most of each of the scanner's voxels, from a least share on."""
    best: Field | None = None
    for code, share in vessels.items():
        seen = apply_separable(share, rows)
        if best is None:
            best, labels = np.full(seen.shape, LABELLED_SHARE, dtype=np.float32), np.zeros(seen.shape, dtype=np.uint8)
        more = seen >= best
        labels[more], best[more] = code, seen[more]
    return labels


def _tilted(rng: np.random.Generator, pose: Pose) -> Pose:
    about_x = pose.angles_rad[0] + float(np.deg2rad(rng.normal(0, TILT_DEG)))
    return replace(pose, angles_rad=(about_x, *pose.angles_rad[1:]))


def _codes(anatomy: Anatomy, pose: Pose, nodes: Field, shape: Shape3, box: Box | None = None) -> Codes:
    """Label codes of a deformed head on a grid that spans it, or in a box of that grid."""
    at = nodes
    if box is not None:
        rows = [
            linear_matrix(np.linspace(0, c - 1, n)[piece], c)
            for c, n, piece in zip(nodes.shape[1:], shape, box, strict=True)
        ]
        at = np.stack([apply_separable(part, (rows[0], rows[1], rows[2])) for part in nodes])
        shape = (at.shape[1], at.shape[2], at.shape[3])
    codes = anatomy.codes.ravel()[flat_index(at, shape, anatomy.codes.shape)]
    return np.asarray(side_swap()[codes] if pose.flip else codes)


def _box(matrix: npt.NDArray[np.float64], low_mm: Sequence[float], high_mm: Sequence[float]) -> Box:
    corners = np.array(list(product(*zip(low_mm, high_mm, strict=True))))
    there = corners @ matrix[:3, :3].T + matrix[:3, 3]
    low = np.maximum(np.floor(there.min(axis=0)) - MARGIN_VOXELS, 0).astype(int)
    high = np.minimum(np.ceil(there.max(axis=0)) + MARGIN_VOXELS, FINE_SHAPE).astype(int)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return i, j, k


def _in_box(coarse: Field, box: Box) -> Field:
    rows = [
        linear_matrix(np.linspace(0, c - 1, n)[piece], c)
        for c, n, piece in zip(coarse.shape, FINE_SHAPE, box, strict=True)
    ]
    return apply_separable(coarse, (rows[0], rows[1], rows[2]))


def _scanner(
    rng: np.random.Generator, shape: tuple[int, ...], start: npt.NDArray[np.float64], slice_mm: float | None,
    kernel: Kernel,
) -> tuple[Grid, tuple[Field, Field, Field]]:  # fmt: skip
    """The scanner's grid over a box, and what each of its pixels and slices sees along each axis."""
    thickness = float(rng.choice(SLICES_MM)) if slice_mm is None else slice_mm
    pixel = float(rng.uniform(*PIXEL_MM))
    spacing = (pixel, pixel, thickness)
    rows, counts, first = [], [], []
    for axis, (n, step) in enumerate(zip(shape, spacing, strict=True)):
        offset = float(rng.uniform(0, 1)) * step
        count = int(((n - 1) * FINE_MM - offset) / step) + 1
        blur = 0.3 if axis == 2 else BLUR_MM[kernel]
        sampling = AxisSampling(step, step, "slice", 0.0, 1.0, blur)
        rows.append(profile_matrix(n, FINE_MM, offset + np.arange(count) * step, sampling))
        counts.append(count)
        first.append(offset)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = FINE_MM * start + first
    return Grid((counts[0], counts[1], counts[2]), affine), (rows[0], rows[1], rows[2])


def _scanned(
    rng: np.random.Generator, ideal: Field, rows: tuple[Field, Field, Field], grid: Grid, kernel: Kernel
) -> Field:
    """HU with noise as textured as a reconstruction's, and the bands that beam hardening leaves."""
    image = apply_separable(ideal, rows)
    usual = float(rng.uniform(*NOISE_HU_AT_5_MM[kernel])) * float(rng.uniform(*NOISE_FACTOR))
    sigma = usual * float(np.sqrt(5.0 / grid.spacing_mm[2]))
    image = image + np.float32(sigma) * ct_noise(rng, image.shape, grid.spacing_mm, kernel)
    bands = smooth_noise(rng, grid.shape, BANDS_MM / grid.spacing_mm[0])
    return np.asarray(image + np.float32(rng.uniform(0, BANDS_HU)) * bands, dtype=np.float32)
