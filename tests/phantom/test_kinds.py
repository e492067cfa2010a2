"""The registry of phantom kinds: each can be made, and its files' names are told apart."""

import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.phantom.kinds import KINDS, get_kind


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_a_maker_and_distinct_files(name: str) -> None:
    kind = get_kind(name)
    assert callable(kind.make())
    for names in (kind.images, kind.truth):
        assert len(set(names.values())) == len(names)
        assert all(end.count("/") == 1 for end in names.values())


def test_no_two_kinds_draw_the_same_people() -> None:
    streams = [kind.stream for kind in KINDS.values()]
    assert len(set(streams)) == len(streams)


def test_an_unknown_kind_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        BadInputError, match="task is 'cartoon'; allowed are 'fvv', 'wmh', 'perfusion', 'chronic', 'lvo'"
    ):
        get_kind("cartoon")
    assert call(["phantom", "cartoon", "-o", "x"]) == 2
    assert "cartoon" in capsys.readouterr().err
