"""A random person's head: an anatomy after a smooth random deformation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.phantom.anatomy import DISTANCE_STEP_MM, Anatomy
from willis.phantom.deform import Field, integrate, random_velocity, rotation, upsample
from willis.phantom.labels import RIGHT_SIDE, Tissue, side_swap

Shape3 = tuple[int, int, int]

NODE_MM = 8.0  # between the nodes of a deformation


@dataclass(frozen=True)
class Pose:
    """What is drawn for one head.

    Parameters
    ----------
    flip
        Left and right change places.
    angles_rad, scales, shift_mm
        Of the affine part.
    velocity_mm
        Standard deviation of the velocity, of its fine and of its coarse part.
    atrophy_mm
        How far the ventricles' walls move outwards; below 0 they shrink.
    sulci
        Share in [0, 1] of how far CSF eats into the cortex.
    """

    flip: bool
    angles_rad: tuple[float, float, float]
    scales: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    velocity_mm: tuple[float, float]
    atrophy_mm: float
    sulci: float

    def record(self) -> dict[str, Any]:
        """Plain values for a phantom's row."""
        return {"flip": self.flip, "atrophy_mm": self.atrophy_mm, "sulci": self.sulci, "scales": self.scales}


@dataclass(frozen=True)
class Head:
    """Labels, and distances where asked for, on the grid asked for."""

    codes: npt.NDArray[np.uint8]
    ventricle_mm: Field | None
    cortex_mm: Field | None
    midline_mm: Field | None
    anatomy: str
    pose: Pose


@dataclass(frozen=True)
class Size:
    """How large heads are drawn: mean and spread of the factor on the anatomy's lengths, and its limits."""

    mean: float
    spread: float
    least: float
    most: float


OF_PEOPLE = Size(0.97, 0.04, 0.85, 1.1)


def draw_pose(
    rng: np.random.Generator,
    *,
    rotation_deg: float = 8.0,
    shift_mm: float = 3.0,
    middle_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    size: Size = OF_PEOPLE,
) -> Pose:
    """Draw a head's pose, size, deformation and atrophy; the brain's centre lies about ``middle_mm`` off the grid's."""
    scales = np.clip(rng.normal(size.mean, size.spread) * (1 + rng.normal(0, 0.03, 3)), size.least, size.most)
    angles = np.deg2rad(rng.uniform(-1, 1, 3) * rotation_deg * np.array([1.4, 0.5, 0.6]))
    return Pose(
        bool(rng.random() < 0.5),
        tuple(angles.tolist()),
        tuple(scales.tolist()),
        tuple((rng.uniform(-1, 1, 3) * shift_mm - np.array(middle_mm)).tolist()),
        (float(rng.uniform(0.3, 1.3)), float(rng.uniform(1.0, 4.0))),
        float(rng.uniform(-1.0, 4.5)),
        float(rng.uniform(0, 1) if rng.random() < 0.6 else 0.0),
    )


def _shape3(values: npt.NDArray[np.floating]) -> Shape3:
    i, j, k = (int(v) for v in values)
    return i, j, k


def source_nodes(rng: np.random.Generator, anatomy: Anatomy, pose: Pose, shape: Shape3, spacing_mm: float) -> Field:
    """(3, i, j, k) positions in the anatomy's voxels of coarse nodes that span the output grid."""
    extent = (np.array(shape) - 1) * spacing_mm
    nodes = _shape3(np.ceil(extent / NODE_MM) + 1)
    step = extent / (np.array(nodes) - 1)
    mm = np.stack(np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(nodes, step, strict=True)],
                              indexing="ij")).astype(np.float32)  # fmt: skip
    fine, coarse = pose.velocity_mm
    velocity = random_velocity(rng, nodes, fine / NODE_MM, 0.9)
    velocity += random_velocity(rng, nodes, coarse / NODE_MM, 2.5)
    moved = mm + integrate(velocity) * step[:, None, None, None].astype(np.float32)
    matrix = rotation(pose.angles_rad) @ np.diag(1 / np.array(pose.scales))
    flat = (matrix @ moved.reshape(3, -1)).reshape(moved.shape)
    if pose.flip:
        flat[0] = -flat[0]
    centre = anatomy.centre_voxel + matrix @ np.array(pose.shift_mm)
    source = flat + centre[:, None, None, None]
    if pose.atrophy_mm:
        pull, pull_step = anatomy.ventricle_pull
        at = source / pull_step
        source = source + pose.atrophy_mm * np.stack(
            [ndimage.map_coordinates(p, at, order=1, mode="nearest") for p in pull]
        )
    return np.asarray(source, dtype=np.float32)


def flat_index(source: Field, shape: Shape3, inside: Shape3) -> npt.NDArray[np.int32]:
    """Flat indices into an array of shape ``inside`` of the voxels nearest to upsampled node positions."""
    flat = np.zeros(shape, dtype=np.int32)
    for axis in range(3):
        p = upsample(source[axis], shape)
        np.rint(p, out=p)
        np.clip(p, 0, inside[axis] - 1, out=p)
        flat *= inside[axis]
        flat += p.astype(np.int32)
    return flat


def draw_head(
    rng: np.random.Generator, anatomy: Anatomy, pose: Pose, shape: Shape3, spacing_mm: float, *, distances: bool
) -> Head:
    """Deform an anatomy onto a RAS grid whose middle is near the brain's centre."""
    source = source_nodes(rng, anatomy, pose, shape, spacing_mm)
    index = flat_index(source, shape, anatomy.codes.shape)
    codes = anatomy.codes.ravel()[index]
    if pose.flip:
        codes = side_swap()[codes]
    if pose.sulci:
        _widen_sulci(codes, pose.sulci)
    steps = np.float32(DISTANCE_STEP_MM)
    return Head(
        codes,
        anatomy.ventricle_distance.ravel()[index] * steps if distances else None,
        anatomy.cortex_distance.ravel()[index] * steps if distances else None,
        anatomy.midline_distance.ravel()[index] * steps if distances else None,
        anatomy.name,
        pose,
    )


def _widen_sulci(codes: npt.NDArray[np.uint8], share: float) -> None:
    """Turn cortex beside much CSF into CSF; ``codes`` is changed."""
    tissue = codes & (RIGHT_SIDE - 1)
    csf = (tissue == Tissue.CSF).astype(np.float32)
    near = ndimage.uniform_filter(csf, 3, mode="nearest")
    codes[(tissue == Tissue.CORTEX) & (near > 0.62 - 0.3 * share)] = Tissue.CSF
