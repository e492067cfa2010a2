"""A 4D diffusion series with its b values: which of its volumes become b0, and which b1000."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from willis.errors import BadInputError
from willis.io.bvals import bval_beside, read_bvals
from willis.io.nifti import read_nifti
from willis.io.nifti_file import open_nifti
from willis.units import counted
from willis.volume.volume import Volume

LARGEST_B0 = 50.0  # s/mm²: scanners give volumes without weighting a b of up to that
B1000_RANGE = (800.0, 1200.0)  # s/mm²
SAME_B = 25.0  # s/mm²: volumes of one shell differ less


@dataclass(frozen=True)
class DwiSeries:
    """b0 and b1000 of a series, and the b of the latter in s/mm²."""

    volumes: dict[str, Volume]
    b: float


def volume_count(path: Path) -> int:
    """How many volumes a NIfTI file holds.

    Raises
    ------
    BadInputError
        When it is no NIfTI file, or damaged.
    """
    return prod(open_nifti(path).shape[3:])


def read_dwi(path: Path | str) -> DwiSeries:
    """b0, the mean of the volumes of least weighting, and b1000, the geometric mean of those nearest to 1000 s/mm².

    The geometric mean over directions is the trace-weighted image when they are spread evenly.

    Raises
    ------
    BadInputError
        When the file isn't 4D, its b values are absent or of another number, or have no b0 or no b of 800 to 1200.
    """
    path = Path(path)
    count = volume_count(path)
    if count < 2:
        raise BadInputError(f"{path.name} holds one volume; a 4D series was expected. Give it with --b1000 or --b0.")
    bval = bval_beside(path)
    values = read_bvals(bval)
    if len(values) != count:
        raise BadInputError(
            f"{path.name} holds {counted(count, 'volume')} and {bval.name} {counted(len(values), 'b value')}; "
            "they must agree."
        )
    least = min(values)
    plain = [i for i, b in enumerate(values) if b <= min(least + SAME_B, LARGEST_B0)]
    low, high = B1000_RANGE
    weighted = [b for b in values if low <= b <= high]
    listed = ", ".join(f"{b:g}" for b in sorted(set(values)))
    if not plain:
        raise BadInputError(f"{bval.name} has no b of 0 (at most {LARGEST_B0:g}); it has {listed}. A b0 is needed.")
    if not weighted:
        raise BadInputError(f"{bval.name} has no b of {low:g} to {high:g} s/mm²; it has {listed}.")
    b = min(weighted, key=lambda value: abs(value - 1000))
    shell = [i for i, value in enumerate(values) if abs(value - b) <= SAME_B]
    first = read_nifti(path, "b0", index=plain[0])
    b0 = np.mean([_values(path, i) for i in plain], axis=0)
    trace = np.exp(np.mean([np.log(np.maximum(_values(path, i), 1e-6)) for i in shell], axis=0))
    told = first.noted(
        f"b0 is the mean of {counted(len(plain), 'volume')}; b {b:g} the geometric mean of {len(shell)} of {path.name}."
    )
    return DwiSeries(
        {
            "b1000": told.with_data(trace.astype(np.float32), role="b1000"),
            "b0": first.with_data(b0.astype(np.float32), role="b0"),
        },
        b,
    )


def _values(path: Path, index: int) -> np.ndarray:
    return np.asarray(read_nifti(path, index=index).data, dtype=np.float64)
