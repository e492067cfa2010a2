"""Whether the values of a scalar map are in the unit that they should be in, by the values themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.volume.volume import Volume


@dataclass(frozen=True)
class Unit:
    """Another unit that a map is seen in: medians of the brain that speak for it, and how it is turned."""

    name: str
    low: float
    high: float
    factor: float


@dataclass(frozen=True)
class Plausible:
    """What a map's median in the brain may be in its own unit, and the units that are turned into it.

    ``most`` is what the 99th percentile of the values above 0 can be in the own unit; None where nothing is known.
    """

    unit: str
    low: float
    high: float
    others: tuple[Unit, ...]
    most: float | None = None


HIGH_PERCENTILE = 99.0
MOST_TMAX_S = 100.0  # a series that can show a later one isn't taken; assumed

# medians over the brain, sick or not; between the ranges of two units nothing is guessed
PLAUSIBLE: dict[str, Plausible] = {
    "cbf": Plausible("ml/100g/min", 5.0, 150.0, (Unit("ml/g/s", 0.0008, 0.025, 6000.0),)),
    "cbv": Plausible("ml/100g", 0.4, 15.0, (Unit("ml/g", 0.004, 0.15, 100.0),)),
    "mtt": Plausible("s", 1.5, 40.0, (Unit("ms", 1500.0, 40000.0, 0.001),)),
    "ttp": Plausible("s", 0.5, 90.0, (Unit("ms", 500.0, 90000.0, 0.001),)),
    "tmax": Plausible("s", 0.0, 30.0, (Unit("ms", 200.0, 30000.0, 0.001),), MOST_TMAX_S),
}


def in_own_unit(volume: Volume, brain: npt.NDArray[np.bool_]) -> Volume:
    """The map in the unit of its kind; what was turned is said in its notes.

    Raises
    ------
    BadInputError
        When its median in the brain fits no unit known, or its highest values another one than the median.
    """
    wanted = PLAUSIBLE[volume.role]
    values = np.asarray(volume.data[brain], dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size == 0:
        raise BadInputError(f"the {volume.role.upper()} map holds no values in the brain.")
    median = float(np.median(values))
    above = values[values > 0]
    top = float(np.percentile(above, HIGH_PERCENTILE)) if above.size else 0.0
    if wanted.most is not None and wanted.low <= median <= wanted.high and top > wanted.most:
        return _by_top(volume, wanted, median, float(np.median(above)), top)
    if wanted.low <= median <= wanted.high:
        return volume.with_data(volume.data.astype(np.float32), unit=wanted.unit)
    for other in wanted.others:
        if other.low <= median <= other.high:
            turned = (volume.data * other.factor).astype(np.float32)
            return volume.with_data(turned, unit=wanted.unit).noted(
                f"Its median in the brain is {median:.4g}: read as {other.name} and turned into {wanted.unit}."
            )
    allowed = [f"{wanted.low:g} to {wanted.high:g} ({wanted.unit})"]
    allowed += [f"{o.low:g} to {o.high:g} ({o.name})" for o in wanted.others]
    raise BadInputError(
        f"the {volume.role.upper()} map has a median of {median:.4g} in the brain, which fits no unit: expected is "
        f"{' or '.join(allowed)}. Give it in {wanted.unit}."
    )


def _by_top(volume: Volume, wanted: Plausible, median: float, usual: float, top: float) -> Volume:
    """A map whose median fits its own unit and whose highest values don't: turned where all above 0 fit another.

    Raises
    ------
    BadInputError
        When they don't.
    """
    for other in wanted.others:
        if other.low <= usual and top * other.factor <= (wanted.most or np.inf):
            turned = (volume.data * other.factor).astype(np.float32)
            return volume.with_data(turned, unit=wanted.unit).noted(
                f"The median of its values above 0 is {usual:.4g}: read as {other.name} and turned into {wanted.unit}."
            )
    names = " or ".join([wanted.unit, *(other.name for other in wanted.others)])
    raise BadInputError(
        f"the {volume.role.upper()} map has a median of {median:.4g} and a 99th percentile of {top:.4g} in the brain, "
        f"which fit no one unit ({names}): in {wanted.unit} at most {wanted.most:g} is expected. Give it in "
        f"{wanted.unit}, without values that stand for something else."
    )
