"""Choose the probability from which a voxel is brain, on phantoms that neither training nor the benchmarks see.

    .venv/bin/python scripts/choose_brain_threshold.py runs/brain/bundle --anatomies ../shared/data/head_labels

A lesion at the surface that the outline cuts off can't be found later, while a margin of fluid costs little: of the
thresholds whose mean Dice is within ``TOLERANCE`` of the best, the lowest is taken. It is written into the bundle's
manifest as the rule ``brain_threshold``; the parts of the brain keep the bundle's own threshold.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from willis.image.components import largest_component
from willis.measure.overlap import dice
from willis.models.manifest import Rule
from willis.models.store import amend_bundle, open_bundle
from willis.phantom.training import training_case
from willis.tasks.brain.dataset import prepared_case
from willis.tasks.brain.find import predict_both_ways, without_leaks
from willis.tasks.brain.prepare import SPACING_MM
from willis.tasks.brain.spec import PARTS
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.settings import RunSettings

SEED = 556
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")
THRESHOLDS = np.round(np.arange(0.3, 0.61, 0.05), 2)
TOLERANCE = 0.001
BRAIN = PARTS.index("brain")


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--count", type=int, default=20)
    asked = parser.parse_args()
    bundle = open_bundle(asked.bundle, "brain")
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, only=HELD_OUT))
    scores = []
    for index in range(asked.count):
        phantom = training_case("brain", SEED, index, heads)
        case = prepared_case(phantom, f"{index:06d}")
        probability = predict_both_ways(bundle, case.image, RunSettings()).probability[BRAIN]
        everywhere = np.ones(probability.shape, bool)
        masks = [largest_component(probability >= t, connectivity=6) for t in THRESHOLDS]
        brains = [without_leaks(mask, everywhere, (SPACING_MM,) * 3) for mask in masks]
        scores.append([dice(brain, case.target[BRAIN] > 0) for brain in brains])
        row = "  ".join(f"{score:.4f}" for score in scores[-1])
        print(f"{index:3d} {phantom.contrast:7s} {'extracted' if phantom.stripped else 'whole':9s}  {row}", flush=True)
    mean = np.mean(scores, axis=0)
    for threshold, score in zip(THRESHOLDS, mean, strict=True):
        print(f"threshold {threshold:.2f}: mean Dice {score:.4f}")
    chosen = float(THRESHOLDS[np.flatnonzero(mean >= mean.max() - TOLERANCE)[0]])
    origin = (
        f"the lowest whose mean Dice is within {TOLERANCE:g} of the best ({mean.max():.4f}) on {asked.count} phantoms "
        f"of heads never trained on (seed {SEED})"
    )
    rules = dict(bundle.manifest.rules) | {"brain_threshold": Rule(value=chosen, origin=origin)}
    amend_bundle(asked.bundle, rules=rules)
    print(f"threshold {chosen:.2f} is written into {asked.bundle}")


if __name__ == "__main__":
    main()
