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
from willis.tasks.perfusion.clinical import SEX, UNKNOWN, known, read_age, read_nihss
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
        When there is no patient, a mask is absent, or a table holds what can't be.
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
    series = find_niftis(place, f"{subject}_*ctp.*")
    if series:
        return {"ctp": series[0]}
    maps = {name: find_niftis(place, f"{subject}_*{name}.*") for name in (*MAPS, "mip")}
    return {name: paths[0] for name, paths in maps.items() if paths}


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}
    for path in (folder / name for name in TABLES):
        if path.is_file():
            with path.open(newline="", encoding="utf-8-sig") as file:
                for row in csv.DictReader(file, delimiter="\t"):
                    who = "sub-" + (row.get("participant_id") or "").removeprefix("sub-")
                    rows[who] = {**rows.get(who, {}), **{k.lower(): v or "" for k, v in row.items() if k}}
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
    sex = SEX.get(row.get("sex", "").strip().lower().removesuffix(".0"))
    found = {"nihss": nihss, "age": age, "sex": sex}
    return {name: value for name, value in found.items() if value is not None}
