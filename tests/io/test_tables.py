"""Tables: what is written comes back, what is missing reads n/a, and a file is whole or absent."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from willis.errors import BadInputError
from willis.io.tables import read_table, write_json, write_table

TEXT = st.text(st.characters(blacklist_characters="\t\n\r", blacklist_categories=("Cs",)), max_size=8)


def test_a_table_as_written(tmp_path: Path) -> None:
    rows = [
        {"case": "007", "ml": 1 / 3, "count": 2, "found": True},
        {"case": "Zoë", "ml": math.nan, "count": None},
        {"ml": np.float32(2.5), "count": np.int64(1234567), "case": "n", "extra": 1e-7},
    ]
    path = write_table(rows, tmp_path / "new" / "t.tsv")
    assert path.read_text(encoding="utf-8") == (
        "case\tml\tcount\tfound\textra\n"
        "007\t0.333333\t2\ttrue\tn/a\n"
        "Zoë\tn/a\tn/a\tn/a\tn/a\n"
        "n\t2.5\t1234567\tn/a\t1e-07\n"
    )
    assert read_table(path)[0] == {"case": "007", "ml": "0.333333", "count": "2", "found": "true", "extra": None}


def test_columns_may_be_ordered_and_a_table_may_be_empty(tmp_path: Path) -> None:
    path = write_table([{"b": 1, "a": 2}], tmp_path / "t.tsv", columns=["a", "b", "c"])
    assert path.read_text(encoding="utf-8") == "a\tb\tc\n2\t1\tn/a\n"
    assert read_table(write_table([], path, columns=["a"])) == []


@given(rows=st.lists(st.tuples(TEXT, TEXT), max_size=5))
def test_texts_come_back(rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("t") / "t.tsv"
    write_table([{"a": a, "b": b} for a, b in rows], path, columns=["a", "b"])
    expected = [{"a": None if a == "n/a" else a, "b": None if b == "n/a" else b} for a, b in rows]
    assert read_table(path) == expected


def test_what_a_spreadsheet_saved(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes("\ufeffa\tb\r\n1\t2\r\n".encode())
    assert read_table(path) == [{"a": "1", "b": "2"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a\tb\n1\n", "line 2 of .* has 1 cell; its first line names 2"),
        ("a\ta\n", "names a column twice"),
    ],
)
def test_bad_tables_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_table(path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_bytes(b"a\tb\n\xff\xfe\t1\n")
    for path in (tmp_path / "t.tsv", tmp_path / "absent.tsv"):
        with pytest.raises(BadInputError, match="can't be read as a table"):
            read_table(path)


@pytest.mark.parametrize("rows", [[{"a": "x\ty"}], [{"a": "x\ny"}], [{"z": 1}]])
def test_a_refused_table_leaves_nothing_behind(rows: list, tmp_path: Path) -> None:
    path = write_table([{"a": "before"}], tmp_path / "t.tsv")
    with pytest.raises(BadInputError):
        write_table(rows, path, columns=["a"])
    assert [p.name for p in tmp_path.iterdir()] == ["t.tsv"]
    assert read_table(path) == [{"a": "before"}]


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_table([{"a": "before"}], tmp_path / "t.tsv")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_table([{"a": "after"}], path)
    assert [p.name for p in tmp_path.iterdir()] == ["t.tsv"]
    assert read_table(path) == [{"a": "before"}]


def test_json_is_plain(tmp_path: Path) -> None:
    value = {"a": math.nan, "b": np.float64(0.5), "c": (1, math.inf), "d": Path("x/y"), "e": np.arange(2), 1: True}
    path = write_json(value, tmp_path / "s.json")
    assert json.loads(path.read_text()) == {"a": None, "b": 0.5, "c": [1, None], "d": "x/y", "e": [0, 1], "1": True}
