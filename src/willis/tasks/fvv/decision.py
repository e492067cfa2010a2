"""The decision on an infarct's age by its FLAIR Visibility Volume, with its reason and what makes it doubtful."""

from __future__ import annotations

from collections.abc import Mapping

from willis.findings import Decision, Measurement
from willis.tasks.fvv.spec import MISMATCH_BELOW_ML
from willis.tasks.fvv.votes import Votes
from willis.units import apart, rounded

DECISION = "DWI-FLAIR mismatch"
NEAR, NEAR_RATIO, UNCONFIRMED = "near the cutoff", "near the cutoff of b0's ratio to the other side", "unconfirmed"
WHY = {  # what makes an answer doubtful, before the ends of the volume
    NEAR: "It is near the cutoff: single members find",
    NEAR_RATIO: "That ratio is near its cutoff, on whose other side it may be: the volume may be",
    UNCONFIRMED: "Nothing confirms the network's volume, which may be",
}


def decide(votes: Votes) -> Decision:
    """Mismatch when the FLAIR Visibility Volume is below 0.5 ml, with how sure the members are of it."""
    if not votes.lesion.any():
        found = (
            f"No acute infarct is left: {votes.told_dropped}"
            if votes.dropped_ml
            else ("No acute infarct was found, so that there is nothing FLAIR could show.")
        )
        return Decision(DECISION, "no decision", found, False)
    mismatch = votes.fvv_ml < MISMATCH_BELOW_ML
    side = "below" if mismatch else "not below"
    reason = (
        f"The FLAIR Visibility Volume is {told_ml(votes.fvv_ml)} ml, {side} {MISMATCH_BELOW_ML:g} ml: FLAIR "
        + ("would hardly show the infarct, which speaks for an onset within" if mismatch else "would show the infarct, "
           "which speaks for an onset before")
        + " the time window of thrombolysis."
    )  # fmt: skip
    if votes.other_side is not None:
        reason += f" {votes.other_side.told}"
    doubt = doubt_of(votes)
    if doubt and votes.interval_ml is not None:
        ends = " to ".join(map(told_ml, votes.interval_ml))
        reason += f" {WHY[doubt]} {ends} ml."
    return Decision(DECISION, "mismatch" if mismatch else "no mismatch", reason, certain=not doubt)


def doubt_of(votes: Votes) -> str:
    """In what the answer is in doubt, in words of :data:`WHY`; empty where it is certain."""
    low, high = votes.interval_ml or (votes.fvv_ml, votes.fvv_ml)
    if not low < MISMATCH_BELOW_ML <= high:
        return ""
    other = votes.other_side
    if other is None or not other.doubtful:
        return NEAR
    return UNCONFIRMED if other.ratio is None else NEAR_RATIO


def told_ml(volume_ml: float) -> str:
    """A volume on its side of the cutoff, in ml."""
    return apart(volume_ml, MISMATCH_BELOW_ML, 2)[0]


def summarise(
    decision: Decision, measurements: Mapping[str, Measurement], *, dropped: bool = False, doubt: str = NEAR
) -> str:
    """The finding in words, the decision first.

    Parameters
    ----------
    dropped
        Whether parts were found and dropped for their ADC.
    doubt
        Of :func:`doubt_of`, said where the decision isn't certain.
    """
    lesion = measurements["lesion_volume"].value or 0.0
    if decision.answer == "no decision":
        told = "is left after what has no lowered ADC was dropped" if dropped else "was found"
        return f"No acute infarct {told}. {DECISION}: no decision."
    fvv = measurements["flair_visibility_volume"]
    spread = "" if fvv.interval is None else f" ({' to '.join(map(told_ml, fvv.interval))})"
    words = {"mismatch": "DWI-FLAIR mismatch", "no mismatch": "No DWI-FLAIR mismatch"}[decision.answer]
    unsure = "" if decision.certain else f", {doubt}"
    volume = told_ml(fvv.value or 0.0)
    return (
        f"{words}{unsure}: FLAIR Visibility Volume {volume} ml{spread} of an acute infarct of {rounded(lesion, 2)} ml; "
        f"the cutoff is {MISMATCH_BELOW_ML:g} ml."
    )
