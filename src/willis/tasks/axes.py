"""Voxel axes that a task works in, whatever axes a file has: nothing found may hang on how a scan was stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from willis.findings import Findings, Mask
from willis.study import Study
from willis.volume.grid import Grid
from willis.volume.orient import reorient, reorient_series
from willis.volume.series import Series
from willis.volume.volume import Volume

Image = TypeVar("Image", Volume, Series)


def in_axes(study: Study, code: str) -> Study:
    """The study with the voxel axes of every image in the order and sense of ``code``; no value changes."""
    return _turned(study, lambda grid: code)


def slices_last(study: Study) -> Study:
    """The study with the voxel axis nearest to the body's axis as the third of every image; no value changes.

    The axes are put in another order and none is turned round, so that a slice keeps its number.
    """

    def code(grid: Grid) -> str:
        upward = next(letter for letter in grid.orientation if letter in "IS")
        return grid.orientation.replace(upward, "") + upward

    return _turned(study, code)


def as_given(findings: Findings, study: Study) -> Findings:
    """What was found in a study of other axes, with those that the study's own images have."""
    images: dict[str, Volume | Series] = {**study.volumes, **study.series}

    def turned(masks: Sequence[Mask]) -> list[Mask]:
        return [
            replace(m, volume=_with_axes(m.volume, images[m.space].grid.orientation)) if m.space in images else m
            for m in masks
        ]

    return replace(
        findings,
        masks=turned(findings.masks),
        probabilities=turned(findings.probabilities),
        maps=turned(findings.maps),
    )


def _turned(study: Study, code: Callable[[Grid], str]) -> Study:
    return replace(
        study,
        volumes={role: _with_axes(volume, code(volume.grid)) for role, volume in study.volumes.items()},
        series={role: _with_axes(one, code(one.grid)) for role, one in study.series.items()},
    )


def _with_axes(image: Image, code: str) -> Image:
    """The image itself where its axes lie so already: a series is large."""
    if image.grid.orientation == code:
        return image
    return reorient_series(image, code) if isinstance(image, Series) else reorient(image, code)
