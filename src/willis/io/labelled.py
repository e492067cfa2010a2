"""Labelled patients in any folder: T1 and lesion mask by ATLAS or BIDS names, or by a table of paths."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.io.nifti import read_nifti
from willis.io.nifti_names import find_niftis, stem_of
from willis.io.pairs import MASK_WORDS
from willis.io.tables import read_table
from willis.volume.volume import Volume

TABLE_COLUMNS = ("subject", "mask")  # needed; "t1", "session" and "group" may stand beside them
OTHER_MASKS = {"brain", "anatomy"}  # words of masks that aren't of lesions on the T1: brain masks, phantoms' own grid
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
        A folder (masks are the NIfTI files whose names say mask or lesion, or all of them when none does), or a
        ``.tsv`` with the columns ``subject`` and ``mask``, and perhaps ``t1``, ``session`` and ``group``.

    Raises
    ------
    BadInputError
        When there is no mask, a session has two, or the table lacks a column or names a file that isn't there.
    """
    if source.is_file():
        found = _of_table(source)
    elif source.is_dir():
        found = _of_folder(source)
    else:
        raise BadInputError(f"{source} does not exist; give a folder of T1s with lesion masks, or a table of paths.")
    _refuse_twice(found, source)
    return sorted(found, key=lambda item: item.name)


def _of_table(path: Path) -> list[LabelledImage]:
    rows = read_table(path)
    if not rows:
        raise BadInputError(f"{path} holds no row; give one for each subject, with the columns subject and mask.")
    if missing := [column for column in TABLE_COLUMNS if column not in rows[0]]:
        raise BadInputError(f"{path} lacks the column {missing[0]!r}; needed are {', '.join(TABLE_COLUMNS)}.")
    return [_of_row(row, number, path) for number, row in enumerate(rows, start=2)]


def _of_row(row: dict[str, str | None], number: int, path: Path) -> LabelledImage:
    subject, mask = row["subject"], row["mask"]
    if not subject or not mask:
        raise BadInputError(f"line {number} of {path} lacks its subject or its mask.")
    files = [path.parent / name for name in (mask, row.get("t1")) if name]
    if absent := [file for file in files if not file.is_file()]:
        raise BadInputError(f"line {number} of {path} names {absent[0]}, which does not exist.")
    session = row.get("session")
    name = f"{subject}_{session}" if session else subject
    return LabelledImage(name, row.get("group") or subject, files[0], files[1] if len(files) > 1 else None)


def _of_folder(folder: Path) -> list[LabelledImage]:
    files = find_niftis(folder)
    masks = [path for path in files if _says_lesion(path)] or [path for path in files if not _T1.search(stem_of(path))]
    if not masks:
        raise BadInputError(f"{folder} holds no lesion mask (*.nii, *.nii.gz).")
    images: defaultdict[str, list[Path]] = defaultdict(list)
    for path in files:
        if path not in masks and _T1.search(stem_of(path)):
            images[_name(path)].append(path)
    return [_with_image(mask, images.get(_name(mask), [])) for mask in masks]


def _with_image(mask: Path, images: Sequence[Path]) -> LabelledImage:
    if len(images) > 1:
        nearest = [path for path in images if path.parent == mask.parent]
        if len(nearest) != 1:
            listed = ", ".join(path.name for path in images)
            raise BadInputError(f"{mask.name} could belong to several T1s: {listed}. Give a table of paths.")
        images = nearest
    entities = dict(_ENTITY.findall(mask.name))
    name = _name(mask)
    return LabelledImage(name, f"sub-{entities['sub']}" if "sub" in entities else name, mask, next(iter(images), None))


def _name(path: Path) -> str:
    entities = dict(_ENTITY.findall(path.name))
    if "sub" in entities:
        return "_".join(f"{kind}-{entities[kind]}" for kind in ("sub", "ses") if kind in entities)
    words = _WORD.split(_T1.sub("", stem_of(path)))
    while len(words) > 1 and words[-1].lower() in MASK_WORDS:
        words.pop()
    return "_".join(word for word in words if word)


def _says_lesion(path: Path) -> bool:
    words = [word.lower() for word in _WORD.split(stem_of(path))]
    told = MASK_WORDS.intersection(words[-1:]) or "t1lesion" in words or "lesion" in words
    return bool(told) and not (OTHER_MASKS & set(words))


def _refuse_twice(found: Iterable[LabelledImage], source: Path) -> None:
    seen: dict[str, Path] = {}
    for item in found:
        if item.name in seen:
            raise BadInputError(
                f"{item.name} is listed twice in {source}: {seen[item.name].name} and {item.mask.name}. "
                "Each session has one mask."
            )
        seen[item.name] = item.mask
