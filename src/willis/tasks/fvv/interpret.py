"""What the members' answers mean: votes, the FLAIR Visibility Volume, and the decision with its reason.

Votes are counted as published (Benzakoun 2025, doi:10.1177/23969873251362712): brain by at least half of the members'
largest components, infarct within it by at least half of the members, FLAIR Visibility Volume as the mean over
members of what each calls visible in that infarct.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.findings import Decision, Lesion, Measurement
from willis.image.components import component_sizes, label_components, largest_component
from willis.image.midline import Midline
from willis.measure.overlap import dice
from willis.models.manifest import Rule
from willis.tasks.fvv.spec import MISMATCH_BELOW_ML
from willis.units import apart, rounded
from willis.volume.grid import Grid
from willis.volume.volume import Volume

Bool3 = npt.NDArray[np.bool_]
DECISION = "DWI-FLAIR mismatch"
BRAIN_ABOVE = 0.5  # probability, as published: the sign of the logit
MIDDLE_MM = 1e-3  # voxels nearer to the brain's middle lie on it, and count half for either side
NEAR, NEAR_RATIO, UNCONFIRMED = "near the cutoff", "near the cutoff of b0's ratio to the other side", "unconfirmed"
WHY = {  # what makes an answer doubtful, before the ends of the volume
    NEAR: "It is near the cutoff: single members find",
    NEAR_RATIO: "That ratio is near its cutoff, on whose other side it may be: the volume may be",
    UNCONFIRMED: "Nothing confirms the network's volume, which may be",
}
LOWERED_ADC = 0.85  # of the brain's median, which CSF raises; assumed: infarcts of the first week have 0.4 to 0.8


@dataclass(frozen=True)
class OtherSide:
    """The infarct's b0 against the mirrored side, and what follows for its visible part.

    Parameters
    ----------
    ratio
        Of :func:`willis.tasks.fvv.asymmetry.b0_ratio`; None when the infarct has no other side to be compared with.
    least
        Below it, nothing of the infarct counts as visible.
    spread
        Of the logarithm of the ratio, between infarcts that FLAIR doesn't show.
    network_ml
        Visible volume by each member alone.
    """

    ratio: float | None
    least: float
    spread: float
    network_ml: tuple[float, ...]

    @property
    def hidden(self) -> bool:
        """Whether b0 isn't brighter than on the other side."""
        return self.ratio is not None and self.ratio < self.least

    @property
    def doubtful(self) -> bool:
        """Whether the ratio is unknown, or lies within the spread of the least one."""
        return self.ratio is None or bool(abs(np.log(self.ratio / self.least)) < self.spread)

    @property
    def told(self) -> str:
        """In words, how the ratio was used."""
        if self.ratio is None:
            return (
                "b0 could not be compared with the other side, so that what the network calls visible is unconfirmed."
            )
        ratio, least = apart(self.ratio, self.least, 2)
        said = f"b0 in the infarct is {ratio} times as bright as on the other side"
        if not self.hidden:
            return f"{said}; from {least} times on, what the network calls visible counts."
        return (
            f"{said}, below {least} times: none of it counts as visible. The network alone called "
            f"{np.mean(self.network_ml):.2f} ml visible."
        )


@dataclass(frozen=True)
class Votes:
    """What the members agree on, (I, J, K) each, on one grid.

    Parameters
    ----------
    grid
        Where they were counted.
    brain, lesion
        By at least half of the members; the lesion within the brain.
    visible
        Number of members that call a voxel of the lesion visible, ``uint8``.
    members
        How many there are.
    visible_ml
        Visible volume in the lesion by each member.
    counted_ml
        Volume of the lesion where ``visible_ml`` was counted, which may be between the voxels.
    dropped_ml
        Volume of each part that was found and dropped, since its ADC isn't lowered.
    other_side
        What b0 says against its mirrored side; None where no such rule belongs to the bundle, or no infarct was found.
    plane
        Between the brain's halves; None where it wasn't looked for.
    """

    grid: Grid
    brain: Bool3
    lesion: Bool3
    visible: npt.NDArray[np.uint8]
    members: int
    visible_ml: tuple[float, ...]
    counted_ml: float
    dropped_ml: tuple[float, ...] = ()
    other_side: OtherSide | None = None
    plane: Midline | None = None

    @property
    def fvv_ml(self) -> float:
        """FLAIR Visibility Volume: mean over members."""
        return float(np.mean(self.visible_ml))

    @property
    def interval_ml(self) -> tuple[float, float] | None:
        """From the member that sees least to the one that sees most, and from 0 to what they see where b0 may not be
        brighter than on the other side, or can't be compared with it; None for a single, undoubted one.
        """
        if self.other_side is not None and self.other_side.doubtful:
            return 0.0, max(self.other_side.network_ml)
        return (min(self.visible_ml), max(self.visible_ml)) if self.members > 1 else None

    @property
    def told_dropped(self) -> str:
        """In words, what was dropped for its ADC; empty when nothing was."""
        count = len(self.dropped_ml)
        if not count:
            return ""
        part, its, was = ("part", "its", "was") if count == 1 else ("parts", "their", "were")
        return (
            f"{count} {part} of {rounded(sum(self.dropped_ml), 2)} ml in all {was} found and dropped, since {its} "
            f"median ADC is not below {LOWERED_ADC:g} times the brain's: so is signal that distortion piles up, and so "
            "may be an infarct of more than a week."
        )

    @property
    def visible_mask(self) -> Bool3:
        """(I, J, K) what at least half of the members call visible."""
        return np.asarray(self.lesion & (2 * self.visible.astype(int) >= self.members))


