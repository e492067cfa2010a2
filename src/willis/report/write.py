"""Write: all files of a run, and the report of them."""

from __future__ import annotations

from pathlib import Path

from willis.findings import Findings
from willis.io.derivatives import write_derivatives
from willis.report.render import page_of, write_page


def write(findings: Findings, out: Path | str) -> Path:
    """Write masks, tables, figures, provenance and report of one run into a folder.

    An earlier run of the same subject and task in it is replaced whole; no other file is touched.

    Returns
    -------
    Path
        Of ``report.html``.

    Raises
    ------
    BadInputError
        When the folder can't take these results; see :func:`willis.io.derivatives.write_derivatives`.
    """
    page = page_of(findings)  # first, so that nothing is written when it can't be made
    write_derivatives(findings, out)
    return write_page(page, out)
