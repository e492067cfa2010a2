"""Motion between the frames of a CT series: shifts found on bone, which contrast doesn't change, and undone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.volume.grid import FloatArray
from willis.volume.series import Series

BONE_HU = (150.0, 700.0)  # soft threshold: from none to all
STILL_MM = 0.25  # shifts below it are left: undoing them would only blur
LARGEST_MM = 15.0  # a frame that lies farther away can't be brought back: too much of the head has left its slices
REFERENCE_FRAMES = 3
LEAST_ALIKE = 0.88  # correlation of bone with the first frames': turned by 5° it lies below, shifted by 15 mm above


@dataclass(frozen=True)
class Motion:
    """What was found: (T, 3) shift of each frame against the first ones in mm, along the voxel axes."""

    shifts_mm: FloatArray

    @property
    def lengths_mm(self) -> FloatArray:
        """(T,) length of each shift."""
        return np.asarray(np.linalg.norm(self.shifts_mm, axis=1))

    @property
    def largest_mm(self) -> float:
        """Length of the longest shift."""
        return float(self.lengths_mm.max())

    @property
    def moved_frames(self) -> int:
        """Frames that are to be brought back."""
        return int((self.lengths_mm > STILL_MM).sum())

    @property
    def too_far(self) -> npt.NDArray[np.bool_]:
        """(T,) frames that can't be brought back."""
        return self.lengths_mm > LARGEST_MM

    def of_frames(self, kept: npt.NDArray[np.bool_]) -> Motion:
        """Of some of the frames, (T,) True."""
        return Motion(self.shifts_mm[kept])


def find_motion(series: Series) -> Motion:
    """Shift of every frame against the mean of the first three, by cross-correlation of bone, finer than a voxel.

    Turns of the head are not sought. Shifts across slices are found only where there are at least four.
    """
    spacing = np.array(series.grid.spacing_mm)
    step = [max(1, round(1.5 / s)) for s in spacing[:2]]
    bone = _bone(series.data[:: step[0], :: step[1], :, :REFERENCE_FRAMES].mean(axis=3))
    if not bone.any():
        return Motion(np.zeros((series.frames, 3)))
    reference = np.conj(np.fft.rfftn(bone))
    shifts = np.zeros((series.frames, 3))
    size = spacing * [*step, 1]
    for t in range(series.frames):
        spectrum = reference * np.fft.rfftn(_bone(series.data[:: step[0], :: step[1], :, t]))
        product = np.fft.irfftn(spectrum, bone.shape, axes=(0, 1, 2))
        shifts[t] = _peak(product, across=bone.shape[2] >= 4) * size
    return Motion(shifts)


def undo_motion(series: Series, motion: Motion) -> Series:
    """The series with every frame that moved brought back, linearly interpolated."""
    moved = np.flatnonzero(motion.lengths_mm > STILL_MM)
    if moved.size == 0:
        return series
    data = series.data.astype(np.float32)
    spacing = np.array(series.grid.spacing_mm)
    for t in moved.tolist():
        data[..., t] = ndimage.shift(data[..., t], -motion.shifts_mm[t] / spacing, order=1, mode="nearest")
    return series.with_data(data)


def find_turned(series: Series) -> npt.NDArray[np.bool_]:
    """(T,) frames whose bone lies otherwise than in the mean of the first three, as that of a turned head does.

    Parameters
    ----------
    series
        After :func:`undo_motion`, which leaves turns as they are.
    """
    step = [max(1, round(1.5 / s)) for s in series.grid.spacing_mm[:2]]
    reference = _bone(series.data[:: step[0], :: step[1], :, :REFERENCE_FRAMES].mean(axis=3)).ravel()
    turned = np.zeros(series.frames, dtype=bool)
    if np.ptp(reference) == 0:
        return turned
    for t in range(series.frames):
        bone = _bone(series.data[:: step[0], :: step[1], :, t]).ravel()
        turned[t] = np.ptp(bone) == 0 or np.corrcoef(reference, bone)[0, 1] < LEAST_ALIKE
    return turned


def _bone(frame: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    low, high = BONE_HU
    return np.asarray(np.clip((frame - low) / (high - low), 0, 1), dtype=np.float32)


def _peak(product: npt.NDArray[np.floating], *, across: bool) -> FloatArray:
    """(3,) place of the maximum of a circular correlation, in voxels, each axis by a parabola."""
    at = np.array(np.unravel_index(int(product.argmax()), product.shape))
    found = np.zeros(3)
    for axis, n in enumerate(product.shape):
        if axis == 2 and not across:
            continue
        line = [product[tuple(np.where(np.arange(3) == axis, (at + d) % product.shape, at))] for d in (-1, 0, 1)]
        bend = line[0] - 2 * line[1] + line[2]
        part = 0.5 * (line[0] - line[2]) / bend if bend < 0 else 0.0
        found[axis] = (at[axis] if at[axis] <= n // 2 else at[axis] - n) + part
    return found
