"""Render: one self-contained page from findings, in memory or on disk."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from willis.findings import Findings
from willis.io.derivatives import REPORT, read_derivatives
from willis.io.records import settled
from willis.io.tables import write_text
from willis.report import words
from willis.report.sections import plan

TEMPLATES = Path(__file__).parent / "templates"


def render(findings: Findings, folder: Path | str) -> Path:
    """Write ``report.html`` into a folder: pictures and style inside it, no script, nothing fetched.

    The same findings give the same bytes, and so does :func:`render_folder` on what was written of them.

    Returns
    -------
    Path
        Of the report.
    """
    return write_page(page_of(findings), folder)


def render_folder(folder: Path | str) -> Path:
    """Make the report of a finished run again from the files in its folder; nothing is computed.

    Raises
    ------
    BadInputError
        When the folder holds no complete run.
    """
    return render(read_derivatives(folder), folder)


def page_of(findings: Findings) -> str:
    """The report as HTML."""
    findings = settled(findings)
    environment = _environment()
    parts = []
    for section in plan(findings):
        context = section.build(findings)
        if context is not None:
            body = environment.get_template(f"sections/{section.template}").render(context, section=section)
            parts.append({"id": section.id, "title": section.title, "body": body})
    title = findings.provenance.get("title") or words.title_of(findings.task)
    return environment.get_template("report.html").render(
        findings=findings,
        title=title,
        parts=parts,
        created=findings.provenance.get("created"),
        version=version("willis"),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions = (words.number, words.measured, words.interval, words.place, words.title_of, words.unit_words)
    environment.filters.update({f.__name__: f for f in (*functions, words.is_number, words.flat)})
    return environment


def write_page(page: str, folder: Path | str) -> Path:
    """Write a report into a folder, made when absent; it appears under its name only when complete."""
    return write_text(page, Path(folder) / REPORT)
