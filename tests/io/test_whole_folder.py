"""Folders that appear whole, wherever they lie: behind a link, on a disk of their own, absent or empty."""

import errno
from pathlib import Path

import pytest

from willis.io.whole_folder import whole_folder


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A folder that behaves as if another disk were mounted there: nothing is renamed onto it or over it."""
    mounted = tmp_path / "disk"
    mounted.mkdir()

    def is_there(path: Path) -> bool:
        return path.resolve().is_relative_to(mounted)

    def guarded(move):
        def act(self, target):
            if mounted in (self.resolve(), Path(target).resolve()) or is_there(self) != is_there(Path(target).parent):
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return move(self, target)

        return act

    monkeypatch.setattr(Path, "rename", guarded(Path.rename))
    monkeypatch.setattr(Path, "replace", guarded(Path.replace))
    return mounted


def filled(out: Path) -> list[str]:
    with whole_folder(out) as folder:
        (folder / "sub-01").mkdir()
        (folder / "sub-01" / "t1.nii").write_text("voxels")
        (folder / "README").write_text("what this is")
        assert not (out / "README").exists()
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*"))


MADE = ["README", "sub-01", "sub-01/t1.nii"]


def test_an_absent_folder_appears_with_all_that_leads_to_it(tmp_path):
    assert filled(tmp_path / "a" / "b") == MADE
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def test_a_mounted_folder_is_filled(disk):
    assert filled(disk) == MADE


@pytest.mark.parametrize("there", [True, False])
def test_a_link_to_another_disk_is_followed(disk, tmp_path, there):
    if there:
        (disk / "results").mkdir()
    (tmp_path / "link").symlink_to(disk / "results")
    assert filled(tmp_path / "link") == MADE
    assert (disk / "results" / "README").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "link"]


def test_the_folder_that_one_is_in_is_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert filled(Path()) == MADE


@pytest.mark.parametrize("there", [True, False])
def test_an_error_leaves_what_was(tmp_path, there):
    out = tmp_path / "out"
    if there:
        out.mkdir()
    with pytest.raises(ZeroDivisionError), whole_folder(out) as folder:
        (folder / "README").write_text("what this is")
        _ = 1 / 0
    assert list(tmp_path.rglob("*")) == ([out] if there else [])
