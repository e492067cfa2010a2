"""Cases to train the third stage on: projections of labelled vessels, of patients with an occlusion."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.image.project import project_labels
from willis.io.nifti import read_nifti, write_nifti
from willis.io.tables import read_table
from willis.learn.case import Case, CasesInTurn
from willis.learn.nnunet_dataset import LabelledImage, find_images, write_nnunet_dataset
from willis.learn.parts import LabelledFolder, TrainingPart, keep_cases
from willis.learn.recipe import FoldSettings
from willis.models.nnunet_plan import NnunetPlan
from willis.tasks.lvo.hounsfield import as_hounsfield
from willis.tasks.lvo.plan_cases import planned_case, planned_fields
from willis.tasks.lvo.segment import Projection, projected
from willis.tasks.lvo.spec import SEGMENTS, VESSELS
from willis.tasks.lvo.vessels import read_vessels
from willis.volume.volume import Volume

TRUTH = "truth.tsv"
NAMES = tuple(name.replace("+", "-") for name in SEGMENTS)
PATIENT = "participant_id"


class SegmentData(LabelledFolder):
    """``[data]`` of a recipe for the third stage.

    Parameters
    ----------
    folder
        BIDS folder as ``willis phantom lvo`` makes it: CTs, vessel labels, and ``truth.tsv`` with ``participant_id``,
        ``segment`` (m1, m2, c7, c7+m1, m1+m2, none) and ``side`` (left, right, none).
    split, part
        See :class:`willis.learn.parts.LabelledFolder`; patients without an occlusion may stand in the split.
    plan
        How projections are given to the network, which the bundle keeps; it must be flat.
    """

    stage: Literal["segment"] = "segment"
    plan: NnunetPlan


@dataclass(frozen=True)
class FolderSource:
    """Projections as the network sees them, with the segment and side of each patient's occlusion."""

    images: tuple[LabelledImage, ...]
    told: tuple[tuple[str, str], ...]
    plan: NnunetPlan

    @property
    def names(self) -> tuple[str, ...]:
        """Patients, in the order of the cases."""
        return tuple(image.subject for image in self.images)

    def __len__(self) -> int:
        return len(self.images)

    def case(self, index: int) -> Case:
        """Patient ``index``: the vessels of the occluded segment have its class on their side."""
        files = self.images[index]
        seen, classes = _pictured(files, *self.told[index])
        picture, labels = seen.picture[:, :, None], classes[:, :, None]
        return planned_case(picture, labels, seen.spacing_mm, self.plan, SEGMENTS, files.subject)


def labels_of(seen: Projection, segment: str, side: str) -> npt.NDArray[np.uint8]:
    """(I, J) class of the occluded segment where its vessels are seen on a side, 0 elsewhere.

    The middle of all vessels tells the sides.
    """
    shut = np.isin(seen.vessels.data, [VESSELS.index(name) + 1 for name in segment.split("+")])
    across = _x_mm(seen.vessels)
    middle = np.median(across[seen.vessels.data > 0])
    own = shut & ((across < middle) if side == "left" else (across >= middle))
    return project_labels(own * np.uint8(SEGMENTS.index(segment) + 1), tuple(range(1, len(SEGMENTS) + 1)))


def _x_mm(vessels: Volume) -> npt.NDArray[np.float64]:
    return vessels.grid.to_mm(np.moveaxis(np.indices(vessels.grid.shape), 0, -1))[..., 0]


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> FolderSource:
    """Patients with an occlusion that the split or ``folds`` leave in."""
    return source_of(data, folds, "training")


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """Patients with an occlusion in the part that is left out."""
    source = source_of(data, folds, "validation")
    return CasesInTurn(source, len(source))


def source_of(data: Mapping[str, Any], folds: FoldSettings | None, part: TrainingPart) -> FolderSource:
    """Patients with an occlusion of one part."""
    settings = SegmentData.parse(data, "[data] of the recipe")
    if not settings.folder:
        raise BadInputError("the third stage is trained on labelled CTs; name their folder with --data.")
    if not settings.plan.flat:
        raise BadInputError("the third stage looks at a picture: plan.flat of [data] must be true.")
    root = Path(settings.folder)
    occluded = occluded_patients(root)
    names = [image.subject for image, _ in occluded]
    others = [image.subject for image, _ in told_patients(root)]
    patients = [image.patient for image, _ in occluded]
    kept = [occluded[index] for index in keep_cases(names, patients, settings, folds, part, unused=others)]
    return FolderSource(tuple(image for image, _ in kept), tuple(told for _, told in kept), settings.plan)


