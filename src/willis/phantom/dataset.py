"""A folder of simulated patients: BIDS names, truth as derivatives, a table of true volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from willis import __version__
from willis.errors import BadInputError
from willis.io.nifti import write_nifti
from willis.io.nifti_series import write_series
from willis.io.tables import write_json, write_table, write_text
from willis.io.whole_folder import whole_folder
from willis.phantom.anatomy import Anatomy
from willis.phantom.kinds import PhantomKind, get_kind
from willis.phantom.patient import Patient, make_patient

BIDS_VERSION = "1.10.0"
ABOUT = "Simulated patients with known truth, made by willis. No person's images are in here.\n\n"


def write_patients(
    task: str, out: Path | str, *, count: int, seed: int, anatomies: Sequence[Anatomy] | None = None,
    contrast: str = "physics", progress: Callable[[float, str], None] | None = None, **options: Any,
) -> Path:  # fmt: skip
    """Write ``count`` patients; the folder appears only when all are in it. One seed always gives the same bytes.

    ``options`` are the kind's own, see its maker.

    Raises
    ------
    BadInputError
        When the task has no phantoms, the folder exists and isn't empty, or ``count`` is below 1 or ``seed`` below 0.
    """
    kind = get_kind(task)
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInputError(f"{out} exists and isn't an empty folder. Name another.")
    if count < 1 or seed < 0:
        raise BadInputError(f"count must be at least 1 and seed at least 0; found {count} and {seed}.")
    with whole_folder(out) as folder:
        rows = []
        people = []
        for index in range(count):
            if progress is not None:
                progress(index / count, f"patient {index + 1} of {count}")
            patient = make_patient(task, seed, index, anatomies, contrast=contrast, **options)
            write_patient(patient, kind, folder)
            rows.append(patient.row)
            people.append({"participant_id": patient.study.prefix, **patient.study.scalars})
        write_table(rows, folder / "truth.tsv")
        write_table(people, folder / "participants.tsv")
        _describe(folder, kind, seed, contrast)
    return out


def write_patient(patient: Patient, kind: PhantomKind, folder: Path) -> list[Path]:
    """Write one patient's images, sidecars and truth into a BIDS folder; the images' paths in the order of roles."""
    prefix = patient.study.prefix
    truth = folder / "derivatives" / "truth"
    written = []
    for role, volume in patient.study.volumes.items():
        written.append(write_nifti(volume, _place(folder, prefix, f"{kind.images[role]}.nii.gz")))
        if role in patient.sidecars:
            write_json(patient.sidecars[role], _place(folder, prefix, f"{kind.images[role]}.json"))
    for role, series in patient.study.series.items():
        written.append(write_series(series, _place(folder, prefix, f"{kind.images[role]}.nii.gz")))
    for end, text in patient.texts.items():
        write_text(text, _place(folder, prefix, end))
    for name, volume in patient.truth.items():
        write_nifti(volume, _place(truth, prefix, f"{kind.truth[name]}.nii.gz"))
    first = next(iter(kind.truth.values())).partition("/")[0]
    write_json(patient.parameters, _place(truth, prefix, f"{first}/desc-phantom_parameters.json"))
    return written


def _place(folder: Path, prefix: str, end: str) -> Path:
    """``folder/sub-01/anat/sub-01_T1w.json`` for the end ``anat/T1w.json``; its folder is made."""
    datatype, _, name = end.partition("/")
    place = folder / prefix / datatype
    place.mkdir(parents=True, exist_ok=True)
    return place / f"{prefix}_{name}"


def _describe(folder: Path, kind: PhantomKind, seed: int, contrast: str) -> None:
    maker = [{"Name": "willis phantom", "Version": __version__}]
    for place, dataset_type in ((folder, "raw"), (folder / "derivatives" / "truth", "derivative")):
        description = {
            "Name": f"willis phantoms, seed {seed}, {contrast} contrast",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": dataset_type,
            "License": "Apache-2.0",
            "GeneratedBy": maker,
        }
        write_json(description, place / "dataset_description.json")
    (folder / "README").write_text(ABOUT + kind.about, encoding="utf-8")