def count_votes(
    answers: Iterable[npt.NDArray[np.floating]], grid: Grid, threshold: float = 0.5, min_voxels: int = 1,
    adc: npt.NDArray[np.floating] | None = None,
) -> Votes:  # fmt: skip
    """Count the members' votes.

    Parameters
    ----------
    answers
        Each member's probabilities (3, I, J, K): brain, lesion, visible.
    grid
        Where they lie.
    threshold
        Probability above which a voxel counts as infarct or visible; as brain it does above 0.5.
    min_voxels
        Parts of the lesion with fewer voxels are dropped; 1 keeps all, as published.
    adc
        (I, J, K), NaN where it isn't known; when given, parts of the lesion whose ADC isn't lowered are dropped.
        Published bundles keep them.
    """
    brain = np.zeros(grid.shape, dtype=np.uint8)
    lesion, visible = brain.copy(), brain.copy()
    seen: list[Bool3] = []
    for answer in answers:
        found = answer > threshold
        brain += largest_component(answer[0] > BRAIN_ABOVE, 26)
        lesion += found[1]
        visible += found[2]
        seen.append(found[2])
    count = len(seen)
    agreed = 2 * brain.astype(int) >= count
    infarct = _without_specks(agreed & (2 * lesion.astype(int) >= count), min_voxels)
    dropped_ml: tuple[float, ...] = ()
    if adc is not None:
        kept = restricted(infarct, adc, agreed)
        labels, parts = label_components(infarct & ~kept, 26)
        dropped_ml = tuple(float(size) * grid.voxel_ml for size in component_sizes(labels, parts))
        infarct = kept
    volumes = tuple(float(np.count_nonzero(one & infarct)) * grid.voxel_ml for one in seen)
    lesion_ml = float(np.count_nonzero(infarct)) * grid.voxel_ml
    shown = np.where(infarct, visible, 0).astype(np.uint8)
    return Votes(grid, agreed, infarct, shown, count, volumes, lesion_ml, dropped_ml)


def _without_specks(mask: Bool3, min_voxels: int) -> Bool3:
    if min_voxels <= 1 or not mask.any():
        return mask
    labels, count = label_components(mask, 26)
    kept = np.concatenate([[False], component_sizes(labels, count) >= min_voxels])
    return np.asarray(kept[labels])


def restricted(lesion: Bool3, adc: npt.NDArray[np.floating], brain: Bool3, lowered: float = LOWERED_ADC) -> Bool3:
    """The parts of a lesion whose median ADC is below ``lowered`` times the brain's: piled-up signal isn't lowered.

    Voxels whose ADC isn't known (NaN) don't count; a part of such alone is kept.
    """
    labels, count = label_components(lesion, 26)
    if count == 0:
        return lesion
    known = np.isfinite(adc)
    usual = float(np.median(adc[brain & known])) if (brain & known).any() else np.inf
    index = np.arange(1, count + 1)
    of_none = ~np.isin(index, labels[known])
    medians = np.asarray(ndimage.median(np.where(known, adc, 0), np.where(known, labels, 0), index))
    kept = np.concatenate([[False], of_none | (medians < lowered * usual)])
    return np.asarray(kept[labels])


def mean_adc(lesion: Bool3, adc: npt.NDArray[np.floating]) -> float | None:
    """Mean ADC of the infarct's voxels where it is known (not NaN); None where it is for none."""
    values = adc[lesion & np.isfinite(adc)]
    return float(values.mean()) if values.size else None


def without_what_b0_hides(votes: Votes, ratio: float | None, rule: Rule | None) -> Votes:
    """The votes with nothing visible where b0 isn't brighter than on the other side.

    Parameters
    ----------
    ratio
        Of :func:`willis.tasks.fvv.asymmetry.b0_ratio`; None leaves the members' volume, in doubt.
    rule
        The bundle's ``visible_b0_ratio``; without one, the members alone count.
    """
    if rule is None or not votes.lesion.any():
        return votes
    other = OtherSide(ratio, rule.value, rule.spread, votes.visible_ml)
    if not other.hidden:
        return replace(votes, other_side=other)
    nothing = np.zeros_like(votes.visible)
    return replace(votes, visible=nothing, visible_ml=tuple(0.0 for _ in votes.visible_ml), other_side=other)


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


