"""Cases to train the first stage on: labelled CTs through the same road as a scan whose vessels are to be found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from willis.errors import BadInputError
from willis.io.nifti import read_nifti
from willis.learn.case import Case, CasesInTurn
from willis.learn.nnunet_dataset import LabelledImage, find_images, find_nnunet
from willis.learn.parts import LabelledFolder, TrainingPart, keep_cases
from willis.learn.recipe import FoldSettings
from willis.models.nnunet_plan import NnunetPlan
from willis.tasks.lvo.hounsfield import as_hounsfield
from willis.tasks.lvo.plan_cases import planned_case, planned_fields
from willis.tasks.lvo.spec import SCAN_AXES, VESSELS
from willis.tasks.lvo.vessels import read_vessels
from willis.volume.orient import reorient


class VesselData(LabelledFolder):
    """``[data]`` of a recipe for the first stage.

    Parameters
    ----------
    folder
        ``imagesTr`` and ``labelsTr`` as nnU-Net and the publication have them, or a BIDS folder as ``willis phantom
        lvo`` makes it. Labels are 1 C7, 2 M1, 3 M2, 4 other vessels.
    split, part
        See :class:`willis.learn.parts.LabelledFolder`.
    plan
        How scans are given to the network, which the bundle keeps.
    """

    stage: Literal["vessels"] = "vessels"
    plan: NnunetPlan


@dataclass(frozen=True)
class FolderSource:
    """Labelled CTs as the network sees them."""

    images: tuple[LabelledImage, ...]
    plan: NnunetPlan

    @property
    def names(self) -> tuple[str, ...]:
        """Patients, in the order of the cases."""
        return tuple(image.subject for image in self.images)

    def __len__(self) -> int:
        return len(self.images)

    def case(self, index: int) -> Case:
        """Patient ``index`` in the axes, spacing and values of the plan."""
        files = self.images[index]
        ct = as_hounsfield(read_nifti(files.image, "ncct"))
        labels = reorient(read_vessels(files.labels, ct), SCAN_AXES)
        ct = reorient(ct, SCAN_AXES)
        return planned_case(ct.data, labels.data, ct.grid.spacing_mm, self.plan, VESSELS, files.patient)


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> FolderSource:
    """Patients of the folder that the split or ``folds`` leave in."""
    source = _source(data, folds, "training")
    if not any(
        (read_nifti(image.labels, "vessels", allow_empty=True, order="file").data > 0).any() for image in source.images
    ):
        raise BadInputError("no label map of the training set holds a vessel; a network can't learn from none.")
    return source


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """Patients of the part that is left out."""
    source = _source(data, folds, "validation")
    return CasesInTurn(source, len(source))


def left_out(data: Mapping[str, Any], folds: FoldSettings | None) -> tuple[LabelledImage, ...]:
    """Files of the part that is left out."""
    return _source(data, folds, "validation").images


def _source(data: Mapping[str, Any], folds: FoldSettings | None, part: TrainingPart) -> FolderSource:
    settings = VesselData.parse(data, "[data] of the recipe")
    if not settings.folder:
        raise BadInputError("the first stage is trained on labelled CTs; name their folder with --data.")
    found = labelled_scans(Path(settings.folder))
    names = [image.subject for image in found]
    patients = [image.patient for image in found]
    kept = keep_cases(names, patients, settings, folds, part)
    return FolderSource(tuple(found[index] for index in kept), settings.plan)


def labelled_scans(root: Path) -> list[LabelledImage]:
    """Every CT of a folder with its vessels, in either layout."""
    return find_nnunet(root, VESSELS) if (root / "labelsTr").is_dir() else find_images(root, "ncct", "vessels")


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    plan = VesselData.parse(data, "[data] of the recipe").plan
    title = "Vessels on non-contrast CT"
    fields = planned_fields(plan, name="lvo-vessels", title=title, channel="ncct", names=VESSELS)
    return {**fields, "axes": SCAN_AXES}
