"""A kind's own choices reach its maker from the command line."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from willis.app.cli.main import call
from willis.phantom import dataset
from willis.phantom.kinds import KINDS


@pytest.mark.parametrize(("words", "residue"), [((), None), (("--residue", "drawn"), "drawn")])
def test_the_residue_function_is_chosen(
    monkeypatch, tmp_path: Path, words: tuple[str, ...], residue: str | None
) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(dataset, "write_patients", lambda *args, **given: asked.update(given))
    assert call(["phantom", "perfusion", "-o", str(tmp_path / "out"), *words]) == 0
    assert asked.get("residue") == residue


def test_others_are_refused(tmp_path: Path) -> None:
    assert call(["phantom", "perfusion", "-o", str(tmp_path / "out"), "--residue", "square"]) == 2
    assert call(["phantom", "wmh", "-o", str(tmp_path / "out"), "--residue", "box"]) == 2
    assert not (tmp_path / "out").exists()


def test_the_default_is_the_makers_own() -> None:
    for kind in KINDS.values():
        maker = inspect.signature(kind.make())
        for name, (_, values) in kind.choices.items():
            assert maker.parameters[name].default == values[0]
