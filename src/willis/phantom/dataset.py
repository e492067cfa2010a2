"""A folder of simulated patients: BIDS names, truth as derivatives, a table of true volumes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from willis import __version__
from willis.errors import BadInputError
from willis.io.bids import SUFFIX
from willis.io.nifti import write_nifti
from willis.io.tables import write_json, write_table
from willis.phantom.anatomy import Anatomy
from willis.phantom.patient import Contrast, Patient, make_patient
from willis.volume.volume import Volume

BIDS_VERSION = "1.10.0"
MASKS = ("wmh", "brain", "ventricles")
SIDECAR_MS = {"tr": "RepetitionTime", "te": "EchoTime", "ti": "InversionTime"}  # ms here, s in BIDS
ABOUT = """Simulated patients with known truth, made by willis. No person's images are in here.

Images: sub-*/anat. Truth: derivatives/truth, on the FLAIR's own grid (space-flair) and on the 1 mm grid of the
simulated anatomy (space-anatomy), in which the T1's head lies. True volumes: truth.tsv; wmh_volume_ml sums each voxel's
share of lesion, the mask volumes count voxels that are at least half lesion. regions: 1 periventricular, 2 deep,
3 juxtacortical, 4 cerebellar, 5 brainstem, 6 grey matter and CSF; + 10 on the right.
"""


def write_patients(
    task: Literal["wmh"], out: Path | str, *, count: int, seed: int, anatomies: Sequence[Anatomy] | None = None,
    contrast: Contrast = "physics", progress: Callable[[float, str], None] | None = None,
) -> Path:  # fmt: skip
    """Write ``count`` patients; the folder appears only when all are in it. One seed always gives the same bytes.

    Raises
    ------
    BadInputError
        When the folder exists and isn't empty, or ``count`` is below 1 or ``seed`` below 0.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInputError(f"{out} exists and isn't an empty folder. Name another.")
    if count < 1 or seed < 0:
        raise BadInputError(f"count must be at least 1 and seed at least 0; found {count} and {seed}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        rows = []
        for index in range(count):
            if progress is not None:
                progress(index / count, f"patient {index + 1} of {count}")
            patient = make_patient(task, seed, index, anatomies, contrast=contrast)
            write_patient(patient, staging)
            rows.append(patient.row)
        _write_tables(staging, rows, seed, contrast)
        staging.chmod(0o755)
        staging.replace(out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return out


def write_patient(patient: Patient, folder: Path) -> list[Path]:
    """Write one patient's images, sidecars and truth into a BIDS folder; the images' paths in the order of roles."""
    prefix = patient.study.prefix
    images = folder / prefix / "anat"
    truth = folder / "derivatives" / "truth" / prefix / "anat"
    for made in (images, truth):
        made.mkdir(parents=True, exist_ok=True)
    written = []
    for role, volume in patient.study.volumes.items():
        written.append(write_nifti(volume, images / f"{prefix}_{SUFFIX[role]}.nii.gz"))
        write_json(_sidecar(patient, role), images / f"{prefix}_{SUFFIX[role]}.json")
    for name, volume in patient.truth.items():
        write_nifti(volume, truth / truth_name(prefix, name))
    write_json(patient.parameters, truth / f"{prefix}_desc-phantom_parameters.json")
    return written


def truth_name(prefix: str, name: str) -> str:
    """File name of one of a patient's truth volumes.

    >>> truth_name("sub-0001", "wmh_anatomy")
    'sub-0001_space-anatomy_label-wmh_mask.nii.gz'
    """
    label, _, space = name.partition("_")
    space = space or "flair"
    if label == "fraction":
        return f"{prefix}_space-{space}_label-wmh_probseg.nii.gz"
    return f"{prefix}_space-{space}_label-{label}_{'mask' if label in MASKS else 'dseg'}.nii.gz"


def _sidecar(patient: Patient, role: str) -> dict[str, Any]:
    drawn = patient.parameters["images"][role]
    volume: Volume = patient.study[role]
    sliced = drawn["slice_axis"] is not None
    sidecar: dict[str, Any] = {
        "Manufacturer": "willis phantom",
        "MagneticFieldStrength": 3.0 if patient.parameters["field"] == "3T" else 1.5,
        "MRAcquisitionType": "2D" if sliced else "3D",
        "PulseSequenceDetails": drawn["sequence"],
        "SliceThickness": round(float(drawn["slice_mm"]), 4),
    }
    if sliced:
        sidecar["SpacingBetweenSlices"] = round(volume.grid.spacing_mm[drawn["slice_axis"]], 4)
    sidecar |= {bids: round(drawn[name] / 1000, 6) for name, bids in SIDECAR_MS.items() if name in drawn}
    if "flip_deg" in drawn:
        sidecar["FlipAngle"] = round(drawn["flip_deg"], 3)
    return sidecar


def _write_tables(folder: Path, rows: list[dict[str, Any]], seed: int, contrast: str) -> None:
    write_table(rows, folder / "truth.tsv")
    write_table([{"participant_id": row["participant_id"]} for row in rows], folder / "participants.tsv")
    maker = [{"Name": "willis phantom", "Version": __version__}]
    for place, kind in ((folder, "raw"), (folder / "derivatives" / "truth", "derivative")):
        description = {
            "Name": f"willis phantoms, seed {seed}, {contrast} contrast",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": kind,
            "License": "Apache-2.0",
            "GeneratedBy": maker,
        }
        write_json(description, place / "dataset_description.json")
    (folder / "README").write_text(ABOUT, encoding="utf-8")
