"""Numbers, names and places as a reader wants them: rounded to what they are worth, with their unit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from willis.findings import Measurement
from willis.units import beside

UNIT_WORDS = {
    "1": "",
    "count": "",
    "mm2": "mm²",
    "mm3": "mm³",
    "mm2/s": "mm²/s",
    "um2/ms": "10⁻³ mm²/s",
    "ml/100g/min": "ml/100 g/min",
}
COLUMN_UNITS = {"ml": "ml", "mm": "mm", "mm3": "mm³", "s": "s", "hu": "HU", "percent": "%", "deg": "°"}
ACRONYMS = {"wmh": "WMH", "flair": "FLAIR", "t1": "T1", "dwi": "DWI", "ct": "CT", "cpu": "CPU", "id": "ID"}
ACRONYMS |= {name: name.upper() for name in ("adc", "cbf", "cbv", "mtt", "ttp", "mip", "roi", "mca", "aca", "pca")}
ACRONYMS |= {"b0": "b0", "b1000": "b1000", "ctp": "CT perfusion", "ncct": "non-contrast CT"}
ACRONYMS |= {"sha256": "SHA-256", "gb": "GB", "nihss": "NIHSS", "onnx": "ONNX", "openvino": "OpenVINO"}
KEPT_SMALL = ("b0", "b1000")  # even as a heading's first word: B0 is the magnet's field
NOT_DEFINED = "–"
SIGNIFICANT = 3
LEAST_SHOWN = 0.001
MINUS = "\N{MINUS SIGN}"

_DOI = re.compile(r"\bdoi:\s*(10\.\d{4,9}/[^\s,;]*[^\s,;.])", re.IGNORECASE)


def number(value: Any, unit: str = "", bounds: Iterable[float] = ()) -> str:
    """A number without its unit: whole counts, else three significant digits and no more than three decimals.

    Of what is nearer to 0 than these can show that is said. More digits are given where the number would else be
    rounded onto one of some bounds or across it.

    >>> number(1234.56, "ml"), number(12.345), number(0.0123), number(3.0, "count"), number(None), number(0.0002)
    ('1235', '12.3', '0.012', '3', '–', '< 0.001')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOT_DEFINED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or unit == "count":
        return f"{round(value)}".replace("-", MINUS)
    if value == 0:
        return "0"
    if abs(value) < LEAST_SHOWN / 2:
        return f"< {LEAST_SHOWN:g}" if value > 0 else f"> {MINUS}{LEAST_SHOWN:g}"
    decimals = SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))
    return beside(value, bounds, max(0, min(decimals, 2 if abs(value) >= 0.1 else 3))).replace("-", MINUS)


def measured(measurement: Measurement) -> str:
    """A measurement's value without its unit, on its side of every cutoff that it is held against."""
    return number(measurement.value, measurement.unit, measurement.bounds)


def unit_words(unit: str) -> str:
    """A unit as it is printed.

    >>> unit_words("mm3")
    'mm³'
    """
    return UNIT_WORDS.get(unit, unit)


def quantity(measurement: Measurement) -> str:
    """Value with unit: ``12.4 ml``."""
    words = measured(measurement)
    return words if measurement.value is None else f"{words} {unit_words(measurement.unit)}".rstrip()


def interval(measurement: Measurement) -> str:
    """Both ends of the interval: ``10.9 to 13.8``; empty when there is none."""
    if measurement.interval is None:
        return ""
    low, high = (number(end, measurement.unit, measurement.bounds) for end in measurement.interval)
    return f"{low} to {high}"


def place(centroid_mm: tuple[float, float, float]) -> str:
    """A world position RAS+ by its sides.

    >>> place((-12.3, 4.0, -30.6))
    'L 12, A 4, I 31'
    """
    if not all(math.isfinite(c) for c in centroid_mm):
        return NOT_DEFINED
    letters = (("R", "L"), ("A", "P"), ("S", "I"))
    return ", ".join(
        f"{pair[0] if c >= 0 else pair[1]} {abs(c):.0f}" for pair, c in zip(letters, centroid_mm, strict=True)
    )


def title_of(name: str) -> str:
    """A key or column name as words, with its unit in brackets.

    >>> title_of("left_volume_ml"), title_of("wmh_count"), title_of("regions")
    ('Left volume (ml)', 'WMH count', 'Regions')
    """
    parts = re.split(r"[_\s]+", name.strip())
    unit = COLUMN_UNITS.get(parts[-1].lower()) if len(parts) > 1 else None
    words = [ACRONYMS.get(part.lower(), part) for part in (parts[:-1] if unit else parts)]
    text = " ".join(words)
    text = text if parts[0].lower() in KEPT_SMALL else text[:1].upper() + text[1:]
    return f"{text} ({unit})" if unit else text


def is_number(value: Any) -> bool:
    """Whether a table sets the value to the right."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def flat(value: Any) -> str:
    """Any value of the provenance on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{title_of(str(key)).lower()} {flat(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(flat(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", MINUS)
    return "not set" if value is None or value == "" else str(value)


def doi_of(citation: str) -> tuple[str, str]:
    """A citation's text without its DOI, and the DOI; "" when it has none.

    >>> doi_of("Doe 2024, A method. doi:10.1000/182")
    ('Doe 2024, A method.', '10.1000/182')
    """
    found = _DOI.search(citation)
    if not found:
        return citation, ""
    doi = found.group(1)
    if doi.endswith(")") and doi.count(")") > doi.count("("):
        doi = doi[:-1]
    text = citation[: found.start()] + citation[found.start(1) + len(doi) :]
    return text.replace("()", "").strip(" .,") + ".", doi
