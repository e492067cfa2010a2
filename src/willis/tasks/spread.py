"""Between what ends a volume may lie: as measured on phantoms, or as members or planes alone give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from willis.measure.conformal import RatioInterval
from willis.models.manifest import Manifest
from willis.tasks.clusters import rules_of
from willis.tasks.taskspec import OptionValue
from willis.units import rounded


@dataclass(frozen=True)
class Spread:
    """Low and high end of a volume.

    Parameters
    ----------
    ends
        ml.
    within
        What lies between them, after the numbers: ``"by member"``.
    method
        A sentence on where they come from; empty where ``within`` says it all.
    """

    ends: tuple[float, float]
    within: str
    method: str = ""

    def share_of(self, whole_ml: float) -> tuple[float, float]:
        """Both ends as per cent of a larger volume."""
        low, high = self.ends
        return 100 * low / whole_ml, 100 * high / whole_ml

    def __str__(self) -> str:
        low, high = (rounded(end, 1) for end in self.ends)
        return f"{low} to {high} {self.within}"


def volume_spread(
    manifest: Manifest,
    options: Mapping[str, OptionValue],
    name: str,
    found_ml: float,
    alone_ml: Sequence[float],
    part: str,
) -> Spread | None:
    """The spread of a volume; None when nothing is known of it.

    The manifest's interval for the measurement ``name`` comes first, unless the user chose another threshold or least
    size than it was measured with; else the ends are the least and the most of the whole and its parts.

    Parameters
    ----------
    manifest, options
        Of the bundle, and of the run with ``threshold`` and ``min_size``.
    name
        Of the measurement.
    found_ml
        The volume.
    alone_ml
        The same by each member, plane or other part alone; fewer than two say nothing.
    part
        What these parts are called: ``"member"``.
    """
    known = manifest.volume_intervals.get(name)
    as_measured = rules_of(manifest, options) == rules_of(manifest, {"threshold": None, "min_size": None})
    if known is not None and as_measured:
        ends = RatioInterval(known.low, known.high, known.offset_ml).around(found_ml)
        share = f"{100 * known.coverage:g} %"
        return Spread(
            ends,
            f"in {share} of phantoms",
            f"The interval of the volume is a split conformal one: {share} of {known.origin} have their true volume in "
            "theirs. How often it holds a patient's wasn't measured.",
        )
    if len(alone_ml) < 2:
        return None
    return Spread((min(found_ml, *alone_ml), max(found_ml, *alone_ml)), f"by {part}")


def in_brackets(spread: Spread | None) -> str:
    """A spread as it stands after its volume; empty when there is none."""
    return "" if spread is None else f" ({spread})"


def methods_of(spread: Spread | None) -> str:
    """The sentence on a spread to end a paragraph of methods with; empty when there is none to say."""
    return f" {spread.method}" if spread is not None and spread.method else ""
