"""Judge a trained stage of the LVO task on the patients that its recipe leaves out, and calibrate it there.

    python scripts/calibrate_lvo.py recipes/lvo-occlusion.toml runs/lvo-occlusion/bundle --data FOLDER -o runs/judged
    python scripts/calibrate_lvo.py recipes/lvo-vessels.toml runs/vessels/bundle --data FOLDER --folds 5 -o runs/judged

Writes one row a patient and prints figures with 95 % intervals. Of the second stage: sensitivity, specificity and AUC;
slope and intercept of its logits (Platt 1999) are written into the bundle's manifest, with where they come from. The
figures are those before: patients that calibrate a bundle measure nothing. Of the first stage: Dice of each vessel. Of
the third: answers against the truth, on the labelled vessels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from willis.errors import BadInputError
from willis.io.nifti import read_nifti
from willis.io.size_tables import write_csv
from willis.learn.recipe import FoldSettings, read_recipe
from willis.measure.decision import share
from willis.models.bundle import Bundle
from willis.models.store import amend_bundle, open_bundle
from willis.tasks.lvo import segment_cases, vessel_cases
from willis.tasks.lvo.dataset import validation_cases
from willis.tasks.lvo.find_vessels import find_vessels
from willis.tasks.lvo.hounsfield import as_hounsfield
from willis.tasks.lvo.segment import counted, projected
from willis.tasks.lvo.validated import (
    Estimate,
    calibration_of,
    confusion,
    judged_scans,
    scan_figures,
    scan_rows,
    vessel_figures,
    vessel_row,
)
from willis.tasks.lvo.vessels import read_vessels
from willis.tasks.settings import RunSettings

SEED = 500_029


def judge_occlusion(bundle: Bundle, data: dict, folds: FoldSettings | None, out: Path) -> list[Estimate]:
    """The second stage: a table, figures, and the bundle calibrated."""
    amended = amend_bundle(bundle.folder, calibration=None)
    scans = judged_scans(amended, validation_cases(data, folds))
    if not scans:
        raise BadInputError(f"{data['folder']} leaves no patient out; give val_labels.csv or --folds.")
    rows = scan_rows(scans, amended.manifest)
    write_csv([list(rows[0]), *(list(row.values()) for row in rows)], out / "validation_results.csv")
    fitted = calibration_of(scans, Path(data["folder"]).name)
    amend_bundle(bundle.folder, calibration=fitted)
    print(f"slope {fitted.slope:.3f}, intercept {fitted.intercept:.3f}: written into {bundle.folder}")
    return scan_figures(scans, amended.manifest, np.random.default_rng(SEED))


def judge_vessels(bundle: Bundle, data: dict, folds: FoldSettings | None, out: Path) -> list[Estimate]:
    """The first stage, on the scans' own voxels: a table and figures."""
    rows, table = [], []
    if folds is None:
        raise BadInputError("no patient is left out; give --folds as in the training.")
    for files in vessel_cases.left_out(data, folds):
        ct = as_hounsfield(read_nifti(files.image, "ncct"))
        found = find_vessels(ct, bundle, RunSettings())
        rows.append(vessel_row(found.data, read_vessels(files.labels, ct).data))
        table.append([files.subject, *rows[-1].values()])
    write_csv([["Patient ID", *rows[0]], *table], out / "validation_vessels.csv")
    return vessel_figures(rows, np.random.default_rng(SEED))


def judge_segment(bundle: Bundle, data: dict, folds: FoldSettings | None, out: Path) -> list[Estimate]:
    """The third stage, on labelled vessels: the confusion of segments, and the share of right answers."""
    if folds is None:
        raise BadInputError("no patient is left out; give --folds as in the training.")
    source = segment_cases.source_of(data, folds, "validation")
    truth = [segment for segment, _ in source.told]
    said = []
    for files in source.images:
        ct = as_hounsfield(read_nifti(files.image, "ncct"))
        counts, _ = counted(projected(ct, read_vessels(files.labels, ct)), bundle, RunSettings())
        said.append(max(counts, key=lambda name: counts[name]) if any(counts.values()) else "none")
    rows = confusion(truth, said)
    write_csv([list(rows[0]), *(list(row.values()) for row in rows)], out / "validation_segments.csv")
    for row in rows:
        print("  ".join(f"{value!s:>8}" for value in row.values()))
    right = share([true == one for true, one in zip(truth, said, strict=True)])
    return [Estimate("accuracy", right.value, right.interval, right.cases)]


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--folds", type=int)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    data = {**read_recipe(asked.recipe).data, "folder": asked.data}
    folds = FoldSettings(count=asked.folds, index=asked.fold) if asked.folds else None
    judges = {"occlusion": judge_occlusion, "vessels": judge_vessels, "segment": judge_segment}
    if data.get("stage") not in judges:
        raise BadInputError(f"the recipe's stage is {data.get('stage')!r}; judged are {', '.join(judges)}.")
    for figure in judges[data["stage"]](open_bundle(str(asked.bundle), "lvo"), data, folds, asked.output):
        low, high = figure.interval
        print(f"{figure.name:12s} {figure.value:.3f} ({low:.3f} to {high:.3f}), {figure.patients} patients")


if __name__ == "__main__":
    main()
