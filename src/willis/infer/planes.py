"""2D networks over the slices of one, two or three planes, and the fusion of what they say.

Probabilities of every plane are put back into the volume; their mean is the fused probability.
doi:10.1101/2025.09.26.25336733
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.infer.engine import open_engine
from willis.infer.ensemble import Prediction, Progress, probabilities
from willis.infer.memory import estimate_peak_gb, over_limit
from willis.infer.precision import PrecisionChoice
from willis.infer.protocol import Engine, EngineChoice
from willis.infer.slices import neighbours_as_channels
from willis.volume.plane import Plane, slice_axis

if TYPE_CHECKING:
    from willis.models.manifest import PlaneView
    from willis.models.store import Bundle

Float32 = npt.NDArray[np.float32]

SMOOTHING = "slice_smoothing"  # rule of a manifest: standard deviation in slices
STEP = "slice_step"  # rule of a manifest: each how-many-th slice is run
MOST_STEP = 5  # further apart, small lesions lie between two slices
SLICES_AT_ONCE = 2  # the maps of more leave the caches; one alone keeps several threads less busy


def predict_planes(
    bundle: Bundle,
    images: Mapping[Plane, Float32],
    *,
    mask: npt.NDArray[np.bool_] | None = None,
    engine: EngineChoice = "auto",
    precision: PrecisionChoice = "auto",
    threads: int | None = None,
    memory_limit_gb: float | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Run a bundle of planes on a prepared image; ``members`` of the prediction are its planes, in the bundle's order.

    Where the bundle has the rule ``slice_step``, each such slice of the mask is run, and the last one; probabilities
    between are interpolated. Where it has ``slice_smoothing``, those of each plane are smoothed across its slices then.

    Parameters
    ----------
    bundle
        Its manifest names the planes, and how their slices are padded.
    images
        By plane (C, I, J, K) in RAS, intensities as the manifest says. Neighbouring slices are added here, see
        :func:`willis.infer.slices.neighbours_as_channels`.
    mask
        (I, J, K); probabilities outside it are 0, slices without a voxel of it aren't run.
    engine, precision, threads
        See :func:`willis.infer.engine.open_engine`.
    memory_limit_gb
        Most memory of the process, 10⁹ bytes; kept by fewer slices at once.
    progress
        Called with the fraction done and what is being done.

    Raises
    ------
    BadInputError
        When the bundle has no planes, an image doesn't fit them, or the limit can't be kept.
    """
    start = time.perf_counter()
    views = bundle.manifest.planes
    shape = _checked(bundle, images)
    outputs = len(bundle.manifest.outputs)
    members: list[npt.NDArray[np.float16]] = []
    mean = np.zeros((outputs, *shape), np.float32)
    squares = np.zeros_like(mean)
    opened, peak = -1, 0.0
    for index, view in enumerate(views):
        member = min(index, len(bundle.manifest.members) - 1)
        if member != opened:
            runner, opened = open_engine(bundle, member, engine=engine, precision=precision, threads=threads), member
        batch, needed = _batch(bundle, runner, view, shape, memory_limit_gb)
        if progress is not None and needed > peak:
            progress(index / len(views), f"up to about {needed:.1f} GB of memory")
        peak = max(peak, needed)
        told = _within(progress, index, len(views), view.plane)
        p = _of_plane(bundle, runner, view, images[view.plane], _wanted(view, shape, mask), batch, told)
        if SMOOTHING in bundle.manifest.rules:
            p = across_slices(p, view.plane, bundle.manifest.rules[SMOOTHING].value)
        if mask is not None:
            p *= mask
        members.append(p.astype(np.float16))
        delta = p - mean  # Welford 1962, doi:10.1080/00401706.1962.10490022
        mean += delta / np.float32(index + 1)
        squares += delta * (p - mean)
    spread = np.sqrt(squares / np.float32(len(views)))
    return Prediction(mean, tuple(members), spread, runner.name, runner.precision, peak, time.perf_counter() - start)


def run_of(wanted: npt.NDArray[np.intp], step: int) -> npt.NDArray[np.intp]:
    """Each ``step``-th of the wanted slices, and the last one, so that all others lie between two that are run."""
    return np.union1d(wanted[::step], wanted[-1:])


def fill_between(found: Float32, run: npt.NDArray[np.intp], wanted: npt.NDArray[np.intp]) -> None:
    """Interpolate probabilities (S, L, H, W) of wanted slices between those that were run, in place."""
    for gap in np.setdiff1d(wanted, run):
        after = int(np.searchsorted(run, gap))
        low, high = run[after - 1], run[after]
        share = np.float32((gap - low) / (high - low))
        found[gap] = (1 - share) * found[low] + share * found[high]


def across_slices(p: Float32, plane: Plane, slices: float) -> Float32:
    """Probabilities (L, I, J, K) of a plane, smoothed across its slices by a Gaussian of so many slices.

    A network over single slices doesn't know its neighbours' answer: what one slice alone says is damped, and what most
    of them say is filled in. 0 leaves all as it is.
    """
    if slices == 0:
        return p
    smoothed: Float32 = ndimage.gaussian_filter1d(p, slices, axis=slice_axis(plane) + 1, mode="nearest")
    return smoothed


