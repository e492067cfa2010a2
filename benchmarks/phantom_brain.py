"""The brain network on phantoms of any contrast that were never trained on, several bundles side by side.

    .venv/bin/python benchmarks/phantom_brain.py --anatomies ../shared/data/head_labels \\
        --bundles brain runs/brain-sizes/bundle

Prints Dice of the brain and of its ventricles, the ml found too much and too little, and the ml that were dropped as
hanging on by a thin neck and how many of them were brain, for each phantom, and their means. The network is run both
ways, as a patient's scan is; phantoms are on its own grid.
"""

from __future__ import annotations

import argparse

import numpy as np

from willis.image.components import largest_component
from willis.measure.overlap import dice
from willis.models.store import open_bundle
from willis.phantom.training import training_case
from willis.tasks.brain.dataset import prepared_case
from willis.tasks.brain.find import predict_both_ways, threshold_of, without_leaks
from willis.tasks.brain.prepare import SPACING_MM
from willis.tasks.brain.spec import PARTS
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.settings import RunSettings

VOXEL_ML = SPACING_MM**3 / 1000
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")
BRAIN, VENTRICLES = PARTS.index("brain"), PARTS.index("ventricles")


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--bundles", nargs="+", default=["brain"])
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--seed", type=int, default=555)
    asked = parser.parse_args()
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, only=HELD_OUT))
    bundles = {name: open_bundle(name, "brain") for name in asked.bundles}
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in bundles}
    for index in range(asked.count):
        phantom = training_case("brain", asked.seed, index, heads)
        case = prepared_case(phantom, f"{index:06d}")
        print(f"{index:3d} {phantom.contrast}, {'extracted' if phantom.stripped else 'whole head'}")
        for name, bundle in bundles.items():
            probability = predict_both_ways(bundle, case.image, RunSettings()).probability
            found = [p >= threshold_of(bundle.manifest, part) for p, part in zip(probability, PARTS, strict=True)]
            whole, truth = largest_component(found[BRAIN], connectivity=6), case.target[BRAIN] > 0
            brain = without_leaks(whole, np.ones_like(whole), (SPACING_MM,) * 3)
            dropped = whole & ~brain
            ml = [
                float(np.count_nonzero(part)) * VOXEL_ML
                for part in (brain & ~truth, truth & ~brain, dropped, dropped & truth)
            ]
            rows[name].append((dice(brain, truth), dice(found[VENTRICLES], case.target[VENTRICLES] > 0), *ml))
            print_row(rows[name][-1], name)
    print("mean")
    for name, scores in rows.items():
        print_row(np.nanmean(scores, axis=0), name)


def print_row(row: tuple[float, ...] | np.ndarray, name: str) -> None:
    """One bundle's scores."""
    brain, ventricles, over, under, dropped, of_brain = row
    print(
        f"      brain {brain:.3f}, ventricles {ventricles:.2f}, +{over:.0f} ml, -{under:.0f} ml, "
        f"dropped {dropped:.2f} ml ({of_brain:.2f} ml brain)  {name}",
        flush=True,
    )


if __name__ == "__main__":
    main()
