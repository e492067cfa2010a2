"""Labelled patients in the layout that nnU-Net v2 trains from, with its file of splits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from willis.errors import BadInputError, GeometryError
from willis.io.bids import patient_of
from willis.io.nifti import read_nifti, write_nifti
from willis.io.nifti_names import find_niftis, stem_of, told_twins
from willis.io.tables import write_json
from willis.io.whole_folder import whole_folder
from willis.learn.folds import fold_of_subjects
from willis.models.nnunet_plan import AXES_KEY
from willis.volume.orient import reorient

ENDS = ("dseg", "mask")  # of the names of files with labels
SPLITS = "splits_final.json"
CT_CHANNEL = "CT"  # the name that nnU-Net scales by the values of labelled voxels of all images
CT_ENDS = ("ncct", "ct", "CT")


@dataclass(frozen=True)
class LabelledImage:
    """One session's image and the labels on its grid; ``subject`` names its files."""

    subject: str
    image: Path
    labels: Path

    @property
    def patient(self) -> str:
        """Whom folds keep together."""
        return patient_of(self.subject)


def find_images(folder: Path, image: str, label: str) -> list[LabelledImage]:
    """Every ``sub-*/anat/sub-*_<image>.nii.gz`` with its labels in ``derivatives``.

    These are one file ``*_label-<label>_dseg.nii.gz``, or ``*_label-<label>_mask.nii.gz`` of one label.

    Raises
    ------
    BadInputError
        When there is none, a patient has several, or one has no labels or more than one file of them.
    """
    found: list[LabelledImage] = []
    for path in find_niftis(folder, f"sub-*/**/sub-*_{image}.*"):
        if "derivatives" in path.relative_to(folder).parts:
            continue
        subject = path.name.split("_")[0]
        if found and found[-1].subject == subject:
            raise BadInputError(
                f"{subject} has the images {found[-1].image.name} and {path.name}; one is needed. Name it by more of "
                f"its end than {image}, such as acq-2_{image}."
            )
        named = f"{subject}_*label-{label}"
        labels = [p for end in ENDS for p in find_niftis(folder / "derivatives", f"**/{named}_{end}.*")]
        if len(labels) != 1:
            raise BadInputError(
                f"{subject} has {len(labels)} files of the label {label!r} below {folder / 'derivatives'}; "
                "one is needed."
            )
        found.append(LabelledImage(subject, path, labels[0]))
    if not found:
        raise BadInputError(f"{folder} holds no sub-*/anat/sub-*_{image}.nii.gz; a BIDS folder is expected.")
    return found


def channel_of(image: str) -> str:
    """The channel's name for images of an end: nnU-Net scales ``CT`` unlike everything else."""
    return CT_CHANNEL if image in CT_ENDS else image


def find_nnunet(folder: Path, names: Sequence[str]) -> list[LabelledImage]:
    """Every ``labelsTr/NAME.nii.gz`` with its ``imagesTr/NAME_0000.nii.gz``; ``imageTr``, as some write it, serves too.

    Parameters
    ----------
    names
        Of labels 1, 2, 3…, which a ``dataset.json`` beside them must have too.

    Raises
    ------
    BadInputError
        When labels have no image, an image no labels, there is none, a file is there with two endings, or the labels
        mean something else.
    """
    _check_names(folder / "dataset.json", names)
    images = {
        stem_of(path).removesuffix("_0000"): path
        for place in ("imagesTr", "imageTr")
        for path in _files(folder / place)
        if stem_of(path).endswith("_0000")
    }
    labels = {stem_of(path): path for path in _files(folder / "labelsTr")}
    if alone := sorted(images.keys() ^ labels.keys()):
        lacks = "labels in labelsTr" if alone[0] in images else "image in imagesTr"
        raise BadInputError(f"{alone[0]} of {folder} has no {lacks}; every patient needs both.")
    if not labels:
        raise BadInputError(f"{folder / 'labelsTr'} holds no labels; NAME.nii.gz are expected.")
    return [LabelledImage(name, images[name], path) for name, path in labels.items()]


def _files(folder: Path) -> list[Path]:
    """NIfTI files of a folder, each of another name but for its ending."""
    found = find_niftis(folder, "*")
    if twins := told_twins(found):
        raise BadInputError(twins)
    return found


