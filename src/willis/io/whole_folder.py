"""A folder that appears only when everything is in it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staging_for(out: Path) -> Iterator[Path]:
    """A hidden place on the file system of ``out``, so that a rename takes what it holds there; it vanishes at the end.

    It is inside ``out`` where that is a folder already, which may be mounted or lie behind a link, else beside it.
    """
    final = out.resolve()
    above = final if final.is_dir() else final.parent
    above.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=above))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def settle(staging: Path, out: Path) -> None:
    """Give a finished staging folder its final name; what it holds, where the folder is there already."""
    final = out.resolve()
    if not final.is_dir():
        staging.chmod(0o755)
        staging.rename(final)
        return
    for made in sorted(staging.iterdir()):
        made.rename(final / made.name)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A place to write into, which takes its final name at the end of the block and vanishes after an error.

    Parameters
    ----------
    out
        The final name: absent, or an empty folder.
    """
    with staging_for(out) as staging:
        yield staging
        settle(staging, out)
