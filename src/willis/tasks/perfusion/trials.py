"""Whom two trials took in, by imaging and clinical figures: met, not met or unknown, and never advice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from willis.findings import Measurement
from willis.units import beside

DEFUSE_CORE_ML, DEFUSE_RATIO, DEFUSE_MISMATCH_ML = 70.0, 1.8, 15.0  # Albers 2018, doi:10.1056/NEJMoa1713973
DAWN_CORE_ML = (21.0, 31.0, 51.0)  # Nogueira 2018, doi:10.1056/NEJMoa1706442
BOUNDS: dict[str, tuple[float, ...]] = {
    "core_volume": (*DAWN_CORE_ML, DEFUSE_CORE_ML),
    "penumbra_volume": (DEFUSE_MISMATCH_ML,),
    "mismatch_ratio": (DEFUSE_RATIO,),
}
"""Cutoffs of the trials by measurement, between which a rounded number keeps its place."""


def criteria(measurements: Mapping[str, Measurement], nihss: float | None, age: float | None) -> list[dict[str, Any]]:
    """The imaging and clinical figures of two trials, each stated as met, not met or unknown.

    They describe whom the trials took in. They are no advice for or against any treatment.
    """
    core, gap = value_of(measurements, "core_volume"), value_of(measurements, "penumbra_volume")
    late = value_of(measurements, "hypoperfused_volume")
    ratio = None if core is None or late is None else late / core if core > 0 else np.inf if late > 0 else None
    small = None if core is None else core < DEFUSE_CORE_ML
    far = None if ratio is None else ratio >= DEFUSE_RATIO
    large = None if gap is None else gap >= DEFUSE_MISMATCH_ML
    rows = [
        _row("DEFUSE 3", "core volume", core, "ml", f"below {DEFUSE_CORE_ML:g}", small, BOUNDS["core_volume"]),
        _row("DEFUSE 3", "mismatch ratio", ratio, "", f"at least {DEFUSE_RATIO:g}", far, BOUNDS["mismatch_ratio"]),
        _row(
            "DEFUSE 3", "mismatch volume", gap, "ml", f"at least {DEFUSE_MISMATCH_ML:g}", large,
            BOUNDS["penumbra_volume"],
        ),
        _row("DEFUSE 3", "NIHSS", nihss, "", "at least 6", None if nihss is None else nihss >= 6),
        _row("DEFUSE 3", "age", age, "years", "18 to 90", None if age is None else 18 <= age <= 90),
    ]  # fmt: skip
    first, second, third = DAWN_CORE_ML
    for group, words, old, least, low, high in (
        ("A", f"age at least 80, NIHSS at least 10, core below {first:g} ml", True, 10, 0.0, first),
        ("B", f"age below 80, NIHSS at least 10, core below {second:g} ml", False, 10, 0.0, second),
        ("C", f"age below 80, NIHSS at least 20, core {second:g} to below {third:g} ml", False, 20, second, third),
    ):
        parts = [
            None if age is None else (age >= 80) == old,
            None if nihss is None else nihss >= least,
            None if core is None else low <= core < high,
        ]
        met = False if False in parts else None if None in parts else True
        rows.append(_row(f"DAWN group {group}", "age, NIHSS and core", None, "", words, met))
    return rows


def told(name: str, value: float) -> str:
    """A measurement's number with a decimal, or as many as keep it on its side of the trials' cutoffs and off 0.

    >>> told("core_volume", 45.04), told("core_volume", 69.97), told("mismatch_ratio", 1.8)
    ('45.0', '69.97', '1.8')
    """
    return beside(value, (0, *BOUNDS[name]), 1)


def _row(
    trial: str,
    figure: str,
    value: float | None,
    unit: str,
    wanted: str,
    met: bool | None,
    bounds: tuple[float, ...] = (),
) -> dict[str, Any]:
    """One criterion; a value with ``bounds`` is rounded, but never onto one or across it."""
    found = (
        "unknown" if value is None else "no core" if np.isinf(value) else f"{_rounded(value, bounds)} {unit}".strip()
    )
    if figure == "age, NIHSS and core":
        found = "see above"
    return {
        "trial": trial,
        "figure": figure,
        "found": found,
        "criterion": wanted,
        "met": "unknown" if met is None else "met" if met else "not met",
    }


def _rounded(value: float, bounds: tuple[float, ...]) -> str:
    """To three significant digits, or as many as keep it on its side of the bounds.

    >>> _rounded(5.66, (70,)), _rounded(30.996, (31, 70)), _rounded(1234.5, (1.8,)), _rounded(0, (70,))
    ('5.66', '30.996', '1234', '0')
    """
    if not bounds or value == 0:
        return f"{value:g}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    words = beside(value, bounds, decimals)
    return words.rstrip("0").rstrip(".") if "." in words else words


def value_of(measurements: Mapping[str, Measurement], name: str) -> float | None:
    """A measurement's value; None where it wasn't made or isn't defined."""
    found = measurements.get(name)
    return None if found is None else found.value
