"""Distribution batches of each fold as the published CSV tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from willis.errors import BadInputError
from willis.io.size_tables import write_csv
from willis.io.whole_folder import whole_folder
from willis.learn.slice_batches import SliceOf, distribution_batches
from willis.learn.split import SizedSubject
from willis.learn.split_file import SplitFile
from willis.volume.plane import Plane

COLUMNS = ("subject_name", "slice", "sum_voxel", "batch")


def write_batches(
    subjects: Sequence[SizedSubject],
    split: SplitFile,
    plane: Plane,
    folder: Path,
    batch: int,
    seed: int,
    repeat: int = 1,
) -> str:
    """Write ``fold_k/Train_lesion_normal_batches.csv`` and ``Validation_…`` for each fold; says how many batches.

    Raises
    ------
    BadInputError
        When the split isn't of folds, holds no lesion-free slices, or names a session that the tables don't hold; when
        ``repeat`` is below 1.
    """
    if repeat < 1:
        raise BadInputError(f"--repeat is {repeat}; each slice is dealt out at least once.")
    if split.kind != "folds":
        raise BadInputError("batches are made of folds; willis dataset folds makes them.")
    if not split.normals.get(plane):
        raise BadInputError("the split file holds no lesion-free slices; fold a folder that describe wrote.")
    by_name = {subject.name: subject for subject in subjects}
    if absent := sorted({name for part in split.parts for name in part.subjects} - set(by_name)):
        raise BadInputError(f"{absent[0]} of the split file is not in the tables; describe the same folder.")
    with whole_folder(folder) as place:
        return "\n".join(_written(by_name, split, plane, place, batch, seed, repeat))


def _written(
    by_name: dict[str, SizedSubject],
    split: SplitFile,
    plane: Plane,
    folder: Path,
    batch: int,
    seed: int,
    repeat: int,
) -> list[str]:
    lines = []
    for number, part in enumerate(split.parts, start=1):
        others = [name for other in split.parts if other is not part for name in other.subjects]
        told = []
        for title, names in (("Train", others), ("Validation", part.subjects)):
            made = distribution_batches(
                [s for s in lesion_slices(by_name, names, plane) for _ in range(repeat)],
                normal_slices(split, names, plane),
                plane,
                batch=batch,
                seed=seed,
            )
            rows = [(s.subject, s.index, s.voxels, n) for n, held in enumerate(made, start=1) for s in held]
            write_csv([COLUMNS, *rows], folder / f"fold_{number}" / f"{title}_lesion_normal_batches.csv")
            told.append(f"{len(made)} {title.lower()} batches")
        lines.append(f"fold {number}: {', '.join(told)}")
    return lines


def lesion_slices(subjects: dict[str, SizedSubject], names: Iterable[str], plane: Plane) -> list[SliceOf]:
    """Every slice with lesion of the named sessions."""
    return [SliceOf(name, index, n) for name in names for index, n in sorted(subjects[name].slices[plane].items())]


def normal_slices(split: SplitFile, names: Iterable[str], plane: Plane) -> list[SliceOf]:
    """The lesion-free slices that the split drew for the named sessions."""
    return [SliceOf(name, index) for name in names for index in split.normals[plane].get(name, ())]
