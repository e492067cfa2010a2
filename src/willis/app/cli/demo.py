"""``willis demo``: a simulated patient from scan to report, and the truth beside what was found."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from willis.app.cli.main import call
from willis.errors import BadInputError

DEFAULT_FOLDER = Path("out/demo")
NUMBERS = (  # for people; name in truth.tsv; name of the measurement; unit
    ("WMH volume", "wmh_volume_ml", "wmh_volume", "ml"),
    ("WMH count", "wmh_count", "wmh_count", ""),
    ("Brain *", "brain_volume_ml", "brain_volume", "ml"),
)
BRAIN_NOTE = "* The mask that is found holds the fluid over the gyri; the true volume is the brain's."


def demo(*, output: Annotated[Path, Parameter(name=("--output", "-o"))] = DEFAULT_FOLDER, seed: int = 7) -> int:
    """Make one simulated patient, analyse it, and compare with the truth.

    Parameters
    ----------
    output
        Folder for the patient and the results; those of an earlier demo in it are replaced.
    seed
        Another seed is another patient.
    """
    patients, results = output / "patients", output / "results"
    _clear(patients)
    _clear(results)
    made = ["phantom", "wmh", "--count", "1", "--seed", str(seed), "-o", str(patients)]
    if code := _step(made):
        return code
    (flair,), (t1,) = patients.glob("sub-*/anat/*_FLAIR.nii.gz"), patients.glob("sub-*/anat/*_T1w.nii.gz")
    if code := _step(["run", "wmh", "--t1", str(t1), "--flair", str(flair), "-o", str(results)]):
        return code
    print(f"\n{compared(patients, results)}\n\nReport: {results / 'report.html'}")
    return 0


def _step(arguments: list[str]) -> int:
    print(f"\n$ willis {shlex.join(arguments)}", flush=True)
    return call(arguments)


def _clear(folder: Path) -> None:
    """Remove what an earlier demo has left, and nothing else."""
    if not folder.exists():
        return
    try:
        makers = json.loads((folder / "dataset_description.json").read_text(encoding="utf-8"))["GeneratedBy"]
        ours = all(maker["Name"].startswith("willis") for maker in makers)
    except (OSError, ValueError, LookupError, TypeError):
        ours = False
    if not ours:
        raise BadInputError(f"{folder} isn't of an earlier demo. Move it away, or name another folder with --output.")
    shutil.rmtree(folder)


def compared(patients: Path, results: Path) -> str:
    """True and found numbers side by side, and how well the masks agree."""
    from willis.io.derivatives import read_derivatives
    from willis.io.nifti import read_nifti
    from willis.io.tables import read_table
    from willis.measure.case import evaluate_case

    findings = read_derivatives(results)
    (row,) = read_table(patients / "truth.tsv")
    rows = [("", "true", "found", "")]
    for title, true_name, found_name, unit in NUMBERS:
        found = findings.measurements[found_name].value
        rows.append((title, _number(row[true_name]), _number(found), unit))
    (truth,) = patients.glob("derivatives/truth/sub-*/anat/*_space-flair_label-wmh_mask.nii.gz")
    mask = next(m.volume for m in findings.masks if (m.label, m.space) == ("wmh", "flair"))
    score = evaluate_case(mask, read_nifti(truth, allow_empty=True))["dice"]
    rows.append(("Dice of the masks", "", _number(score), ""))
    table = "\n".join(f"{a:<20}{b:>10}{c:>10} {d}".rstrip() for a, b, c, d in rows)
    return f"{table}\n\n{BRAIN_NOTE}"


def _number(value: Any) -> str:
    return "–" if value is None else f"{float(value):.4g}"
