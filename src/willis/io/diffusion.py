"""Diffusion images and what lies beside them: a 4D series with its b values, and the .bval and JSON of one image."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from willis.errors import BadInputError
from willis.io.nifti import read_nifti
from willis.io.nifti_file import open_nifti
from willis.volume.volume import Volume

LARGEST_B0 = 50.0  # s/mm²: scanners give volumes without weighting a b of up to that
B1000_RANGE = (800.0, 1200.0)  # s/mm²
SAME_B = 25.0  # s/mm²: volumes of one shell differ less
LONGEST_INVERSION_S = 1.0  # s; a FLAIR inverts about 2 s before it reads, fat suppression of a DWI about 0.2 s
LONGEST_IN_S = 10.0  # an InversionTime above it is in ms, as in DICOM (0018,0082); in BIDS it is in s


@dataclass(frozen=True)
class DwiSeries:
    """b0 and b1000 of a series, and the b of the latter in s/mm²."""

    volumes: dict[str, Volume]
    b: float


def bval_beside(path: Path) -> Path:
    """``dwi.bval`` of ``dwi.nii.gz``.

    Raises
    ------
    BadInputError
        When there is none.
    """
    if (beside := _beside(path, ".bval", ".bvals")) is not None:
        return beside
    raise BadInputError(
        f"{path.name} is a series of volumes, and {_stem(path)}.bval isn't beside it. Put the b values there, or give "
        "b0 and b1000 as two files with --b0 and --b1000."
    )


def has_bval(path: Path) -> bool:
    """Whether a .bval lies beside an image."""
    return _beside(path, ".bval", ".bvals") is not None


def b_beside(path: Path, index: int | None = None) -> float | None:
    """B in s/mm² that the .bval beside one image says; None when there is no .bval.

    Parameters
    ----------
    path
        The image.
    index
        Which volume of a 4D image was taken, from 0; None of a 3D one.

    Raises
    ------
    BadInputError
        When the .bval holds something else than b values, or has none, or more than one, for this image.
    """
    bval = _beside(path, ".bval", ".bvals")
    if bval is None:
        return None
    values = read_bvals(bval)
    if index is None and len(values) == 1:
        return values[0]
    if index is not None and 0 <= index < len(values):
        return values[index]
    taken = "one volume" if index is None else f"taken at index {index}"
    raise BadInputError(
        f"{path.name} is {taken} and {bval.name} holds {len(values)} b value(s); they must agree. Mend the .bval, or "
        "move it away and say --b-value."
    )


def check_sidecar(path: Path) -> tuple[str, ...]:
    """Notes on what the JSON beside a b1000 says; none without one.

    Raises
    ------
    BadInputError
        When the JSON is a FLAIR's: an InversionTime above 1 s, or a SeriesDescription that names FLAIR and no
        diffusion weighting.
    """
    sidecar = _beside(path, ".json")
    if sidecar is None:
        return ()
    try:
        said = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return (f"{sidecar.name} beside it is no JSON object and was left out.",)
    advice = "Give the trace image of b 800 to 1200 as b1000, and a FLAIR with --flair."
    inversion, weighting = _number(said, "InversionTime"), _number(said, "DiffusionBValue")
    inversion_s = inversion / 1000 if inversion > LONGEST_IN_S else inversion
    if inversion_s > LONGEST_INVERSION_S:
        raise BadInputError(
            f"{path.name} was given as b1000, and {sidecar.name} says an InversionTime of {inversion_s:g} s, as a "
            f"FLAIR has; a b1000 has at most {LONGEST_INVERSION_S:g} s. {advice}"
        )
    description = str(said.get("SeriesDescription", ""))
    if "flair" in description.lower() and weighting <= LARGEST_B0 and not has_bval(path):
        raise BadInputError(
            f"{path.name} was given as b1000, and {sidecar.name} calls it {description!r} and names no diffusion "
            f"weighting. {advice}"
        )
    if weighting > 0 and not has_bval(path):
        return (f"{sidecar.name} says DiffusionBValue {weighting:g} s/mm²; it counts only when --b-value says so too.",)
    return ()


def volume_count(path: Path) -> int:
    """How many volumes a NIfTI file holds, by its header alone.

    Raises
    ------
    BadInputError
        When the header can't be read.
    """
    try:
        image: Any = nib.load(path)
    except (nib.filebasedimages.ImageFileError, nib.spatialimages.HeaderDataError, OSError, EOFError, zlib.error):
        raise BadInputError(f"{path.name} can't be read as NIfTI. Copy or download it again.") from None
    return int(np.prod(image.shape[3:]))


def _number(said: dict[str, Any], key: str) -> float:
    """A number of a JSON object, 0 where it is absent or none."""
    value = said.get(key)
    return float(value) if isinstance(value, (int, float)) else 0.0


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _beside(path: Path, *endings: str) -> Path | None:
    found = (path.with_name(_stem(path) + ending) for ending in endings)
    return next((beside for beside in found if beside.is_file()), None)


def read_bvals(path: Path | str) -> list[float]:
    """B values in s/mm², as FSL and BIDS write them: numbers with blanks between.

    Raises
    ------
    BadInputError
        When the file holds something else.
    """
    path = Path(path)
    try:
        values = [float(word) for word in path.read_text(encoding="utf-8").split()]
    except (ValueError, UnicodeDecodeError):
        raise BadInputError(f"{path} holds something else than b values: numbers with blanks between.") from None
    if not values or min(values) < 0 or not np.isfinite(values).all():
        raise BadInputError(f"{path} holds no b values, or one below 0.")
    return values


def read_dwi(path: Path | str) -> DwiSeries:
    """b0, the mean of all volumes without weighting, and b1000, the geometric mean of those nearest to 1000 s/mm².

    The geometric mean over directions is the trace-weighted image when they are spread evenly.

    Raises
    ------
    BadInputError
        When the file isn't 4D, its b values are absent or of another number, or have no b0 or no b of 800 to 1200.
    """
    path = Path(path)
    shape = open_nifti(path).header.get_data_shape()
    count = shape[3] if len(shape) > 3 else 1
    if count < 2:
        raise BadInputError(f"{path.name} holds one volume; a 4D series was expected. Give it with --b1000 or --b0.")
    bval = bval_beside(path)
    values = read_bvals(bval)
    if len(values) != count:
        raise BadInputError(
            f"{path.name} holds {count} volumes and {bval.name} {len(values)} b values; they must agree."
        )
    plain = [i for i, b in enumerate(values) if b <= LARGEST_B0]
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
        f"b0 is the mean of {len(plain)} volume(s); b {b:g} the geometric mean of {len(shell)} of {path.name}."
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
