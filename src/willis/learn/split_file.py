"""The split file: parts, their balance, and the lesion-free slices drawn for them, in one JSON; and its check."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from willis.errors import BadInputError, invalid_option
from willis.io.bids import patient_of
from willis.io.size_tables import read_sizes
from willis.io.tables import write_json
from willis.learn.split import Part, SizedSubject
from willis.measure.balance import Balance, balance_of
from willis.measure.size_bins import SLICE_EDGES, VOLUME_EDGES
from willis.settings import Settings
from willis.volume.plane import PLANES, Plane

Normals = dict[Plane, dict[str, tuple[int, ...]]]  # lesion-free slices by plane and session


class PartRecord(Settings):
    """One part, as it stands in the file."""

    name: str
    share: float
    subjects: tuple[str, ...]


class SplitFile(Settings):
    """A split of sessions into parts.

    Parameters
    ----------
    kind, seed
        ``folds`` or ``split``, and the seed that it was drawn by.
    parts
        Names, shares and sessions.
    groups
        Patient of each session.
    normals
        Lesion-free slices drawn beside each session's lesions, by plane.
    balance
        One row for each part, and for volumes, each kind of patient and each plane.
    held_out
        Sessions that lie in no part, such as those of a test where only the others were folded: no network sees them.
    edges
        Of the bins of volume, in mm³ (of tables: voxels); the last bin is open.
    """

    kind: Literal["folds", "split"]
    seed: int
    parts: tuple[PartRecord, ...]
    groups: dict[str, str]
    normals: dict[Plane, dict[str, tuple[int, ...]]] = Field(default_factory=dict)
    balance: tuple[dict[str, Any], ...] = ()
    held_out: tuple[str, ...] = ()
    edges: tuple[int, ...] = VOLUME_EDGES


def make_split_file(
    kind: Literal["folds", "split"],
    seed: int,
    parts: Sequence[Part],
    subjects: Sequence[SizedSubject],
    normals: Normals,
    *,
    held_out: Sequence[str] = (),
    edges: Sequence[int] = VOLUME_EDGES,
) -> SplitFile:
    """The split with its balance."""
    return SplitFile(
        kind=kind,
        seed=seed,
        parts=tuple(PartRecord(name=p.name, share=p.share, subjects=p.subjects) for p in parts),
        groups={subject.name: subject.group for subject in sorted(subjects, key=lambda s: s.name)},
        normals=normals,
        balance=tuple(balance_rows(parts, subjects, edges)),
        held_out=tuple(sorted(held_out)),
        edges=tuple(edges),
    )


def balance_rows(
    parts: Sequence[Part], subjects: Sequence[SizedSubject], edges: Sequence[int] = VOLUME_EDGES
) -> list[dict[str, Any]]:
    """For each part the counts in the bins of volume and of each plane's slices, and how they stand to the rest.

    Where there are patients of several kinds, each kind has a row of counts; planes have rows where slices are known.
    """
    by_name = {subject.name: subject for subject in subjects}
    planes = [plane for plane in PLANES if any(plane in subject.slices for subject in subjects)]
    kinds = sorted({subject.kind for subject in subjects})
    rows = []
    for part in parts:
        mine = [by_name[name] for name in part.subjects]
        rest = [by_name[name] for other in parts if other is not part for name in other.subjects]
        for kind in kinds if len(kinds) > 1 else ():
            count, others = (sum(subject.kind == kind for subject in some) for some in (mine, rest))
            deviation = abs(count - part.share * (count + others))
            rows.append(_row(part, kind or "other subjects", Balance(count, (), deviation, math.nan, math.nan)))
        for plane in (None, *planes):
            bins = edges if plane is None else SLICE_EDGES[plane]
            found = balance_of(_sizes(mine, plane), _sizes(rest, plane), bins, part.share)
            rows.append(_row(part, "subjects" if plane is None else f"{plane} slices", found))
    return rows


def is_balance(path: Path) -> bool:
    """Whether a file is a table of balance."""
    with path.open("rb") as stream:
        return stream.readline().startswith(b"part\tof\tshare\t")


def _row(part: Part, of: str, found: Balance) -> dict[str, Any]:
    return {
        "part": part.name,
        "of": of,
        "share": part.share,
        "count": found.items,
        **{f"bin_{number}": count for number, count in enumerate(found.bins, start=1)},
        "worst_bin_deviation": found.worst_deviation,
        "mann_whitney_p": found.mann_whitney_p,
        "ks_distance": found.ks_distance,
    }


def _sizes(subjects: Iterable[SizedSubject], plane: Plane | None) -> list[int]:
    if plane is None:
        return [subject.voxels for subject in subjects if subject.voxels]
    return [n for subject in subjects for n in subject.slices.get(plane, {}).values()]


def write_split(split: SplitFile, path: Path) -> Path:
    """Write the split; the same split always gives the same bytes."""
    return write_json(split.model_dump(mode="json"), path)


def read_split(path: Path) -> SplitFile:
    """Read a split file.

    Raises
    ------
    BadInputError
        When it can't be read or isn't a split.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path} can't be read as a split file: {error}.") from None
    if not isinstance(values, dict):
        raise BadInputError(f"{path} is not a split file; willis dataset folds or split makes one.")
    return SplitFile.parse(values, f"the split file {path.name}")


