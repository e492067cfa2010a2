"""The pictures of a brain report."""

from __future__ import annotations

from collections.abc import Sequence

from willis.draw.mosaic import axial_mosaic
from willis.draw.palette import BRAIN, FOUND, REFERENCE, SECOND
from willis.draw.panel import Outline
from willis.findings import Figure, Mask
from willis.volume.volume import Volume

COLOURS = {"brain": BRAIN, "ventricles": REFERENCE, "cerebellum": FOUND, "brainstem": SECOND}


def make(image: Volume, masks: Sequence[Mask]) -> list[Figure]:
    """A mosaic of the scan with the outlines of what was found."""
    outlines = [Outline(m.volume, COLOURS[m.label], m.label) for m in masks]
    picture = axial_mosaic(image, outlines, within=masks[0].volume)
    return [Figure("brain", "Outlines of the brain and its parts on the scan.", "result", picture)]
