"""Read a Study from files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from willis.errors import BadInputError
from willis.io.nifti import read_nifti, sha256_of
from willis.study import Source, Study
from willis.volume.volume import Volume

MASK_MIN_TOP = 1e-6  # a fractional mask whose largest value is below it is empty
_BIDS_LABEL = re.compile(r"(?:^|_)(sub|ses)-([0-9A-Za-z]+)(?=[_.])")


def read_study(
    *,
    subject: str | None = None,
    session: str | None = None,
    brain_mask: Path | str | None = None,
    scalars: Mapping[str, float] | None = None,
    index: Mapping[str, int] | None = None,
    **paths: Path | str | None,
) -> Study:
    """Read one patient's images by role.

    Parameters
    ----------
    subject, session
        BIDS labels; taken from the first file name that has them when not given.
    brain_mask
        The user's own brain mask; becomes the role ``brain``.
    scalars
        Clinical numbers by name.
    index
        By role, which volume of a 4D file, from 0.
    **paths
        File by role: ``t1="t1.nii.gz", flair="flair.nii.gz"``; None is left out.

    Raises
    ------
    BadInputError
        When no image is given, one can't be used, or a label is none.
    """
    _check_labels(subject, session)
    given = {role: Path(path) for role, path in paths.items() if path is not None}
    if not given:
        raise BadInputError("no image was given; a study needs at least one.")
    index = dict(index or {})
    if strange := sorted(set(index) - set(given)):
        raise BadInputError(f"an index was given for {strange[0]}, but no such image; given were {', '.join(given)}.")
    volumes = {role: read_nifti(path, role, index=index.get(role)) for role, path in given.items()}
    if brain_mask is not None:
        given["brain"] = Path(brain_mask)
        volumes["brain"] = _as_mask(read_nifti(brain_mask, "brain", allow_empty=True))
    named: dict[str, str] = {}
    for path in given.values():
        for key, label in _BIDS_LABEL.findall(path.name):
            named.setdefault(key, label)
    return Study(
        volumes=volumes,
        scalars=dict(scalars or {}),
        subject=subject or named.get("sub", "01"),
        session=session or named.get("ses"),
        sources={role: Source(path, sha256_of(path)) for role, path in given.items()},
    )


def _check_labels(*labels: str | None) -> None:
    for label in labels:
        if label is not None and not re.fullmatch(r"[0-9A-Za-z]+", label):
            raise BadInputError(f"{label!r} can't be a subject's or session's label; allowed are letters and digits.")


def _as_mask(volume: Volume) -> Volume:
    """The volume as ``uint8`` 0 and 1: integers above 0, fractions from half of their largest on."""
    whole = volume.data.dtype.kind in "iub"
    inside = volume.data > 0 if whole else volume.data >= max(float(volume.data.max()), MASK_MIN_TOP) / 2
    return volume.with_data(inside.astype(np.uint8))