def describe_lesions(
    lesion: Bool3,
    visible: Bool3,
    probability: npt.NDArray[np.floating],
    brain: Bool3,
    grid: Grid,
    plane: Midline | None = None,
) -> list[Lesion]:
    """One row for each part of the infarct, on the b1000's own grid; its region is its side and how much is visible.

    Sides are those of ``plane``; when None, of the vertical plane through the brain's middle.
    """
    labels, count = label_components(lesion, 26)
    if count == 0:
        return []
    index = np.arange(1, count + 1)
    sizes = component_sizes(labels, count)
    centres = grid.to_mm(np.array(ndimage.center_of_mass(lesion, labels, index)))
    mean = np.asarray(ndimage.mean(probability, labels, index))
    shown = np.asarray(ndimage.mean(visible, labels, index))
    plane = plane or vertical_plane(brain if brain.any() else lesion, grid)
    across_mm = rightwards_mm(plane, centres)
    return [
        Lesion(
            index=k + 1,
            volume_ml=float(sizes[k]) * grid.voxel_ml,
            centroid_mm=(float(centres[k, 0]), float(centres[k, 1]), float(centres[k, 2])),
            region=f"{'left' if across_mm[k] < 0 else 'right'}, {rounded(100 * shown[k], 0)} % visible",
            probability=float(mean[k]),
        )
        for k in range(count)
    ]


def vertical_plane(mask: Bool3, grid: Grid) -> Midline:
    """The scanner's plane between left and right through the middle of a mask."""
    return Midline((1.0, 0.0, 0.0), float(grid.to_mm(np.argwhere(mask).mean(axis=0))[0]))


def rightwards_mm(plane: Midline, points_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(n,) how far points (n, 3) lie to the right of a plane, mm; on the left it is below 0."""
    return np.asarray(points_mm @ np.array(plane.normal) - plane.offset_mm)


def measure(
    votes: Votes, lesions: Sequence[Lesion], adc_mm2_s: float | None, rater: Mapping[str, float | None]
) -> dict[str, Measurement]:
    """All numbers of the finding; volumes are counted where the votes are.

    Parameters
    ----------
    adc_mm2_s
        Mean ADC in the infarct; None when there is none.
    rater
        Of :func:`score_rater`; empty when no mask was given.
    """
    voxel_ml = votes.grid.voxel_ml
    ratio = votes.other_side.ratio if votes.other_side is not None else None
    lesion_ml = float(np.count_nonzero(votes.lesion)) * voxel_ml
    fvv, interval, whole = votes.fvv_ml, votes.interval_ml, votes.counted_ml
    share = None if interval is None or not whole else (100 * interval[0] / whole, 100 * interval[1] / whole)
    least = (votes.other_side.least,) if votes.other_side is not None else ()
    found = [
        Measurement("flair_visibility_volume", fvv, "ml", interval, "FLAIR Visibility Volume", (MISMATCH_BELOW_ML,)),
        Measurement("lesion_volume", lesion_ml, "ml", None, "Acute infarct"),
        Measurement("visible_share", 100 * fvv / whole if whole else None, "%", share, "Visible share"),
        Measurement("lesion_adc", None if adc_mm2_s is None else 1e3 * adc_mm2_s, "um2/ms", None, "ADC in the infarct"),
        Measurement("b0_ratio", ratio, "1", None, "b0 in the infarct over that on the other side", least),
        Measurement("lesion_count", len(lesions), "count", None, "Parts of the infarct"),
        Measurement("lesion_left_share", left_share(votes), "%", None, "Share on the left"),
        Measurement("brain_volume", float(np.count_nonzero(votes.brain)) * voxel_ml, "ml", None, "Brain volume"),
    ]
    if rater:
        found.append(Measurement("rater_dice", rater["dice"], "1", None, "Dice with the rater's mask"))
        found.append(Measurement("rater_volume", rater["volume_ml"], "ml", None, "Rater's mask"))
        inside = rater["in_lesion_ml"]
        found.append(Measurement("rater_in_lesion_volume", inside, "ml", None, "Rater's mask in the infarct found"))
    return {measurement.name: measurement for measurement in found}


def left_share(votes: Votes) -> float | None:
    """Share of the infarct's voxels left of the brain's middle, %; None without an infarct."""
    if not votes.lesion.any():
        return None
    plane = votes.plane or vertical_plane(votes.brain, votes.grid)
    x_mm = rightwards_mm(plane, votes.grid.to_mm(np.argwhere(votes.lesion)))
    return 100 * float(np.mean(x_mm < -MIDDLE_MM) + np.mean(np.abs(x_mm) <= MIDDLE_MM) / 2)


def score_rater(visible: Bool3, lesion: Bool3, rater: Volume, volume_ml: float) -> dict[str, float | None]:
    """A rater's mask against what was found.

    Parameters
    ----------
    visible, lesion
        (I, J, K) on the grid of ``rater``.
    rater
        The mask on the b1000's grid.
    volume_ml
        Of the whole mask, as it was given.

    Returns
    -------
    dict
        ``dice`` with the visible part, ``volume_ml``, and ``in_lesion_ml``, the part of it in the infarct found.
    """
    seen = rater.data > 0
    inside = float(np.count_nonzero(seen & lesion)) * rater.grid.voxel_ml
    return {"dice": dice(visible, seen), "volume_ml": volume_ml, "in_lesion_ml": inside}


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
