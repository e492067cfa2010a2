"""Read a Study from files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from willis.errors import BadInputError
from willis.io.bvals import b_beside
from willis.io.dicom.series import read_series, sha256_of_series
from willis.io.diffusion import read_dwi
from willis.io.modality import refuse_ct
from willis.io.nifti import read_nifti, sha256_of
from willis.io.nifti_series import read_series as read_nifti_series
from willis.io.pictures import is_colour, read_colour_map, read_grey, sha256_of_pictures
from willis.io.weighting import check_weighted
from willis.study import Source, Study
from willis.volume.stack import SliceStack
from willis.volume.volume import Volume

DIFFUSION_ROLE = "dwi"  # a 4D file with its .bval beside it, which becomes b0 and b1000
SHELL_ROLES = ("b0", "b1000")  # that it becomes
WEIGHTED_ROLE = "b1000"  # one image, whose b a .bval beside it may say
MASK_ENDING = "_mask"  # of a role that is a mask: flairvisible_mask
MASK_MIN_TOP = 1e-6  # a fractional mask whose largest value is below it is empty
PLAUSIBLE_BRAIN_ML = (300.0, 2500.0)  # of a slab that shows part of a brain, to the largest with its fluid; assumed
MR_ROLES = ("t1", "flair", "b0", "b1000", "adc")
SERIES_ROLES = ("ctp",)  # whose 4D files are read whole
COLOUR_ROLES = ("cbf", "cbv", "mtt", "ttp", "tmax", "mip")  # that may come as colour-coded pictures
_LABEL = re.compile(r"[0-9A-Za-z]+")
_IN_NAME = {
    "subject": re.compile(r"(?:^|_)sub-([0-9A-Za-z]+)(?=[_.])"),
    "session": re.compile(r"(?:^|_)ses-([0-9A-Za-z]+)(?=[_.])"),
}


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
        BIDS labels, letters and digits; taken from the files' names (``sub-01_ses-2_FLAIR.nii.gz``) when not given,
        and "01" and none when they have none.
    brain_mask
        The user's own brain mask; becomes the role ``brain``, ``uint8`` 0 and 1.
    scalars
        Clinical numbers by name.
    index
        By role, which volume of a 4D file, from 0.
    **paths
        File by role: ``t1="t1.nii.gz", flair="flair.nii.gz"``, or the folder of one DICOM series; None is left out.
        ``dwi``, a 4D file with its .bval beside it, becomes ``b0`` and ``b1000``; the .bval beside a ``b1000`` gives
        the scalar ``b_value``, the JSON ``sidecar_b_value``; a name that ends in ``_mask`` is a mask of the role
        before it.

    Raises
    ------
    BadInputError
        When no image is given, one can't be used or is given as two, a CT is given as an MR, a ``dwi`` comes with a
        ``b0`` or ``b1000``, the brain mask is empty, a label is none, the files' names are of two people, or a
        ``b1000`` is a FLAIR by the JSON beside it.
    """
    subject, session = _bare_label(subject, "sub-"), _bare_label(session, "ses-")
    given = {role: Path(path) for role, path in paths.items() if path is not None}
    if not given:
        raise BadInputError("no image was given; a study needs at least one.")
    index = dict(index or {})
    if strange := sorted(set(index) - set(given)):
        raise BadInputError(f"an index was given for {strange[0]}, but no such image; given were {', '.join(given)}.")
    _refuse_twice(given, index)
    _refuse_beside_series(given, index)
    colours = {role for role in COLOUR_ROLES if role in given and is_colour(given[role])}
    series = {role: path for role, path in given.items() if path.is_dir() and role not in colours}
    if folders := sorted(set(index) & set(series)):
        raise BadInputError(f"an index was given for {folders[0]}, which is a folder of slices: it holds one volume.")
    stacks: dict[str, SliceStack] = {}
    volumes: dict[str, Volume] = {}
    files, clinical = dict(given), dict(scalars or {})
    frames = {role: read_nifti_series(given[role], role) for role in SERIES_ROLES if role in given}
    for role, path in given.items():
        if role in frames:
            continue
        if role in colours:
            volumes[role] = read_grey(path, role) if role == "mip" else read_colour_map(path, role)
        elif role in series:
            volumes[role], stacks[role] = read_series(path, role)
        elif role == DIFFUSION_ROLE and role not in index:
            shells = read_dwi(path)
            volumes |= shells.volumes
            clinical.setdefault("b_value", shells.b)
            files |= dict.fromkeys(shells.volumes, files.pop(role))
        elif role.endswith(MASK_ENDING):
            mask = role.removesuffix(MASK_ENDING)
            volumes[mask] = _as_mask(read_nifti(path, mask, allow_empty=True))
            files[mask] = files.pop(role)
        elif role == WEIGHTED_ROLE:
            said_b, notes = check_weighted(path)
            volumes[role] = read_nifti(path, role, index=index.get(role)).noted(*notes)
            if (b := b_beside(path, index.get(role))) is not None:
                clinical.setdefault("b_value", b)
            if said_b is not None:
                clinical.setdefault("sidecar_b_value", said_b)
        else:
            volumes[role] = read_nifti(path, role, index=index.get(role))
    for role in MR_ROLES:
        if role in volumes:
            refuse_ct(volumes[role], files[role])
    if brain_mask is not None:
        files["brain"] = Path(brain_mask)
        volumes["brain"] = _as_mask(read_nifti(brain_mask, "brain", allow_empty=True))
        if not volumes["brain"].data.any():
            raise BadInputError(f"the brain mask {brain_mask} is empty; give one that covers the brain, or none.")
        volumes["brain"] = volumes["brain"].noted(*_size_notes(volumes["brain"]))
    return Study(
        volumes=volumes,
        scalars=clinical,
        subject=subject or _label("subject", files.values()) or "01",
        session=session or _label("session", files.values()),
        sources={
            role: Source(
                path,
                sha256_of_series(path)
                if role in series
                else sha256_of_pictures(path)
                if role in colours
                else sha256_of(path),
                stacks.get(role),
            )
            for role, path in files.items()
        },
        series=frames,
    )


