"""Which group each case is of, by a table: ``participants.tsv``, or any with a column of names and one of groups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.io.delimited import UNKNOWN, column_of_patients, read_delimited

GROUP = "group"  # the column, where none is named
ALL = "all"  # name of the row over all cases, which no group may have
_SUBJECT = re.compile(r"(?:^|[_/])sub-([A-Za-z0-9]+)")
_PREFIX = "sub-"


@dataclass(frozen=True)
class Grouping:
    """Cases shared out into groups.

    Parameters
    ----------
    of_case
        By case its group; cases without one are absent.
    names
        Groups of the table, in its order.
    no_group
        Cases that the table gives no group.
    no_case
        Names of the table for which there is no case.
    """

    of_case: Mapping[str, str]
    names: tuple[str, ...]
    no_group: tuple[str, ...]
    no_case: tuple[str, ...]

    @property
    def empty(self) -> tuple[str, ...]:
        """Groups without a case."""
        return tuple(name for name in self.names if name not in self.of_case.values())


def group_cases(path: Path, cases: Iterable[str], column: str = GROUP) -> Grouping:
    """Share cases out into the groups that a table names.

    A case is meant by its own name (``sub-01_ses-2``, ``case7``), or by that of its patient, with or without ``sub-``.

    Raises
    ------
    BadInputError
        When the table can't be read, lacks a column, gives a name two groups, calls a group "all", or names none of the
        cases.
    """
    told = _told(path, column.strip().lower())
    cases = list(cases)
    named = {case: next((name for name in _names(case) if name in told), None) for case in cases}
    if not any(named.values()):
        raise BadInputError(f"{path} names none of the cases: it names {_some(told)}; the cases are {_some(cases)}.")
    of_case = {case: told[name] for case, name in named.items() if name is not None and told[name]}
    return Grouping(
        of_case,
        tuple(dict.fromkeys(group for group in told.values() if group)),
        tuple(case for case in cases if case not in of_case),
        tuple(name for name in told if name not in named.values()),
    )


def _told(path: Path, column: str) -> dict[str, str]:
    """By name its group, "" where the table doesn't tell it."""
    rows = read_delimited(path)
    who = column_of_patients(rows, path)
    if column not in rows[0]:
        raise BadInputError(
            f"{path} has no column {column}; its columns are {', '.join(rows[0])}. Name one with --group-column."
        )
    told: dict[str, str] = {}
    for row in rows:
        name, group = row[who].removeprefix(_PREFIX), row[column]
        group = "" if group.lower() in UNKNOWN else group
        if group.lower() == ALL:
            raise BadInputError(f"{path} calls a group {group!r}, which is the name of the row over all cases.")
        if told.setdefault(name, group) != group:
            raise BadInputError(f"{path} gives {row[who]} two groups: {told[name] or 'none'} and {group or 'none'}.")
    return told


def _names(case: str) -> list[str]:
    """What a table may call a case, its own name first."""
    subject = _SUBJECT.search(case)
    return [case.removeprefix(_PREFIX), *([subject[1]] if subject else [])]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" … ({len(listed)})" if len(listed) > 3 else "")
