"""How MR images of a whole head are taken: grids, slices and motion as scanners have them, and the scan itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from willis.phantom.contrast import Palette
from willis.phantom.head import Head
from willis.phantom.lesions import Lesions
from willis.phantom.painting import paint
from willis.phantom.scanner import Protocol, rigid, scan, scanner_grid
from willis.volume.grid import Grid
from willis.volume.volume import Volume

HEAD_SHAPE = (184, 232, 232)  # 1 mm voxels of the anatomy's grid
BRAIN_ABOVE_MIDDLE_MM = 22.0  # the brain lies in the upper part of that grid
STORED_WHITE = 400.0  # value of white matter in a stored image, before each scanner's own scale


def t1_protocol(rng: np.random.Generator, base: Grid) -> Protocol:
    """A sagittal 3D acquisition of about 1 mm."""
    spacing = (float(rng.uniform(0.9, 1.2)), *(2 * [float(rng.choice([0.94, 1.0, 1.0, 1.05]))]))
    shape = tuple(int(np.ceil(n / s / 2)) * 2 for n, s in zip((176, 240, 236), spacing, strict=True))
    code = str(rng.choice(["RAS", "PSR", "PIR", "LIA", "ASL"]))
    order = [next(w for w, names in enumerate(("LR", "PA", "IS")) if letter in names) for letter in code]
    grid = scanner_grid(
        code,
        (shape[order[0]], shape[order[1]], shape[order[2]]),
        (spacing[order[0]], spacing[order[1]], spacing[order[2]]),
        base.centre_mm + rng.uniform(-3, 3, 3),
        np.deg2rad(rng.normal(0, 2.0, 3)),
    )
    return drawn_protocol(rng, grid, None, spacing[0], np.eye(4))


def flair_protocol(rng: np.random.Generator, base: Grid, *, volumetric: bool) -> Protocol:
    """Axial slices of 3 to 5 mm, tilted towards the line of the callosum, or a 3D acquisition."""
    brain_mm = base.centre_mm + np.array([0, 0, BRAIN_ABOVE_MIDDLE_MM])
    motion = rigid(np.deg2rad(rng.normal(0, 2.0, 3)), rng.normal(0, 2.0, 3), brain_mm)
    tilt = np.deg2rad([rng.normal(-6, 8), rng.normal(0, 2), rng.normal(0, 2)])
    if volumetric:
        spacing = float(rng.uniform(0.95, 1.25))
        shape = (int(180 / spacing), int(236 / spacing), int(220 / spacing))
        grid = scanner_grid("RAS", shape, (spacing, spacing, spacing), base.centre_mm, tilt)
        return drawn_protocol(rng, grid, None, spacing, motion)
    in_plane = float(rng.uniform(0.6, 0.95))
    distance = float(rng.uniform(3.0, 5.5))
    gap = float(rng.choice([0.0, rng.uniform(0.0, 0.2)]))
    side = int(np.ceil(236 / in_plane / 16)) * 16
    code = str(rng.choice(["LPS", "LAS", "RAS"]))
    shape = (side, side, int(np.ceil(162 / distance)))
    grid = scanner_grid(code, shape, (in_plane, in_plane, distance), brain_mm, tilt)
    return drawn_protocol(rng, grid, 2, distance * (1 - gap), motion)


def drawn_protocol(
    rng: np.random.Generator, grid: Grid, slice_axis: int | None, slice_mm: float, motion: npt.NDArray[np.float64]
) -> Protocol:
    """A scan on that grid, with noise, coil field and motion drawn."""
    return Protocol(
        grid,
        slice_axis,
        slice_mm,
        motion,
        noise=float(np.exp(rng.uniform(np.log(0.01), np.log(0.05)))),
        bias=float(rng.uniform(0.02, 0.15)),
        ghost=float(rng.uniform(0.3, 1.5)) if rng.random() < 0.1 else 0.0,
        apodise=float(rng.uniform(0.3, 1.0)),
        blur_mm=float(rng.uniform(0.4, 0.7)),
    )


def scanned(
    rng: np.random.Generator, head: Head, lesions: Lesions, base: Grid, palette: Palette, protocol: Protocol, role: str
) -> Volume:
    """What the scanner stores of a head with lesions."""
    ideal = paint(rng, head.codes, palette, lesions)
    image = scan(rng, ideal, base, protocol) * (STORED_WHITE * float(np.exp(rng.normal(0, 0.4))))
    return Volume(np.clip(np.rint(image), 0, 65535).astype(np.uint16), protocol.grid, role=role)
