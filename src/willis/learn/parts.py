"""Which labelled patients a recipe trains on and which validate: parts of a split file, or folds drawn by a seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from willis.errors import BadInputError
from willis.learn.folds import keep
from willis.learn.recipe import FoldSettings
from willis.learn.split_file import SplitFile, check_parts, parts_of, read_split
from willis.settings import Settings

NEVER_TRAINED = ("validation", "test")  # parts that no network learns from, whichever of them validates

TrainingPart = Literal["training", "validation"]


class LabelledFolder(Settings):
    """``[data]`` of a task that is trained on labelled patients.

    Parameters
    ----------
    folder
        The patients. Empty: phantoms, where the task has them.
    split
        Split file of ``willis dataset split`` or ``folds``. Empty: ``[folds]`` of the recipe shares the patients out.
    part
        The part of it that validates: a fold, or ``validation`` or ``test``. Empty: ``validation``, where there is one.
        The other parts are trained on, but for ``validation`` and ``test``.
    """

    folder: str = ""
    split: str = ""
    part: str = ""

    @model_validator(mode="after")
    def _a_split_is_of_a_folder(self) -> LabelledFolder:
        if self.part and not self.split:
            raise ValueError(f"part {self.part!r} is of a split file; name the file as split, or with --split")
        if self.split and not self.folder:
            raise ValueError("a split shares out the patients of a folder; name it as folder, or with --data")
        return self


def keep_cases(
    names: Sequence[str],
    patients: Sequence[str],
    data: LabelledFolder,
    folds: FoldSettings | None,
    part: TrainingPart,
    *,
    unused: Sequence[str] = (),
    tested: Sequence[str] = (),
) -> list[int]:
    """Indices of the cases of a folder that are trained on, or that validate.

    Parameters
    ----------
    names, patients
        Of each case its name, as a split file has it, and its patient.
    data
        The folder and its split.
    folds
        The recipe's ``[folds]``, which count where no split is named.
    part
        What is asked for.
    unused
        Names of further cases of the folder, which a split may name and this network learns nothing from.
    tested
        Names of further cases that the folder itself keeps for a test.

    Raises
    ------
    BadInputError
        When the split can't be used, names another folder's cases, or two parts share a patient; when there are fewer
        patients than folds.
    """
    if not data.split:
        return keep(patients, folds, part)
    split = read_split(Path(data.split))
    check_parts(parts_of(split), {**split.groups, **dict(zip(names, patients, strict=True))})
    validating = validating_part(split, data)
    held = {p.name: set(p.subjects) for p in split.parts}
    trained = {name for other in held if other not in (validating, *NEVER_TRAINED) for name in held[other]}
    validated = held[validating] if validating else set()
    if clashing := sorted((trained | validated) & set(tested)):
        raise BadInputError(
            f"{_some(clashing)} of {data.folder} is for the test there, but {data.split} trains or validates on it. "
            "Put it into the part test."
        )
    _check_same_cases({*names, *unused}, split, trained | validated, data)
    if not trained:
        raise BadInputError(f"{data.split} leaves nothing to train on where {validating} validates; name another part.")
    wanted = trained if part == "training" else validated
    return [index for index, name in enumerate(names) if name in wanted]


def validating_part(split: SplitFile, data: LabelledFolder) -> str | None:
    """Name of the part that validates; None where a split in training and test has none that is meant for it.

    Raises
    ------
    BadInputError
        When the split has no such part, or is of folds and none is named.
    """
    names = [part.name for part in split.parts]
    if data.part in names:
        return data.part
    if not data.part and "validation" in names:
        return "validation"
    if data.part or split.kind == "folds":
        raise BadInputError(
            f"part is {data.part!r}; {data.split} holds {', '.join(names)}. Name the one that validates."
        )
    return None


def leaves_out(data: Mapping[str, Any], folds: FoldSettings | None) -> bool:
    """Whether ``[data]`` leaves a case out to validate on: a part of its split, a fold, or phantoms of another seed."""
    chosen = LabelledFolder(**{name: data.get(name, "") for name in LabelledFolder.model_fields})
    if chosen.split:
        return validating_part(read_split(Path(chosen.split)), chosen) is not None
    if chosen.folder:
        return folds is not None
    return bool(data.get("phantom", {}).get("validation_count", True))


def _check_same_cases(found: set[str], split: SplitFile, used: set[str], data: LabelledFolder) -> None:
    """Refuse a folder with cases that the split doesn't name, or without some that it trains or validates on."""
    named = {name for part in split.parts for name in part.subjects}.union(split.held_out)
    if unnamed := sorted(found - named):
        raise BadInputError(
            f"{_some(unnamed)} of {data.folder} is in no part of {data.split}; split the folder anew, or take it out."
        )
    if absent := sorted(used - found):
        raise BadInputError(f"{data.split} names {_some(absent)}, which {data.folder} doesn't hold; split it anew.")


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} (and {len(names) - 1} more)"
