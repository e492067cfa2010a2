"""Cases to train the second stage on: scans in the published layout, as a McResNet of the bundle will be given them.

``published``: the four files, on the scan's own voxels, zero-padded to 512 × 512 × 200. ``midplane``: CT and vessels
alone through the task's own ``prepare``, which makes prior and difference as it does for a patient's scan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from willis.errors import BadInputError, GeometryError
from willis.io.nifti import read_nifti
from willis.learn.case import Case, CasesInTurn
from willis.learn.parts import LabelledFolder, TrainingPart
from willis.learn.recipe import FoldSettings
from willis.models.manifest import Manifest, make_manifest
from willis.study import Study
from willis.tasks.lvo import headspace
from willis.tasks.lvo.labelled_scans import FILES, LabelledScan, find_scans
from willis.tasks.lvo.occlusion import (
    PUBLISHED_SHAPE,
    as_channels,
    network_input,
    padded,
)
from willis.tasks.lvo.prepare import prepare
from willis.tasks.lvo.spec import PUBLISHED_AXES, SPEC
from willis.volume.orient import reorient
from willis.volume.volume import Volume

Float = npt.NDArray[np.float32]
Channel = Literal["ncct", "vessels", "prior", "difference"]


class OcclusionData(LabelledFolder):
    """``[data]`` of a recipe for the second stage.

    Parameters
    ----------
    folder
        In the published layout, see :mod:`willis.tasks.lvo.labelled_scans`.
    split, part
        See :class:`willis.learn.parts.LabelledFolder`; the tables of the folder then only say who is for the test.
    input
        ``published`` or ``midplane``.
    channels
        Of the network, in their order; one that is left out is neither read nor asked for later.
    missing
        What a patient without one of the files is: an ``error``, or a case with ``zero`` in that channel; the bundle
        then runs without vessels too. Nothing ever stands in for a channel but zeros.
    balanced
        Whether patients with and without an occlusion alternate in the batches, however many of each there are.
    seed
        Of that.
    """

    stage: Literal["occlusion"] = "occlusion"
    input: Literal["published", "midplane"] = "midplane"
    channels: tuple[Channel, ...] = Field(default=("ncct", "vessels", "prior", "difference"), min_length=1)
    missing: Literal["error", "zero"] = "error"
    balanced: bool = True
    seed: int = 0

    @property
    def files(self) -> tuple[Channel, ...]:
        """Channels that are read from files of their own, the CT's always and first."""
        made = {"prior", "difference"} if self.input == "midplane" else set()
        return ("ncct", *(name for name in self.channels if name != "ncct" and name not in made))


