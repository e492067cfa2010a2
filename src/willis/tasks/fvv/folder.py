"""Patients in folders, as published: one folder a patient, images known by the end of their names; or BIDS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.io.bids import FoundPatient
from willis.io.bvals import has_bval
from willis.io.diffusion import volume_count
from willis.io.nifti_names import find_niftis, stem_of, told_twins

B0_ENDS = ("b0", "B0")
B1000_ENDS = ("b1000", "B1000", "DWI")  # *DWI is the published name of a b1000
ADC_ENDS = ("adc", "ADC")
FLAIR_ENDS = ("FLAIR", "flair")
ENDS = {"b1000": B1000_ENDS, "b0": B0_ENDS, "adc": ADC_ENDS, "flair": FLAIR_ENDS}


@dataclass(frozen=True)
class LabelledDwi:
    """Files of one patient of the published training data."""

    subject: str
    b0: Path
    b1000: Path
    lesion: Path
    visible: Path
    mask: Path | None


def find_labelled_dwi(folder: Path) -> list[LabelledDwi]:
    """Every patient folder of the published layout: b0, b1000, stroke_roi, flairviz_roi, and mask or mask_roi.

    Raises
    ------
    BadInputError
        When there is none, or one lacks a file.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder; give one with a folder for each patient.")
    found = []
    for place in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        names = ("b0", "b1000", "stroke_roi", "flairviz_roi")
        if twins := told_twins(path for path in find_niftis(place, "*") if stem_of(path) in names):
            raise BadInputError(f"{place}: {twins}")
        files = {name: _named(place, (name,)) for name in names}
        if files["b1000"] is None:
            continue
        if missing := [name for name, path in files.items() if path is None]:
            raise BadInputError(f"{place} has no {missing[0]}.nii.gz; each labelled patient needs {', '.join(files)}.")
        b0, b1000, lesion, visible = (path for path in files.values() if path is not None)
        found.append(LabelledDwi(place.name, b0, b1000, lesion, visible, _named(place, ("mask", "mask_roi"))))
    if not found:
        raise BadInputError(f"{folder} holds no patient folder with b1000.nii.gz.")
    return found


def find_patients(folder: Path) -> dict[str, FoundPatient]:
    """Images of each patient in a folder, by patient; of the folder itself when it is one patient's.

    A patient has a b1000 and a b0 or an ADC by the end of their names (``*b0``, ``*b1000``, ``*DWI``, ``*adc``; a
    ``*_dwi`` of one volume is a b1000 too), or one 4D series with a .bval beside it; in BIDS, in
    ``sub-*/[ses-*/]dwi``. Folders that hold some of these and not enough, or too many, are found with their problem.

    Raises
    ------
    BadInputError
        When there is none, or the folder itself is that of one patient with a problem.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder; give one with the images of a patient, or a folder for each.")
    own = _patient(folder)
    if own is not None and not own.problem:
        return {folder.resolve().name: own}
    found = {}
    for place in sorted({path.parent for path in find_niftis(folder)} - {folder}):
        parts = place.relative_to(folder).parts
        if parts[0] == "derivatives":
            continue
        if (patient := _patient(place)) is not None:
            name = "_".join(part for part in parts if part != "dwi") or folder.resolve().name
            found["_".join(parts) if name in found else name] = patient
    if own is not None and not found:
        raise BadInputError(f"{folder}: {own.problem}")
    if not found:
        raise BadInputError(
            f"{folder} holds no patient: files whose names end in b1000 (or DWI) and b0 (or adc) are expected."
        )
    return found if own is None else {folder.resolve().name: own, **found}


def _patient(folder: Path) -> FoundPatient | None:
    """What one folder holds of a patient; None when it holds no diffusion image."""
    files = {role: _ending(folder, names) for role, names in ENDS.items()}
    known = {path for role in ("b0", "b1000", "adc") for path in files[role]}
    further = [path for path in find_niftis(folder, "*") if path not in known and (has_bval(path) or _is_dwi(path))]
    try:
        series = [path for path in (*files["b1000"], *further) if volume_count(path) > 1]
    except BadInputError as unreadable:
        return FoundPatient({}, str(unreadable))
    files["b1000"] = [path for path in files["b1000"] or further if path not in series and _is_weighted(path)]
    used = [*series, *(path for paths in files.values() for path in paths)]
    if not any((series, files["b1000"], files["b0"], files["adc"])):
        return None
    if twins := told_twins(used):
        return FoundPatient({}, twins)
    flair = {"flair": files["flair"][0]} if files["flair"] else {}
    second = "b0" if files["b0"] else "adc"
    if files["b1000"] and files[second]:
        if problem := _several(files["b1000"], "b1000 images") or _several(files[second], f"{second} images"):
            return FoundPatient({}, problem)
        return FoundPatient({"b1000": files["b1000"][0], second: files[second][0], **flair})
    if series:
        problem = _several(series, "diffusion series")
        return FoundPatient({}, problem) if problem else FoundPatient({"dwi": series[0], **flair})
    return FoundPatient({}, _several(files["b1000"], "b1000 images") or _lacking(files))


def _lacking(files: Mapping[str, Sequence[Path]]) -> str:
    """In words, which image of a pair is absent."""
    if files["b1000"]:
        return f"{files['b1000'][0].name} has neither a b0 nor an ADC map beside it; put one there."
    alone = files["b0"] or files["adc"]
    return f"{alone[0].name} has no b1000 beside it (a name that ends in b1000, DWI or _dwi); put one there."


def _several(paths: Sequence[Path], kind: str) -> str:
    """In words, that there are more files of a kind than one; empty when there aren't."""
    if len(paths) < 2:
        return ""
    return f"{len(paths)} {kind}, {' and '.join(path.name for path in paths[:2])}; put each run into its own folder."


def _is_dwi(path: Path) -> bool:
    return stem_of(path) == "dwi" or stem_of(path).endswith("_dwi")


def _is_weighted(path: Path) -> bool:
    """Whether a name is that of a b1000, as published or as ISLES'22 has it."""
    return _is_dwi(path) or stem_of(path).endswith(B1000_ENDS)


def _ending(folder: Path, ends: Sequence[str]) -> list[Path]:
    """The files whose names, or BIDS ``acq-`` labels, have the first of some ends that any has."""
    for end in ends:
        if found := [path for path in find_niftis(folder, "*") if stem_of(path).removesuffix("_dwi").endswith(end)]:
            return found
    return []


def _named(folder: Path, names: Sequence[str]) -> Path | None:
    return next((path for path in find_niftis(folder, "*") if stem_of(path) in names), None)
