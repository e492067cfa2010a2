"""What an FVV bundle finds in the real DWI of ../shared/data/acute_isles22, as figures for its card.

    .venv/bin/python benchmarks/real_fvv.py [--data ../shared/data] [--bundle fvv] [--json FIGURES]

Prints the infarct's Dice with the manual mask, both volumes, and how many of the components above 0.2 ml are touched.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

import willis
from willis.image.components import component_sizes, label_components
from willis.io.nifti import read_nifti
from willis.measure.overlap import dice
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings

CASE = "acute_isles22/sub-strokecase0009_ses-0001"
LARGE_ML = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--bundle", default="fvv")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    start = given.data / CASE
    study = willis.read_study(b1000=f"{start}_dwi.nii.gz", adc=f"{start}_adc.nii.gz")
    findings = run_task("fvv", study, settings=RunSettings(bundle=given.bundle))
    found = next(mask.volume for mask in findings.masks if mask.label == "lesion")
    truth = read_nifti(f"{start}_msk.nii.gz", allow_empty=True)
    labels, count = label_components(truth.data > 0)
    large = np.flatnonzero(component_sizes(labels, count) * truth.grid.voxel_ml > LARGE_ML) + 1
    touched = [bool((found.data[labels == index] > 0).any()) for index in large]
    on = "sub-strokecase0009 of ISLES'22, b1000 + ADC"
    figures = [
        {"figure": "Dice of the infarct with the manual mask", "value": round(dice(found.data, truth.data) or 0, 4)},
        {"figure": "infarct found", "value": round(found.volume_ml, 3), "unit": "ml"},
        {"figure": "infarct by the manual mask", "value": round(truth.volume_ml, 3), "unit": "ml"},
        {"figure": f"components above {LARGE_ML:g} ml found, of {len(large)}", "value": float(sum(touched))},
    ]
    figures = [{"unit": "", **figure, "on": on} for figure in figures]
    for figure in figures:
        print(f"{figure['figure']}: {figure['value']:g} {figure['unit']} ({figure['on']})")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
