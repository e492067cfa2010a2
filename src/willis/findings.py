"""Findings: what a task found in a study, with units, reasons and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from willis.units import Unit
from willis.volume.volume import Volume


@dataclass(frozen=True)
class Measurement:
    """One number with its unit.

    Parameters
    ----------
    name
        Snake case, unique within the findings: ``wmh_volume``, ``wmh_deep_left_count``.
    value
        The number, or None when it is not defined (a ratio over nothing).
    unit
        One of :data:`willis.units.Unit`.
    interval
        Low and high end, by the spread of members or by what was measured on phantoms, as the methods say; None when
        there is nothing to take it from.
    label
        For people: ``"WMH volume, deep, left"``.
    bounds
        Cutoffs that what is said of it rests on: rounded for a reader, it stays on its side of each.
    """

    name: str
    value: float | None
    unit: Unit
    interval: tuple[float, float] | None = None
    label: str = ""
    bounds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Lesion:
    """One connected lesion.

    Parameters
    ----------
    index
        1, 2, 3… by falling volume; the voxel value in a label image.
    volume_ml
        Its volume.
    centroid_mm
        World position RAS+, mm.
    region
        Where it lies, e.g. ``"periventricular left"``.
    probability
        Mean over its voxels, in [0, 1].
    """

    index: int
    volume_ml: float
    centroid_mm: tuple[float, float, float]
    region: str
    probability: float


@dataclass(frozen=True)
class Decision:
    """An answer that the field gives in words, with its reason."""

    name: str
    answer: str
    reason: str
    certain: bool = True


@dataclass(frozen=True)
class Mask:
    """A found mask or probability map on an input's own grid.

    Parameters
    ----------
    label
        BIDS label: ``wmh``, ``brain``, ``lesion``, ``core``…
    space
        Role of the input whose grid it lies on: ``flair``.
    volume
        ``uint8`` mask, or ``float32`` probability.
    """

    label: str
    space: str
    volume: Volume


@dataclass(frozen=True)
class Figure:
    """A picture for the report: PNG bytes, and what it shows.

    Parameters
    ----------
    name
        Its file is ``figures/<name>.png``: letters, digits, ``-`` and ``_``.
    caption
        One or two sentences below the picture.
    section
        The part of the report it belongs to: ``result``, ``quality``, or the name of one of the findings' tables,
        beside which it is then shown.
    png
        The picture.
    alt
        What it shows, for a reader who can't see it; the caption serves when empty.
    kind
        ``scan`` on a dark ground, or ``chart`` on white (inverted where the page is dark).
    """

    name: str
    caption: str
    section: str
    png: bytes
    alt: str = ""
    kind: Literal["scan", "chart"] = "scan"


@dataclass(frozen=True)
class Attachment:
    """A further file of a run, in the form in which a published software gives it; written to ``published/``.

    Parameters
    ----------
    name
        File name: letters, digits, ``.``, ``-`` and ``_``.
    content
        Its bytes.
    """

    name: str
    content: bytes


@dataclass(frozen=True)
class Findings:
    """All that a task has to say of one study.

    Parameters
    ----------
    task
        ``wmh``, ``fvv``…
    prefix
        Start of output names, ``sub-01``.
    summary
        One or two sentences in words: the finding, with numbers and units.
    masks, probabilities, maps
        On the inputs' own grids; maps are measured values with a unit: ``cbf``, ``tmax``.
    measurements
        By name, in the order to be shown.
    lesions
        By falling volume; empty when none was found, which is a finding.
    decision
        Where the field has one.
    tables
        Further tables by name: a list of rows, each a mapping of column to value.
    figures
        In the order to be shown.
    provenance
        JSON-ready: inputs with SHA-256, bundle, versions, settings, seeds, device, precision, timings in s; its keys
        are listed in ``docs/reference/outputs.md``.
    notes
        Sentences that a reader must see: geometry repaired, registration poor, input outside the training range.
    attachments
        Files in a published software's own form.
    """

    task: str
    prefix: str
    summary: str
    masks: Sequence[Mask] = ()
    probabilities: Sequence[Mask] = ()
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    lesions: Sequence[Lesion] = ()
    decision: Decision | None = None
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    maps: Sequence[Mask] = ()
    attachments: Sequence[Attachment] = ()
