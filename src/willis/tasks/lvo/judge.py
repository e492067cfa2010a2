"""Whether an occlusion is likely, and where: by the default network on both halves, or by a McResNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from willis.models.bundle import Bundle
from willis.tasks.lvo import look, occlusion
from willis.tasks.lvo.prepare import PreparedHead
from willis.tasks.settings import RunSettings
from willis.volume.volume import Volume

ROUGH = (
    "Vessels were found by the bundle {name}; its card says how much of them it finds. They come in pieces: lengths, "
    "densities and the hyperdense sign are rough."
)


@dataclass(frozen=True)
class Judged:
    """What is known of an occlusion.

    Parameters
    ----------
    probability, threshold
        Of any large vessel being occluded, and from which it is suspected.
    interval
        Least and largest of members and looks; None for one alone.
    sides
        Probability of each side, where the bundle tells them apart.
    side, segment, segments
        The likelier side, the likeliest answer there, and the share of each answer; empty where not told.
    place
        Where a clot is seen, on the CT's grid; None unless an occlusion is suspected.
    record
        For the provenance.
    """

    probability: float
    threshold: float
    interval: tuple[float, float] | None = None
    sides: Mapping[str, float] = field(default_factory=dict)
    side: str = ""
    segment: str = ""
    segments: Mapping[str, float] = field(default_factory=dict)
    place: Volume | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


def judge(prepared: PreparedHead, bundle: Bundle, settings: RunSettings) -> tuple[PreparedHead, Judged]:
    """Run a bundle on a prepared head; the head comes back with vessels where the bundle finds them.

    Vessels that are known already are kept.

    Raises
    ------
    BadInputError
        When the bundle needs vessels that aren't known, the scan is larger than the published input, or the memory
        limit can't be kept.
    """
    if not look.reads_halves(bundle.manifest):
        return prepared, _by_mcresnet(prepared, bundle, settings)
    seen = look.look(prepared.ct, prepared.head.fit.matrix, bundle, settings)
    said = look.judge(seen, bundle.manifest)
    threshold = bundle.manifest.threshold.value
    place = None
    if said.probability >= threshold:
        place = look.clot_on(seen, prepared.ct.grid, said.side, prepared.left)
    if prepared.vessels is None:
        notes = (*prepared.notes, ROUGH.format(name=bundle.manifest.name))
        prepared = replace(prepared, vessels=look.vessels_on(seen, prepared.ct.grid), notes=notes)
    return prepared, Judged(
        probability=said.probability,
        threshold=threshold,
        interval=(min(said.probability, *said.looks), max(said.probability, *said.looks)),
        sides={str(side): value for side, value in said.sides.items()},
        side=said.side,
        segment=said.segment,
        segments=said.segments,
        place=place,
        record=look.describe(seen, said, bundle.manifest),
    )


def uncalibrated_logit(prepared: PreparedHead, bundle: Bundle, settings: RunSettings) -> float:
    """What a bundle's calibration turns into the head's probability: of the likelier side, or the members' mean.

    Raises
    ------
    BadInputError
        When the bundle needs vessels that aren't known, or the scan is larger than the published input.
    """
    if look.reads_halves(bundle.manifest):
        seen = look.look(prepared.ct, prepared.head.fit.matrix, bundle, settings)
        return max(look.side_logits(seen.looks, bundle.manifest).values())
    return float(np.mean(occlusion.member_logits(prepared, bundle, settings)))


def unused_note(bundle: Bundle, settings: RunSettings) -> str:
    """Which settings were asked for and change nothing; empty where there is none."""
    asked = [("--engine", settings.engine, "torch"), ("--precision", settings.precision, "float32")]
    idle = [name for name, value, only in asked if value not in ("auto", only)]
    if not idle or look.reads_halves(bundle.manifest):
        return ""
    was = "was" if len(idle) == 1 else "were"
    return f"{' and '.join(idle)} {was} not used for the bundle {bundle.name}, which torch runs in float32."


def _by_mcresnet(prepared: PreparedHead, bundle: Bundle, settings: RunSettings) -> Judged:
    said = occlusion.judge_occlusion(prepared, bundle, settings)
    record = occlusion.describe(said, bundle.manifest)
    return Judged(said.probability, said.threshold, said.interval, record=record)
