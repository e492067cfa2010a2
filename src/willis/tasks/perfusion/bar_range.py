"""What the ends of a map's colour bar stand for, and the map's places on its bar as values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.io.pictures import LEVEL, UNUSUAL, UPRIGHT
from willis.tasks.perfusion.plausible import PLAUSIBLE
from willis.tasks.perfusion.spec import HYPOPERFUSED_TMAX_S, MAPS, SEVERE_TMAX_S
from willis.volume.volume import Volume

FIRST_ENDS = {UPRIGHT: "below", LEVEL: "left"}  # by how a bar stands: where a place of 0 lies
LAST_ENDS = {UPRIGHT: "above", LEVEL: "right"}
NAMED = {"below": "lower", "above": "upper", "left": "left", "right": "right"}
BAR_ROUNDING = 0.005  # of a bar's length, to which its ends are known
MOST_AT_END = 0.1  # of the tissue, from which it is said that CBF lies beyond its bar's end; assumed
_RANGE = re.compile(r"([a-z]+)=(-?[0-9.]+):(-?[0-9.]+)(?::([a-z]+))?")


@dataclass(frozen=True)
class BarRange:
    """Values at the low and the high end of a bar, and where the high one lies.

    Parameters
    ----------
    low, high
        In the map's unit.
    high_end
        ``above``, ``below``, ``left`` or ``right``; empty where the user doesn't say.
    """

    low: float
    high: float
    high_end: str = ""


def bar_ranges(text: Any) -> dict[str, BarRange]:
    """``tmax=0:12,cbf=0:60:below`` by map.

    Raises
    ------
    BadInputError
        When a part can't be read, names no map, or its high value isn't above its low one.

    Examples
    --------
    >>> bar_ranges("tmax=0:12")["tmax"]
    BarRange(low=0.0, high=12.0, high_end='')
    """
    found: dict[str, BarRange] = {}
    for part in str(text or "").split(","):
        if part.strip():
            name, given = _read(part.strip())
            found[name] = given
    return found


def _read(part: str) -> tuple[str, BarRange]:
    match = _RANGE.fullmatch(part)
    try:
        low, high = (float(match[2]), float(match[3])) if match else (0.0, 0.0)
    except ValueError:
        low = high = 0.0
    if match is None or match[1] not in MAPS or not high > low or (match[4] or "above") not in NAMED:
        raise BadInputError(
            f"--range has {part!r}; allowed is MAP=LOW:HIGH with MAP one of {', '.join(MAPS)}: tmax=0:12; where the "
            f"high value stands at the other end, tmax=0:12:below (or {', '.join(n for n in NAMED if n != 'below')})."
        )
    return match[1], BarRange(low, high, match[4] or "")


def in_values(volume: Volume, given: BarRange) -> Volume:
    """A map of places on a bar in its own unit; a note says which end stands for what.

    Raises
    ------
    BadInputError
        When the bar's colours don't tell which end is high and the user doesn't either, or the user names an end that
        the bar doesn't have.
    """
    posture = LEVEL if LEVEL in volume.notes else UPRIGHT
    first, last = FIRST_ENDS[posture], LAST_ENDS[posture]
    if given.high_end and given.high_end not in (first, last):
        raise BadInputError(
            f"--range says that the high value of the {volume.role.upper()} bar stands {given.high_end}, but the bar "
            f"{'lies level' if posture == LEVEL else 'stands upright'}; allowed are {last} and {first}."
        )
    if UNUSUAL in volume.notes and not given.high_end:
        asked = f"--range {volume.role}={given.low:g}:{given.high:g}"
        raise BadInputError(
            f"the colours of the {volume.role.upper()} map's bar don't run as usual (blue or dark {first}, red or "
            f"bright {last}), so that its high end isn't known; look at its numbers and give {asked}:{first} if the "
            f"high value stands {first}, or {asked}:{last} if it stands {last}."
        )
    ends = (given.high, given.low) if given.high_end == first else (given.low, given.high)
    return _between(volume, *ends)


def in_declared_values(volume: Volume, at_first: float, at_last: float, unit: str) -> Volume:
    """A map of places on a bar in values that its metadata declare for the bar's two ends; a note says so."""
    named = f" ({unit})" if unit else ""
    return _between(volume, at_first, at_last).noted(f"The values at the ends of its bar{named} are from its metadata.")


def reaches_beyond(bar: tuple[float, float], value: float) -> bool:
    """Whether a map with a bar from one value to another can show more than ``value``.

    >>> reaches_beyond((0.0, 12.0), 10.0), reaches_beyond((10.01, 0.0), 10.0)
    (True, False)
    """
    return max(bar) * (1 - BAR_ROUNDING) > value


def notes_of_ends(
    bars: Mapping[str, tuple[float, float]], maps: Mapping[str, Volume], tissue: npt.NDArray[np.bool_], tmax_s: float
) -> list[str]:
    """What is said of bars whose ends cut values off that are read.

    Parameters
    ----------
    bars
        Values at the two ends of each, by map, in the map's unit.
    maps, tissue
        (I, J, K) maps by name, and what of them is read.
    tmax_s
        Tissue with a higher Tmax is sought.

    Raises
    ------
    BadInputError
        When Tmax's bar ends before the tissue that is sought.
    """
    notes = []
    least = max(tmax_s, HYPOPERFUSED_TMAX_S)
    if "tmax" in bars and not reaches_beyond(bars["tmax"], least):
        raise BadInputError(
            f"the bar of the Tmax map ends at {max(bars['tmax']):.4g} s, so that it can't show tissue with Tmax above "
            f"{least:g} s, which is sought. Export the map with a longer bar, or give its values as NIfTI."
        )
    if "tmax" in bars and not reaches_beyond(bars["tmax"], SEVERE_TMAX_S):
        notes.append(
            f"The bar of the Tmax map ends at {max(bars['tmax']):.4g} s: tissue with Tmax above {SEVERE_TMAX_S:g} s, "
            "and the hypoperfusion intensity ratio, can't be told."
        )
    if "cbf" in bars and tissue.any():
        low, high = sorted(bars["cbf"])
        share = float((maps["cbf"].data[tissue] >= high - BAR_ROUNDING * (high - low)).mean())
        if share >= MOST_AT_END:
            notes.append(
                f"In {100 * share:.0f} % of the tissue CBF lies at the end of its bar, {high:.4g}, or beyond: the mean "
                "of the other side is too low, and with it the core."
            )
    return notes


def _between(volume: Volume, at_first: float, at_last: float) -> Volume:
    posture = LEVEL if LEVEL in volume.notes else UPRIGHT
    values = (at_first + volume.data * (at_last - at_first)).astype(np.float32)
    notes = tuple(note for note in volume.notes if note not in (UPRIGHT, LEVEL, UNUSUAL))  # the sentence below says it
    return replace(volume.with_data(values, unit=PLAUSIBLE[volume.role].unit), notes=notes).noted(
        f"Its bar runs from {at_first:g} at its {NAMED[FIRST_ENDS[posture]]} end to {at_last:g} at its "
        f"{NAMED[LAST_ENDS[posture]]} end."
    )
