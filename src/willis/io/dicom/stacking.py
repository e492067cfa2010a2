"""From the headers of a series to its stack of slices, with a diagnosis in words: tilt, spacing, gaps, duplicates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from willis.errors import GeometryError
from willis.io.dicom.headers import SliceHeader
from willis.volume.stack import EVEN_TOLERANCE_MM, SliceStack

TILT_AGREEMENT_DEG = 0.5  # header and positions that differ more tell of different tilts
SMALL_TILT_DEG = 0.05  # below it slices lie above each other: 0.1 mm over a head
GAP_RATIO = 1.5  # a step this much longer than its neighbours, and than the slices' thickness, is a gap
LARGEST_GAP_MM = 16.0  # assumed: what lies between slices farther apart can't be told from them


def sorted_slices(headers: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Headers by rising position along the normal, those of one place together."""
    across = np.cross(headers[0].axes_mm[:, 0], headers[0].axes_mm[:, 1])
    across /= np.linalg.norm(across)
    if across[np.argmax(np.abs(across))] < 0:
        across = -across
    order = sorted(headers, key=lambda header: (float(header.origin_mm @ across), header.instance, header.path.name))
    places: list[list[SliceHeader]] = []
    for header in order:
        if places and abs(float((header.origin_mm - places[-1][0].origin_mm) @ across)) < EVEN_TOLERANCE_MM:
            places[-1].append(header)
        else:
            places.append([header])
    return places


def make_stack(slices: Sequence[SliceHeader]) -> SliceStack:
    """The stack of slices that are sorted and each in a place of its own.

    Raises
    ------
    GeometryError
        When there are fewer than two.
    """
    if len(slices) < 2:
        raise GeometryError(f"the series has {len(slices)} slice; at least two are needed to make a volume.")
    rows, columns = slices[0].shape
    return SliceStack((columns, rows), slices[0].axes_mm, np.array([header.origin_mm for header in slices]))


def diagnose(slices: Sequence[SliceHeader], stack: SliceStack) -> list[str]:
    """What is unusual about a stack, one sentence each; none of an even, straight and complete one.

    Raises
    ------
    GeometryError
        When slices are missing over more than ``LARGEST_GAP_MM``.
    """
    notes = [*_of_tilt(slices, stack), *_of_gaps(slices, stack)]
    if not stack.even:
        lengths = stack.steps_mm
        own = " and ".join(f"{s:.2f}" for s in sorted(stack.spacings_mm()))
        notes.append(
            f"Slices are unevenly spaced: {own} mm, with steps from {lengths.min():.2f} to {lengths.max():.2f} mm."
        )
    if not (stack.even and stack.straight):
        grid = stack.regular_grid()
        spacing = " × ".join(f"{s:.3g}" for s in grid.spacing_mm)
        notes.append(
            f"The {len(slices)} slices were resampled to a regular grid in their own planes, "
            f"{' × '.join(str(n) for n in grid.shape)} voxels of {spacing} mm."
        )
    return notes


def _of_tilt(slices: Sequence[SliceHeader], stack: SliceStack) -> list[str]:
    notes = []
    said = [abs(header.tilt_deg) for header in slices if np.isfinite(header.tilt_deg)]
    if stack.tilt_deg > SMALL_TILT_DEG and not stack.straight:
        notes.append(f"The gantry was tilted by {stack.tilt_deg:.1f}° against the way of the table.")
    if said and abs(max(said) - (0.0 if stack.straight else stack.tilt_deg)) > TILT_AGREEMENT_DEG:
        notes.append(
            f"The headers speak of a gantry tilt of {max(said):.1f}°, the slices' positions of "
            f"{0.0 if stack.straight else stack.tilt_deg:.1f}°; the positions were used."
        )
    return notes


def _of_gaps(slices: Sequence[SliceHeader], stack: SliceStack) -> list[str]:
    steps, notes = stack.steps_mm, []
    for k, step in enumerate(steps):
        around = [steps[n] for n in (k - 1, k + 1) if 0 <= n < len(steps)]
        thick = [slices[n].thickness_mm for n in (k, k + 1) if np.isfinite(slices[n].thickness_mm)]
        usual = max([*around, *([sum(thick) / len(thick)] if thick else [])], default=step)
        if step <= GAP_RATIO * usual:
            continue
        where = f"between {slices[k].path.name} and {slices[k + 1].path.name}"
        missing = max(1, round(step / usual) - 1)
        what = f"{missing} slice{'s are' if missing > 1 else ' is'} missing {where}: a step of {step:.1f} mm"
        if step > LARGEST_GAP_MM:
            raise GeometryError(
                f"{what}, where {usual:.1f} mm are usual; up to {LARGEST_GAP_MM:g} mm can be bridged. "
                "Export the whole series again."
            )
        notes.append(f"{what}, which was bridged from its neighbours.")
    return notes