def _check_names(path: Path, names: Sequence[str]) -> None:
    if not path.is_file():
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["labels"]
        said = {str(name).lower(): code for name, code in found.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise BadInputError(f"{path} can't be read as a description of labels.") from None
    wanted = {"background": 0, **{name: code for code, name in enumerate(names, start=1)}}
    if said != wanted:
        raise BadInputError(f"{path} says that labels are {found}; they must be {wanted}. Number the labels so.")


def write_nnunet_dataset(
    patients: Sequence[LabelledImage], names: Sequence[str], out: Path, *, channel: str = CT_CHANNEL,
    axes: str | None = None, folds: int = 5, seed: int = 0,
) -> Path:  # fmt: skip
    """Write ``imagesTr``, ``labelsTr``, ``dataset.json`` and ``splits_final.json``; the folder appears when complete.

    nnU-Net reads files as they lie, so that all are written in one orientation, which ``dataset.json`` keeps for the
    import of what is trained on them. The splits' file belongs beside the preprocessed data of nnU-Net.

    Parameters
    ----------
    patients
        From :func:`find_images`.
    names
        Of labels 1, 2, 3…
    out
        Folder to make, called ``DatasetNNN_Name`` for nnU-Net to find it.
    channel
        Its name decides how nnU-Net scales values, see :func:`channel_of`.
    axes
        Orientation, such as ``LPS``, to which images and labels are turned; None keeps that of the images.
    folds, seed
        Of the splits, by patient.

    Raises
    ------
    BadInputError
        When the folder exists, two sessions have one name, a label has no name, there are fewer patients than folds, or
        images lie in several orientations and ``axes`` doesn't say which to take.
    GeometryError
        When labels don't lie on their image's grid.
    """
    if out.exists():
        raise BadInputError(f"{out} exists already. Name another folder.")
    if clash := [name for name, count in Counter(p.subject for p in patients).items() if count > 1]:
        raise BadInputError(f"two sessions are called {clash[0]}; one would overwrite the other. Name them apart.")
    fold = fold_of_subjects([p.patient for p in patients], folds, seed)
    with whole_folder(out) as folder:
        for part in ("imagesTr", "labelsTr"):
            (folder / part).mkdir()
        lying = {p.subject: _write_case(p, len(names), axes, folder) for p in patients}
        write_json(
            {
                "channel_names": {"0": channel},
                "labels": {"background": 0, **{name: code for code, name in enumerate(names, start=1)}},
                "numTraining": len(patients),
                "file_ending": ".nii.gz",
                AXES_KEY: _one_orientation(lying),
            },
            folder / "dataset.json",
        )
        (folder / SPLITS).write_text(_splits(patients, fold, folds), encoding="utf-8")
    return out


def _write_case(patient: LabelledImage, count: int, axes: str | None, folder: Path) -> str:
    """Write a patient's image and labels; their orientation comes back."""
    image = read_nifti(patient.image)
    labels = read_nifti(patient.labels, allow_empty=True)
    if not labels.grid.same_as(image.grid):
        raise GeometryError(f"{patient.labels.name} does not lie on the grid of {patient.image.name}.")
    if np.any(labels.data != np.clip(np.rint(labels.data), 0, None)):
        raise BadInputError(f"{patient.labels.name} holds values that are no labels; whole numbers from 0 are needed.")
    if int(labels.data.max()) > count:
        raise BadInputError(
            f"{patient.labels.name} holds label {int(labels.data.max())}, and {count} names were given. "
            "Name all of them."
        )
    codes = labels.with_data(labels.data.astype(np.uint8))
    for volume, place in (
        (image, f"imagesTr/{patient.subject}_0000.nii.gz"),
        (codes, f"labelsTr/{patient.subject}.nii.gz"),
    ):
        write_nifti(reorient(volume, axes) if axes else volume, folder / place)
    return axes or image.grid.orientation


def _one_orientation(lying: Mapping[str, str]) -> str:
    first, axes = next(iter(lying.items()))
    for subject, own in lying.items():
        if own != axes:
            raise BadInputError(
                f"{first} lies in {axes} and {subject} in {own}; nnU-Net reads files as they lie. "
                f"Give --axes {axes} to have all written so."
            )
    return axes


def _splits(patients: Sequence[LabelledImage], fold: dict[str, int], count: int) -> str:
    parts = [
        {
            "train": sorted(p.subject for p in patients if fold[p.patient] != index),
            "val": sorted(p.subject for p in patients if fold[p.patient] == index),
        }
        for index in range(count)
    ]
    return json.dumps(parts, indent=2) + "\n"