def occluded_patients(root: Path) -> list[tuple[LabelledImage, tuple[str, str]]]:
    """Patients of a folder who have an occlusion, with its segment and side.

    Raises
    ------
    BadInputError
        When a patient isn't in the table, the table can't be used, or none has an occlusion.
    """
    occluded = [(image, told) for image, told in told_patients(root) if told[0] != "none"]
    if not occluded:
        raise BadInputError(f"no patient of {root} has an occlusion; a network can't learn where from none.")
    return occluded


def told_patients(root: Path) -> list[tuple[LabelledImage, tuple[str, str]]]:
    """Patients of a folder with the segment and side of their occlusion, ``none`` where nothing is occluded.

    Raises
    ------
    BadInputError
        When a patient isn't in the table, or the table can't be used.
    """
    told = _told(root / TRUTH)
    found = find_images(root, "ncct", "vessels")
    if unknown := [image.subject for image in found if image.subject not in told]:
        raise BadInputError(f"{root / TRUTH} doesn't list {unknown[0]}; every patient needs a segment and a side.")
    return [(image, told[image.subject]) for image in found]


def write_projections(root: Path, out: Path, *, folds: int = 5, seed: int = 0) -> int:
    """Pictures of the vessels, one a patient with an occlusion, as a training set of nnU-Net's 2D configuration.

    Parameters
    ----------
    root
        As :class:`SegmentData` has it.
    out
        Folder to make, called ``DatasetNNN_Name``.
    folds, seed
        Of its file of splits.

    Returns
    -------
    patients
        How many.

    Raises
    ------
    BadInputError
        When the folder exists or can't be used, or there are fewer patients than folds.
    """
    patients = occluded_patients(root)
    with tempfile.TemporaryDirectory() as staging:
        pictures = [_written(files, told, Path(staging)) for files, told in patients]
        write_nnunet_dataset(pictures, SEGMENTS, out, folds=folds, seed=seed)
    return len(pictures)


def _written(files: LabelledImage, told: tuple[str, str], folder: Path) -> LabelledImage:
    seen, classes = _pictured(files, *told)
    i, j, _ = seen.vessels.grid.shape
    flat = seen.vessels.grid.shifted((0, 0, 0), (i, j, 1))
    image = write_nifti(Volume(seen.picture[:, :, None], flat), folder / f"{files.subject}_picture.nii.gz")
    labels = write_nifti(Volume(classes[:, :, None], flat), folder / f"{files.subject}_classes.nii.gz")
    return LabelledImage(files.subject, image, labels)


def _pictured(files: LabelledImage, segment: str, side: str) -> tuple[Projection, npt.NDArray[np.uint8]]:
    """A patient's vessels seen from above, and the class of each pixel."""
    ct = as_hounsfield(read_nifti(files.image, "ncct"))
    seen = projected(ct, read_vessels(files.labels, ct))
    return seen, labels_of(seen, segment, side)


def _told(path: Path) -> dict[str, tuple[str, str]]:
    """Segment and side by patient, ``none`` where nothing is occluded."""
    rows = read_table(path)
    if not rows or not {PATIENT, "segment", "side"} <= rows[0].keys():
        raise BadInputError(f"{path} needs the columns {PATIENT}, segment and side.")
    names = Counter(str(row[PATIENT]).split("_")[0] for row in rows)
    if twice := [name for name, count in names.items() if count > 1]:
        raise BadInputError(f"{twice[0]} is listed {names[twice[0]]} times in {path}; each patient may stand once.")
    told = {str(row[PATIENT]).split("_")[0]: (str(row["segment"]), str(row["side"])) for row in rows}
    for subject, (segment, side) in told.items():
        if segment not in (*SEGMENTS, "none") or (segment != "none" and side not in ("left", "right")):
            raise BadInputError(
                f"{path} says {segment!r}, {side!r} of {subject}; segments are {', '.join(SEGMENTS)} or none, sides "
                "left or right."
            )
    return told


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    plan = SegmentData.parse(data, "[data] of the recipe").plan
    title = "Occluded segment on the projection of the vessels"
    return planned_fields(plan, name="lvo-segment", title=title, channel="projection", names=NAMES)
