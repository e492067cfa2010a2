"""Patients in folders, as published: one folder a patient, images known by the end of their names; or BIDS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError

SUFFIXES = (".nii.gz", ".nii")
B0_ENDS = ("b0", "B0")
B1000_ENDS = ("b1000", "B1000", "DWI")  # *DWI is the published name of a b1000
ADC_ENDS = ("adc", "ADC")
FLAIR_ENDS = ("FLAIR", "flair")


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
        files = {name: _named(place, (name,)) for name in ("b0", "b1000", "stroke_roi", "flairviz_roi")}
        if files["b1000"] is None:
            continue
        if missing := [name for name, path in files.items() if path is None]:
            raise BadInputError(f"{place} has no {missing[0]}.nii.gz; each labelled patient needs {', '.join(files)}.")
        b0, b1000, lesion, visible = (path for path in files.values() if path is not None)
        found.append(LabelledDwi(place.name, b0, b1000, lesion, visible, _named(place, ("mask", "mask_roi"))))
    if not found:
        raise BadInputError(f"{folder} holds no patient folder with b1000.nii.gz.")
    return found


def find_patients(folder: Path) -> dict[str, dict[str, Path]]:
    """Images of each patient in a folder, by patient and role; of the folder itself when it is one patient's.

    A patient has a b1000 and a b0 or an ADC by the end of their names (``*b0``, ``*b1000``, ``*DWI``, ``*adc``), or
    one ``*_dwi`` with a .bval beside it; in BIDS, in ``sub-*/[ses-*/]dwi``.

    Raises
    ------
    BadInputError
        When there is none.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is not a folder; give one with the images of a patient, or a folder for each.")
    if own := _images(folder):
        return {folder.resolve().name: own}
    found = {}
    for place in sorted(path for path in folder.rglob("*") if path.is_dir()):
        parts = place.relative_to(folder).parts
        if parts[0] == "derivatives" or any(part.startswith(".") for part in parts):
            continue
        if images := _images(place):
            found["_".join(part for part in parts if part != "dwi")] = images
    if not found:
        raise BadInputError(
            f"{folder} holds no patient: files whose names end in b1000 (or DWI) and b0 (or adc) are expected."
        )
    return found


def _images(folder: Path) -> dict[str, Path]:
    ends = {"b1000": B1000_ENDS, "b0": B0_ENDS, "adc": ADC_ENDS, "flair": FLAIR_ENDS}
    images = {role: path for role, names in ends.items() if (path := _ending(folder, names)) is not None}
    if "b1000" in images and ("b0" in images or "adc" in images):
        return {role: path for role, path in images.items() if role != "adc" or "b0" not in images}
    series = [path for path in _niftis(folder) if path.with_name(f"{_stem(path)}.bval").is_file()]
    return {"dwi": series[0]} if len(series) == 1 else {}


def _niftis(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name.endswith(SUFFIXES))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _ending(folder: Path, ends: Sequence[str]) -> Path | None:
    """The first file whose name, or BIDS ``acq-`` label, ends so."""
    for end in ends:
        for path in _niftis(folder):
            if _stem(path).removesuffix("_dwi").endswith(end):
                return path
    return None


def _named(folder: Path, names: Sequence[str]) -> Path | None:
    return next((path for path in _niftis(folder) if _stem(path) in names), None)
