"""The arteries about the base of the brain: a circle of Willis by its courses in MNI space, carried into each head.

Courses are assumed; radii at the end of the ICA and at the starts of M1 and M2, and the length of M1, lie within a
standard deviation of what Rai 2013 measured in 100 adults by CT angiography (J Neurointerv Surg 5:371; 3.6, 3.1 and
2.4 mm across, 22.5 mm long); other radii are assumed. A head's own deep nuclei say where they lie: an affine map takes
the nuclei's places in MNI space to those of the head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.phantom.deform import Field
from willis.phantom.labels import RIGHT_SIDE, Tissue

Points = npt.NDArray[np.float64]
C7, M1, M2, OTHER = 1, 2, 3, 4  # codes of the truth, those of the task lvo

LANDMARKS_MM: dict[Tissue, tuple[float, float, float]] = {  # middles of the right nuclei in MNI space; assumed
    Tissue.AMYGDALA: (23.0, -3.0, -18.0),
    Tissue.ACCUMBENS: (10.0, 12.0, -8.0),
    Tissue.PUTAMEN: (25.0, 3.0, 1.0),
    Tissue.PALLIDUM: (19.0, -3.0, 0.0),
    Tissue.THALAMUS: (11.0, -18.0, 8.0),
    Tissue.CAUDATE: (12.0, 10.0, 9.0),
    Tissue.HIPPOCAMPUS: (26.0, -21.0, -13.0),
}
COURSES_MM: dict[str, tuple[tuple[float, float, float], ...]] = {  # right side, MNI; assumed
    "c7": ((12, 4, -24), (13, 5, -20), (15, 6, -15)),
    "m1": ((15, 6, -15), (22, 6, -17), (30, 4, -16), (35, 4, -13)),
    "m2 superior": ((35, 4, -13), (39, 10, -6), (41, 12, 4), (44, 8, 14)),
    "m2 inferior": ((35, 4, -13), (39, -4, -9), (42, -12, -2), (45, -22, 6)),
    "m2 middle": ((35, 4, -13), (40, 3, -6), (43, 1, 4), (46, -2, 14)),
    "a1": ((15, 6, -15), (9, 9, -14), (2, 13, -12)),
    "a2": ((2, 13, -12), (2, 26, -6), (3, 36, 4), (4, 36, 18)),
    "pcomm": ((13, 5, -20), (12, -6, -16), (11, -15, -12)),
    "p1": ((0, -14, -14), (6, -17, -12), (11, -15, -12)),
    "p2": ((11, -15, -12), (20, -22, -10), (22, -32, -8), (18, -42, -4)),
    "basilar": ((0, -22, -38), (0, -17, -25), (0, -14, -14)),
}
RADII_MM: dict[str, tuple[float, float]] = {  # at both ends
    "c7": (1.9, 1.7),
    "m1": (1.5, 1.3),
    "m2 superior": (1.1, 0.8),
    "m2 inferior": (1.1, 0.8),
    "m2 middle": (0.9, 0.7),
    "a1": (1.1, 1.0),
    "a2": (1.0, 0.8),
    "pcomm": (0.6, 0.6),
    "p1": (1.0, 1.0),
    "p2": (1.0, 0.8),
    "basilar": (1.7, 1.5),
}
CODES = {"c7": C7, "m1": M1, "m2 superior": M2, "m2 inferior": M2, "m2 middle": M2}
VARIANTS = {"fetal pca": 0.15, "missing a1": 0.1, "trifurcation": 0.15}  # share of sides that have it; assumed
LEAST_LANDMARKS = 8
WOBBLE_MM = 0.8  # spread of the inner points of a course between people
STEP_MM = 0.4  # between the points that a course is drawn by


@dataclass(frozen=True)
class Artery:
    """One artery on one side.

    Parameters
    ----------
    name, right
        ``"m1"``, and whether on the right; the basilar artery has no side.
    points
        (N, 3) its middle line, voxels of the head's 1 mm grid, from the heart's side on.
    radii_mm
        (N,) radius there.
    """

    name: str
    right: bool
    points: Points
    radii_mm: npt.NDArray[np.float64]

    @property
    def code(self) -> int:
        """Of the truth."""
        return CODES.get(self.name, OTHER)

    @property
    def length_mm(self) -> float:
        """Along the middle line."""
        return float(np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum())

    def part(self, start_mm: float, end_mm: float) -> Artery:
        """The piece between two lengths along it."""
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(self.points, axis=0), axis=1))])
        inside = (along >= start_mm) & (along <= end_mm)
        if inside.sum() < 2:
            inside = np.argsort(np.abs(along - (start_mm + end_mm) / 2)) < 2
        return Artery(self.name, self.right, self.points[inside], self.radii_mm[inside])


def place_in(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(4, 4) affine map from MNI mm to voxels of a labelled head, by its deep nuclei.

    Raises
    ------
    BadInputError
        When the head lacks most of them.
    """
    here, there = [], []
    for tissue, (x, y, z) in LANDMARKS_MM.items():
        for right in (False, True):
            inside = np.argwhere(codes == (tissue | (RIGHT_SIDE if right else 0)))
            if len(inside):
                here.append((x if right else -x, y, z, 1.0))
                there.append(inside.mean(axis=0))
    if len(here) < LEAST_LANDMARKS:
        raise BadInputError(
            f"the head has {len(here)} of {2 * len(LANDMARKS_MM)} deep nuclei; vessels can't be placed."
        )
    solution = np.linalg.lstsq(np.array(here), np.array(there), rcond=None)[0]
    matrix = np.eye(4)
    matrix[:3] = solution.T
    return matrix


