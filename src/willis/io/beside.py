"""Files beside a NIfTI image: those of its name with another ending, such as its JSON sidecar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from willis.errors import BadInputError
from willis.io.nifti_names import stem_of

SIDECAR = ".json"


def with_ending(path: Path, ending: str) -> Path:
    """Where a file of the image's name with another ending is, or would be."""
    return path.with_name(stem_of(path) + ending)


def file_beside(path: Path, *endings: str) -> Path | None:
    """The file beside an image with the first of some endings that there is; None when there is none."""
    return next((found for ending in endings if (found := with_ending(path, ending)).is_file()), None)


def read_sidecar(path: Path) -> dict[str, Any]:
    """What the JSON beside an image says (BIDS); empty when there is none.

    Raises
    ------
    BadInputError
        When it can't be read, isn't JSON, or is no object.
    """
    sidecar = file_beside(path, SIDECAR)
    if sidecar is None:
        return {}
    try:
        said = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(
            f"{sidecar} can't be read as JSON: {error}. One JSON object is allowed; mend it or move it away."
        ) from None
    if not isinstance(said, dict):
        raise BadInputError(
            f"{sidecar} holds a JSON {type(said).__name__}; one JSON object is allowed. Mend it or move it away."
        )
    return said
