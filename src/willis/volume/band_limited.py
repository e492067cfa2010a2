"""Resampling to a coarser parallel grid as a scanner would have sampled it: by leaving out high spatial frequencies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from willis.errors import GeometryError
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import index_transform
from willis.volume.separable import axis_weights, parallel_axes, source_positions
from willis.volume.volume import Volume


def resample_band_limited(volume: Volume, grid: Grid) -> Volume:
    """The image on another grid with parallel axes, with the detail that the grid's spacing can hold.

    Along an axis that the grid samples more coarsely, frequencies up to the grid's Nyquist frequency pass unchanged and
    higher ones not at all, as when k-space is read out so far and no further (Liang & Lauterbur 2000, Principles of
    Magnetic Resonance Imaging, chapter 6). An image that was interpolated by zero filling of k-space thus comes back to
    what was acquired, however fine its stored voxels are. Along other axes it is interpolated linearly.

    Parameters
    ----------
    volume
        The image, (I, J, K).
    grid
        Where to; its axes parallel to the image's. Outside the image's field of view it is 0.

    Returns
    -------
    Volume
        ``float32``; may ring at edges, below 0 too.

    Raises
    ------
    GeometryError
        When the axes aren't parallel.
    """
    axes = parallel_axes(index_transform(volume.grid, grid), grid.shape)
    if axes is None:
        raise GeometryError("an image can be band-limited to a grid with parallel axes alone; use another kernel.")
    data = volume.data.transpose(axes.order).astype(np.float32)
    out = np.zeros(grid.shape, np.float32)
    runs = []
    for axis, (step, start) in enumerate(zip(axes.step, axes.start, strict=True)):
        length = data.shape[axis]
        position, inside = source_positions(step, start, grid.shape[axis], length)
        runs.append(inside)
        if abs(step) > 1:
            weights = passing_weights(position[inside], length, abs(step))
        else:
            weights = axis_weights(position[inside], length, "linear").toarray()
        data = np.moveaxis(np.tensordot(weights.astype(np.float32), data, axes=(1, axis)), 0, axis)
    out[tuple(runs)] = data
    return replace(volume, data=out, grid=grid)


def passing_weights(position: FloatArray, length: int, ratio: float) -> FloatArray:
    """(len(position), length) weights that keep the frequencies below the Nyquist frequency of ``ratio`` voxels.

    The samples are mirrored at their outer faces, so that an image which reaches these has no edge there.
    """
    period = 2 * length
    highest = int(np.floor(length / ratio + 1e-6))
    taps = np.arange(length)
    weights = _dirichlet(position[:, None] - taps, highest, period)
    weights += _dirichlet(position[:, None] + taps + 1, highest, period)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _dirichlet(distance: FloatArray, highest: int, period: int) -> FloatArray:
    """Sum of all harmonics of a period up to ``highest``, over the period."""
    half = np.pi * distance / period
    sine = np.sin(half)
    near = np.abs(sine) < 1e-9
    ratio = np.sin((2 * highest + 1) * half) / np.where(near, 1.0, sine)
    return np.asarray(np.where(near, 2 * highest + 1, ratio) / period)