def draw_arteries(rng: np.random.Generator, codes: npt.NDArray[np.uint8]) -> tuple[list[Artery], dict[str, Any]]:
    """All arteries of one person, with variants; and what was drawn."""
    return arteries_at(rng, place_in(codes))


def arteries_at(rng: np.random.Generator, matrix: npt.NDArray[np.float64]) -> tuple[list[Artery], dict[str, Any]]:
    """The same, placed by an affine map from MNI mm to voxels of 1 mm."""
    arteries = [_artery(rng, matrix, "basilar", False, 1.0)]
    drawn: dict[str, Any] = {}
    for right in (False, True):
        has = {name: bool(rng.random() < share) for name, share in VARIANTS.items()}
        drawn["right" if right else "left"] = has
        size = float(rng.uniform(0.88, 1.12))
        names = ["c7", "m1", "m2 superior", "m2 inferior", "a2", "p2", "pcomm"]
        names += ["m2 middle"] if has["trifurcation"] else []
        names += [] if has["missing a1"] else ["a1"]
        names += [] if has["fetal pca"] else ["p1"]
        for name in names:
            wide = size * (1.5 if name == "pcomm" and has["fetal pca"] else 1.0)
            arteries.append(_artery(rng, matrix, name, right, wide))
    return arteries, drawn


def _artery(rng: np.random.Generator, matrix: npt.NDArray[np.float64], name: str, right: bool, size: float) -> Artery:
    course = np.array(COURSES_MM[name], dtype=np.float64)
    course[1:-1] += rng.normal(0, WOBBLE_MM, course[1:-1].shape)
    if not right and name != "basilar":
        course[:, 0] = -course[:, 0]
    placed = course @ matrix[:3, :3].T + matrix[:3, 3]
    line = _smooth_line(placed)
    first, last = RADII_MM[name]
    return Artery(name, right, line, np.linspace(first, last, len(line)) * size)


def _smooth_line(points: Points) -> Points:
    """(N, 3) points about ``STEP_MM`` apart on the Catmull-Rom curve through some points."""
    ends = np.concatenate([[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]])
    pieces = []
    for a, b, c, d in zip(ends, ends[1:], ends[2:], ends[3:], strict=False):
        count = max(2, int(np.ceil(float(np.linalg.norm(c - b)) / STEP_MM)))
        t = np.linspace(0, 1, count, endpoint=False)[:, None]
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    return np.concatenate([*pieces, points[-1:]])


def tube_share(arteries: Sequence[Artery], shape: tuple[int, int, int]) -> Field:
    """(I, J, K) share of each 1 mm voxel that lies within the arteries."""
    share = np.zeros(shape, dtype=np.float32)
    for artery in arteries:
        for (start, end), radius in zip(pairwise(artery.points), artery.radii_mm, strict=False):
            _fill(share, start, end, float(radius))
    return share


def _fill(share: Field, start: Points, end: Points, radius: float) -> None:
    """Fill a round piece between two points; a voxel's share falls from 1 to 0 over its width at the wall.

    The wall is moved inwards so far that the section keeps its area: pi (r² + 1/12) for that fall about r.
    """
    radius = float(np.sqrt(max(radius**2 - 1 / 12, 0.04)))
    low = np.maximum(np.floor(np.minimum(start, end) - radius - 1), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(start, end) + radius + 2), share.shape).astype(int)
    if (high <= low).any():
        return
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    at = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"), axis=-1)
    way = end - start
    along = np.clip((at - start) @ way / max(float(way @ way), 1e-9), 0, 1)
    away = np.linalg.norm(at - start - along[..., None] * way, axis=-1)
    share[box] = np.maximum(share[box], np.clip(radius + 0.5 - away, 0, 1).astype(np.float32))


def labelled(arteries: Sequence[Artery], shape: tuple[int, int, int]) -> Mapping[int, Field]:
    """By code of the truth, the share of each voxel."""
    return {
        code: tube_share([artery for artery in arteries if artery.code == code], shape) for code in (C7, M1, M2, OTHER)
    }
