"""Cases to train and to validate the WMH network on: phantoms, or a folder of labelled patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from willis.errors import GeometryError
from willis.io.bids import LabelledStudy, find_labelled
from willis.io.nifti import read_nifti
from willis.io.study import read_study
from willis.learn.case import Case, CasesInTurn, CaseSource
from willis.learn.parts import LabelledFolder, TrainingPart, keep_cases
from willis.learn.recipe import FoldSettings
from willis.learn.split import SizedSubject
from willis.measure.labelled_sizes import labelled_mm3
from willis.models.manifest import Intensity, make_manifest
from willis.phantom.anatomy import Anatomy
from willis.phantom.training import WMH_STREAM, WmhCase, wmh_case
from willis.tasks.brain.find import find_brain
from willis.tasks.brain.mask import masks_of
from willis.tasks.phantoms import PhantomSettings, anatomies_of, held_out_cases
from willis.tasks.wmh.prepare import SHAPE, network_channel, prepare
from willis.tasks.wmh.spec import SPEC
from willis.volume.resample import resample_to

CHANNELS = ("t1", "flair")
_FIELDS: dict[str, Any] = {
    "name": "wmh",
    "task": "wmh",
    "network": {"name": "unet3d"},
    "title": SPEC.title,
    "channels": CHANNELS,
    "missing_channels": "zero",
    "outputs": ("wmh",),
    "spacing_mm": (1.0, 1.0, 1.0),
    "shape": SHAPE,
    "threshold": {"value": 0.5, "origin": "convention; not tuned"},
    "clusters": {
        "connectivity": 26,
        "min_voxels": 3,
        "max_outside_brain": 0.25,
        "origin": "SHIVAi's rule for voxels outside the brain; 3 mm³ against single-voxel noise",
    },
    "licence": "Apache-2.0",
    "citation": tuple(f"{c.text} doi:{c.doi}" for c in SPEC.citations),
    "intended_use": SPEC.intended_use,
}


class WmhData(LabelledFolder):
    """``[data]`` of a WMH recipe.

    Parameters
    ----------
    folder
        BIDS folder of labelled patients: one FLAIR a session, a T1 where there is one (that with the FLAIR's entities,
        or the only one), and in ``derivatives`` the lesion mask ``*_space-flair_label-wmh_mask.nii.gz``. Empty:
        phantoms are made as they are needed.
    split, part
        See :class:`willis.learn.parts.LabelledFolder`.
    phantom
        Which heads, which seed.
    large_share
        Share of training phantoms with 20 to 80 ml of lesions; the others' loads are drawn as a cohort's.
    intensity
        Scheme of the bundle that is to be trained.
    """

    phantom: PhantomSettings = PhantomSettings()
    large_share: float = Field(default=0.0, ge=0.0, le=1.0)
    intensity: Intensity = Intensity(scheme="p99")


@dataclass(frozen=True)
class PhantomSource:
    """Endless prepared phantoms, the same for one seed."""

    anatomies: tuple[Anatomy, ...]
    seed: int
    intensity: Intensity
    large_share: float = 0.0

    def case(self, index: int) -> Case:
        """Phantom ``index`` as the network sees it."""
        rng = np.random.default_rng([self.seed, index, WMH_STREAM])
        phantom = wmh_case(rng, self.anatomies, self.large_share)
        return prepared_case(phantom, self.intensity, f"{index:06d}")


def prepared_case(phantom: WmhCase, intensity: Intensity, subject: str) -> Case:
    """A phantom's images through the same scaling and masking as a patient's."""
    mask = phantom.prepared_mask > 0
    image = np.stack([network_channel(phantom.t1, mask, intensity), network_channel(phantom.flair, mask, intensity)])
    target = (phantom.wmh > 0) & mask
    return Case(image, target[None].astype(np.uint8), mask, subject, (1.0, 1.0, 1.0))


@dataclass(frozen=True)
class FolderSource:
    """Labelled patients through the same ``prepare`` as a patient to be analysed."""

    studies: tuple[LabelledStudy, ...]
    intensity: Intensity

    @property
    def names(self) -> tuple[str, ...]:
        """Sessions, in the order of the cases."""
        return tuple(study.name for study in self.studies)

    def __len__(self) -> int:
        return len(self.studies)

    def case(self, index: int) -> Case:
        """Patient ``index`` as the network sees it."""
        files = self.studies[index]
        study = read_study(t1=files.images.get("t1"), flair=files.images["flair"])
        truth = read_nifti(files.mask, "wmh", allow_empty=True)
        if not truth.grid.same_as(study["flair"].grid):
            raise GeometryError(f"{files.mask.name} does not lie on the grid of {files.images['flair'].name}.")
        options = SPEC.resolve_options({"intensity": self.intensity.scheme})
        manifest = make_manifest({**_FIELDS, "intensity": self.intensity}, "the WMH data")
        prepared = prepare(study, manifest, options, lambda image: masks_of(find_brain(image), tight=True)(image))
        registered = prepared.registrations.get("flair")
        moved = resample_to(
            truth.with_data((truth.data > 0).astype(np.float32)),
            prepared.grid,
            "linear",
            world_transform=None if registered is None else registered.matrix,
        )
        target = (moved.data >= 0.5) & prepared.mask
        return Case(prepared.image, target[None].astype(np.uint8), prepared.mask, files.subject, (1.0, 1.0, 1.0))


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CaseSource:
    """The source that a recipe's ``[data]`` names; of a folder, the patients that the split or ``folds`` leave in."""
    settings = WmhData.parse(data, "[data] of the recipe")
    if settings.folder:
        return _folder_source(settings, folds, "training")
    heads = anatomies_of(settings.phantom)
    return PhantomSource(heads, settings.phantom.seed, settings.intensity, settings.large_share)


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """Cases that training never sees: the part left out, or phantoms of another seed."""
    settings = WmhData.parse(data, "[data] of the recipe")
    if settings.folder:
        left_out = _folder_source(settings, folds, "validation")
        return CasesInTurn(left_out, len(left_out))
    return held_out_cases(settings.phantom, lambda heads, seed: PhantomSource(heads, seed, settings.intensity))


def _folder_source(settings: WmhData, folds: FoldSettings | None, part: TrainingPart) -> FolderSource:
    studies = _studies(Path(settings.folder))
    names, patients = [study.name for study in studies], [study.subject for study in studies]
    kept = keep_cases(names, patients, settings, folds, part)
    return FolderSource(tuple(studies[index] for index in kept), settings.intensity)


def _studies(folder: Path) -> list[LabelledStudy]:
    return find_labelled(folder, CHANNELS, "flair", "wmh", "flair")


def sized_subjects(folder: Path) -> list[SizedSubject]:
    """Labelled sessions of a folder with the volumes of their lesions in mm³."""
    return [SizedSubject(s.name, s.subject, labelled_mm3(s.mask)) for s in _studies(folder)]


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    settings = WmhData.parse(data, "[data] of the recipe")
    return {**_FIELDS, "intensity": settings.intensity.model_dump()}
