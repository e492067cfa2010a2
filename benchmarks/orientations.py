"""A real scan in all 48 orientations of its voxel axes, or on other grids: what is found must not depend on them.

    .venv/bin/python benchmarks/orientations.py wmh --t1 T1 --flair FLAIR
    .venv/bin/python benchmarks/orientations.py fvv --b1000 DWI --adc ADC
    .venv/bin/python benchmarks/orientations.py chronic --t1 T1
    .venv/bin/python benchmarks/orientations.py fvv --b1000 DWI --adc ADC --in-plane 112 128 192 256 320

Prints, for each orientation, the task's main volume and the Dice of the mask turned back with that of the scan as it
was given; then the worst of both. Exit code 1 when a volume differs by more than 0.5 % or a Dice is below 0.99. With
``--in-plane`` the first two axes are given so many voxels of the same field of view instead, as scanners do by zero
filling of k-space, and volumes alone are compared, with 2 % allowed.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage, signal

import willis
from willis.findings import Findings
from willis.measure.overlap import dice
from willis.tasks.registry import run_task
from willis.tasks.settings import RunSettings
from willis.volume.grid import Grid
from willis.volume.orient import ORIENTATIONS, reorient
from willis.volume.volume import Volume

LESIONS = {"wmh": "wmh", "fvv": "lesion", "chronic": "lesion"}
VOLUMES = {"wmh": "wmh_volume", "fvv": "flair_visibility_volume", "chronic": "lesion_volume"}
INPUTS = ("t1", "flair", "b0", "b1000", "adc")
MOST_CHANGE = 0.005
MOST_CHANGE_IN_PLANE = 0.02
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
    parser.add_argument("--in-plane", type=int, nargs="+", help="voxels along the first two axes")
    asked = parser.parse_args()
    study = willis.read_study(**{name: path for name in INPUTS if (path := getattr(asked, name)) is not None})
    role = "flair" if asked.task == "wmh" else next(iter(study.volumes))

    def found(images: dict[str, Volume]) -> tuple[Volume, float]:
        findings = run_task(asked.task, replace(study, volumes=images), settings=RunSettings())
        volume_ml = findings.measurements[VOLUMES[asked.task]].value
        return lesion_of(findings, asked.task, role), float(volume_ml or 0)

    given, given_ml = found(dict(study.volumes))
    print(
        f"as given: {VOLUMES[asked.task]} {given_ml:.3f} ml on {given.grid.orientation} {given.grid.shape}", flush=True
    )
    changes, scores = [], []

    def compared(name: str, images: dict[str, Volume]) -> None:
        mask, volume_ml = found(images)
        changes.append(abs(volume_ml / given_ml - 1 if given_ml else volume_ml))
        if asked.in_plane:
            print(f"{name}: {volume_ml:.3f} ml ({changes[-1]:.4%} off)", flush=True)
            return
        score = dice(reorient(mask, given.grid.orientation).data, given.data)
        scores.append(1.0 if score is None else score)
        print(f"{name}: {volume_ml:.3f} ml ({changes[-1]:.4%} off), Dice {scores[-1]:.5f}", flush=True)

    if asked.in_plane:
        for size in asked.in_plane:
            compared(str(size), {name: in_plane(image, size) for name, image in study.volumes.items()})
        print(f"{len(changes)} sizes: volume differs by at most {max(changes):.4%}")
        sys.exit(int(max(changes) > MOST_CHANGE_IN_PLANE))
    for code in ORIENTATIONS[:: asked.every]:
        compared(code, {name: reorient(image, code) for name, image in study.volumes.items()})
    print(f"{len(scores)} orientations: volume differs by at most {max(changes):.4%}, least Dice {min(scores):.5f}")
    sys.exit(int(max(changes) > MOST_CHANGE or min(scores) < LEAST_DICE))


def in_plane(image: Volume, size: int) -> Volume:
    """The image with ``size`` voxels along its first two axes, over the same field of view, by zero filling of k-space.

    So do scanners, which store one acquired matrix as another.
    """
    shape = (size, size, image.grid.shape[2])
    factor = np.array(image.grid.shape) / np.array(shape)
    affine = image.grid.affine @ np.diag([*factor, 1.0])
    affine[:3, 3] = image.grid.to_mm((factor - 1) / 2)
    data = image.data.astype(np.float64)
    for axis in (0, 1):
        shift = np.zeros(3)
        shift[axis] = (1 - factor[axis]) / 2
        data = ndimage.fourier_shift(np.fft.fftn(data), shift)
        data = signal.resample(np.fft.ifftn(data).real, size, axis=axis)
    return replace(image, data=data.astype(np.float32), grid=Grid(shape, affine))


if __name__ == "__main__":
    main()