def slices_of(image: Float32, view: PlaneView) -> Float32:
    """(S, C, H, W) every slice of a plane of (C, I, J, K), zero-padded or cropped as the view says.

    Raises
    ------
    BadInputError
        When a slice is larger than a view that doesn't crop.
    """
    stack = np.moveaxis(image, slice_axis(view.plane) + 1, 0)
    own, placed = _overlap(view, stack.shape[2:])
    if any(n > side for n, side, begin in zip(stack.shape[2:], view.shape, view.start, strict=True) if begin >= 0):
        raise BadInputError(
            f"{view.plane} slices of {stack.shape[2]} × {stack.shape[3]} voxels don't fit the network's "
            f"{view.shape[0]} × {view.shape[1]}, beginning at {view.start[0]}, {view.start[1]}."
        )
    slices = np.zeros((*stack.shape[:2], *view.shape), stack.dtype)
    slices[:, :, placed[0], placed[1]] = stack[:, :, own[0], own[1]]
    return slices


def from_slices(slices: Float32, view: PlaneView, shape: tuple[int, int, int]) -> Float32:
    """(L, I, J, K) of the slices (S, L, H, W) of a view, 0 where it cropped: the inverse of :func:`slices_of`."""
    sides = [n for axis, n in enumerate(shape) if axis != slice_axis(view.plane)]
    own, placed = _overlap(view, sides)
    stack = np.zeros((*slices.shape[:2], *sides), slices.dtype)
    stack[:, :, own[0], own[1]] = slices[:, :, placed[0], placed[1]]
    return np.moveaxis(stack, 0, slice_axis(view.plane) + 1)


def _overlap(view: PlaneView, sides: Sequence[int]) -> tuple[list[slice], list[slice]]:
    """Rows and columns that image and view share: where they lie in the image, and where in the view."""
    own, placed = [], []
    for n, side, begin in zip(sides, view.shape, view.start, strict=True):
        first, last = max(0, -begin), min(n, side - begin)
        own.append(slice(first, last))
        placed.append(slice(first + begin, last + begin))
    return own, placed


def _checked(bundle: Bundle, images: Mapping[Plane, Float32]) -> tuple[int, int, int]:
    if not bundle.manifest.planes:
        raise BadInputError(f"{bundle.name} names no planes; it isn't a bundle of networks over slices.")
    if STEP in (rules := bundle.manifest.rules) and (step := rules[STEP].value) not in range(1, MOST_STEP + 1):
        raise BadInputError(
            f"{bundle.name} has {step:g} as its {STEP}; allowed are whole numbers from 1 to {MOST_STEP}."
        )
    shapes = {images[view.plane].shape for view in bundle.manifest.planes if view.plane in images}
    given = all(view.plane in images for view in bundle.manifest.planes)
    channels = len(bundle.manifest.channels)
    if not given or len(shapes) != 1 or (shape := next(iter(shapes)))[0] != channels or len(shape) != 4:
        raise BadInputError(
            f"{bundle.name} takes one image (C, I, J, K) with {channels} channels for each plane, all of one shape; "
            f"found {sorted(shapes)}."
        )
    return shape[1], shape[2], shape[3]


def _batch(
    bundle: Bundle, runner: Engine, view: PlaneView, shape: tuple[int, int, int], limit_gb: float | None
) -> tuple[int, float]:
    """Slices at once, and the estimated peak of memory."""
    manifest = bundle.manifest
    batch = SLICES_AT_ONCE
    while True:
        needed = runner.needed_bytes((batch, manifest.inputs, *view.shape, 1))
        peak = estimate_peak_gb(needed, len(manifest.outputs), len(manifest.planes), shape)
        if limit_gb is None or peak <= limit_gb:
            return batch, peak
        if batch == 1:
            raise over_limit(peak, limit_gb)
        batch //= 2


def _wanted(view: PlaneView, shape: tuple[int, int, int], mask: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.intp]:
    """Indices of the slices with a voxel of the mask."""
    axis = slice_axis(view.plane)
    return np.arange(shape[axis]) if mask is None else np.flatnonzero(np.moveaxis(mask, axis, 0).any(axis=(1, 2)))


def _of_plane(
    bundle: Bundle,
    runner: Engine,
    view: PlaneView,
    image: Float32,
    wanted: npt.NDArray[np.intp],
    batch: int,
    tell: Callable[[int, int], None],
) -> Float32:
    """Probabilities (L, I, J, K) of one plane; 0 in slices that aren't wanted."""
    manifest = bundle.manifest
    slices = slices_of(image, view)
    run = run_of(wanted, int(manifest.rules[STEP].value) if STEP in manifest.rules else 1)
    found = np.zeros((len(slices), len(manifest.outputs), *view.shape), np.float32)
    for first in range(0, len(run), batch):
        some = run[first : first + batch]
        x = np.zeros((batch, manifest.inputs, *view.shape, 1), np.float32)  # one shape: engines compile for it
        x[: len(some), ..., 0] = np.moveaxis(neighbours_as_channels(np.moveaxis(slices, 0, 3), view.stack, some), 3, 0)
        logits = runner(x)[: len(some), ..., 0]
        found[some] = np.moveaxis(
            probabilities(np.moveaxis(logits, 1, 0), manifest.activation, manifest.calibration), 0, 1
        )
        tell(first + len(some), len(run))
    fill_between(found, run, wanted)
    return np.ascontiguousarray(from_slices(found, view, (image.shape[1], image.shape[2], image.shape[3])))


def _within(progress: Progress | None, index: int, count: int, plane: Plane) -> Callable[[int, int], None]:
    """Progress over the slices of one plane as progress over all."""

    def tell(done: int, todo: int) -> None:
        if progress is not None:
            progress((index + done / todo) / count, f"{plane} slice {done} of {todo}")

    return tell
