"""B values beside a diffusion image, in the .bval files of FSL and BIDS."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from willis.errors import BadInputError
from willis.io.beside import file_beside
from willis.io.nifti_names import stem_of

ENDINGS = (".bval", ".bvals")


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


def has_bval(path: Path) -> bool:
    """Whether a .bval lies beside an image."""
    return file_beside(path, *ENDINGS) is not None


def bval_beside(path: Path) -> Path:
    """``dwi.bval`` of ``dwi.nii.gz``.

    Raises
    ------
    BadInputError
        When there is none.
    """
    if (found := file_beside(path, *ENDINGS)) is not None:
        return found
    raise BadInputError(
        f"{path.name} is a series of volumes, and {stem_of(path)}.bval isn't beside it. Put the b values there, or "
        "give b0 and b1000 as two files with --b0 and --b1000."
    )


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
    bval = file_beside(path, *ENDINGS)
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
