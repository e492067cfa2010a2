"""Write findings as a folder of results with its report."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from willis.errors import BadInputError

if TYPE_CHECKING:
    from willis.findings import Findings


def check_output(folder: Path | str) -> None:
    """Refuse a folder that nothing can be written to, before anything is computed.

    Raises
    ------
    BadInputError
        When it is a file, or can't be made or written to.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file; give a folder for the results.")
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise BadInputError(f"nothing can be written to {above}; give another folder for the results.")


def write(findings: Findings, folder: Path | str) -> Path:
    """Write masks, sidecars, tables, figures, provenance and report.

    An earlier run of the same subject and task in the folder is replaced whole.

    Parameters
    ----------
    findings
        Of one study.
    folder
        Made when it isn't there.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    BadInputError
        When the folder can't be written to, or holds something else.
    """
    from willis.io.derivatives import write_derivatives
    from willis.report.render import render

    folder = Path(folder)
    check_output(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.report.", dir=folder.parent))
    try:
        report = Path(render(findings, staging))
        write_derivatives(findings, folder)
        return report.replace(folder / report.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
