"""Sections: a report as a list of parts, each made from findings by a small function.

To add a section, write its builder and template, and put it into :func:`plan`. A builder gives what its template is
filled with, or None when there is nothing to say; the section is then left out. Nothing here knows a task: words and
pictures come from the findings.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from willis.findings import Figure, Findings, Measurement
from willis.io.derivatives import output_names
from willis.io.records import UNLISTED_LABELS, seeks_lesions
from willis.report.words import doi_of, flat, is_number, title_of

KEY_NUMBERS = 4  # measurements shown large, the first of the findings' order
SHOWN_ROWS = 10  # of a long table; the rest is folded
Context = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """One part of a report.

    Parameters
    ----------
    id
        Anchor in the page.
    title
        Heading, and entry of the contents.
    template
        File in ``templates/sections``.
    build
        Findings to what the template is filled with; None leaves the section out.
    """

    id: str
    title: str
    template: str
    build: Callable[[Findings], Context | None]


def plan(findings: Findings) -> list[Section]:
    """All sections that a report of these findings may have, in order.

    A decision is followed by the pictures that it rests on, before any number; without one, numbers come first.
    """
    tables = [
        Section(f"table-{number}", title_of(name), "table.html", partial(table, name=name))
        for number, name in enumerate(findings.tables, start=1)
    ]
    taken = {"result", "quality", *findings.tables}
    further = dict.fromkeys(f.section for f in findings.figures if f.section not in taken)
    pictures = [
        Section(f"pictures-{number}", title_of(name), "figures.html", partial(figures, name=name))
        for number, name in enumerate(further, start=1)
    ]
    shown = Section("result", "Pictures", "figures.html", partial(figures, name="result"))
    measured = Section("numbers", "Measurements", "numbers.html", numbers)
    return [
        *((shown, measured) if findings.decision else (measured, shown)),
        *tables,
        Section("lesions", "Lesions", "lesions.html", lesions),
        *pictures,
        Section("quality", "Quality", "figures.html", partial(figures, name="quality")),
        Section("methods", "Methods", "methods.html", methods),
        Section("provenance", "Provenance", "provenance.html", provenance),
        Section("files", "Files", "files.html", files),
        Section("use", "Intended use and licence", "use.html", use),
    ]


def numbers(findings: Findings) -> Context | None:
    """Key numbers, and the table of all measurements."""
    rows: list[Measurement] = list(findings.measurements.values())
    if not rows:
        return None
    return {"key": rows[:KEY_NUMBERS], **folded(rows), "intervals": any(m.interval for m in rows)}


def figures(findings: Findings, name: str) -> Context | None:
    """The pictures of one section."""
    chosen = [picture(f) for f in findings.figures if f.section == name]
    return {"figures": chosen} if chosen else None


def table(findings: Findings, name: str) -> Context | None:
    """One of the findings' own tables, beside the pictures that bear its name."""
    rows = findings.tables[name]
    if not rows:
        return None
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return {
        "columns": [{"name": c, "numeric": any(is_number(row.get(c)) for row in rows)} for c in columns],
        "figures": [picture(f) for f in findings.figures if f.section == name],
        **folded(rows, shown=2 * SHOWN_ROWS),
    }


def lesions(findings: Findings) -> Context | None:
    """The lesions by falling volume; that there are none is said, too, of a task that looks for them.

    Where none is listed, what was found of :data:`~willis.io.records.UNLISTED_LABELS` is named.
    """
    if not seeks_lesions(findings):
        return None
    beside = {m.label for m in findings.masks if m.label in UNLISTED_LABELS and m.volume.data.any()}
    return {**folded(findings.lesions), "beside": sorted(beside)}


def methods(findings: Findings) -> Context | None:
    """What was run, in words, and whose work it is."""
    said = findings.provenance
    models = [text for bundle in said.get("bundles", []) for text in bundle.get("citation", [])]
    citations = list(dict.fromkeys([*said.get("citation", []), *models]))
    if not said.get("methods") and not citations:
        return None
    return {"methods": said.get("methods", ""), "citations": [doi_of(text) for text in citations]}


def provenance(findings: Findings) -> Context | None:
    """Inputs, models, timings, and every other key that the run recorded."""
    said = dict(findings.provenance)
    if not said:
        return None
    for told_elsewhere in ("task", "title", "created", "methods", "citation", "intended_use", "licence"):
        said.pop(told_elsewhere, None)
    inputs, bundles, timings = said.pop("inputs", {}), said.pop("bundles", []), said.pop("timings", [])
    total = sum(stage["wall_s"] for stage in timings)
    return {
        "inputs": inputs,
        "bundles": bundles,
        "timings": [{**stage, "share": 100 * stage["wall_s"] / total if total else 0} for stage in timings],
        "total_s": total,
        "found": _groups({key: said.pop(key) for key in ("registrations", "prediction") if said.get(key)}),
        "folded": _groups(said),
    }


def files(findings: Findings) -> Context:
    """The files beside the report, masks first."""
    return {"names": [name for name in output_names(findings) if not name.startswith("figures/")]}


def use(findings: Findings) -> Context:
    """What the result may be used for, and under which licence the model stands."""
    said = findings.provenance
    return {
        "intended_use": said.get("intended_use", ""),
        "licence": said.get("licence", ""),
        "bundles": [b for b in said.get("bundles", []) if b.get("licence") or b.get("intended_use")],
    }


def picture(figure: Figure) -> Context:
    """A figure with its bytes inline, so that the page needs no other file."""
    return {
        "source": "data:image/png;base64," + base64.b64encode(figure.png).decode("ascii"),
        "alt": figure.alt or figure.caption,
        "caption": figure.caption,
        "kind": figure.kind,
        "size": _size_of(figure.png),
    }


def folded(rows: Sequence[Any], shown: int = SHOWN_ROWS) -> Context:
    """Rows to show, and rows to fold away; a table that is little too long isn't cut."""
    cut = len(rows) if len(rows) <= shown + shown // 2 else shown
    return {"rows": list(rows[:cut]), "more": list(rows[cut:])}


def _size_of(png: bytes) -> tuple[int, int]:
    """Width and height from a PNG's header (PNG 1.2, 11.2.2), so that the page doesn't jump while it loads."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _groups(said: Mapping[str, Any]) -> list[Context]:
    """What is left of the provenance: single values first, then one group for each mapping."""
    single = [(title_of(k), flat(v)) for k, v in said.items() if not isinstance(v, dict)]
    groups: list[Context] = [{"title": "Run", "pairs": single}] if single else []
    for key, value in said.items():
        if isinstance(value, dict) and value:
            groups.append({"title": title_of(key), "pairs": [(title_of(str(k)), flat(v)) for k, v in value.items()]})
    return groups
