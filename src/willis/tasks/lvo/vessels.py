"""Vessels where they are known: sides, volume, length, and density against the other side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from willis.errors import BadInputError, GeometryError
from willis.io.nifti import read_nifti
from willis.tasks.lvo.spec import VESSELS
from willis.volume.orient import reorient
from willis.volume.volume import Volume

SIDES = ("left", "right")
CODE_TOLERANCE = 1e-3  # of codes that a file's slope and intercept have rounded
DENSITY_HU = (20.0, 100.0)  # voxels of a vessel that are counted: no fluid beside it, no calcium in its wall
CONTRAST_HU = 90.0  # median of labelled voxels; clot, calcium and partial volume leave a vessel's median below it
DENSE_RATIO = 1.2  # of the denser side over the other, and
DENSE_HU = 43.0  # its mean HU, from which a vessel counts as hyperdense; after Koo 2000, Cerebrovascular Diseases


@dataclass(frozen=True)
class VesselSide:
    """One vessel on one side: volume, length along its middle, mean HU; None where there is none of it."""

    volume_ml: float
    length_mm: float | None
    density_hu: float | None


def read_vessels(path: Path, ct: Volume) -> Volume:
    """The user's vessel labels, 1 to 4 as :data:`VESSELS`, on the CT's grid.

    Raises
    ------
    BadInputError
        When it holds other codes, or values between them.
    GeometryError
        When it lies on another grid.
    """
    given = read_nifti(path, "vessels", allow_empty=True)
    if not given.grid.same_as(ct.grid):
        given = reorient(given, ct.grid.orientation)
    if not given.grid.same_as(ct.grid):
        raise GeometryError(
            f"the vessel labels {given.grid.shape} do not lie on the grid of the CT {ct.grid.shape}. Resample them "
            "onto that image (nearest neighbour)."
        )
    codes = np.rint(given.data)
    between = float(np.abs(given.data - codes).max())
    if between > CODE_TOLERANCE:
        raise BadInputError(
            f"the vessel labels {path.name} hold values between whole numbers (by up to {between:.2g}): a probability, "
            f"or labels that were resampled linearly. Give whole codes from 0 to {len(VESSELS)}, resampled by nearest "
            "neighbour."
        )
    if codes.min() < 0 or codes.max() > len(VESSELS):
        raise BadInputError(
            f"the vessel labels {path.name} hold codes from {codes.min():g} to {codes.max():g}; allowed are 0 to "
            f"{len(VESSELS)}: {', '.join(f'{n} {name}' for n, name in enumerate(VESSELS, start=1))}."
        )
    return given.with_data(codes.astype(np.uint8))


def measure_vessels(vessels: Volume, ct: Volume, left: npt.NDArray[np.bool_]) -> Mapping[tuple[str, str], VesselSide]:
    """Each vessel on each side.

    Parameters
    ----------
    vessels
        Labels on the CT's grid.
    ct
        In HU.
    left
        (I, J, K) what lies left of the brain's middle plane.
    """
    found = {}
    for code, name in enumerate(VESSELS, start=1):
        for side in SIDES:
            mask = (vessels.data == code) & (left if side == "left" else ~left)
            found[name, side] = _measured(mask, ct)
    return found


def _measured(mask: npt.NDArray[np.bool_], ct: Volume) -> VesselSide:
    volume = float(np.count_nonzero(mask)) * ct.grid.voxel_ml
    if not volume:
        return VesselSide(0.0, None, None)
    counted = mask & (ct.data > DENSITY_HU[0]) & (ct.data < DENSITY_HU[1])
    density = float(ct.data[counted].mean()) if counted.any() else None
    return VesselSide(volume, length_mm(mask, ct.grid.spacing_mm), density)


def contrast_note(vessels: Volume, ct: Volume) -> str:
    """What a reader must know where vessels are as dense as with contrast agent; empty where they aren't."""
    there = ct.data[vessels.data > 0]
    median = float(np.median(there)) if there.size else 0.0
    if median <= CONTRAST_HU:
        return ""
    return (
        f"The vessels' median is {median:.0f} HU, over {CONTRAST_HU:g}: contrast agent. Density of vessels and "
        "differences between the sides then mean something else, and no network was trained on it."
    )


def length_mm(mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float:
    """Longest way through a tube from end to end, along its voxels: its length, for a tube that doesn't fork.

    Of a tube in pieces, that of the longest one.
    """
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    pieces, _ = ndimage.label(mask[box], structure=np.ones((3, 3, 3)))
    boxes = enumerate(ndimage.find_objects(pieces), start=1)
    return max(_end_to_end_mm(pieces[inner] == number, spacing_mm) for number, inner in boxes)


def _end_to_end_mm(piece: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float:
    """Longest way through one piece: begun where it lies farthest from its middle, so that no order of axes matters."""
    graph, count = _neighbours(piece, spacing_mm)
    if count < 2:
        return 0.0
    places = np.argwhere(piece) * np.asarray(spacing_mm)
    end, longest = int(np.linalg.norm(places - places.mean(axis=0), axis=1).argmax()), 0.0
    for _ in range(2):
        way = dijkstra(graph, directed=False, indices=end)  # type: ignore[call-overload]
        end, longest = int(way.argmax()), max(longest, float(way.max()))
    return longest


def _neighbours(mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> tuple[csr_array, int]:
    """Sparse graph of the voxels of a mask, joined with 26 neighbours, weighted by distance in mm."""
    number = np.full(np.array(mask.shape) + 2, -1, dtype=np.int64)
    inner = (slice(1, -1),) * 3
    count = int(np.count_nonzero(mask))
    number[inner][mask] = np.arange(count)
    rows, columns, weights = [], [], []
    offsets = [o for o in np.ndindex(3, 3, 3) if o > (1, 1, 1)]
    for offset in offsets:
        shifted = number[tuple(slice(o, o + n) for o, n in zip(offset, mask.shape, strict=True))]
        both = (number[inner] >= 0) & (shifted >= 0)
        rows.append(number[inner][both])
        columns.append(shifted[both])
        step = np.linalg.norm((np.array(offset) - 1) * spacing_mm)
        weights.append(np.full(len(rows[-1]), step))
    shape = (count, count)
    graph = coo_array((np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns))), shape=shape)
    return csr_array(graph), count
