"""How far over the gyri a skull stripper's outline runs: deepbet's masks of whole-head phantoms, by what they hold.

    .venv/bin/python benchmarks/brain_outline.py --judge PYTHON --anatomies ../shared/data/head_labels

``PYTHON`` is that of the environment that tests/golden/brain/make_deepbet.py describes. Prints the share of the fluid
around the gyri that lies in deepbet's masks by its distance from the brain, and the Dice of these masks with the brain
and the fluid up to some distance: what docs/decisions/0023 rests on.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

from willis.io.nifti import read_nifti, write_nifti
from willis.measure.overlap import dice
from willis.phantom.brain_training import SPACING_MM, BrainCase
from willis.phantom.labels import BRAIN, Tissue, lookup
from willis.phantom.training import training_case
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SEED = 77
CONTRASTS = ("t1", "t2", "flair")  # those that deepbet is meant for, or serves well
REACHES_MM = (0.0, 2.0, 4.0, 6.0, 8.0, 12.0)
JUDGE = """
import sys
from pathlib import Path
import nibabel as nib, numpy as np, torch
from deepbet import BrainExtraction
torch.set_num_threads(1)
judge = BrainExtraction(no_gpu=True)
for path in sorted(Path(sys.argv[1]).glob("*.nii.gz")):
    image = nib.load(path)
    mask = judge.run(image)[1]
    inside = (np.asarray(mask.dataobj).reshape(image.shape) > 0).astype(np.uint8)
    nib.save(nib.Nifti1Image(inside, image.affine), path.with_name(path.name.replace(".nii.gz", ".judged.nii.gz")))
"""


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", required=True, help="the python of an environment with deepbet")
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--count", type=int, default=12)
    asked = parser.parse_args()
    cases = whole_heads(asked.anatomies, asked.count)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for index, case in enumerate(cases):
            grid = Grid(case.image.shape, np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0]))
            write_nifti(Volume(case.image, grid), work / f"{index:03d}.nii.gz")
        subprocess.run([asked.judge, "-c", JUDGE, str(work)], check=True)
        judged = [read_nifti(work / f"{index:03d}.judged.nii.gz").data > 0 for index in range(len(cases))]
    report(cases, judged)


def whole_heads(anatomies: str, count: int) -> list[BrainCase]:
    """The first phantoms of the contrasts above that show a whole head."""
    heads = anatomies_of(PhantomSettings(anatomies=anatomies))
    found: list[BrainCase] = []
    index = 0
    while len(found) < count:
        case = training_case("brain", SEED, index, heads)
        if case.contrast in CONTRASTS and not case.stripped:
            found.append(case)
        index += 1
    return found


def report(cases: list[BrainCase], judged: list[np.ndarray]) -> None:
    """A row for each phantom, and the medians."""
    reaches = ", ".join(f"{reach:g}" for reach in REACHES_MM)
    print(f"Dice with the brain and the fluid within {reaches} mm of it | share of the fluid held, between these")
    rows = []
    for case, held in zip(cases, judged, strict=True):
        brain, fluid = lookup(BRAIN)[case.codes], lookup((Tissue.OUTER_CSF,))[case.codes]
        away_mm = SPACING_MM * ndimage.distance_transform_edt(~brain)
        scores = [dice(brain | (fluid & (away_mm <= reach)), held) for reach in REACHES_MM]
        rings = itertools.pairwise(REACHES_MM)
        shares = [held[fluid & (away_mm > near) & (away_mm <= far)].mean() for near, far in rings]
        rows.append([*scores, *shares])
        print_row(rows[-1], case.contrast)
    print_row(np.median(rows, axis=0), "median")


def print_row(row: list[float] | np.ndarray, name: str) -> None:
    """Dice by reach, then shares."""
    scores, shares = row[: len(REACHES_MM)], row[len(REACHES_MM) :]
    print(f"{name:8s}", *(f"{v:.3f}" for v in scores), "|", *(f"{v:.2f}" for v in shares))


if __name__ == "__main__":
    main()