def _refuse_twice(given: Mapping[str, Path], index: Mapping[str, int]) -> None:
    """Refuse one image of one file under two roles."""
    first: dict[tuple[Path, int | None], str] = {}
    for role, path in given.items():
        if (other := first.setdefault((path.resolve(), index.get(role)), role)) != role:
            raise BadInputError(f"{path} was given twice, as {other} and as {role}. Give each its own image.")


def _refuse_beside_series(given: Mapping[str, Path], index: Mapping[str, int]) -> None:
    """Refuse an image that a diffusion series holds too, and one frame of a series that is read whole."""
    if whole := sorted(set(index) & set(SERIES_ROLES)):
        raise BadInputError(f"an index was given for {whole[0]}, a series that is read whole. Leave it out.")
    if DIFFUSION_ROLE not in given or DIFFUSION_ROLE in index:
        return
    if twice := [role for role in SHELL_ROLES if role in given]:
        series, other = given[DIFFUSION_ROLE].name, given[twice[0]].name
        raise BadInputError(
            f"{series} was given as dwi, of which b0 and b1000 are made, and {other} as {twice[0]}: two images of one "
            "kind. Give the series alone, or b0 and b1000 as two files without it."
        )


def _size_notes(mask: Volume) -> tuple[str, ...]:
    """What is said of a brain mask that is no brain's size."""
    low, high = PLAUSIBLE_BRAIN_ML
    if low <= mask.volume_ml <= high:
        return ()
    return (
        f"The brain mask that was given holds {mask.volume_ml:.0f} ml; {low:.0f} to {high:.0f} ml are expected. "
        "Check that it is the brain's.",
    )


def _bare_label(label: str | None, prefix: str) -> str | None:
    """A label as BIDS names have it, given with or without their prefix."""
    bare = None if label is None else label.removeprefix(prefix)
    if bare is not None and not _LABEL.fullmatch(bare):
        raise BadInputError(f"{label!r} can't be a subject's or session's label; allowed are letters and digits.")
    return bare


def _label(kind: Literal["subject", "session"], files: Iterable[Path]) -> str | None:
    """The BIDS label that all files' names that have one agree on."""
    found = {match[1]: path.name for path in files if (match := _IN_NAME[kind].search(path.name))}
    if len(found) > 1:
        raise BadInputError(
            f"the files' names belong to two {kind}s: {' and '.join(list(found.values())[:2])}. "
            f"Give the images of one, or say --{kind}."
        )
    return next(iter(found), None)


def _as_mask(volume: Volume) -> Volume:
    """The volume as ``uint8`` 0 and 1: whole numbers above 0, fractions from half of their largest on."""
    whole = volume.data.dtype.kind in "iub" or bool((volume.data == np.rint(volume.data)).all())
    inside = volume.data > 0 if whole else volume.data >= max(float(volume.data.max()), MASK_MIN_TOP) / 2
    return volume.with_data(inside.astype(np.uint8))
