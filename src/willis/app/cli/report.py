"""``willis report``: the report of a finished run, made again from its files."""

from __future__ import annotations

from pathlib import Path


def report(folder: Path) -> None:
    """Rebuild the report of a finished run; nothing is computed again.

    Parameters
    ----------
    folder
        Where ``willis run`` wrote its results.
    """
    from willis.report.render import render_folder

    print(f"Report: {render_folder(folder)}")
