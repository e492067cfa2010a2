"""Cases to train and to validate the FVV network on: DWI phantoms, or a folder of labelled patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from willis.errors import GeometryError
from willis.io.bids import patient_of
from willis.io.nifti import read_nifti
from willis.io.study import read_study
from willis.learn.case import Case, CasesInTurn, CaseSource
from willis.learn.parts import LabelledFolder, TrainingPart, keep_cases
from willis.learn.recipe import FoldSettings
from willis.learn.split import SizedSubject
from willis.measure.labelled_sizes import labelled_mm3
from willis.models.manifest import Intensity, Manifest, Window, make_manifest
from willis.phantom.anatomy import Anatomy
from willis.phantom.fvv_training import DwiCase, dwi_case
from willis.phantom.painting import TRUTH_FRACTION
from willis.phantom.traced import find_traced
from willis.study import Study
from willis.tasks.fvv.folder import LabelledDwi, find_labelled_dwi
from willis.tasks.fvv.prepare import pair_of, prepare
from willis.tasks.fvv.published_measures import PublishedMeasures
from willis.tasks.fvv.spec import SPEC
from willis.tasks.phantoms import PhantomSettings, anatomies_of, held_out_cases
from willis.tasks.prepared import Prepared
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

CHANNELS = ("b1000", "b0")
OUTPUTS = ("brain", "lesion", "flairvisible")
STREAM = 4  # of training phantoms; patients have another
ZSCORE = Intensity(scheme="zscore", cap=10.0)
LATTICE_MM = (2.0, 2.0, 2.0)
SLICES = Window(mode="slices", shape=(256, 256, 7))  # as published: 7 slices of 256 × 256 give the middle one
_FIELDS: dict[str, Any] = {
    "name": "fvv",
    "task": "fvv",
    "network": {"name": "unet3d"},
    "title": SPEC.title,
    "channels": CHANNELS,
    "outputs": OUTPUTS,
    "spacing_mm": LATTICE_MM,
    "intensity": ZSCORE,
    "threshold": {"value": 0.5, "origin": "as published: the sign of the logit"},
    "licence": "Apache-2.0",
    "citation": tuple(f"{c.text} doi:{c.doi}" for c in SPEC.citations),
    "intended_use": SPEC.intended_use,
}


class FvvData(LabelledFolder):
    """``[data]`` of an FVV recipe.

    Parameters
    ----------
    folder
        A folder for each patient with ``b0``, ``b1000``, ``stroke_roi``, ``flairviz_roi`` and perhaps ``mask``.
        Empty: phantoms are made as they are needed.
    split, part
        See :class:`willis.learn.parts.LabelledFolder`.
    phantom
        Which heads, which seed.
    infarcts
        Folder of traced infarcts in MNI space; half of the phantoms with an infarct then have one of these. Empty:
        all are grown.
    preparation
        ``lattice``: resampled to 2 mm; ``slices``: as published, 256 × 256.
    """

    phantom: PhantomSettings = PhantomSettings()
    infarcts: str = ""
    preparation: Literal["lattice", "slices"] = "lattice"

    @property
    def manifest(self) -> Manifest:
        """The manifest of what is to be trained, as far as ``prepare`` needs it."""
        return make_manifest(self.fields(), "the FVV data")

    @property
    def traced(self) -> tuple[Path, ...]:
        """Files of the traced infarcts; none when there is no folder."""
        return find_traced(Path(self.infarcts)) if self.infarcts else ()

    def fields(self) -> dict[str, Any]:
        """The task's part of the manifest."""
        return {**_FIELDS, **({"window": SLICES} if self.preparation == "slices" else {})}


@dataclass(frozen=True)
class PhantomSource:
    """Endless prepared phantoms, the same for one seed."""

    anatomies: tuple[Anatomy, ...]
    seed: int
    manifest: Manifest
    traced: tuple[Path, ...] = ()

    def case(self, index: int) -> Case:
        """Phantom ``index`` as the network sees it."""
        phantom = dwi_case(np.random.default_rng([self.seed, index, STREAM]), self.anatomies, self.traced)
        return prepared_case(phantom, self.manifest, f"{index:06d}")


def study_of(phantom: DwiCase, subject: str) -> Study:
    """A phantom's images as a patient's."""
    images = {"b0": phantom.b0, "b1000": phantom.b1000}
    return Study(
        {role: Volume(image, phantom.grid, role=role) for role, image in images.items()},
        scalars={"b_value": phantom.b},
        subject=subject,
    )