def read_published_folds(paths: Sequence[Path]) -> list[Part]:
    """Folds published as one CSV each, with the column ``subject_name``.

    Raises
    ------
    BadInputError
        When there is one file alone, or one can't be read.
    """
    if len(paths) < 2:
        raise BadInputError(f"{paths[0]} is one fold; name the files of all folds, or a split file (.json).")
    share = 1 / len(paths)
    return [
        Part(path.stem, share, tuple(dict.fromkeys(row["subject_name"] for row in read_sizes(path, ["subject_name"]))))
        for path in paths
    ]


def check_parts(parts: Sequence[Part], groups: Mapping[str, str]) -> None:
    """Refuse parts that share patients or name one session twice.

    Raises
    ------
    BadInputError
        Saying how many patients which parts share; when there is no part.
    """
    if not parts:
        raise BadInputError("the split has no part; split the patients anew.")
    for part in parts:
        if not part.subjects:
            raise BadInputError(f"the part {part.name} holds no subject.")
        if len(set(part.subjects)) < len(part.subjects):
            twice = next(name for name in part.subjects if part.subjects.count(name) > 1)
            raise BadInputError(f"{twice} is listed twice in {part.name}; each subject may stand once.")
    shared = {
        f"{a.name} and {b.name}": len(common)
        for a, b in itertools.combinations(parts, 2)
        if (common := _patients(a, groups) & _patients(b, groups))
    }
    if shared:
        listed = "; ".join(f"{pair}: {n}" for pair, n in shared.items())
        raise BadInputError(f"patients lie in more than one part ({listed}). Make the split anew by patient.")


def _patients(part: Part, groups: Mapping[str, str]) -> set[str]:
    return {groups.get(name) or patient_of(name) for name in part.subjects}


def draw_normals(
    subjects: Sequence[SizedSubject], extents: Mapping[str, Mapping[Plane, tuple[int, int]]], seed: int
) -> Normals:
    """As many lesion-free slices of each session as it has slices with lesion, the nearer to a lesion the likelier.

    Where a session has too few, all of them are taken.

    Parameters
    ----------
    extents
        By session and plane, the first slice with signal and the one after the last.
    """
    drawn: Normals = {}
    for plane in PLANES:
        found: dict[str, tuple[int, ...]] = {}
        for subject in sorted(subjects, key=lambda s: s.name):
            rng = np.random.default_rng([seed, PLANES.index(plane), *subject.name.encode()])
            lesion = np.array(sorted(subject.slices.get(plane, {})), dtype=int)
            first, stop = extents[subject.name][plane]
            free = np.setdiff1d(np.arange(first, stop), lesion)
            if lesion.size and free.size:
                distance = np.abs(free[:, None] - lesion[None]).min(axis=1)
                keys = rng.exponential(size=free.size) * distance  # Efraimidis and Spirakis 2006: weights 1/distance
                chosen = free[np.argsort(keys, kind="stable")[: lesion.size]]
                found[subject.name] = tuple(sorted(int(n) for n in chosen))
        drawn[plane] = found
    return drawn


def parts_of(split: SplitFile) -> list[Part]:
    """The parts of a split file."""
    return [Part(part.name, part.share, part.subjects) for part in split.parts]


def subjects_of_part(subjects: Sequence[SizedSubject], path: Path, name: str) -> list[SizedSubject]:
    """The sessions that lie in one part of a split file.

    Raises
    ------
    BadInputError
        When it has no such part, or a session of it isn't in the tables.
    """
    parts = {part.name: part for part in parts_of(read_split(path))}
    if name not in parts:
        raise invalid_option("part", name, parts)
    known = {subject.name: subject for subject in subjects}
    if absent := [subject for subject in parts[name].subjects if subject not in known]:
        raise BadInputError(f"{absent[0]} of {path.name} is not in the tables; describe the same folder.")
    return [known[subject] for subject in parts[name].subjects]


def check_balance(split: SplitFile, least_p: float) -> None:
    """Refuse a split whose parts differ in lesion size.

    Raises
    ------
    BadInputError
        Naming the part and plane with the least p of Mann and Whitney's test, when it is below ``least_p``; when that
        is no probability, or the balance isn't that of the parts.
    """
    if not 0 <= least_p <= 1:
        raise BadInputError(f"--least-p is {least_p:g}; it is a probability from 0 to 1.")
    whole = all(
        {"part", "of", "mann_whitney_p"} <= set(row) and isinstance(row["mann_whitney_p"], float | int | None)
        for row in split.balance
    )
    if not whole or {row["part"] for row in split.balance} != {part.name for part in split.parts}:
        raise BadInputError("the split file's balance is not that of its parts; split the patients anew.")
    tested = [row for row in split.balance if row["mann_whitney_p"] is not None]
    worst = min(tested, key=lambda row: row["mann_whitney_p"], default=None)
    if worst is not None and worst["mann_whitney_p"] < least_p:
        raise BadInputError(
            f"{worst['part']} differs from the rest in the size of its {worst['of']}: Mann-Whitney p is "
            f"{worst['mann_whitney_p']:.3g}, at least {least_p:g} is asked for. Split anew, or take fewer parts."
        )
