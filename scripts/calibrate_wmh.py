"""Calibrate a WMH bundle and choose its threshold and how sure it must be of a cluster, on phantoms that neither
training nor the benchmarks see.

    .venv/bin/python scripts/calibrate_wmh.py runs/wmh/bundle --anatomies ../shared/data/head_labels

Fits slope and intercept of the logits (Platt 1999) on voxels drawn evenly from the brains, half of the cases with
their T1 and half without; then takes the threshold and the least mean probability of a cluster with the highest sum of
mean Dice and mean lesion F1 over the cases that have lesions, of masks as a run makes them, by the bundle's other
cluster rules: Dice alone would give up small lesions. Clusters of 3 ml or more stay whatever their mean; the largest
cluster without a true voxel is printed to compare. All, and where they come from, are written into the bundle's
manifest.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.infer.ensemble import predict
from willis.learn.case import Case
from willis.measure.calibration import brier_score, fit_calibration, reliability
from willis.measure.lesionwise import lesion_f1
from willis.measure.overlap import dice
from willis.measure.pair import MaskPair
from willis.models.manifest import Calibration, Threshold
from willis.models.store import amend_bundle, open_bundle
from willis.tasks.clusters import find_lesions, rules_of
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.tasks.wmh.dataset import PhantomSource
from willis.volume.grid import Grid

SEED = 500_009
VOXELS_PER_CASE = 200_000
LEAST_LOGIT = 9.0  # half-precision probabilities are clipped at its sigmoid
THRESHOLDS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
LEAST_MEANS = (0.0, 0.45, 0.5, 0.55, 0.6, 0.65)
SPARED_VOXELS = 3000
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")


def logit(p: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Log odds, clipped at ``LEAST_LOGIT``."""
    edge = 1 / (1 + np.exp(LEAST_LOGIT))
    p = np.clip(p.astype(np.float64), edge, 1 - edge)
    return np.log(p / (1 - p))


def without_t1(case: Case) -> npt.NDArray[np.float32]:
    """The case's image (2, I, J, K) with an empty T1 channel."""
    image = case.image.copy()
    image[0] = 0
    return image


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--count", type=int, default=20)
    asked = parser.parse_args()
    amend_bundle(asked.bundle, calibration=None)
    bundle = open_bundle(asked.bundle, "wmh")
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, held_out=HELD_OUT))
    source = PhantomSource(heads, SEED, bundle.manifest.intensity)
    rng = np.random.default_rng(SEED)
    logits, labels, whole = [], [], []
    for index in range(asked.count):
        case = source.case(index)
        image = case.image if index % 2 == 0 else without_t1(case)
        found = predict(bundle, image, mask=case.mask)
        inside = np.flatnonzero(case.mask)
        drawn = rng.choice(inside, min(VOXELS_PER_CASE, inside.size), replace=False)
        members = [logit(member[0]) for member in found.members]
        truth = case.target[0]
        logits += [member.ravel()[drawn] for member in members]
        labels += [truth.ravel()[drawn]] * len(members)
        box = ndimage.find_objects(case.mask.astype(np.uint8))[0]
        whole.append(([member[0][box] for member in found.members], case.mask[box], truth[box]))
        print(f"case {index}: {truth.sum() / 1000:.1f} ml, Dice at 0.5 {dice(found.probability[0] >= 0.5, truth):.3f}")
    fitted = fit_calibration(np.concatenate(logits), np.concatenate(labels))
    before = reliability(1 / (1 + np.exp(-np.concatenate(logits))), np.concatenate(labels))
    after = fitted.probability(np.concatenate(logits))
    print(f"slope {fitted.slope:.3f}, intercept {fitted.intercept:.3f}")
    print(
        f"ECE {before.expected_error:.5f} before, {reliability(after, np.concatenate(labels)).expected_error:.5f} after"
    )
    print(f"Brier score after {brier_score(after, np.concatenate(labels)):.5f}")
    pairs = [pair for pair in product(THRESHOLDS, LEAST_MEANS) if pair[0] < pair[1] or not pair[1]]
    rules = [
        replace(
            rules_of(bundle.manifest, {"threshold": t, "min_size": None}), least_mean=mean, spared_mm3=SPARED_VOXELS
        )
        for t, mean in pairs
    ]
    scores, largest = [], dict.fromkeys(THRESHOLDS, 0)
    for members, brain, truth in whole:
        alone = [fitted.probability(logit(member)).astype(np.float32) for member in members]
        mean, grid = np.mean(alone, axis=0), Grid(brain.shape, np.eye(4))
        labelled = [find_lesions(mean, brain, grid, each, alone)[0] for each in rules]
        if truth.any():
            scores.append([(dice.of(pair), lesion_f1.of(pair)) for pair in (MaskPair(a > 0, truth) for a in labelled)])
        for each, labels in zip(rules, labelled, strict=True):
            if not each.least_mean:
                sizes = np.bincount(labels[labels > 0], minlength=2)
                sizes[np.unique(labels[truth > 0])] = 0
                largest[each.threshold] = max(largest[each.threshold], int(sizes.max()))
    for threshold, size in largest.items():
        print(f"threshold {threshold:.2f}: the largest cluster without a true voxel has {size / 1000:.2f} ml")
    by_pair = np.mean(scores, axis=0)
    for (threshold, least), (overlap, f1) in zip(pairs, by_pair, strict=True):
        print(f"threshold {threshold:.2f}, least mean {least:.2f}: mean Dice {overlap:.4f}, mean lesion F1 {f1:.4f}")
    chosen, surely = pairs[int(by_pair.sum(axis=1).argmax())]
    origin = f"{asked.count} phantoms never trained on (seed {SEED}), half of them without T1"
    amend_bundle(
        asked.bundle,
        calibration=Calibration(slope=fitted.slope, intercept=fitted.intercept, origin=f"Platt scaling on {origin}"),
        threshold=Threshold(
            value=chosen,
            origin=f"the highest sum of mean Dice and mean lesion F1 over the lesion-bearing among {origin}",
        ),
        clusters=bundle.manifest.clusters.model_copy(update={"least_mean": surely, "spared_voxels": SPARED_VOXELS}),
    )
    print(f"threshold {chosen:.2f}, least mean {surely:.2f} and calibration are written into {asked.bundle}")


if __name__ == "__main__":
    main()
