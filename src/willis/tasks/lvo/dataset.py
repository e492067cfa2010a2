"""Cases to train and to validate each stage of the LVO task on: halves of phantoms, or folders of labelled patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from willis.errors import invalid_option
from willis.io.bids import patient_of
from willis.learn.case import Case, CaseSource
from willis.learn.parts import leaves_out as by_folds
from willis.learn.recipe import FoldSettings
from willis.learn.split import SizedSubject
from willis.measure.labelled_sizes import labelled_mm3
from willis.tasks.training import TaskData

STAGES = {
    "halves": "willis.tasks.lvo.half_cases",
    "vessels": "willis.tasks.lvo.vessel_cases",
    "occlusion": "willis.tasks.lvo.occlusion_cases",
    "segment": "willis.tasks.lvo.segment_cases",
}
"""What ``stage`` of a recipe's ``[data]`` may be: the default network on phantoms, where vessels are, whether one is
occluded, and which."""


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CaseSource:
    """The source that a recipe's ``[data]`` names."""
    return stage_of(data).training_cases(data, folds)


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> Sequence[Case]:
    """Cases that training never sees."""
    return stage_of(data).validation_cases(data, folds)


def sized_subjects(folder: Path) -> list[SizedSubject]:
    """Labelled patients of a folder in any stage's layout.

    Their kind is whether a vessel is occluded, or which segment where a table says it; their volume that of the vessels
    in mm³, where these are labelled.
    """
    from willis.tasks.lvo.labelled_scans import POSITIVES, scans_of
    from willis.tasks.lvo.segment_cases import TRUTH, told_patients
    from willis.tasks.lvo.vessel_cases import labelled_scans

    if (folder / POSITIVES).is_dir():
        kinds = {name: "occlusion" if scan.occluded else "no occlusion" for name, scan in scans_of(folder).items()}
        return [SizedSubject(name, patient_of(name), 0, kind=kind) for name, kind in kinds.items()]
    told = (
        {image.subject: segment for image, (segment, _) in told_patients(folder)} if (folder / TRUTH).is_file() else {}
    )
    return [
        SizedSubject(image.subject, image.patient, labelled_mm3(image.labels), kind=told.get(image.subject, ""))
        for image in labelled_scans(folder)
    ]


def leaves_out(data: Mapping[str, Any], folds: FoldSettings | None) -> bool:
    """Whether a case is left out to validate on; the second stage's tables name such patients without folds."""
    stage = stage_of(data)
    own = getattr(stage, "leaves_out", by_folds)
    return bool(own(data, folds))


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    return stage_of(data).manifest_fields(data)


def stage_of(data: Mapping[str, Any]) -> TaskData:
    """The cases of the stage that ``[data]`` names.

    Raises
    ------
    BadInputError
        When there is no such stage.
    """
    stage = str(data.get("stage", "halves"))
    if stage not in STAGES:
        raise invalid_option("stage", stage, STAGES)
    return cast(TaskData, import_module(STAGES[stage]))
