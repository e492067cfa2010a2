"""Judge the first or third stage of the LVO task on the patients that a fold leaves out.

    python scripts/judge_lvo_stage.py recipes/lvo-vessels.toml BUNDLE --data FOLDER --folds 5 -o runs/judged

Writes one row a patient and prints figures with 95 % intervals. Of the first stage: Dice of each vessel. Of the third:
answers against the truth, on the labelled vessels. `willis models calibrate` judges and calibrates the second.
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
from willis.models.store import open_bundle
from willis.tasks.lvo import segment_cases, vessel_cases
from willis.tasks.lvo.find_vessels import find_vessels
from willis.tasks.lvo.hounsfield import as_hounsfield
from willis.tasks.lvo.segment import counted, projected
from willis.tasks.lvo.validated import Estimate, confusion, vessel_figures, vessel_row
from willis.tasks.lvo.vessels import read_vessels
from willis.tasks.settings import RunSettings

SEED = 500_029


def judge_vessels(bundle: Bundle, data: dict, folds: FoldSettings, out: Path) -> list[Estimate]:
    """The first stage, on the scans' own voxels: a table and figures."""
    rows, table = [], []
    for files in vessel_cases.left_out(data, folds):
        ct = as_hounsfield(read_nifti(files.image, "ncct"))
        found = find_vessels(ct, bundle, RunSettings())
        rows.append(vessel_row(found.data, read_vessels(files.labels, ct).data))
        table.append([files.subject, *rows[-1].values()])
    write_csv([["Patient ID", *rows[0]], *table], out / "validation_vessels.csv")
    return vessel_figures(rows, np.random.default_rng(SEED))


def judge_segment(bundle: Bundle, data: dict, folds: FoldSettings, out: Path) -> list[Estimate]:
    """The third stage, on labelled vessels: the confusion of segments, and the share of right answers."""
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
    parser.add_argument("--folds", type=int, required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    data = {**read_recipe(asked.recipe).data, "folder": asked.data}
    folds = FoldSettings(count=asked.folds, index=asked.fold)
    judges = {"vessels": judge_vessels, "segment": judge_segment}
    if data.get("stage") not in judges:
        raise BadInputError(f"the recipe's stage is {data.get('stage')!r}; judged are {', '.join(judges)}.")
    for figure in judges[data["stage"]](open_bundle(str(asked.bundle), "lvo"), data, folds, asked.output):
        low, high = figure.interval
        print(f"{figure.name:12s} {figure.value:.3f} ({low:.3f} to {high:.3f}), {figure.patients} patients")


if __name__ == "__main__":
    main()
