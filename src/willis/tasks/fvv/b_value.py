"""Which b value a b1000 has, s/mm², and what a reader must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from willis.errors import BadInputError
from willis.study import Study
from willis.tasks.fvv.spec import B_RANGE

DEFAULT_B = 1000.0


def b_value(study: Study, options: Mapping[str, Any]) -> float:
    """B of the b1000, s/mm²: what was given, else what the .bval says, else 1000.

    Raises
    ------
    BadInputError
        When it is outside 800 to 1200.
    """
    known = (options.get("b_value"), study.scalars.get("b_value"))
    b = next((float(value) for value in known if value is not None), DEFAULT_B)
    low, high = B_RANGE
    if not low <= b <= high:
        raise BadInputError(f"the b value is {b:g} s/mm²; allowed is {low:g} to {high:g}.")
    return b


def told_b(study: Study, options: Mapping[str, Any], b: float) -> list[str]:
    """In words, where the b that is used comes from, when a reader could doubt it."""
    given, told = options.get("b_value"), study.scalars.get("b_value")
    notes = []
    if given is None and told is None:
        notes.append(
            f"No b value was given, nor a .bval beside the b1000: {b:g} s/mm² is assumed; --b-value says another."
        )
    elif given is not None and told is not None and float(given) != told:
        notes.append(f"The .bval says {told:g} s/mm²; {b:g} was given, and is used.")
    if (said := study.scalars.get("sidecar_b_value", b)) != b:
        notes.append(_told_sidecar(said, b, made="b0" not in study))
    if b != DEFAULT_B:
        notes.append(f"The b value is {b:g} s/mm²; the method was made for {DEFAULT_B:g}.")
    return notes


def _told_sidecar(said: float, b: float, *, made: bool) -> str:
    """That the JSON names another b than the one used, and what to do; ``made``: the b0 is made of an ADC with it."""
    low, high = B_RANGE
    advice = f"give --b-value {said:g}" if low <= said <= high else f"give an image of b {low:g} to {high:g} instead"
    return (
        f"The JSON beside the b1000 says DiffusionBValue {said:g} s/mm², and {b:g} was used"
        f"{', for the b0 made of the ADC too' if made else ''}. If the JSON is right, {advice}."
    )
