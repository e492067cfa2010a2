"""What is measured on a prepared head, and what it means in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.findings import Decision, Measurement
from willis.models.manifest import Manifest
from willis.tasks.lvo.judge import Judged
from willis.tasks.lvo.prepare import PreparedHead
from willis.tasks.lvo.spec import VESSELS
from willis.tasks.lvo.vessels import DENSE_HU, DENSE_RATIO, SIDES, VesselSide
from willis.tasks.territories import NAMES, RIGHT, TERRITORIES
from willis.units import apart, rounded

LEAST_CLUSTER_ML = 1.0  # of brain darker than its mirror image; smaller clusters are sulci that don't match
VESSEL_NAMES = {"c7": "ICA terminus", "m1": "M1", "m2": "M2", "other": "other vessels"}


@dataclass(frozen=True)
class Territory:
    """One territory on one side, against its mirror image.

    Parameters
    ----------
    name, side
        ``mca``, ``left``.
    hu
        Mean HU of its brain, fluid left out.
    difference_hu
        Mean difference to the mirror image, below 0 where darker.
    darker_ml
        Volume of its brain that is darker.
    """

    name: str
    side: str
    hu: float | None
    difference_hu: float | None
    darker_ml: float


def darker_mask(prepared: PreparedHead, least_hu: float) -> npt.NDArray[np.bool_]:
    """(I, J, K) on the midplane grid: brain darker than its mirror image, in clusters of at least 1 ml."""
    labels, count = ndimage.label(prepared.darker >= least_hu, structure=np.ones((3, 3, 3)))
    if not count:
        return np.zeros(prepared.darker.shape, dtype=bool)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * prepared.head.grid.voxel_ml
    keep = sizes >= LEAST_CLUSTER_ML
    keep[0] = False
    return np.asarray(keep[labels])


def describe_territories(prepared: PreparedHead, darker: npt.NDArray[np.bool_]) -> list[Territory]:
    """Every territory on both sides, in the order of ``TERRITORIES``."""
    signed, hu = prepared.difference.signed, prepared.head.hu.data
    counted = prepared.darker != 0
    found = []
    for code, name in enumerate(TERRITORIES, start=1):
        for side in SIDES:
            inside = prepared.territories == code + (RIGHT if side == "right" else 0)
            there = inside & counted
            known = bool(there.any())
            found.append(
                Territory(
                    name,
                    side,
                    float(hu[there].mean()) if known else None,
                    float(signed[there].mean()) if known else None,
                    float(np.count_nonzero(inside & darker)) * prepared.head.grid.voxel_ml,
                )
            )
    return found


def measure(
    prepared: PreparedHead,
    territories: Sequence[Territory],
    darker: npt.NDArray[np.bool_],
    vessels: Mapping[tuple[str, str], VesselSide],
    judged: Judged,
) -> dict[str, Measurement]:
    """All numbers, the decision's first."""
    middle = darker.shape[0] // 2
    halves = {"left": darker[:middle], "right": darker[middle:]}
    label = "Probability of a large vessel occlusion"
    bounds = (judged.threshold,)
    found = [Measurement("lvo_probability", judged.probability, "1", judged.interval, label, bounds)]
    for side, probability in judged.sides.items():
        found.append(Measurement(f"lvo_{side}_probability", probability, "1", None, f"{label}, {side}", bounds))
    for side, half in halves.items():
        volume = float(np.count_nonzero(half)) * prepared.head.grid.voxel_ml
        label = f"Darker than the other side, {side}"
        found.append(Measurement(f"darker_{side}_volume", volume, "ml", None, label))
    for t in territories:
        label = f"{NAMES[t.name]} territory against the other side, {t.side}"
        found.append(Measurement(f"{t.name}_{t.side}_difference", t.difference_hu, "HU", None, label))
    found += _of_vessels(vessels)
    found.append(Measurement("brain_volume", prepared.head.brain.volume_ml, "ml", None, "Volume of the brain mask"))
    return {measurement.name: measurement for measurement in found}


def _of_vessels(vessels: Mapping[tuple[str, str], VesselSide]) -> list[Measurement]:
    found = []
    for name in VESSELS if vessels else ():
        for side in SIDES:
            one, words = vessels[name, side], f"{VESSEL_NAMES[name]}, {side}"
            found.append(Measurement(f"{name}_{side}_volume", one.volume_ml, "ml", None, f"Volume of {words}"))
            found.append(Measurement(f"{name}_{side}_length", one.length_mm, "mm", None, f"Length of {words}"))
            label = f"Density of {words}"
            found.append(Measurement(f"{name}_{side}_density", one.density_hu, "HU", None, label, (DENSE_HU,)))
        if name != "other":
            ratio = density_ratio(vessels[name, "left"], vessels[name, "right"])
            label = f"Density of {VESSEL_NAMES[name]}, denser side over the other"
            found.append(Measurement(f"{name}_density_ratio", ratio, "1", None, label, (DENSE_RATIO,)))
    return found


