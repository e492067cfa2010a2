"""The default network on both halves of a head: vessels, clot, and whether and where a side is occluded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.infer.engine import open_engine
from willis.infer.ensemble import probabilities
from willis.infer.memory import keep_engine_limit
from willis.infer.protocol import Engine
from willis.models.bundle import Bundle
from willis.models.manifest import Manifest
from willis.tasks.lvo.halves import CHANNELS, HALF, SHAPE, Side, joined, network_input, scaled_part, willis_grid
from willis.tasks.lvo.spec import OUTPUTS, SEGMENTS, SHUT, VESSELS
from willis.tasks.settings import RunSettings
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

Float = npt.NDArray[np.float32]
SIDES: tuple[Side, Side] = ("left", "right")
VIEWS_MM = ((0.0, 0.0), (2.0, 2.0), (-2.0, -2.0))  # forward and up, by which a fit may be off
FOUND = 0.5  # probability from which a voxel belongs to a vessel or a clot
OTHER_SIDE = "other_side"  # rule of a manifest: share of the other side's logit that is taken from a side's own
BORDER_VOXELS = 6  # of a half, where a network sees less and so says less


@dataclass(frozen=True)
class SideLogits:
    """What one look says of one side, as logits: that it is occluded, and if so, which of ``spec.SHUT`` is."""

    occluded: float
    shut: tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """What a bundle says of a head.

    Parameters
    ----------
    maps
        (5, 100, 56, 56) probabilities of the four vessels and of clot, on :func:`willis.tasks.lvo.halves.willis_grid`.
    looks
        For each member and each place of the grid, both sides.
    matrix
        (4, 4) mm of MNI space to mm of the CT.
    engine, precision
        What ran the network.
    """

    maps: Float
    looks: tuple[dict[Side, SideLogits], ...]
    matrix: FloatArray
    engine: str = ""
    precision: str = ""


def reads_halves(manifest: Manifest) -> bool:
    """Whether a bundle is one of those that :func:`look` runs."""
    return manifest.channels == CHANNELS and manifest.outputs == OUTPUTS


def look(ct: Volume, matrix: FloatArray, bundle: Bundle, settings: RunSettings) -> Seen:
    """Run a bundle on both halves of a head, at several places of the grid.

    Parameters
    ----------
    ct
        In HU.
    matrix
        (4, 4) mm of MNI space to mm of the CT.

    Raises
    ------
    BadInputError
        When the memory limit can't be kept.
    """
    maps, looks = [], []
    for member in range(len(bundle.manifest.members)):
        engine = open_engine(
            bundle, member, engine=settings.engine, precision=settings.precision, threads=settings.threads
        )
        keep_engine_limit(engine, (1, len(CHANNELS), HALF, *SHAPE[1:]), settings.memory_limit_gb, bundle.name)
        for forward, up in VIEWS_MM:
            moved = np.eye(4)
            moved[1:3, 3] = forward, up
            logits = _of_both(engine, scaled_part(ct, matrix @ moved))
            looks.append({side: _said(logits[side]) for side in SIDES})
            if not forward and not up:
                both = joined(logits["left"], logits["right"])[: len(VESSELS) + 1]
                maps.append(probabilities(both.astype(np.float32), "sigmoid"))
    return Seen(np.mean(maps, axis=0, dtype=np.float32), tuple(looks), matrix, engine.name, engine.precision)


def _of_both(engine: Engine, part: Float) -> dict[Side, Float]:
    """(10, 56, 56, 56) logits of each half."""
    return {side: np.asarray(engine(network_input(part, side)[None])[0], np.float32) for side in SIDES}


def _said(logits: Float) -> SideLogits:
    """Means of what all voxels say alike, away from the half's border."""
    inner = (slice(None), *(slice(BORDER_VOXELS, n - BORDER_VOXELS) for n in logits.shape[1:]))
    means = [float(m) for m in logits[inner].mean(axis=(1, 2, 3))]
    first = OUTPUTS.index("occluded")
    return SideLogits(means[first], tuple(means[first + 1 : first + 1 + len(SHUT)]))


