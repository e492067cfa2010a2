"""What the JSON sidecar of a b1000 says: that it is a FLAIR in truth, or its b value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from willis.errors import BadInputError
from willis.io.beside import SIDECAR, read_sidecar, with_ending
from willis.io.bvals import has_bval
from willis.io.diffusion import LARGEST_B0

LONGEST_INVERSION_S = 1.0  # s; a FLAIR inverts about 2 s before it reads, fat suppression of a DWI about 0.2 s
LONGEST_IN_S = 10.0  # an InversionTime above it is in ms, as in DICOM (0018,0082); in BIDS it is in s
FLAIR_ADVICE = "Give the trace image of b 800 to 1200 as b1000, and a FLAIR with --flair."


def check_weighted(path: Path) -> tuple[float | None, tuple[str, ...]]:
    """B in s/mm² that the JSON beside a b1000 says, and notes on that JSON.

    Parameters
    ----------
    path
        The image that was given as b1000.

    Returns
    -------
    tuple
        ``DiffusionBValue`` where it is above 0, else None; and that the JSON was left out where it can't be read.

    Raises
    ------
    BadInputError
        When the JSON is a FLAIR's: an InversionTime above 1 s, or a SeriesDescription that names FLAIR and no
        diffusion weighting.
    """
    name = with_ending(path, SIDECAR).name
    try:
        said = read_sidecar(path)
    except BadInputError:
        return None, (f"{name} beside it is no JSON object and was left out.",)
    inversion, b = _number(said, "InversionTime"), _number(said, "DiffusionBValue")
    inversion_s = inversion / 1000 if inversion > LONGEST_IN_S else inversion
    if inversion_s > LONGEST_INVERSION_S:
        raise BadInputError(
            f"{path.name} was given as b1000, and {name} says an InversionTime of {inversion_s:g} s, as a FLAIR has; "
            f"a b1000 has at most {LONGEST_INVERSION_S:g} s. {FLAIR_ADVICE}"
        )
    description = str(said.get("SeriesDescription", ""))
    if "flair" in description.lower() and b <= LARGEST_B0 and not has_bval(path):
        raise BadInputError(
            f"{path.name} was given as b1000, and {name} calls it {description!r} and names no diffusion weighting. "
            f"{FLAIR_ADVICE}"
        )
    return (b if b > 0 else None), ()


def _number(said: Mapping[str, Any], key: str) -> float:
    """A number of a JSON object, 0 where it is absent or none."""
    value = said.get(key)
    return float(value) if isinstance(value, (int, float)) else 0.0