def density_ratio(one: VesselSide, other: VesselSide) -> float | None:
    """Mean HU of the denser side over that of the other; None where one of them isn't there."""
    if one.density_hu is None or other.density_hu is None:
        return None
    low, high = sorted((one.density_hu, other.density_hu))
    return high / low


def dense_vessels(vessels: Mapping[tuple[str, str], VesselSide]) -> list[str]:
    """Vessels that show the hyperdense sign, as ``"left M1"``."""
    found = []
    for name in ("c7", "m1", "m2") if vessels else ():
        sides = [vessels[name, side] for side in SIDES]
        ratio = density_ratio(sides[0], sides[1])
        if ratio is None or ratio < DENSE_RATIO:
            continue
        side, one = max(zip(SIDES, sides, strict=True), key=lambda pair: pair[1].density_hu or 0.0)
        if (one.density_hu or 0.0) >= DENSE_HU:
            found.append(f"{side} {VESSEL_NAMES[name]}")
    return found


def territory_table(territories: Sequence[Territory]) -> list[dict[str, Any]]:
    """One row a territory and side."""
    return [
        {
            "territory": NAMES[t.name],
            "side": t.side,
            "density_hu": t.hu,
            "difference_hu": t.difference_hu,
            "darker_volume_ml": t.darker_ml,
        }
        for t in territories
    ]


def decide(
    judged: Judged, manifest: Manifest, dense: Sequence[str], contrast: bool = False, cut: bool = False
) -> Decision:
    """Whether an occlusion is suspected, where, and how far the probability can be trusted.

    Not with contrast agent, nor where the scan cuts the vessels' usual courses.
    """
    suspected = judged.probability >= judged.threshold
    answer = "suspected" if suspected else "not suspected"
    where = ""
    if suspected and judged.segment:
        share = judged.segments.get(judged.segment)
        sure = "" if share is None else f" (share {share:.2f} of the five answers)"
        where = f", most likely {judged.side} {segment_name(judged.segment)}{sure}"
    calibration = manifest.calibration
    trust = f"calibrated on {calibration.origin}" if calibration is not None else "not calibrated"
    sign = f" Hyperdense: {', '.join(dense)}." if dense else ""
    reasons = [
        words
        for doubted, words in ((contrast, "vessels hold contrast agent"), (cut, "the scan doesn't show all vessels"))
        if doubted
    ]
    doubt = f" {' and '.join(reasons).capitalize()}: the probability can't be trusted." if reasons else ""
    probability, threshold = apart(judged.probability, judged.threshold, 2)
    reason = (
        f"A large vessel occlusion is {answer}{where}: probability {probability} ({trust}), threshold {threshold}."
        f"{sign}{doubt}"
    )
    return Decision("large vessel occlusion", answer, reason, certain=calibration is not None and not reasons)


def segment_name(segment: str) -> str:
    """``c7+m1`` as ICA terminus and M1."""
    return " and ".join(VESSEL_NAMES[name] for name in segment.split("+"))


def segment_table(judged: Judged) -> list[dict[str, Any]]:
    """One row an answer of the third stage, on the likelier side."""
    return [
        {"side": judged.side, "segment": segment_name(name), "share_if_occluded": share}
        for name, share in judged.segments.items()
    ]


def summarise(
    decision: Decision, territories: Sequence[Territory], darker: npt.NDArray[np.bool_], voxel_ml: float, least: float
) -> str:
    """The finding in words: the decision, and where brain is darker than its mirror image."""
    total = float(np.count_nonzero(darker)) * voxel_ml
    if not total:
        return f"{decision.reason} No brain is darker than its mirror image by {least:g} HU or more."
    worst = sorted((t for t in territories if t.darker_ml > 0), key=lambda t: -t.darker_ml)
    where = ", ".join(f"{t.side} {NAMES[t.name]} {rounded(t.darker_ml, 0)} ml" for t in worst[:3])
    return (
        f"{decision.reason} {total:.0f} ml of brain are darker than its mirror image by {least:g} HU or more"
        f"{f': {where}' if where else ''}. This may be new or old, an infarct or something else."
    )
