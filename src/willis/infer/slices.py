"""Slices with their neighbours: the stack about a slice, and a 2.5D network over a volume, each slice from its stack.

A stack of ``depth`` slices is for slice number ``depth // 2`` of it: the middle one of an odd number; of four, as
D-UNet takes them, two slices come before it and one after, as its authors' code has it (arXiv:1908.05104).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

from willis.infer.windows import Network

Float32 = npt.NDArray[np.float32]

BATCH = 4  # stacks at once; what a network gives doesn't depend on it


def stack_about(x: Float32, index: int, depth: int, fill: float) -> Float32:
    """(C, depth, I, J) the slices about slice ``index`` of (C, I, J, K); beyond the volume they are ``fill``.

    >>> stack_about(np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3), 0, 3, -1.0).ravel().tolist()
    [-1.0, 0.0, 1.0]
    """
    start = index - depth // 2
    out = np.full((x.shape[0], depth, x.shape[1], x.shape[2]), fill, dtype=np.float32)
    first, last = max(start, 0), min(start + depth, x.shape[3])
    out[:, first - start : last - start] = np.moveaxis(x[..., first:last], 3, 1)
    return out


def neighbours_as_channels(x: Float32, depth: int, wanted: Iterable[int] | None = None) -> Float32:
    """(C · depth, I, J, S) wanted slices of (C, I, J, K), the stack about each of them as its channels.

    Beyond the volume a slice is 0, as D-UNet's authors have it (arXiv:1908.05104).

    Parameters
    ----------
    x
        Image with slices along the last axis.
    depth
        Slices in a stack; with 1 a slice stands alone.
    wanted
        Numbers of slices, in their order; all when None.

    >>> neighbours_as_channels(np.arange(1, 6, dtype=np.float32).reshape(1, 1, 1, 5), 4, [0, 4]).squeeze().T.tolist()
    [[0.0, 0.0, 1.0, 2.0], [3.0, 4.0, 5.0, 0.0]]
    """
    indices = list(range(x.shape[3]) if wanted is None else wanted)
    if depth == 1:
        return x[..., indices]
    return np.stack([np.concatenate(stack_about(x, index, depth, 0.0)) for index in indices], axis=-1)


def predict_slices(
    network: Network, x: Float32, depth: int, *, batch: int = BATCH, progress: Callable[[int, int], None] | None = None
) -> Float32:
    """Logits (L, I, J, K) of an image, slice by slice.

    Parameters
    ----------
    network
        (N, C, depth, I, J) to (N, L, I, J), L logits of the middle slice.
    x
        (C, I, J, K); beyond its ends lies its least value, as published with FVV (doi:10.1177/23969873251362712).
    depth
        Slices in a stack, odd.
    batch
        Stacks at once; the last batch is filled up, so that every call has one shape.
    progress
        Called with slices done and slices in all.
    """
    count, fill = x.shape[3], float(x.min())
    logits: Float32 | None = None
    for start in range(0, count, batch):
        wanted = [min(start + offset, count - 1) for offset in range(batch)]
        found = network(np.stack([stack_about(x, index, depth, fill) for index in wanted]))
        if logits is None:
            logits = np.empty((found.shape[1], *x.shape[1:]), dtype=np.float32)
        done = min(start + batch, count)
        logits[..., start:done] = np.moveaxis(found[: done - start], 0, 3)
        if progress:
            progress(done, count)
    assert logits is not None, "a volume has at least one slice"
    return logits
