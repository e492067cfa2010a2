"""Choose the threshold of an FVV bundle on phantoms that neither training nor the benchmarks see.

    .venv/bin/python scripts/calibrate_fvv.py runs/fvv-refine/bundle --anatomies ../shared/data/head_labels

Takes the threshold of infarct and FLAIR-visible part with the highest mean Dice of the infarct over the phantoms that
have one, and prints what each threshold gives under several rules for how much lower than the brain's median the ADC of
a part must be; that rule is the house's, ``willis.tasks.fvv.votes.LOWERED_ADC``. Then takes the ratio of b0 in the
infarct found to b0 on the other side that best splits infarcts of which FLAIR shows less than half from the others, and
its spread among the former. Threshold and ratio, and where they come from, are written into the bundle's manifest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from willis.measure.overlap import dice
from willis.models.manifest import Rule, Threshold
from willis.models.store import amend_bundle
from willis.phantom.fvv_training import dwi_case
from willis.phantom.painting import TRUTH_FRACTION
from willis.phantom.traced import find_traced
from willis.tasks.fvv.asymmetry import b0_ratio
from willis.tasks.fvv.dataset import study_of
from willis.tasks.fvv.run import VISIBLE_RATIO, analyse, members_on
from willis.tasks.fvv.spec import SPEC
from willis.tasks.fvv.votes import LOWERED_ADC, count_votes, restricted
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.settings import RunSettings

SEED = 500_011
HEADS = ("training_seg_01", "training_seg_05", "training_seg_09")  # none of the benchmark's
THRESHOLDS = (0.5, 0.7, 0.85)
VISIBLE_SHARE = 0.5  # of an infarct, from which FLAIR shows it
TO_DEVIATION = 1.4826  # of a median absolute deviation to a standard deviation, were it normal
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
    ratios: list[tuple[float, bool]] = []
    for index in range(asked.count):
        phantom = dwi_case(np.random.default_rng([SEED, index]), heads, traced)
        settings = RunSettings(bundle=str(asked.bundle))
        found = analyse(study_of(phantom, f"{index:06d}"), SPEC.resolve_options({}), settings=settings)
        adc, grid = found.pair.known_adc, phantom.grid
        truth = (phantom.lesion >= TRUTH_FRACTION) & (phantom.brain >= TRUTH_FRACTION)
        table = np.zeros((len(THRESHOLDS), len(LOWERED)))
        for n, threshold in enumerate(THRESHOLDS):
            votes = count_votes(members_on(found.pair, found.prepared, found.prediction), grid, threshold)
            for m, lowered in enumerate(LOWERED):
                lesion = restricted(votes.lesion, adc, votes.brain, lowered)
                table[n, m] = dice(lesion, truth) if truth.any() else float(lesion.sum()) * grid.voxel_ml
        (scores if truth.any() else false).append(table)
        pair, votes = found.pair, found.votes
        ratio = b0_ratio(pair.b0, pair.b1000, votes.lesion, votes.brain, pair.b)
        if ratio is not None and (votes.lesion & truth).any():
            shown = phantom.visible[votes.lesion & truth] >= TRUTH_FRACTION
            ratios.append((ratio, bool(shown.mean() >= VISIBLE_SHARE)))
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
    rule = split_of(ratios, asked.count)
    amend_bundle(asked.bundle, threshold=Threshold(value=chosen, origin=origin), rules={VISIBLE_RATIO: rule})
    print(f"threshold {chosen:.2f}, ratio {rule.value:.3f} ± {rule.spread:.3f} are written into {asked.bundle}")


def split_of(ratios: list[tuple[float, bool]], count: int) -> Rule:
    """The ratio with the highest mean of sensitivity and specificity, in the middle of all that have it."""
    logs = np.log([ratio for ratio, _ in ratios])
    shown = np.array([visible for _, visible in ratios])
    for ratio, visible in sorted(ratios):
        print(f"  b0 ratio {ratio:.3f} {'visible' if visible else 'hidden'}")
    ends = np.concatenate([[logs.min() - 0.1], np.sort(logs), [logs.max() + 0.1]])
    cuts = (ends[1:] + ends[:-1]) / 2
    right = np.array([((logs >= cut)[shown].mean() + (logs < cut)[~shown].mean()) / 2 for cut in cuts])
    best = np.flatnonzero(right == right.max())
    spread = float(np.median(np.abs(logs[~shown] - np.median(logs[~shown])))) * TO_DEVIATION
    return Rule(
        value=round(float(np.exp(cuts[best].mean())), 3),
        spread=round(spread, 3),
        origin=(
            f"b0 in the infarct found over the other side, which best tells {int(shown.sum())} infarcts that FLAIR "
            f"shows from {int((~shown).sum())} that it doesn't: {right.max():.2f} of either are right, of {count} "
            f"phantoms (seed {SEED}); spread between the latter"
        ),
    )


if __name__ == "__main__":
    main()
