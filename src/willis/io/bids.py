"""Patients in a BIDS folder: images in ``sub-*/[ses-*/]``, and masks of labelled ones in ``derivatives``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.io.nifti import read_nifti
from willis.io.nifti_names import find_niftis, stem_of, told_twins
from willis.units import counted

SUFFIX = {"t1": "T1w", "flair": "FLAIR"}  # BIDS 1.10, "Anatomy imaging data"
_PATIENT = re.compile(r"^sub-[0-9A-Za-z]+(?=_|$)")
_SESSION = re.compile(r"_(ses-[0-9A-Za-z]+)(?=[_.])")
_FROM_SESSION = re.compile(r"_ses-[0-9A-Za-z]+(_.*)?$")
_SUBJECT = re.compile(r"^(sub-[0-9A-Za-z]+)_")
_SESSION_FOLDER = re.compile(r"ses-[0-9A-Za-z]+")


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


@dataclass(frozen=True)
class FoundPatient:
    """Files of one patient, or of one session, by role; or in words why they can't be used.

    Parameters
    ----------
    subject, session
        BIDS labels with their prefix; None where neither names nor folders tell them.
    """

    images: Mapping[str, Path]
    problem: str = ""
    subject: str | None = None
    session: str | None = None


def patient_of(name: str) -> str:
    """The patient that a session's name is of: what sessions of one patient share.

    >>> [patient_of(name) for name in ("sub-01_ses-2", "sub-01_ses-2_space-MNI", "p7_ses-a", "siteA_001")]
    ['sub-01', 'sub-01', 'p7', 'siteA_001']
    """
    found = _PATIENT.match(name)
    return found[0] if found else _FROM_SESSION.sub("", name)


def session_of(path: Path) -> str:
    """``ses-02`` of a file that names its session; else empty.

    >>> session_of(Path("sub-01_ses-02_T1w.nii.gz")), session_of(Path("sub-01_T1w.nii.gz"))
    ('ses-02', '')
    """
    found = _SESSION.search(path.name)
    return found[1] if found else ""


def find_patients(folder: Path, suffixes: Mapping[str, Sequence[str]]) -> dict[str, FoundPatient]:
    """Images of each session of a BIDS folder, by the session's name: ``sub-01``, ``sub-01_ses-2``.

    Of several files of one kind, that with the entities (``acq-``, ``run-``) of the session's other images is taken;
    where that tells nothing, the session is found with its problem. So is a patient's folder without such an image.
    What lies in ``derivatives`` isn't looked at.

    Parameters
    ----------
    suffixes
        By role, what its files' names may end in: ``{"t1": ("T1w",)}``.

    Raises
    ------
    BadInputError
        When there is no such image.
    """
    sessions, without = _sessions(folder, suffixes)
    return dict(sorted({**without, **{session.name: session.one_of_each() for session in sessions}}.items()))


def find_images(folder: Path, role: str, suffixes: Sequence[str]) -> dict[str, FoundPatient]:
    """Every image of a BIDS folder by itself, by its file's name: ``sub-01_ses-2_acq-3d_T1w``.

    Parameters
    ----------
    role, suffixes
        What each image is, and what its file's name may end in.

    Raises
    ------
    BadInputError
        When there is no such image.
    """
    sessions, found = _sessions(folder, {role: suffixes})
    for session in sessions:
        named: defaultdict[str, list[Path]] = defaultdict(list)
        for path in session.files[role]:
            named[
                session.name + stem_of(path).removeprefix(session.subject).removeprefix(f"_{session.session}")
            ].append(path)
        for name, paths in named.items():
            problem = session.problem or told_twins(paths) or _several(paths, role)
            found[name] = session.found({role: paths[0]}, problem)
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class _Session:
    """All files of one session by role, and what keeps them from being used."""

    subject: str
    session: str | None
    files: Mapping[str, Sequence[Path]]
    problem: str

    @property
    def name(self) -> str:
        return "_".join(part for part in (self.subject, self.session) if part)

    def found(self, images: Mapping[str, Path], problem: str) -> FoundPatient:
        return FoundPatient({} if problem else images, problem, self.subject, self.session)

    def one_of_each(self) -> FoundPatient:
        """One file for each role: of several, that with the entities of the roles that have one alone."""
        problem = self.problem or told_twins(path for paths in self.files.values() for path in paths)
        single = {_entities(paths[0]) for paths in self.files.values() if len(paths) == 1}
        images = {}
        for role, paths in self.files.items():
            kept = [path for path in paths if _entities(path) in single] if len(paths) > 1 else paths
            problem = problem or ("" if len(kept) == 1 else _several(paths, role))
            images[role] = paths[0] if problem else kept[0]
        return self.found(images, problem)


def _sessions(folder: Path, suffixes: Mapping[str, Sequence[str]]) -> tuple[list[_Session], dict[str, FoundPatient]]:
    """Files of every session, and the patients without such a file, by name.

    A session is told by the names of its files, or where these don't name it by their folder.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder; give a BIDS folder, with the images of a patient in sub-*.")
    ends = ", ".join(f"_{end}" for kinds in suffixes.values() for end in kinds)
    files: defaultdict[tuple[str, str], dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    problems: dict[tuple[str, str], str] = {}
    for image in find_niftis(folder, "sub-*/**/sub-*"):
        named, kind = _SUBJECT.match(image.name), stem_of(image).rpartition("_")[2]
        role = next((role for role, kinds in suffixes.items() if kind in kinds), None)
        if named is None or role is None:
            continue
        subject, session = named[1], session_of(image)
        where = image.relative_to(folder)
        lying = next((part for part in where.parts[1:-1] if _SESSION_FOLDER.fullmatch(part)), "")
        whose = subject, session or lying
        files[whose][role].append(image)
        if where.parts[0] != subject:
            problems[whose] = f"{where} is of {subject} by its name and of {where.parts[0]} by its folder."
        elif lying and session and lying != session:
            problems[whose] = f"{where} is of {session} by its name and of {lying} by its folder."
    if not files:
        raise BadInputError(
            f"{folder} holds no patient; a BIDS folder is expected, whose sub-* hold NIfTI files with one of these at "
            f"the end: {ends}."
        )
    sessions = [
        _Session(subject, session or None, found, problems.get((subject, session), ""))
        for (subject, session), found in files.items()
    ]
    seen = {subject for subject, _ in files}
    without = {
        place.name: FoundPatient({}, f"its folder holds no NIfTI file with one of these at the end: {ends}.")
        for place in folder.glob("sub-*")
        if place.is_dir() and place.name not in seen
    }
    return sessions, without


def _several(paths: Sequence[Path], role: str) -> str:
    """In words, that there are more files of a kind than one; empty when there aren't."""
    if len(paths) < 2:
        return ""
    return f"{len(paths)} images of the kind {role}, {_listed(paths)}; run the one that is meant by itself."


def _entities(path: Path) -> str:
    """All of a BIDS name but its suffix: ``sub-01_run-2``."""
    return stem_of(path).rpartition("_")[0]


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
        When there is no such session, or one has no mask of that label or more than one, more than one required image,
        several of another kind that can't be told apart, or an image with two endings.
    """
    found = []
    for session in _sessions(folder, {role: (SUFFIX[role],) for role in {*roles, required}})[0]:
        if not (files := session.files.get(required)):
            continue
        if twins := told_twins(files):
            raise BadInputError(twins)
        if len(files) > 1:
            raise BadInputError(
                f"{session.name} has {len(files)} files of the kind {SUFFIX[required]}, {_listed(files)}; a mask "
                "belongs to one. Keep the one that was labelled."
            )
        patient = session.one_of_each()
        if patient.problem:
            raise BadInputError(f"{session.name}: {patient.problem}")
        images = {role: patient.images[role] for role in roles if role in patient.images}
        mask = find_mask(folder, f"{session.name}_space-{space}_label-{label}_mask")
        found.append(LabelledStudy(session.subject, session.session, images, mask))
    if not found:
        raise BadInputError(f"{folder} holds no sub-*/**/sub-*_{SUFFIX[required]}.nii.gz; a BIDS folder is expected.")
    return found


def _listed(paths: Sequence[Path]) -> str:
    return " and ".join(path.name for path in paths)


def find_mask(folder: Path, name: str) -> Path:
    """The one mask of that name, less its ending, below ``derivatives``.

    Raises
    ------
    BadInputError
        When it is absent or there more than once.
    """
    paths = find_niftis(folder / "derivatives", f"**/{name}.*")
    if len(paths) == 1:
        return paths[0]
    found = "is absent" if not paths else f"is there {counted(len(paths), 'time')}"
    raise BadInputError(f"{name}.nii.gz {found} below {folder / 'derivatives'}; each patient needs one.")


def find_labels(folder: Path, image: str, label: str) -> list[tuple[str, Path, Path]]:
    """Every ``sub-*/**/sub-*_<image>.nii.gz``: its name, image, and labels below ``derivatives``.

    The name is ``sub-01``, or ``sub-01_ses-02`` of an image that names its session. Labels are
    ``*_label-<label>_dseg`` or ``*_label-<label>_mask`` of that session, or of none; of several, those on the image's
    own grid.

    Raises
    ------
    BadInputError
        When there is no such image, a session has several, or one has no labels, or several of which not one alone lies
        on its grid.
    """
    found: dict[str, tuple[str, Path, Path]] = {}
    for path in find_niftis(folder, f"sub-*/**/sub-*_{image}.*"):
        if "derivatives" in path.relative_to(folder).parts:
            continue
        subject, session = path.name.split("_")[0], session_of(path)
        name = "_".join(part for part in (subject, session) if part)
        if name in found:
            raise BadInputError(
                f"{name} has the images {found[name][1].name} and {path.name}; one is needed. Name it by more of "
                f"its end than {image}, such as acq-2_{image}."
            )
        named = [f"{subject}_*label-{label}_{kind}.*" for kind in ("dseg", "mask")]
        labels = [mask for pattern in named for mask in find_niftis(folder / "derivatives", f"**/{pattern}")]
        if session:
            labels = [mask for mask in labels if session_of(mask) in (session, "")]
            labels = [mask for mask in labels if session_of(mask)] or labels
        if len(labels) > 1:
            labels = _on_grid_of(path, labels, name, label, folder)
        if not labels:
            raise BadInputError(
                f"{name} has no file of the label {label!r} below {folder / 'derivatives'}; one is needed, "
                f"{name}_*_label-{label}_mask.nii.gz or _dseg.nii.gz."
            )
        found[name] = (name, path, labels[0])
    if not found:
        raise BadInputError(f"{folder} holds no sub-*/anat/sub-*_{image}.nii.gz; a BIDS folder is expected.")
    return list(found.values())


def _on_grid_of(image: Path, labels: Sequence[Path], name: str, label: str, folder: Path) -> list[Path]:
    """The one of several files of labels that lies on an image's grid."""
    grids = {path: read_nifti(path, allow_empty=True).grid for path in labels}
    lying = [path for path in labels if grids[path].same_as(read_nifti(image).grid)]
    if len(lying) == 1:
        return lying
    subject = name.split("_")[0]
    told = f"{name} has {len(labels)} files of the label {label!r}, {' and '.join(path.name for path in labels)}"
    if lying:
        raise BadInputError(
            f"{told}; {len(lying)} of them lie on the grid of {image.name}. Keep the one that is meant."
        )
    others = [
        stem_of(other).split("_")[-1]
        for other in find_niftis(folder, f"{subject}/**/{subject}_*")
        if any(grid.same_as(read_nifti(other).grid) for grid in grids.values())
    ]
    remedy = f"Give --image {others[0]}, which one lies on." if others else "Bring one of them to that grid."
    raise BadInputError(f"{told}; none lies on the grid of {image.name}. {remedy}")
