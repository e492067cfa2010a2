"""Read a Study from files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from willis.errors import BadInputError
from willis.io.nifti import read_nifti, sha256_of
from willis.study import Source, Study

_BIDS_LABEL = re.compile(r"(?:^|_)(sub|ses)-([0-9A-Za-z]+)(?=[_.])")


def read_study(
    *,
    subject: str | None = None,
    session: str | None = None,
    brain_mask: Path | str | None = None,
    scalars: Mapping[str, float] | None = None,
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
    **paths
        File by role: ``t1="t1.nii.gz", flair="flair.nii.gz"``; None is left out.

    Raises
    ------
    BadInputError
        When no image is given, or one can't be used.
    """
    given = {role: Path(path) for role, path in paths.items() if path is not None}
    if not given:
        raise BadInputError("no image was given; a study needs at least one.")
    volumes = {role: read_nifti(path, role) for role, path in given.items()}
    if brain_mask is not None:
        given["brain"] = Path(brain_mask)
        volumes["brain"] = read_nifti(brain_mask, "brain", allow_empty=True)
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
