"""Labelled patients in any folder: T1 and lesion mask by ATLAS or BIDS names, or by a table of paths."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.io.bids import patient_of
from willis.io.delimited import UNKNOWN, read_numbered
from willis.io.nifti import read_nifti
from willis.io.nifti_names import find_niftis, stem_of
from willis.io.pairs import MASK_WORDS
from willis.volume.volume import Volume

TABLE_COLUMNS = ("subject", "mask")  # needed; "t1", "session" and "group" may stand beside them
OTHER_GRID = "anatomy"  # word of masks on the phantoms' own grid, which isn't the T1's
LESION_WORDS = frozenset(("lesion", "lesions", "t1lesion"))  # a mask whose name says brain, too, is of lesions
_ENTITY = re.compile(r"(?:^|[_/])(sub|ses)-([A-Za-z0-9]+)")
_WORD = re.compile(r"[_\-. ]+")
_T1 = re.compile(r"(?:^|[_\-. ])T1w?(?=[_\-. ]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class LabelledImage:
    """One session: its mask, its image where there is one, and the patient that it is of.

    Parameters
    ----------
    name
        ``sub-r001s001_ses-1``, or the mask's own name without the words for a mask.
    group
        The patient; sessions of one patient share it.
    mask
        Lesion mask.
    image
        T1, None where there is none.
    """

    name: str
    group: str
    mask: Path
    image: Path | None = None


def read_lesion_mask(path: Path, *, any_value: bool = False, remedy: str = "") -> Volume:
    """Read a lesion mask, which may be empty.

    Parameters
    ----------
    any_value
        Whether every value above 0 is lesion; else a mask holds 0 and 1 alone.
    remedy
        What to do about other values, for the error.

    Raises
    ------
    BadInputError
        When the mask can't be read, or holds other values.
    """
    mask = read_nifti(path, "lesion", allow_empty=True)
    strange = mask.data[(mask.data != 0) & (mask.data != 1)]
    if strange.size and not any_value:
        remedy = remedy or "Make every voxel 0 or 1."
        raise BadInputError(f"{path} holds the value {strange[0]:g}; a lesion mask holds 0 and 1 alone. {remedy}")
    return mask


def find_labelled_images(source: Path) -> list[LabelledImage]:
    """Every lesion mask below a folder with its T1, or every row of a table of paths, in the order of names.

    Parameters
    ----------
    source
        A folder (masks are the NIfTI files whose names say mask or lesion, or all of them when none does, but those of
        the brain), or a table (by tabs, semicolons or commas) with the columns ``subject`` and ``mask``, and perhaps
        ``t1``, ``session`` and ``group``; files are named as seen from the table.

    Raises
    ------
    BadInputError
        When there is no mask, a session has two, or the table lacks a column, names a file that isn't there or gives
        one patient two groups.
    """
    if source.is_file():
        found = _of_table(source)
    elif source.is_dir():
        found = _of_folder(source)
    else:
        raise BadInputError(f"{source} does not exist; give a folder of T1s with lesion masks, or a table of paths.")
    _refuse_twice(found, source)
    return sorted(found, key=lambda item: item.name)


def without_mask(source: Path, labelled: Iterable[LabelledImage]) -> list[str]:
    """Sessions of a folder that have a T1 and are none of the labelled ones, in the order of names; none of a table.

    What is no image of a patient's own (in ``derivatives``) isn't counted.
    """
    if not source.is_dir():
        return []
    files = [path for path in find_niftis(source) if "derivatives" not in path.relative_to(source).parts]
    seen = {_name(stem_of(path)) for path in files if _T1.search(stem_of(path)) and not _says_lesion(path)}
    return sorted(seen - {item.name for item in labelled})


def _of_table(path: Path) -> list[LabelledImage]:
    rows = read_numbered(path)
    if not rows:
        raise BadInputError(f"{path} holds no row; give one for each subject, with the columns subject and mask.")
    if missing := [column for column in TABLE_COLUMNS if column not in rows[0][1]]:
        raise BadInputError(f"{path} lacks the column {missing[0]!r}; needed are {', '.join(TABLE_COLUMNS)}.")
    found = [_of_row(row, number, path) for number, row in rows]
    group_of: dict[str, str] = {}
    for item, (number, row) in zip(found, rows, strict=True):
        subject = patient_of(row["subject"])
        if (group := group_of.setdefault(subject, item.group)) != item.group:
            raise BadInputError(
                f"line {number} of {path} gives {subject} the group {item.group!r}, and an earlier line {group!r}; "
                "sessions of one patient have one group, or none of them."
            )
    return found


def _of_row(cells: dict[str, str], number: int, path: Path) -> LabelledImage:
    row = {column: cell for column, cell in cells.items() if cell.lower() not in UNKNOWN}
    subject, mask = row.get("subject"), row.get("mask")
    if not subject or not mask:
        raise BadInputError(f"line {number} of {path} lacks its subject or its mask.")
    files = [path.parent / name for name in (mask, row.get("t1")) if name]
    if absent := [file for file in files if not file.is_file()]:
        raise BadInputError(f"line {number} of {path} names {absent[0]}, which does not exist.")
    session = row.get("session")
    name = f"{subject}_{session}" if session else subject
    return LabelledImage(name, row.get("group") or patient_of(subject), files[0], files[1] if len(files) > 1 else None)


def _of_folder(folder: Path) -> list[LabelledImage]:
    files = find_niftis(folder)
    others = [path for path in files if not (_T1.search(stem_of(path)) or _says_other(path))]
    masks = [path for path in files if _says_lesion(path)] or others
    if not masks:
        raise BadInputError(
            f"{folder} holds no lesion mask (*.nii, *.nii.gz); masks of the brain are none. Give a table of paths "
            "where names don't tell."
        )
    images: defaultdict[str, list[Path]] = defaultdict(list)
    for path in files:
        if path not in masks and _T1.search(stem_of(path)):
            images[_name(stem_of(path))].append(path)
    return [_with_image(mask, images.get(_name(stem_of(mask)), [])) for mask in masks]


def _with_image(mask: Path, images: Sequence[Path]) -> LabelledImage:
    if len(images) > 1:
        nearest = [path for path in images if path.parent == mask.parent]
        if len(nearest) != 1:
            listed = ", ".join(path.name for path in images)
            raise BadInputError(f"{mask.name} could belong to several T1s: {listed}. Give a table of paths.")
        images = nearest
    stem = stem_of(mask)
    return LabelledImage(_name(stem), _name(patient_of(stem)), mask, next(iter(images), None))


def _name(stem: str) -> str:
    entities = dict(_ENTITY.findall(stem))
    if "sub" in entities:
        return "_".join(f"{kind}-{entities[kind]}" for kind in ("sub", "ses") if kind in entities)
    words = _WORD.split(_T1.sub("", stem))
    while len(words) > 1 and words[-1].lower() in MASK_WORDS:
        words.pop()
    return "_".join(word for word in words if word)


def _says_lesion(path: Path) -> bool:
    words = _words(path)
    return bool(MASK_WORDS.intersection(words[-1:]) or LESION_WORDS.intersection(words)) and not _says_other(path)


def _says_other(path: Path) -> bool:
    """Whether a mask's name says that it is of the brain, or on another grid than the T1's."""
    words = set(_words(path))
    return OTHER_GRID in words or ("brain" in words and not LESION_WORDS & words)


def _words(path: Path) -> list[str]:
    return [word.lower() for word in _WORD.split(stem_of(path))]


def _refuse_twice(found: Iterable[LabelledImage], source: Path) -> None:
    seen: dict[str, Path] = {}
    for item in found:
        if item.name in seen:
            raise BadInputError(
                f"{item.name} is listed twice in {source}: {seen[item.name].name} and {item.mask.name}. "
                "Each session has one mask."
            )
        seen[item.name] = item.mask
