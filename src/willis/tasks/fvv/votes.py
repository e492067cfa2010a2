"""Votes of the members: brain, infarct, and the FLAIR Visibility Volume in it.

Votes are counted as published (Benzakoun 2025, doi:10.1177/23969873251362712): brain by at least half of the members'
largest components, infarct within it by at least half of the members, FLAIR Visibility Volume as the mean over
members of what each calls visible in that infarct.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.image.components import component_sizes, label_components, largest_component
from willis.image.midline import Midline
from willis.models.manifest import Rule
from willis.units import apart, rounded
from willis.volume.grid import Grid

Bool3 = npt.NDArray[np.bool_]
BRAIN_ABOVE = 0.5  # probability, as published: the sign of the logit
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