@dataclass(frozen=True)
class FolderSource:
    """Labelled scans as the network sees them; those with an occlusion come first."""

    scans: tuple[LabelledScan, ...]
    data: OcclusionData

    @property
    def names(self) -> tuple[str, ...]:
        """Patients, in the order of the cases."""
        return tuple(scan.subject for scan in self.scans)

    def __len__(self) -> int:
        return len(self.scans)

    @property
    def batch(self) -> int | None:
        """Batches of any size are balanced."""
        return None

    def planned(self, step: int, number: int) -> tuple[int, tuple[int, int, int]] | None:
        """Patient of patch ``number`` of a step: with and without an occlusion in turn, where that is asked for."""
        if not self.data.balanced:
            return None
        rng = np.random.default_rng([self.data.seed, step, number])
        wanted = bool((step + number) % 2)
        kind = [index for index, scan in enumerate(self.scans) if scan.occluded == wanted]
        i, j, k = (side // 2 for side in self.shape)
        return kind[int(rng.integers(len(kind)))], (i, j, k)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of every case."""
        return PUBLISHED_SHAPE if self.data.input == "published" else headspace.SHAPE

    def case(self, index: int) -> Case:
        """Patient ``index``: its label fills the brain where a vessel is occluded."""
        scan = self.scans[index]
        for channel in self.data.files:
            _refuse_missing(scan, channel, self.data)
        image, brain = self._published(scan) if self.data.input == "published" else self._midplane(scan)
        target = (brain & scan.occluded)[None].astype(np.uint8)
        return Case(image, target, brain, scan.subject, (1.0, 1.0, 1.0))

    def _published(self, scan: LabelledScan) -> tuple[Float, npt.NDArray[np.bool_]]:
        ct = read_nifti(scan.file("ncct"), "ncct")
        beside: dict[str, Float] = {
            name: _of_file(scan, name, ct) for name in self.data.files[1:] if scan.file(name).is_file()
        }
        channels = as_channels({"ncct": ct.data.astype(np.float32), **beside})
        turned = {name: padded(reorient(Volume(channels[name], ct.grid), PUBLISHED_AXES)) for name in self.data.files}
        return np.stack([turned[name] for name in self.data.channels]), turned["ncct"] > 0

    def _midplane(self, scan: LabelledScan) -> tuple[Float, npt.NDArray[np.bool_]]:
        vessels = scan.file("vessels") if "vessels" in self.data.files and scan.file("vessels").is_file() else None
        ct = read_nifti(scan.file("ncct"), "ncct")
        prepared = prepare(Study({"ncct": ct}), SPEC.resolve_options({"vessels": vessels}))
        return network_input(prepared, self._manifest), prepared.head.inside.data > 0

    @cached_property
    def _manifest(self) -> Manifest:
        return make_manifest(
            {**manifest_fields(self.data.model_dump()), "task": "lvo", "network": {"name": "mcresnet"}}, "the LVO data"
        )


def _refuse_missing(scan: LabelledScan, channel: Channel, data: OcclusionData) -> None:
    if scan.file(channel).is_file() or (data.missing == "zero" and channel != "ncct"):
        return
    way_out = "" if channel == "ncct" else ', leave the channel out of [data], or train for it with missing = "zero"'
    raise BadInputError(
        f"{scan.subject} has no {FILES[channel]}, the channel {channel!r}; another image never stands in for it. Make "
        f"the file{way_out}."
    )


def _of_file(scan: LabelledScan, channel: str, ct: Volume) -> Float:
    """One of the published files beside the CT."""
    read = read_nifti(scan.file(channel), channel, allow_empty=True)
    if not read.grid.same_as(ct.grid):
        raise GeometryError(
            f"{FILES[channel]} of {scan.subject} {read.grid.shape} does not lie on the grid of its CT {ct.grid.shape}."
        )
    return read.data.astype(np.float32)


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> FolderSource:
    """Patients of the training table, or those that the split or ``folds`` leave in."""
    return _source(data, folds, "training")


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """Patients of the validation table, or of the part that is left out."""
    source = _source(data, folds, "validation")
    return CasesInTurn(source, len(source))


def leaves_out(data: Mapping[str, Any], folds: FoldSettings | None) -> bool:
    """Whether the folder's tables, the split or the folds leave a patient out to validate on."""
    return len(_source(data, folds, "validation")) > 0


def _source(data: Mapping[str, Any], folds: FoldSettings | None, part: TrainingPart) -> FolderSource:
    settings = OcclusionData.parse(data, "[data] of the recipe")
    if not settings.folder:
        raise BadInputError("the second stage is trained on labelled scans; name their folder with --data.")
    scans = find_scans(settings, folds, part)
    for scan in scans:
        for channel in settings.files:
            _refuse_missing(scan, channel, settings)
    return FolderSource(tuple(sorted(scans, key=lambda scan: not scan.occluded)), settings)


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    settings = OcclusionData.parse(data, "[data] of the recipe")
    published = settings.input == "published"
    return {
        "name": "lvo-occlusion",
        "title": "Large vessel occlusion on non-contrast CT (McResNet)",
        "channels": settings.channels,
        "missing_channels": settings.missing,
        "outputs": ("lvo",),
        "spacing_mm": (1.0, 1.0, 1.0) if published else (headspace.SPACING_MM,) * 3,
        "axes": PUBLISHED_AXES if published else None,
        "shape": PUBLISHED_SHAPE if published else headspace.SHAPE,
        "intensity": {"scheme": "none"},
        "threshold": {"value": 0.5, "origin": "as published: 0.5 on the sigmoid; not tuned"},
        "licence": "Apache-2.0",
        "intended_use": SPEC.intended_use,
    }
