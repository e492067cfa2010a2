"""Labelled patients in a BIDS folder: series or maps in ``perf``, core and penumbra in ``derivatives``, two tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from willis.errors import BadInputError, GeometryError
from willis.io.bids import find_mask
from willis.io.nifti import read_nifti
from willis.io.nifti_names import find_niftis
from willis.io.study import read_study
from willis.phantom.perfusion_scene import GROUPS
from willis.study import Study
from willis.tasks.perfusion.clinical import UNKNOWN, known, read_age, read_nihss, read_sex
from willis.tasks.perfusion.spec import MAPS
from willis.volume.volume import Volume

TABLES = ("participants.tsv", "truth.tsv")


@dataclass(frozen=True)
class LabelledPatient:
    """Files of one patient.

    Parameters
    ----------
    subject
        ``sub-01``.
    images
        File by role: ``ctp`` alone, or maps.
    masks
        File of ``core`` and of ``penumbra``.
    group
        ``lvo``, ``non-lvo``, ``none``; empty where no table says it.
    scalars
        NIHSS, age and sex that a table says.
    """

    subject: str
    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    group: str
    scalars: Mapping[str, float]

    def read(self) -> tuple[Study, dict[str, Volume]]:
        """The study, and the masks on its grid.

        Raises
        ------
        GeometryError
            When a mask lies on another grid.
        """
        files: dict[str, Any] = dict(self.images)
        study = read_study(scalars=self.scalars, subject=self.subject.removeprefix("sub-"), **files)
        grid = study.series["ctp"].grid if "ctp" in study.series else study[next(iter(self.images))].grid
        masks = {name: read_nifti(path, name, allow_empty=True) for name, path in self.masks.items()}
        for name, mask in masks.items():
            if not mask.grid.same_as(grid):
                raise GeometryError(f"{self.masks[name].name} doesn't lie on the grid of the images of {self.subject}.")
        return study, {name: mask.with_data((mask.data > 0).astype(np.uint8)) for name, mask in masks.items()}


def find_patients(folder: Path) -> tuple[LabelledPatient, ...]:
    """Every patient with a series ``sub-*/perf/*_ctp.nii.gz``, or maps ``*_cbf.nii.gz`` and so on.

    Each needs ``*_label-core_mask.nii.gz`` and ``*_label-penumbra_mask.nii.gz`` below ``derivatives``, with
    ``space-ctp``, or ``space-tmax`` where maps are given. Group (lvo, non-lvo, none), nihss, age and sex stand in
    participants.tsv or truth.tsv.

    Raises
    ------
    BadInputError
        When there is no patient, one has sessions or several files of a kind, a mask is absent, or a table holds what
        can't be, or a patient twice.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder; give a BIDS folder of labelled patients.")
    if apart := sorted(folder.glob("sub-*/ses-*/perf")):
        raise BadInputError(
            f"{apart[0]} lies in a session; masks and tables know patients of one session. Move its perf into "
            f"{apart[0].parents[1].name}, or name each session as a patient of its own."
        )
    rows = _rows(folder)
    found = []
    for place in sorted(folder.glob("sub-*/perf")):
        subject = place.parent.name
        images = _images(place, subject)
        if images:
            space = "ctp" if "ctp" in images else "tmax" if "tmax" in images else next(iter(images))
            named = {label: f"{subject}_space-{space}_label-{label}_mask" for label in ("core", "penumbra")}
            masks = {label: find_mask(folder, name) for label, name in named.items()}
            row = rows.get(subject, {})
            found.append(LabelledPatient(subject, images, masks, _group(row, subject), _scalars(row)))
    if not found:
        raise BadInputError(f"{folder} holds no sub-*/perf/*_ctp.nii.gz and no maps; a BIDS folder is expected.")
    return tuple(found)


def _images(place: Path, subject: str) -> dict[str, Path]:
    series = _one_of(place, subject, "ctp")
    if series is not None:
        return {"ctp": series}
    maps = {name: _one_of(place, subject, name) for name in (*MAPS, "mip")}
    return {name: path for name, path in maps.items() if path is not None}


def _one_of(place: Path, subject: str, kind: str) -> Path | None:
    """The file of a kind; None where there is none."""
    files = find_niftis(place, f"{subject}_*{kind}.*")
    if len(files) > 1:
        raise BadInputError(
            f"{subject} has {len(files)} files of the kind {kind}, {files[0].name} and {files[1].name}; its masks "
            "belong to one. Keep the one that was labelled."
        )
    return files[0] if files else None


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    """By patient what the tables say; what a later one doesn't know an earlier one says."""
    rows: dict[str, dict[str, str]] = {}
    for path in (folder / name for name in TABLES):
        if not path.is_file():
            continue
        seen = set()
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                who = "sub-" + (row.get("participant_id") or "").removeprefix("sub-")
                if who in seen:
                    raise BadInputError(f"{path} has two rows for {who}. Keep the one that is meant.")
                seen.add(who)
                told = {k.lower(): v or "" for k, v in row.items() if k}
                old = rows.get(who, {})
                rows[who] = {
                    **old,
                    **{k: v for k, v in told.items() if k not in old or known(v).lower() not in UNKNOWN},
                }
    return rows


def _group(row: Mapping[str, str], subject: str) -> str:
    group = row.get("group", "").strip().lower()
    if group in UNKNOWN:
        return ""
    if group not in GROUPS:
        raise BadInputError(f"{subject} is of the group {group!r}; allowed are {', '.join(GROUPS)}, or n/a.")
    return group


def _scalars(row: Mapping[str, str]) -> dict[str, float]:
    nihss, age = read_nihss(known(row.get("nihss", ""))), read_age(known(row.get("age", "")))
    found = {"nihss": nihss, "age": age, "sex": read_sex(known(row.get("sex", "")))}
    return {name: value for name, value in found.items() if value is not None}
