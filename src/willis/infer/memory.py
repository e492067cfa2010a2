"""Peak memory of a prediction, estimated before it starts, and the windows that keep it below a limit."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.infer.protocol import Engine

Shape3 = tuple[int, int, int]

GB = 1e9
STATM = Path("/proc/self/statm")
BYTES_FLOAT32 = 4
BYTES_FLOAT16 = 2
RESULT_ARRAYS = 6  # float32 arrays (L, I, J, K) alive at once: logits, probability, mean, squares, two temporaries
LEAST_SIDE = 16  # voxels; smaller windows see too little of the brain to be worth running
CUT = 2 / 3  # of a side, so that two windows with half an overlap cover it


@dataclass(frozen=True)
class Step:
    """One operation of a network, as far as memory goes.

    Parameters
    ----------
    inputs
        Names of the maps that it reads; weights are left out.
    output
        Name of the map that it makes.
    size
        Bytes of that map.
    in_place
        Whether it may write over its first input when nothing else reads that any more.
    """

    inputs: tuple[str, ...]
    output: str
    size: int
    in_place: bool = False


def peak_bytes(steps: Sequence[Step]) -> int:
    """Most bytes of maps that are alive together when the steps run in order and each map is freed after its last use.

    >>> peak_bytes([Step((), "x", 4), Step(("x",), "y", 4), Step(("y",), "z", 4, in_place=True)])
    8
    """
    last = {name: index for index, step in enumerate(steps) for name in step.inputs}
    alive: dict[str, int] = {}
    peak = 0
    for index, step in enumerate(steps):
        over = step.inputs[0] if step.in_place and step.inputs and last[step.inputs[0]] == index else None
        if over is not None:
            alive.pop(over, None)
        alive[step.output] = step.size
        peak = max(peak, sum(alive.values()))
        for name in step.inputs:
            if last[name] == index:
                alive.pop(name, None)
    return peak


def resident_bytes() -> int:
    """Memory that this process holds now; where the system doesn't say, the most that it held so far."""
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")


def result_bytes(outputs: int, members: int, shape: Shape3) -> int:
    """Bytes of the arrays that a prediction gathers: float32 for the mean and its making, float16 for each member."""
    voxels = shape[0] * shape[1] * shape[2]
    return outputs * voxels * (RESULT_ARRAYS * BYTES_FLOAT32 + members * BYTES_FLOAT16)


def estimate_peak_gb(engine_bytes: int, outputs: int, members: int, shape: Shape3) -> float:
    """Peak memory of the process in 10⁹ bytes: what it holds now, the network's need, and the results.

    Parameters
    ----------
    engine_bytes
        Of one member on one window, weights and maps: ``Engine.needed_bytes``.
    outputs, members, shape
        Labels, members of the bundle, and the volume's sides in voxels.
    """
    return (resident_bytes() + engine_bytes + result_bytes(outputs, members, shape)) / GB


def smaller_windows(shape: Shape3, step: int) -> Iterator[Shape3]:
    """Ever smaller windows of a volume: its longest side cut to two thirds each time, rounded up to ``step``."""
    sides = list(shape)
    while True:
        axis = sides.index(max(sides))
        cut = -(-int(sides[axis] * CUT) // step) * step
        if cut >= sides[axis] or cut < LEAST_SIDE:
            return
        sides[axis] = cut
        yield sides[0], sides[1], sides[2]


def fitting_window(
    estimate: Callable[[Shape3], float], whole: Shape3, step: int, limit_gb: float, *, may_cut: bool = True
) -> tuple[Shape3, float]:
    """The largest window whose estimated peak keeps a limit, and that estimate.

    Parameters
    ----------
    estimate
        Peak in 10⁹ bytes with a window of given sides; raises BadInputError for one that the network can't take.
    whole
        The window wanted.
    step
        What the sides of smaller ones are rounded up to.
    limit_gb
        Most memory, 10⁹ bytes.
    may_cut
        Whether a smaller window than the one wanted is allowed.

    Raises
    ------
    BadInputError
        When no window keeps the limit; the message says the least that is possible.
    """
    least, window = estimate(whole), whole
    candidates = smaller_windows(whole, max(step, LEAST_SIDE)) if may_cut else iter(())
    while least > limit_gb:
        try:
            window = next(candidates)
            least = min(least, estimate(window))
        except (StopIteration, BadInputError):
            raise over_limit(least, limit_gb) from None
    return window, least


def keep_engine_limit(
    engine: Engine, shape: tuple[int, ...], limit_gb: float | None, name: str, *, beside: int = 0
) -> None:
    """Refuse to start a network that needs more memory than the process may have.

    Parameters
    ----------
    engine, shape
        What is run, and the image (N, C, I, J, K) that it is given at once.
    limit_gb
        10⁹ bytes; None for no limit.
    name
        Of the bundle, for the message.
    beside
        Bytes of arrays to come beside the network's own.

    Raises
    ------
    BadInputError
        When the estimated peak is above the limit.
    """
    if limit_gb is not None:
        peak_gb = (resident_bytes() + engine.needed_bytes(shape) + beside) / GB
        if peak_gb > limit_gb:
            raise over_limit(peak_gb, limit_gb, name)


def over_limit(peak_gb: float, limit_gb: float, name: str = "this bundle") -> BadInputError:
    """The error for a limit that can't be kept, so that all such messages read alike."""
    return BadInputError(
        f"the memory limit of {limit_gb:g} GB can't be kept: {name} needs at least {peak_gb:.2f} GB here. "
        "Raise --memory-limit, or choose a smaller bundle."
    )
