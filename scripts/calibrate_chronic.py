"""Choose threshold and smallest cluster of a bundle for chronic stroke, on phantoms of a seed that training lacks.

    .venv/bin/python scripts/calibrate_chronic.py runs/chronic/bundle --anatomies ../shared/data/head_labels

Takes the smoothing across slices and the threshold of the fused probability that together have the highest mean Dice
over the heads that have lesions, and the smallest cluster with the highest mean lesion-wise F1 at them. With
``--platt``, slope and intercept of the planes' logits are fitted before (Platt 1999), on voxels drawn evenly from the
brains. With ``--step 2`` every second slice alone is run from now on. What was chosen, and where, is written into the
manifest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from calibrate_wmh import VOXELS_PER_CASE, logit

from willis.infer.planes import SMOOTHING, STEP, across_slices, predict_planes
from willis.measure.calibration import Calibration as Slope
from willis.measure.calibration import fit_calibration, reliability
from willis.measure.case import evaluate_case
from willis.measure.overlap import dice
from willis.models.manifest import Calibration, Clusters, Rule, Threshold
from willis.models.store import amend_bundle, open_bundle
from willis.phantom.chronic_patient import chronic_case
from willis.tasks.chronic.prepare import network_images
from willis.tasks.chronic.space import standard_grid
from willis.tasks.clusters import ClusterRules, find_lesions
from willis.tasks.phantoms import PhantomSettings, anatomies_of
from willis.volume.plane import Plane
from willis.volume.volume import Volume

SEED = 500_029
HEADS = ("training_seg_02", "training_seg_07", "training_seg_12")  # some of those that are trained on
THRESHOLDS = np.round(np.arange(0.1, 0.61, 0.05), 2)
SMOOTHINGS = (0.0, 0.5, 1.0, 1.5, 2.0)  # standard deviations, slices
AS_IT_IS = Slope(1.0, 0.0)
LEAST_VOXELS = (1, 10, 30, 100, 300)


def fused_probability(
    members: list[npt.NDArray[np.float32]],
    planes: list[Plane],
    brain: npt.NDArray[np.bool_],
    fitted: Slope,
    smoothing: float,
) -> npt.NDArray[np.float32]:
    """(I, J, K) mean over planes of what the logits within the brain say."""
    fused = np.zeros((1, *brain.shape), np.float32)
    for member, plane in zip(members, planes, strict=True):
        p = np.zeros_like(fused)
        p[0, brain] = fitted.probability(member)
        fused += across_slices(p, plane, smoothing) / len(planes)
    return fused[0] * brain


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--anatomies", required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--platt", action="store_true")
    parser.add_argument("--step", type=int, default=1, help="run each so-manyth slice, and interpolate between")
    asked = parser.parse_args()
    step = {STEP: Rule(value=asked.step, origin="chosen for speed, before the threshold")} if asked.step > 1 else {}
    amend_bundle(asked.bundle, calibration=None, rules=step)
    bundle = open_bundle(asked.bundle, "chronic")
    heads = anatomies_of(PhantomSettings(anatomies=asked.anatomies, only=HEADS))
    grid = standard_grid()
    logits, labels, whole = [], [], []
    for index in range(asked.count):
        rng = np.random.default_rng([SEED, index])
        made = chronic_case(rng, heads)
        brain = made.brain > 0
        found = predict_planes(bundle, network_images(made.t1, brain, bundle.manifest), mask=brain)
        inside = np.flatnonzero(brain)
        drawn = rng.choice(inside, min(VOXELS_PER_CASE, inside.size), replace=False)
        members = [logit(member[0]).astype(np.float32) for member in found.members]
        logits += [member.ravel()[drawn] for member in members]
        labels += [made.lesion.ravel()[drawn]] * len(members)
        whole.append(([m[brain] for m in members], brain, made.lesion))
        at_half = dice(found.probability[0] >= 0.5, made.lesion)
        print(f"head {index}: {made.lesion.sum() / 1000:.1f} ml, Dice at 0.5 {at_half:.3f}", flush=True)
    fitted = fit_calibration(np.concatenate(logits), np.concatenate(labels)) if asked.platt else AS_IT_IS
    before = reliability(1 / (1 + np.exp(-np.concatenate(logits))), np.concatenate(labels)).expected_error
    after = reliability(fitted.probability(np.concatenate(logits)), np.concatenate(labels)).expected_error
    print(f"slope {fitted.slope:.3f}, intercept {fitted.intercept:.3f}; ECE {before:.5f} before, {after:.5f} after")
    planes = [view.plane for view in bundle.manifest.planes]
    bearing = [case for case in whole if case[2].any()]
    scored = np.zeros((len(SMOOTHINGS), len(THRESHOLDS)))
    for s, smoothing in enumerate(SMOOTHINGS):
        for members, brain, truth in bearing:
            p = fused_probability(members, planes, brain, fitted, smoothing)
            scored[s] += [dice(p >= t, truth) / len(bearing) for t in THRESHOLDS]
        print(
            f"smoothing {smoothing:g}: "
            + ", ".join(f"{t:g} {d:.4f}" for t, d in zip(THRESHOLDS, scored[s], strict=True))
        )
    best = np.unravel_index(int(scored.argmax()), scored.shape)
    smoothing, chosen = SMOOTHINGS[best[0]], float(THRESHOLDS[best[1]])
    by_size = []
    for least in LEAST_VOXELS:
        rules = ClusterRules(chosen, float(least), 26, 1.0)
        scores = []
        for members, brain, truth in bearing:
            fused = fused_probability(members, planes, brain, fitted, smoothing)
            mask = (find_lesions(fused, brain, grid, rules)[0] > 0).astype(np.uint8)
            scores.append(evaluate_case(Volume(mask, grid), Volume(truth, grid)))
        by_size.append(float(np.mean([score["lesion_f1"] for score in scores])))
        mean = np.mean([score["dice"] for score in scores])
        print(f"clusters of {least} voxels or more: mean lesion-wise F1 {by_size[-1]:.4f}, mean Dice {mean:.4f}")
    smallest = LEAST_VOXELS[int(np.argmax(by_size))]
    origin = f"{asked.count} phantoms of a seed that training doesn't use ({SEED})"
    amend_bundle(
        asked.bundle,
        calibration=Calibration(slope=fitted.slope, intercept=fitted.intercept, origin=f"Platt scaling on {origin}")
        if asked.platt
        else None,
        threshold=Threshold(
            value=chosen, origin=f"the highest mean Dice of the fused mask over the lesion-bearing among {origin}"
        ),
        rules=step | ({SMOOTHING: Rule(value=smoothing, origin="with the threshold, same heads")} if smoothing else {}),
        clusters=Clusters(
            connectivity=26,
            min_voxels=smallest,
            origin=f"the highest mean lesion-wise F1 among {LEAST_VOXELS}, same heads",
        ),
    )
    print(
        f"smoothing {smoothing:g}, threshold {chosen:.2f}, clusters of {smallest} voxels are written into "
        f"{asked.bundle}"
    )


if __name__ == "__main__":
    main()
