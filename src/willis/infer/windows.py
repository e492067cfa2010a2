"""A network over a volume: the whole at once, or windows weighted by a Gaussian and added in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError

Float32 = npt.NDArray[np.float32]
Network = Callable[[Float32], Float32]
Shape3 = tuple[int, int, int]
Tile = tuple[slice, slice, slice]

SIGMA_OF_WINDOW = (
    0.125  # Gaussian's standard deviation as a fraction of the window; Isensee 2021, doi:10.1038/s41592-020-01008-z
)
LEAST_WEIGHT = 1e-3  # of the centre's, so that the sum of weights is never near zero


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """First voxels of the windows along one axis: evenly spread, the last one ending at the edge.

    >>> window_starts(10, 4, 0.5)
    [0, 2, 4, 6]
    """
    if length <= window:
        return [0]
    step = max(1.0, window * (1.0 - overlap))
    count = int(np.ceil((length - window) / step)) + 1
    return [round(i * (length - window) / (count - 1)) for i in range(count)]


def gaussian_weight(window: Shape3) -> Float32:
    """Weight of each voxel of a window (I, J, K): 1 at the centre, at least 0.001 at the corners."""
    weight = np.ones((1, 1, 1))
    for axis, side in enumerate(window):
        offset = (np.arange(side) - (side - 1) / 2) / (SIGMA_OF_WINDOW * side)
        weight = weight * np.exp(-0.5 * offset**2).reshape([-1 if a == axis else 1 for a in range(3)])
    return np.asarray(np.maximum(weight / weight.max(), LEAST_WEIGHT), np.float32)


def tiles(shape: Shape3, window: Shape3, overlap: float, mask: npt.NDArray[np.bool_] | None = None) -> list[Tile]:
    """Windows that cover a volume; those in which the mask is empty are left out.

    Parameters
    ----------
    shape
        Of the volume; a side shorter than the window's gets one window of its own length.
    window
        Sides in voxels.
    overlap
        Least fraction that neighbours share, in [0, 1).
    mask
        (I, J, K); None keeps every window.

    Raises
    ------
    BadInputError
        When the overlap is outside [0, 1).
    """
    if not 0.0 <= overlap < 1.0:
        raise BadInputError(f"the overlap of windows is {overlap}; it must be at least 0 and below 1.")
    axes = [
        [slice(start, min(start + side, length)) for start in window_starts(length, side, overlap)]
        for length, side in zip(shape, window, strict=True)
    ]
    every = [(i, j, k) for i, j, k in product(*axes)]
    return every if mask is None else [tile for tile in every if mask[tile].any()]


def padded(x: Float32, sides: Sequence[int]) -> tuple[Float32, Tile]:
    """(C, I, J, K) zero-padded on both ends to at least ``sides``, and where the original lies in it."""
    have = x.shape[1:]
    before = [max(0, want - n) // 2 for n, want in zip(have, sides, strict=True)]
    after = [max(0, want - n) - b for n, want, b in zip(have, sides, before, strict=True)]
    i, j, k = (slice(b, b + n) for b, n in zip(before, have, strict=True))
    if not any(before + after):
        return x, (i, j, k)
    return np.pad(x, [(0, 0), *zip(before, after, strict=True)]), (i, j, k)


def whole_shape(shape: Shape3, multiple_of: int | None) -> Shape3:
    """Sides rounded up to what the network divides by."""
    step = multiple_of or 1
    i, j, k = (-(-n // step) * step for n in shape)
    return i, j, k


def predict_whole(network: Network, x: Float32, multiple_of: int | None = None) -> Float32:
    """Logits (L, I, J, K) of an image (C, I, J, K) in one piece, padded to a multiple if need be and cut back."""
    image, inner = padded(x, whole_shape(x.shape[1:], multiple_of))
    return np.asarray(network(image[None])[0][(slice(None), *inner)])


def predict_sliding(
    network: Network,
    x: Float32,
    window: Shape3,
    overlap: float = 0.5,
    *,
    mask: npt.NDArray[np.bool_] | None = None,
    outputs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Float32, npt.NDArray[np.bool_]]:
    """Logits of an image window by window, averaged with Gaussian weights.

    Parameters
    ----------
    network
        (1, C, *window) to (1, L, *window).
    x
        (C, I, J, K); sides below the window's are zero-padded for the network.
    window, overlap
        See :func:`tiles`. Windows at the edge are shifted inwards, not padded.
    mask
        (I, J, K); windows without a voxel of it aren't computed.
    outputs
        L where no window is computed, so that nothing says it.
    progress
        Called with windows done and windows in all.

    Returns
    -------
    Logits (L, I, J, K), 0 where no window lay; and (I, J, K), True where one did.
    """
    shape = x.shape[1:]
    todo = tiles(shape, window, overlap, mask)
    weight = gaussian_weight(window)
    total = np.zeros(shape, np.float32)
    logits: Float32 | None = None
    for done, tile in enumerate(todo, 1):
        image, inner = padded(x[(slice(None), *tile)], window)
        found = network(image[None])[0][(slice(None), *inner)]
        if logits is None:
            logits = np.zeros((found.shape[0], *shape), np.float32)
        logits[(slice(None), *tile)] += found * weight[inner]
        total[tile] += weight[inner]
        if progress:
            progress(done, len(todo))
    seen = total > 0
    if logits is None:
        return np.zeros((outputs, *shape), np.float32), seen
    np.divide(logits, total, out=logits, where=seen)
    return logits, seen
