"""Write findings as a folder of results, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from willis.errors import BadInputError

if TYPE_CHECKING:
    from willis.findings import Findings


def check_output(folder: Path | str, *, overwrite: bool = False) -> None:
    """Refuse a folder that results can't be written to, before anything is computed.

    Raises
    ------
    BadInputError
        When it is a file, holds something already, or can't be made.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file; results need a folder of their own.")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise BadInputError(f"{folder} isn't empty; name another folder, or pass --overwrite to replace its results.")
    above = next(place for place in [folder, *folder.absolute().parents] if place.exists())
    if not os.access(above, os.W_OK):
        raise BadInputError(f"{above} can't be written to; name another folder.")


def write(findings: Findings, folder: Path | str, *, overwrite: bool = False) -> Path:
    """Write masks, sidecars, tables, figures, provenance and report.

    All of it is built beside the folder and moved there when it is complete.

    Parameters
    ----------
    findings
        Of one study.
    folder
        Made when it isn't there.
    overwrite
        Whether files of the same name in the folder may be replaced.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    BadInputError
        When the folder can't be written to; see :func:`check_output`.
    """
    from willis.io.derivatives import write_derivatives
    from willis.report.render import render

    folder = Path(folder)
    check_output(folder, overwrite=overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        built = staging / "results"
        write_derivatives(findings, built)
        report = Path(render(findings, built)).relative_to(built)
        _move_into(built, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder / report


def _move_into(built: Path, folder: Path) -> None:
    """Move a complete folder to its place: in one step where nothing is there, else file by file."""
    if not folder.exists() or not any(folder.iterdir()):
        built.replace(folder)
        return
    for path in sorted(path for path in built.rglob("*") if path.is_file()):
        place = folder / path.relative_to(built)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)
