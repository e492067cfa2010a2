"""``willis dataset``: know labelled patients, and share them out before anything is trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from willis.errors import BadInputError
from willis.units import counted
from willis.volume.plane import PLANES, Plane

if TYPE_CHECKING:
    from willis.learn.split import SizedSubject
    from willis.learn.split_file import SplitFile

VOLUME_BINS = 4  # of a task's folder, where --bins doesn't say

Out = Annotated[Path, Parameter(name=("--output", "-o"))]
Switch = Annotated[bool, Parameter(negative=())]

app = App(name="dataset", help="Describe labelled patients; split, fold, batch and check them before training.")


@app.command
def describe(
    source: Path,
    *,
    output: Out,
    any_value: Switch = False,
    atlas: Path | None = None,
    workers: int | None = None,
) -> None:
    """Measure every lesion of a folder of T1s with lesion masks: tables, counts in the published bins, pictures.

    Parameters
    ----------
    source
        Folder (ATLAS or BIDS names, or masks alone), or a table of paths (.tsv or .csv) with subject, mask, and perhaps
        t1, session and group.
    output
        Folder to make; it must be absent or empty.
    any_value
        Count every value above 0 as lesion.
    atlas
        Label image in the masks' space: the region that holds most of each lesion.
    workers
        Processes; else one for each processor.
    """
    from willis.app.cli.progress import ProgressReport
    from willis.io.labelled import find_labelled_images, without_mask
    from willis.learn.description import write_description
    from willis.measure.labelled_sizes import describe_cases
    from willis.tasks.chronic.places import places_in_mni

    check_empty(output)
    cases = find_labelled_images(source)
    with ProgressReport() as progress:
        found = describe_cases(
            cases,
            any_value=any_value,
            atlas=atlas,
            places=places_in_mni,
            workers=workers or os.cpu_count() or 1,
            progress=progress,
        )
    print(write_description(found, output))
    if alone := without_mask(source, cases):
        print(f"Left out, with a T1 and no lesion mask: {counted(len(alone), 'session')}, such as {alone[0]}.")
    print(f"\nTables and pictures: {output}")


@app.command
def split(
    source: Path, *, output: Out, task: str | None = None, bins: int | None = None, test: float = 0.2,
    validation: float = 0.0, seed: int = 42, overwrite: Switch = False,
) -> None:  # fmt: skip
    """Share patients out into parts for training, validation and test that are alike in lesion size.

    Parameters
    ----------
    source
        Folder that ``describe`` wrote, or the published tables: parts are alike in 3D and in every plane. With --task
        a folder of labelled patients as that task is trained on: alike in the masks' volumes, and in kinds of patients.
    output
        Split file to write (.json); its balance is written beside it (.tsv).
    task
        Whose labelled patients the folder holds.
    bins
        With --task, bins of lesion volume, made from the masks so that they hold alike many; 4 when not given.
    test
        Part of all patients that is kept for testing.
    validation
        Part of all patients that validates while others are trained on.
    seed
        One seed always gives the same bytes.
    overwrite
        Replace another split that is there already.
    """
    if not (0 < test < 1 and 0 <= validation < 1 - test):
        raise BadInputError(
            f"--test is {test:g} and --validation {validation:g}; both are shares of all patients, that of the test is "
            "above 0, and together they leave some to train on."
        )
    shares = {"train": 1 - test - validation, "validation": validation, "test": test}
    subjects, edges = _subjects(source, task, bins)
    asked = {name: share for name, share in shares.items() if share}
    tables = None if task else source
    _write(tables, output, "split", subjects, asked, seed, edges, overwrite=overwrite)


@app.command
def folds(
    source: Path, *, output: Out, task: str | None = None, bins: int | None = None, count: int = 5, seed: int = 42,
    within: Path | None = None, part: str | None = None, overwrite: Switch = False,
) -> None:  # fmt: skip
    """Share patients out into folds that are alike in lesion size.

    Parameters
    ----------
    source
        Folder that ``describe`` wrote, or the published tables: parts are alike in 3D and in every plane. With --task
        a folder of labelled patients as that task is trained on: alike in the masks' volumes, and in kinds of patients.
    output
        Split file to write (.json); its balance is written beside it (.tsv).
    task
        Whose labelled patients the folder holds.
    bins
        With --task, bins of lesion volume, made from the masks so that they hold alike many; 4 when not given.
    count
        Number of folds.
    seed
        One seed always gives the same bytes.
    within
        Split file whose part alone is folded.
    part
        Which part of it; train when not given.
    overwrite
        Replace another split that is there already.
    """
    if count < 2:
        raise BadInputError(f"--count is {count}; there are at least 2 folds.")
    if part is not None and within is None:
        raise BadInputError(f"--part {part} is of a split file; name it with --within, or leave the part out.")
    from willis.learn.split_file import subjects_of_part

    subjects, edges = _subjects(source, task, bins)
    folded = subjects if within is None else subjects_of_part(subjects, within, part or "train")
    held_out = {subject.name for subject in subjects} - {subject.name for subject in folded}
    shares = {f"fold_{n}": 1 / count for n in range(1, count + 1)}
    tables = None if task else source
    _write(tables, output, "folds", folded, shares, seed, edges, sorted(held_out), overwrite=overwrite)


@app.command
def check(files: Annotated[list[Path], Parameter(consume_multiple=True)], *, least_p: float = 0.05) -> None:
    """Check a split: no patient in two parts, none listed twice, parts alike in lesion size.

    Parameters
    ----------
    files
        One split file, or the published CSV files of all folds.
    least_p
        Least p of Mann and Whitney's test of a part against the rest.
    """
    from willis.learn.split_file import check_balance, check_parts, parts_of, read_published_folds, read_split

    if len(files) == 1 and files[0].suffix == ".json":
        found = read_split(files[0])
        parts, groups = parts_of(found), found.groups
        check_parts(parts, groups)
        check_balance(found, least_p)
    else:
        parts, groups = read_published_folds(files), {}
        check_parts(parts, groups)
    print(
        f"{counted(len(parts), 'part')}, {counted(sum(len(p.subjects) for p in parts), 'subject')}: no patient "
        "lies in two parts."
    )


@app.command
def batches(
    tables: Path, split_file: Path, *, output: Out, plane: Plane = "axial", batch: int = 32, seed: int = 42,
    repeat: int = 1,
) -> None:  # fmt: skip
    """List the batches of slices of each fold: half with lesion, half without, every bin of size in each batch.

    Parameters
    ----------
    tables
        Folder that ``describe`` wrote.
    split_file
        From ``folds``.
    output
        Folder to make: for each fold the batches of its training and of its validation slices.
    plane
        Of the slices.
    batch
        Slices in a batch.
    seed
        One seed always gives the same bytes.
    repeat
        How often each slice with lesion is dealt out.
    """
    from willis.learn.batch_tables import write_batches
    from willis.learn.description import read_subjects
    from willis.learn.split_file import read_split

    check_empty(output)
    print(write_batches(read_subjects(tables), read_split(split_file), plane, output, batch, seed, repeat))


@app.command
def slices(
    source: Path, *, output: Out, planes: tuple[Plane, ...] = PLANES, lesion_only: Switch = False, workers: int = 1
) -> None:
    """Export slices as NIfTI files with affines, for those who want files.

    Parameters
    ----------
    source
        Folder or table of paths, as for ``describe``; each session needs its T1.
    output
        Folder to make: plane, session, then two files for each slice.
    planes
        Which planes.
    lesion_only
        Leave out slices without lesion.
    workers
        Processes.
    """
    from willis.app.cli.progress import ProgressReport
    from willis.io.labelled import find_labelled_images
    from willis.measure.slice_export import export_slices

    check_empty(output)
    cases = find_labelled_images(source)
    with ProgressReport() as progress:
        count = export_slices(cases, output, planes, lesion_only=lesion_only, workers=workers, progress=progress)
    print(f"{counted(count, 'slice')} of {counted(len(cases), 'session')}: {output}")


def check_empty(folder: Path) -> None:
    """Refuse a folder that holds something.

    Raises
    ------
    BadInputError
        When it exists and isn't an empty folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInputError(f"{folder} exists and isn't an empty folder. Name another.")


