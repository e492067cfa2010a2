"""Whom two trials took in, by imaging and clinical figures: met, not met or unknown, and never advice."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from willis.findings import Measurement
from willis.units import apart

MOST_CORE_ML, LEAST_RATIO, LEAST_MISMATCH_ML = 70.0, 1.8, 15.0  # DEFUSE 3, doi:10.1056/NEJMoa1713973
CORE_BOUNDS_ML = (21.0, 31.0, 51.0, MOST_CORE_ML)  # the first three: DAWN, doi:10.1056/NEJMoa1706442


def criteria(measurements: Mapping[str, Measurement], nihss: float | None, age: float | None) -> list[dict[str, Any]]:
    """The imaging and clinical figures of two trials, each stated as met, not met or unknown.

    They describe whom the trials took in. They are no advice for or against any treatment.
    """
    core, gap = value_of(measurements, "core_volume"), value_of(measurements, "penumbra_volume")
    late = value_of(measurements, "hypoperfused_volume")
    ratio = None if core is None or late is None else late / core if core > 0 else np.inf if late > 0 else None
    rows = [
        _row("DEFUSE 3", "core volume", core, "ml", f"below {MOST_CORE_ML:g}",
             None if core is None else core < MOST_CORE_ML, MOST_CORE_ML),
        _row("DEFUSE 3", "mismatch ratio", ratio, "", f"at least {LEAST_RATIO:g}",
             None if ratio is None else ratio >= LEAST_RATIO, LEAST_RATIO),
        _row("DEFUSE 3", "mismatch volume", gap, "ml", f"at least {LEAST_MISMATCH_ML:g}",
             None if gap is None else gap >= LEAST_MISMATCH_ML, LEAST_MISMATCH_ML),
        _row("DEFUSE 3", "NIHSS", nihss, "", "at least 6", None if nihss is None else nihss >= 6),
        _row("DEFUSE 3", "age", age, "years", "18 to 90", None if age is None else 18 <= age <= 90),
    ]  # fmt: skip
    for group, words, old, least, low, high in (
        ("DAWN group A", "age at least 80, NIHSS at least 10, core below 21 ml", True, 10, 0.0, 21.0),
        ("DAWN group B", "age below 80, NIHSS at least 10, core below 31 ml", False, 10, 0.0, 31.0),
        ("DAWN group C", "age below 80, NIHSS at least 20, core 31 to below 51 ml", False, 20, 31.0, 51.0),
    ):
        parts = [
            None if age is None else (age >= 80) == old,
            None if nihss is None else nihss >= least,
            None if core is None else low <= core < high,
        ]
        met = False if False in parts else None if None in parts else True
        rows.append(_row(group, "age, NIHSS and core", None, "", words, met))
    return rows


def told_core(core_ml: float) -> str:
    """A core's volume in ml with one decimal, or as many as keep it on its side of the trials' bounds and of 0.

    >>> told_core(45.04), told_core(69.97)
    ('45.0', '69.97')
    """
    return _told(core_ml, CORE_BOUNDS_ML)


def told_penumbra(penumbra_ml: float) -> str:
    """A mismatch volume likewise."""
    return _told(penumbra_ml, (LEAST_MISMATCH_ML,))


def told_ratio(ratio: float) -> str:
    """A mismatch ratio likewise.

    >>> told_ratio(1.77), told_ratio(1.84), told_ratio(1.8)
    ('1.77', '1.84', '1.8')
    """
    return _told(ratio, (LEAST_RATIO,))


def _told(value: float, bounds: Iterable[float]) -> str:
    return max((apart(value, bound, 1)[0] for bound in (0.0, *bounds)), key=len)


def _row(
    trial: str, figure: str, value: float | None, unit: str, wanted: str, met: bool | None, bound: float | None = None
) -> dict[str, Any]:
    """One criterion; a value with a ``bound`` is rounded, but never onto it."""
    found = "unknown" if value is None else "no core" if np.isinf(value) else f"{_rounded(value, bound)} {unit}".strip()
    if figure == "age, NIHSS and core":
        found = "see above"
    return {
        "trial": trial,
        "figure": figure,
        "found": found,
        "criterion": wanted,
        "met": "unknown" if met is None else "met" if met else "not met",
    }


def _rounded(value: float, bound: float | None) -> str:
    """To three significant digits, or as many as keep it on its side of the bound.

    >>> _rounded(5.66, 70), _rounded(69.97, 70), _rounded(1234.5, 1.8), _rounded(0.0, 70), _rounded(71.5, None)
    ('5.66', '69.97', '1234', '0', '71.5')
    """
    if bound is None or value == 0:
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    words = apart(value, bound, decimals)[0]
    return words.rstrip("0").rstrip(".") if "." in words else words


def value_of(measurements: Mapping[str, Measurement], name: str) -> float | None:
    """A measurement's value; None where it wasn't made or isn't defined."""
    found = measurements.get(name)
    return None if found is None else found.value
