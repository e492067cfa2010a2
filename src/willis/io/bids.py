"""Labelled patients in a BIDS folder: images in ``sub-*/[ses-*/]anat``, masks in ``derivatives``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.units import counted

SUFFIX = {"t1": "T1w", "flair": "FLAIR"}  # BIDS 1.10, "Anatomy imaging data"
_SUBJECT = re.compile(r"^(sub-[0-9A-Za-z]+)(?:_(ses-[0-9A-Za-z]+))?_")


@dataclass(frozen=True)
class LabelledStudy:
    """Files of one patient's session.

    Parameters
    ----------
    subject, session
        BIDS labels with their prefix: ``sub-01``, ``ses-02``.
    images
        Image file by role.
    mask
        What was labelled, on the grid of the image that its ``space-`` names.
    """

    subject: str
    session: str | None
    images: dict[str, Path]
    mask: Path

    @property
    def name(self) -> str:
        """``sub-01``, or ``sub-01_ses-02``."""
        return "_".join(part for part in (self.subject, self.session) if part)


def find_labelled(folder: Path, roles: Sequence[str], required: str, label: str, space: str) -> list[LabelledStudy]:
    """Every session with the required image, and its mask.

    Parameters
    ----------
    folder
        BIDS folder; masks are searched in ``derivatives`` below it, in any pipeline's folder.
    roles
        Images wanted: ``t1``, ``flair``.
    required
        Role without which a session is not listed.
    label, space
        The mask that every session must have, ``*_space-<space>_label-<label>_mask.nii.gz``.

    Raises
    ------
    BadInputError
        When there is no such session, or one has no mask of that label or more than one.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder; give a BIDS folder of labelled patients.")
    found = []
    for image in sorted(folder.glob(f"sub-*/**/anat/*_{SUFFIX[required]}.nii*")):
        named = _SUBJECT.match(image.name)
        if named is None:
            continue
        stem = image.name[: -len(image.name.split("_")[-1])]
        images = {role: path for role in roles if (path := _sibling(image.parent, stem, SUFFIX[role])) is not None}
        prefix = "_".join(part for part in named.groups() if part)
        mask = find_mask(folder, f"{prefix}_space-{space}_label-{label}_mask")
        found.append(LabelledStudy(named.group(1), named.group(2), images, mask))
    if not found:
        raise BadInputError(f"{folder} holds no sub-*/anat/*_{SUFFIX[required]}.nii.gz; a BIDS folder is expected.")
    return found


def _sibling(folder: Path, stem: str, suffix: str) -> Path | None:
    return next(iter(sorted(folder.glob(f"{stem}{suffix}.nii*"))), None)


def find_mask(folder: Path, name: str) -> Path:
    """The one mask of that name, less its ending, below ``derivatives``.

    Raises
    ------
    BadInputError
        When it is absent or there more than once.
    """
    paths = sorted((folder / "derivatives").rglob(f"{name}.nii*"))
    if len(paths) == 1:
        return paths[0]
    found = "is absent" if not paths else f"is there {counted(len(paths), 'time')}"
    raise BadInputError(f"{name}.nii.gz {found} below {folder / 'derivatives'}; each patient needs one.")