def _subjects(source: Path, task: str | None, bins: int | None) -> tuple[list[SizedSubject], tuple[int, ...]]:
    """Patients of tables or of a task's folder, and the edges of the bins of their volumes."""
    from willis.learn.description import read_subjects
    from willis.learn.split import volume_edges
    from willis.measure.size_bins import VOLUME_EDGES
    from willis.tasks.training import labelled_subjects

    if task is not None:
        found = labelled_subjects(task, source)
        return found, volume_edges(found, VOLUME_BINS if bins is None else bins)
    if bins is not None:
        raise BadInputError(
            "--bins are made from masks; name the task of the folder with --task. Tables have their own."
        )
    return read_subjects(source), VOLUME_EDGES


def _write(
    tables: Path | None,
    output: Path,
    kind: Literal["folds", "split"],
    subjects: list[SizedSubject],
    shares: dict[str, float],
    seed: int,
    edges: tuple[int, ...],
    held_out: Sequence[str] = (),
    *,
    overwrite: bool,
) -> None:
    from willis.io.tables import write_table
    from willis.learn.description import read_extents
    from willis.learn.split import split_subjects
    from willis.learn.split_file import draw_normals, is_balance, make_split_file, write_split

    if output.suffix != ".json":
        raise BadInputError(f"a split is written as .json; found {output.name}.")
    balance = output.with_suffix(".tsv")
    if balance.exists() and not is_balance(balance):
        raise BadInputError(f"{balance} is no balance of a split and would be overwritten. Name the split otherwise.")
    parts = split_subjects(subjects, shares, seed, edges)
    extents = {} if tables is None else read_extents(tables)
    normals = draw_normals(subjects, extents, seed) if extents else {}
    made = make_split_file(kind, seed, parts, subjects, normals, held_out=held_out, edges=edges)
    if output.exists() and not overwrite and not _holds(output, made):
        raise BadInputError(
            f"{output} is there already and isn't this split. Pass --overwrite to replace it, or name another."
        )
    write_split(made, output)
    write_table(made.balance, balance)
    print(_told(made))
    print(f"\nSplit: {output}\nBalance: {balance}")


def _holds(path: Path, made: SplitFile) -> bool:
    from willis.learn.split_file import read_split

    try:
        return read_split(path) == made
    except BadInputError:
        return False


def _told(made: SplitFile) -> str:
    lines = [f"{'part':<10}{'of':<18}{'count':>8}{'worst bin':>11}{'p':>8}{'KS':>8}"]
    lines += [
        f"{row['part']:<10}{row['of']:<18}{row['count']:>8}{row['worst_bin_deviation']:>11.2f}"
        f"{row['mann_whitney_p']:>8.3f}{row['ks_distance']:>8.3f}"
        for row in made.balance
    ]
    return "\n".join(lines)