@dataclass(frozen=True)
class Judgement:
    """An occlusion as a bundle judges it.

    Parameters
    ----------
    probability, sides
        That a large vessel is occluded at all, and on each side; calibrated where the bundle is.
    looks
        The first of them by each member at each place of the grid.
    side, segment
        The likelier side, and the likeliest answer of ``spec.SEGMENTS`` there.
    segments
        Share of each answer on that side, should it be occluded.
    """

    probability: float
    sides: dict[Side, float]
    looks: tuple[float, ...]
    side: Side
    segment: str
    segments: dict[str, float]


def judge(seen: Seen, manifest: Manifest) -> Judgement:
    """Join all looks: the likelier side stands for the head."""
    logits = side_logits(seen.looks, manifest)
    side: Side = "left" if logits["left"] > logits["right"] else "right"
    shut = np.mean([one[side].shut for one in seen.looks], axis=0)
    segments = segment_shares(tuple(float(s) for s in shut))
    return Judgement(
        probability=calibrated(max(logits.values()), manifest),
        sides={name: calibrated(logit, manifest) for name, logit in logits.items()},
        looks=tuple(calibrated(max(side_logits([one], manifest).values()), manifest) for one in seen.looks),
        side=side,
        segment=max(segments, key=lambda name: segments[name]),
        segments=segments,
    )


def side_logits(looks: Sequence[Mapping[Side, SideLogits]], manifest: Manifest) -> dict[Side, float]:
    """That each side is occluded: mean of the looks, not calibrated.

    Where the bundle has the rule ``other_side``, so much of the other side's logit is taken away: what lifts both sides
    is the scan, since both are hardly ever occluded.
    """
    alone = {side: float(np.mean([one[side].occluded for one in looks])) for side in SIDES}
    share = manifest.rules[OTHER_SIDE].value if OTHER_SIDE in manifest.rules else 0.0
    return {side: alone[side] - share * alone[other] for side, other in zip(SIDES, reversed(SIDES), strict=True)}


def segment_shares(shut: tuple[float, ...]) -> dict[str, float]:
    """Share of each answer of an occluded side: its score is the sum of its vessels' logits, as they were fitted."""
    scores = np.array([sum(shut[SHUT.index(name)] for name in answer.split("+")) for answer in SEGMENTS])
    weights = np.exp(scores - scores.max())
    return {answer: float(weight / weights.sum()) for answer, weight in zip(SEGMENTS, weights, strict=True)}


def calibrated(logit: float, manifest: Manifest) -> float:
    """Probability of a logit."""
    if manifest.calibration is not None:
        logit = manifest.calibration.slope * logit + manifest.calibration.intercept
    return float(1 / (1 + np.exp(-logit)))


def vessels_on(seen: Seen, grid: Grid) -> Volume:
    """Vessel labels, codes as ``spec.VESSELS``, on another grid."""
    labels = np.zeros(grid.shape, dtype=np.uint8)
    best = np.full(grid.shape, FOUND, dtype=np.float32)
    for code in range(1, len(VESSELS) + 1):
        there = _moved(seen, code - 1, grid)
        more = there > best
        labels[more], best[more] = code, there[more]
    return Volume(labels, grid, role="vessels")


def clot_on(seen: Seen, grid: Grid, side: Side, left: npt.NDArray[np.bool_]) -> Volume:
    """Where the network sees a clot on one side, on another grid; ``left`` tells the sides there."""
    there = (_moved(seen, len(VESSELS), grid) > FOUND) & (left if side == "left" else ~left)
    return Volume(there.astype(np.uint8), grid, role="clot")


def _moved(seen: Seen, index: int, grid: Grid) -> Float:
    here = Volume(seen.maps[index], willis_grid())
    return np.asarray(resample_to(here, grid, world_transform=np.linalg.inv(seen.matrix)).data)


def describe(seen: Seen, judgement: Judgement, manifest: Manifest) -> dict[str, Any]:
    """For the provenance."""
    return {
        "engine": seen.engine,
        "precision": seen.precision,
        "probability": judgement.probability,
        "sides": judgement.sides,
        "looks": list(judgement.looks),
        "segments": judgement.segments,
        "calibrated": manifest.calibration is not None,
    }
