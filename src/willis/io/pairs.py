"""Which predicted mask belongs to which reference, by their names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.io.nifti_names import find_niftis, stem_of, told_twins

_MASK_WORDS = (
    "mask msk seg dseg segmentation label labels lesion lesions wmh gt truth groundtruth reference ref manual "
    "consensus pred prediction predicted output binary bin"
)
MASK_WORDS = frozenset(_MASK_WORDS.split())  # what a mask's name says beside the name of its case
_WORD = re.compile(r"[_\-. ]+")
_ENTITY = re.compile(r"(?:^|[_/])([a-z]+)-([A-Za-z0-9]+)")
_CASE_ENTITIES = ("sub", "ses", "run")
_OTHER_ENTITIES = ("label", "space", "desc", "res", "acq", "hemi")  # falling weight, where a case has several files


@dataclass(frozen=True)
class Pair:
    """One case: its files, either of which may be absent, and why they can't be paired when they can't."""

    case: str
    prediction: Path | None
    reference: Path | None
    problem: str = ""


def pair_files(
    predictions: Path, references: Path, *, prediction_pattern: str | None = None, reference_pattern: str | None = None
) -> list[Pair]:
    """Pair the masks of two folders by name, or two files with each other.

    Where one folder lies in the other, what is in it is of its side alone. No file of two folders is paired with
    itself.

    Masks pair when their BIDS entities sub, ses and run agree; without ``sub-``, when their names agree after words
    such as ``mask``, ``dseg`` or ``pred`` are taken off the end; where nothing is left, when their folders agree. Of
    several masks of a case, those with the same label, space and description are taken.

    Parameters
    ----------
    predictions, references
        Two folders, searched with all folders in them, or two files.
    prediction_pattern, reference_pattern
        Glob within the folder (``**/*_label-wmh_mask.nii.gz``). None takes every NIfTI file whose name says that it
        is a mask, or every NIfTI file when none does.

    Returns
    -------
    By name of the case.

    Raises
    ------
    BadInputError
        When a path is absent, a file is given with a folder, a pattern leads out of it, one of the folders' files is of
        both sides, or no case has both files.
    """
    for path in (predictions, references):
        if not path.exists():
            raise BadInputError(f"{path} does not exist.")
    if predictions.is_file() != references.is_file():
        raise BadInputError(f"{predictions} and {references} must be two folders or two files.")
    if predictions.is_file():
        return [Pair(stem_of(predictions), predictions, references)]
    our_masks = _masks(predictions, prediction_pattern, references)
    their_masks = _masks(references, reference_pattern, predictions)
    _refuse_shared(our_masks, their_masks)
    ours, theirs = _by_case(our_masks, predictions), _by_case(their_masks, references)
    pairs = [_pair(case, ours.get(case, []), theirs.get(case, [])) for case in sorted({*ours, *theirs})]
    if not any(case in theirs for case in ours):
        raise BadInputError(
            f"no mask in {predictions} has the name of one in {references}: "
            f"cases {_some(ours)} and {_some(theirs)}. Name both by sub-… or alike."
        )
    return pairs


def _refuse_shared(ours: Iterable[Path], theirs: Iterable[Path]) -> None:
    """Refuse a file that is of both sides: compared with itself, everything would be found."""
    references = {path.resolve() for path in theirs}
    if shared := next((path for path in ours if path.resolve() in references), None):
        raise BadInputError(
            f"{shared} is a prediction and its own reference. Give two folders, or say which files of one are meant, "
            "with --prediction-pattern and --reference-pattern."
        )


def _by_case(files: list[Path], folder: Path) -> dict[str, list[Path]]:
    names = {path.relative_to(folder).with_name(stem_of(path)) for path in files}
    shared = Counter(_case(name) for name in names)
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in files:
        relative = path.relative_to(folder)
        case = _case(relative)
        if shared[case] > 1 and not case.startswith("sub-") and relative.parent != Path():
            case = f"{relative.parent.as_posix()}/{case}"
        found[case].append(path)
    return dict(found)


def _masks(folder: Path, pattern: str | None, other: Path) -> list[Path]:
    """Masks of one side; those of the other side's folder, where it lies in this one, only by a pattern."""
    if pattern and (Path(pattern).is_absolute() or ".." in Path(pattern).parts):
        raise BadInputError(
            f"the pattern {pattern} leads out of {folder}; give it as seen from there, such as **/*_mask.nii.gz."
        )
    files = find_niftis(folder, pattern or "**/*")
    if around := pattern is None and folder.resolve() in other.resolve().parents:
        files = [path for path in files if other.resolve() not in path.resolve().parents]
    if not files:
        wanted = f"file like {pattern}" if pattern else "NIfTI file"
        raise BadInputError(f"{folder} holds no {wanted}{f' but those of {other}' if around else ''}.")
    named = [] if pattern else [path for path in files if _says_mask(path)]
    return named or files


def _says_mask(path: Path) -> bool:
    words = _WORD.split(stem_of(path).lower())
    return bool(MASK_WORDS.intersection(words[-1:] if "sub" in _entities(path.name) else words))


def _case(relative: Path) -> str:
    entities = _entities(relative.as_posix())
    if "sub" in entities:
        return "_".join(f"{name}-{entities[name]}" for name in _CASE_ENTITIES if name in entities)
    words = _WORD.split(stem_of(relative))
    while words and words[-1].lower() in MASK_WORDS:
        words.pop()
    return "_".join(words) or (stem_of(relative) if relative.parent == Path() else relative.parent.as_posix())


def _pair(case: str, ours: list[Path], theirs: list[Path]) -> Pair:
    if not ours or not theirs:
        return Pair(case, ours[0] if ours else None, theirs[0] if theirs else None)
    for paths in (ours, theirs):
        if twins := told_twins(paths):
            return Pair(case, None, None, twins)
    alike = [(_likeness(p, r), p, r) for p in ours for r in theirs]
    best = max(likeness for likeness, _, _ in alike)
    chosen = [(p, r) for likeness, p, r in alike if likeness == best]
    if len(chosen) == 1:
        return Pair(case, *chosen[0])
    names = ", ".join(path.name for path in [*ours, *theirs])
    return Pair(case, None, None, f"several masks could be meant: {names}. Choose with a pattern.")


def _likeness(prediction: Path, reference: Path) -> tuple[bool, ...]:
    ours, theirs = _entities(prediction.name), _entities(reference.name)
    return tuple(name in ours and ours.get(name) == theirs.get(name) for name in _OTHER_ENTITIES)


def _entities(name: str) -> dict[str, str]:
    return dict(_ENTITY.findall(name))


def _some(cases: Iterable[str]) -> str:
    names = sorted(cases)
    return ", ".join(names[:3]) + (f" … ({len(names)})" if len(names) > 3 else "")
