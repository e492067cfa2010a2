"""A real scan in all 48 orientations of its voxel axes: what a task finds must not depend on how the file lies.

    .venv/bin/python benchmarks/orientations.py wmh --t1 T1 --flair FLAIR
    .venv/bin/python benchmarks/orientations.py fvv --b1000 DWI --adc ADC
    .venv/bin/python benchmarks/orientations.py chronic --t1 T1

Prints, for each orientation, the volume found and the Dice of the mask turned back with that of the scan as it was
given; then the worst of both. Exit code 1 when a volume differs by more than 0.5 % or a Dice is below 0.99.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import willis
from willis.findings import Findings
from willis.measure.overlap import dice
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume

LESIONS = {"wmh": "wmh", "fvv": "lesion", "chronic": "lesion"}
INPUTS = ("t1", "flair", "b0", "b1000", "adc")
MOST_CHANGE = 0.005
LEAST_DICE = 0.99


def lesion_of(findings: Findings, task: str, role: str) -> Volume:
    """The mask of a task's lesions on one input's grid."""
    masks = [m for m in findings.masks if m.label == LESIONS[task]]
    return next((m for m in masks if m.space == role), masks[0]).volume


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=list(LESIONS))
    for name in INPUTS:
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take one in so many of the 48")
    asked = parser.parse_args()
    study = willis.read_study(**{name: path for name in INPUTS if (path := getattr(asked, name)) is not None})
    role = "flair" if asked.task == "wmh" else next(iter(study.volumes))

    def found(images: dict[str, Volume]) -> Volume:
        return lesion_of(run_task(asked.task, replace(study, volumes=images), settings=RunSettings()), asked.task, role)

    given = found(dict(study.volumes))
    print(f"as given: {given.volume_ml:.3f} ml on {given.grid.orientation}", flush=True)
    changes, scores = [], []
    for code in ORIENTATIONS[:: asked.every]:
        turned = found({name: reorient(image, code) for name, image in study.volumes.items()})
        change = turned.volume_ml / given.volume_ml - 1 if given.volume_ml else turned.volume_ml
        score = dice(reorient(turned, given.grid.orientation).data, given.data)
        print(f"{code}: {turned.volume_ml:.3f} ml ({change:+.4%}), Dice {score:.5f}", flush=True)
        changes.append(abs(change))
        scores.append(1.0 if score is None else score)
    print(f"{len(scores)} orientations: volume differs by at most {max(changes):.4%}, least Dice {min(scores):.5f}")
    sys.exit(int(max(changes) > MOST_CHANGE or min(scores) < LEAST_DICE))


if __name__ == "__main__":
    main()