def prepared_case(phantom: DwiCase, manifest: Manifest, subject: str) -> Case:
    """A phantom through the same ``prepare`` as a patient."""
    shares = (phantom.brain, phantom.lesion, phantom.visible)
    return _case(study_of(phantom, subject), manifest, [Volume(share, phantom.grid) for share in shares], subject)


def _case(study: Study, manifest: Manifest, shares: list[Volume], subject: str) -> Case:
    prepared = prepare(pair_of(study, SPEC.resolve_options({})), manifest)
    target = np.stack([_moved(share, prepared) for share in shares]).astype(np.uint8)
    target[1:] &= target[0]
    target[2] &= target[1]
    return Case(prepared.image, target, prepared.mask, subject, prepared.grid.spacing_mm)


def _moved(share: Volume, prepared: Prepared) -> npt.NDArray[np.bool_]:
    moved = resample_to(share.with_data(share.data.astype(np.float32)), prepared.grid, "linear", antialias=True)
    return np.asarray(moved.data >= TRUTH_FRACTION)


@dataclass(frozen=True)
class FolderSource:
    """Labelled patients through the same ``prepare`` as a patient to be analysed."""

    patients: tuple[LabelledDwi, ...]
    manifest: Manifest

    @property
    def names(self) -> tuple[str, ...]:
        """Patients, in the order of the cases."""
        return tuple(patient.subject for patient in self.patients)

    def __len__(self) -> int:
        return len(self.patients)

    def case(self, index: int) -> Case:
        """Patient ``index`` as the network sees it; the brain is the mask that was given, else Otsu's."""
        files = self.patients[index]
        study = read_study(b0=files.b0, b1000=files.b1000, brain_mask=files.mask, subject=files.subject)
        grid = study["b1000"].grid
        rois = [read_nifti(path, allow_empty=True) for path in (files.lesion, files.visible)]
        for path, roi in zip((files.lesion, files.visible), rois, strict=True):
            _check_grid(path, roi.grid, grid, files.b1000)
        brain = prepare(pair_of(study, SPEC.resolve_options({})), self.manifest).brain
        binary = [roi.with_data((roi.data > TRUTH_FRACTION).astype(np.float32)) for roi in rois]
        return _case(study, self.manifest, [brain, *binary], files.subject)


def _check_grid(path: Path, found: Grid, wanted: Grid, image: Path) -> None:
    if not found.same_as(wanted):
        raise GeometryError(f"{path.name} does not lie on the grid of {image.name}.")


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CaseSource:
    """The source that a recipe's ``[data]`` names; of a folder, the patients that the split or ``folds`` leave in."""
    settings = FvvData.parse(data, "[data] of the recipe")
    if settings.folder:
        return _folder_source(settings, folds, "training")
    return PhantomSource(anatomies_of(settings.phantom), settings.phantom.seed, settings.manifest, settings.traced)


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """Cases that training never sees: the part left out, or phantoms of another seed."""
    settings = FvvData.parse(data, "[data] of the recipe")
    if settings.folder:
        left_out = _folder_source(settings, folds, "validation")
        return CasesInTurn(left_out, len(left_out))
    return held_out_cases(
        settings.phantom, lambda heads, seed: PhantomSource(heads, seed, settings.manifest, settings.traced)
    )


def validation_measures() -> PublishedMeasures:
    """What is measured in training beyond Dice."""
    return PublishedMeasures()


def sized_subjects(folder: Path) -> list[SizedSubject]:
    """Labelled patients of a folder with the volumes of their infarcts in mm³."""
    patients = find_labelled_dwi(folder)
    return [
        SizedSubject(p.subject, patient_of(p.subject), labelled_mm3(p.lesion, above=TRUTH_FRACTION)) for p in patients
    ]


def _folder_source(settings: FvvData, folds: FoldSettings | None, part: TrainingPart) -> FolderSource:
    patients = find_labelled_dwi(Path(settings.folder))
    names = [patient.subject for patient in patients]
    kept = keep_cases(names, [patient_of(name) for name in names], settings, folds, part)
    return FolderSource(tuple(patients[index] for index in kept), settings.manifest)


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    fields = FvvData.parse(data, "[data] of the recipe").fields()
    return {
        name: value.model_dump() if isinstance(value, Intensity | Window) else value for name, value in fields.items()
    }
