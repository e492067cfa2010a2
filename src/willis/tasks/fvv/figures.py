"""The pictures of an FVV report."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from willis.draw.mosaic import axial_mosaic
from willis.draw.palette import BRAIN, FOUND, REFERENCE, SECOND
from willis.draw.panel import Outline
from willis.findings import Figure
from willis.study import Study
from willis.tasks.fvv.prepare import DwiPair
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

ADC_WINDOW = (0.0, 2e-3)  # mm²/s shown as black and white


def make(study: Study, pair: DwiPair, masks: Mapping[str, Volume], synthesis: bytes) -> list[Figure]:
    """The published synthesis first, infarct on b1000, ADC and FLAIR, and the quality pages.

    Parameters
    ----------
    masks
        ``brain``, ``lesion`` and ``flairvisible`` on the b1000's grid.
    synthesis
        The published picture.
    """
    brain = masks["brain"] if masks["brain"].data.any() else None
    outlines = [Outline(masks["lesion"], FOUND, "acute infarct")]
    outlines.append(Outline(masks["flairvisible"], SECOND, "FLAIR-visible part", dashed=True))
    if pair.rater is not None:
        outlines.append(Outline(pair.rater, REFERENCE, "rater's FLAIR-visible mask"))
    figures = [
        Figure(
            "synthesis",
            "Synthesis in the published layout: brain outlined in green, infarct in blue, votes for FLAIR-visible in "
            "red, on the axial slices with infarct; radiological convention, in voxels of the b1000.",
            "result",
            synthesis,
        ),
        Figure(
            "infarct",
            "Acute infarct and the part that FLAIR would show, on the b1000's own slices, radiological convention.",
            "result",
            axial_mosaic(pair.b1000, outlines, within=brain),
        ),
        Figure(
            "adc",
            "The same outlines on the ADC: acute infarct is dark, T2 shine-through is not.",
            "result",
            axial_mosaic(pair.adc, outlines, slices=10, within=brain, window=ADC_WINDOW),
        ),
    ]
    if "flair" in study:
        moved = resample_to(study["flair"].with_data(study["flair"].data.astype(np.float32)), pair.b1000.grid)
        caption = "The same outlines on the FLAIR, which was not read by the network, where its file places it."
        figures.append(Figure("flair", caption, "result", axial_mosaic(moved, outlines, slices=10, within=brain)))
    figures.append(
        Figure(
            "brain",
            "Outline of the brain that the network found, on the b0.",
            "quality",
            axial_mosaic(pair.b0, [Outline(masks["brain"], BRAIN, "brain")], slices=10, within=brain),
        )
    )
    return figures
