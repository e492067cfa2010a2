"""Choose the threshold of an FVV bundle on phantoms that neither training nor the benchmarks see.

    .venv/bin/python scripts/calibrate_fvv.py runs/fvv-refine/bundle --anatomies ../shared/data/head_labels

Takes the threshold of infarct and FLAIR-visible part with the highest mean Dice of the infarct over the phantoms that
have one, and prints what each threshold gives under several rules for how much lower than the brain's median the ADC of
a part must be. The threshold and where it comes from are written into the bundle's manifest; the rule is the house's,
``willis.tasks.fvv.interpret.LOWERED_ADC``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from willis.measure.overlap import dice
from willis.models.manifest import Threshold
from willis.models.store import amend_bundle
from willis.phantom.fvv_training import dwi_case
from willis.phantom.painting import TRUTH_FRACTION
from willis.phantom.traced import find_traced
from willis.tasks.fvv.dataset import study_of
from willis.tasks.fvv.interpret import LOWERED_ADC, count_votes, restricted
from willis.tasks.fvv.run import analyse, members_on
from willis.tasks.fvv.spec import SPEC
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.settings import RunSettings

SEED = 500_011
HEADS = ("training_seg_01", "training_seg_05", "training_seg_09")  # none of the benchmark's
THRESHOLDS = (0.5, 0.7, 0.85)
LOWERED = (LOWERED_ADC, 0.8, 0.75, 0.7, 0.65)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--anatomies", default="", help="folder of head label maps; else the built-in head")
    parser.add_argument("--infarcts", type=Path, help="folder of traced infarcts in MNI space")
    parser.add_argument("--count", type=int, default=16)
    asked = parser.parse_args()
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, only=HEADS if asked.anatomies else ()))
    traced = find_traced(asked.infarcts) if asked.infarcts else ()
    scores, false = [], []
    for index in range(asked.count):
        phantom = dwi_case(np.random.default_rng([SEED, index]), heads, traced)
        settings = RunSettings(bundle=str(asked.bundle))
        found = analyse(study_of(phantom, f"{index:06d}"), SPEC.resolve_options({}), settings=settings)
        adc, grid = found.pair.adc.data, phantom.grid
        truth = (phantom.lesion >= TRUTH_FRACTION) & (phantom.brain >= TRUTH_FRACTION)
        table = np.zeros((len(THRESHOLDS), len(LOWERED)))
        for n, threshold in enumerate(THRESHOLDS):
            votes = count_votes(members_on(found.pair, found.prepared, found.prediction), grid, threshold)
            for m, lowered in enumerate(LOWERED):
                lesion = restricted(votes.lesion, adc, votes.brain, lowered)
                table[n, m] = dice(lesion, truth) if truth.any() else float(lesion.sum()) * grid.voxel_ml
        (scores if truth.any() else false).append(table)
        told = " | ".join(" ".join(f"{value:.3f}" for value in row) for row in table)
        print(
            f"{index:3d} {phantom.parameters['pattern']:12s} {truth.sum() * grid.voxel_ml:7.2f} ml  {told}", flush=True
        )
    mean = np.mean(scores, axis=0)
    print("mean Dice, a row for each threshold, a column for each rule:", *(f"{lowered:.2f}" for lowered in LOWERED))
    for threshold, row in zip(THRESHOLDS, mean, strict=True):
        print(f"  {threshold:.2f}:", *(f"{value:.4f}" for value in row))
    if false:
        print("false infarct without a true one, ml:", np.round(np.mean(false, axis=0), 2).tolist())
    chosen = THRESHOLDS[int(np.argmax(mean[:, 0]))]
    origin = f"of infarct and visible part: the best mean Dice of the infarct on {asked.count} phantoms (seed {SEED})"
    amend_bundle(asked.bundle, threshold=Threshold(value=chosen, origin=origin))
    print(f"threshold {chosen:.2f} is written into {asked.bundle}")


if __name__ == "__main__":
    main()
