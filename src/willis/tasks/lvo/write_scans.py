"""Labelled CTs in the published layout: the four maps that a run would give the published network, as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from willis.errors import BadInputError
from willis.io.nifti import read_nifti, write_nifti
from willis.io.size_tables import write_csv
from willis.io.whole_folder import whole_folder
from willis.study import Study
from willis.tasks.lvo.labelled_scans import FILES, LABEL, NEGATIVES, PATIENT, POSITIVES, TABLES
from willis.tasks.lvo.occlusion import fits, published_maps
from willis.tasks.lvo.prepare import prepare
from willis.tasks.lvo.segment_cases import told_patients
from willis.tasks.lvo.spec import PUBLISHED_AXES, SPEC
from willis.units import counted
from willis.volume.orient import reorient
from willis.volume.volume import Volume


def write_scans(
    root: Path, out: Path, *, validation_share: float = 0.2, test_share: float = 0.2, seed: int = 0,
    deformation: str = "demons", progress: Callable[[float, str], None] | None = None,
) -> tuple[dict[str, list[str]], list[str]]:  # fmt: skip
    """Write patients of a BIDS folder as :mod:`willis.tasks.lvo.labelled_scans` has them.

    Each CT goes through the task's own ``prepare``. ``NCCT.nii.gz`` holds the brain alone, as a run gives it to the
    network; ``blood.nii.gz`` keeps the codes of the vessels. All files lie in ``spec.PUBLISHED_AXES``, which the import
    of what the published code trains on them takes for granted. The folder appears when all patients are in it.

    Parameters
    ----------
    root
        As ``willis phantom lvo`` makes it: CTs, vessel labels and ``truth.tsv``.
    out
        Folder to make.
    validation_share, test_share
        Of the patients of each kind, with and without an occlusion.
    seed
        Of the shares.
    deformation
        What deforms the template, as the task's option.
    progress
        Told of each patient.

    Returns
    -------
    patients
        Of ``training``, ``validation`` and ``test``.
    left_out
        Patients whose CT is larger than the published input; they aren't written.

    Raises
    ------
    BadInputError
        When the folder exists or can't be used, a part of the training set lacks a kind, or a patient can't be
        prepared.
    """
    if out.exists():
        raise BadInputError(f"{out} exists already. Name another folder.")
    told = told_patients(root)
    left_out = [files.subject for files, _ in told if not _fits(files.image)]
    patients = [one for one in told if one[0].subject not in left_out]
    occluded = {files.subject: segment != "none" for files, (segment, _) in patients}
    parts = share_out(occluded, validation_share, test_share, seed)
    with whole_folder(out) as folder:
        for number, (files, _) in enumerate(patients):
            if progress is not None:
                progress(number / len(patients), f"patient {number + 1} of {len(patients)}")
            kind = POSITIVES if occluded[files.subject] else NEGATIVES
            _write(files.subject, files.image, files.labels, deformation, folder / kind / files.subject)
        for part, names in parts.items():
            if names:
                rows = [[name, int(occluded[name])] for name in names]
                write_csv([[PATIENT, LABEL], *rows], folder / TABLES[part])
    return parts, left_out


def _fits(image: Path) -> bool:
    return fits(reorient(read_nifti(image, "ncct"), PUBLISHED_AXES).grid)


def share_out(occluded: Mapping[str, bool], validation: float, test: float, seed: int) -> dict[str, list[str]]:
    """Names for training, validation and test, of each kind the same shares.

    Raises
    ------
    BadInputError
        When the shares leave no patient of one kind to train on.
    """
    if validation < 0 or test < 0 or validation + test >= 1:
        raise BadInputError(
            f"shares of {validation:g} for validation and {test:g} for a test were asked for; both are at least 0 and "
            "together below 1."
        )
    rng = np.random.default_rng(seed)
    parts: dict[str, list[str]] = {"training": [], "validation": [], "test": []}
    for kind in (True, False):
        names = sorted(name for name, shut in occluded.items() if shut == kind)
        drawn = [names[int(index)] for index in rng.permutation(len(names))]
        first = round(validation * len(names))
        last = first + round(test * len(names))
        if last >= len(names):
            raise BadInputError(
                f"{counted(len(names), 'patient')} {'with' if kind else 'without'} an occlusion: too few for these "
                "shares, none is left to train on. Give more patients, or lower --validation-share or --test-share."
            )
        for part, some in (("validation", drawn[:first]), ("test", drawn[first:last]), ("training", drawn[last:])):
            parts[part] += sorted(some)
    return parts


def _write(subject: str, image: Path, labels: Path, deformation: str, folder: Path) -> None:
    options = SPEC.resolve_options({"vessels": labels, "deformation": deformation})
    try:
        prepared = prepare(Study({"ncct": read_nifti(image, "ncct")}, subject=subject), options)
    except BadInputError as error:
        raise BadInputError(f"{subject} can't be written: {error}") from None
    folder.mkdir(parents=True)
    for channel, data in published_maps(prepared).items():
        kept = data.astype(np.uint8) if channel == "vessels" else data
        turned = reorient(Volume(kept, prepared.ct.grid, role=channel), PUBLISHED_AXES)
        write_nifti(turned, folder / FILES[channel])
