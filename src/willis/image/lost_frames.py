"""Frames of a CT series that were lost in part: a slice that shows the head in other frames is empty there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from willis.volume.series import Series

HEAD_HU = -300.0  # between air and the head
HEAD_SHARE = 0.25  # of a slice that the head fills: one that motion along the body can't empty


def lost_frames(series: Series) -> npt.NDArray[np.bool_]:
    """(T,) frames in which a slice holds one value only that the head fills by a quarter in most frames.

    Exports that break off, and gaps that a converter fills up, leave such slices, with 0, -1024 or another value.
    """
    slices = (series.data[..., t].reshape(-1, series.data.shape[2]) for t in range(series.frames))
    found = [(np.ptp(frame, axis=0) == 0, (frame > HEAD_HU).mean(axis=0)) for frame in slices]
    flat, filled = (np.stack(part) for part in zip(*found, strict=True))
    shows_head = (np.median(filled, axis=0) >= HEAD_SHARE) & (np.median(flat, axis=0) < 1)
    return np.asarray((flat & shows_head).any(axis=1))
