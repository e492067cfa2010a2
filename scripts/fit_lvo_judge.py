"""Fit what a half-network tells of a whole half, on phantoms, and put it into a trained bundle.

    .venv/bin/python scripts/fit_lvo_judge.py measure judge-0.npz --first 0 --count 400
    .venv/bin/python scripts/fit_lvo_judge.py join runs/lvo/cases judge-*.npz -o runs/lvo/joined

`measure` makes phantoms and keeps their measures, in parts that may run side by side. `join` fits a logistic function
of them for each answer, its ridge chosen by cross-validation over persons, and writes the bundle.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from scipy.special import expit

from willis.learn.cache import StoredCase, open_case
from willis.learn.case import Case
from willis.measure.calibration import fit_calibration, reliability
from willis.measure.decision import auc, sensitivity, specificity
from willis.measure.overlap import dice
from willis.models.manifest import make_manifest
from willis.models.publish import write_bundle
from willis.nets.halfnet import HalfNetConfig, measures, voxel_measures
from willis.tasks.lvo.half_cases import PhantomSource, manifest_fields
from willis.tasks.lvo.spec import OUTPUTS, SHUT
from willis.tasks.phantoms import PhantomSettings, anatomies_of

SEED = 62
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0)
FOLDS = 5
MAPS = len(OUTPUTS) - 1 - len(SHUT)
MAP_CASES = 70
MAP_VOXELS = 900  # of a case
NEAR = 0.02  # prior from which a voxel is near a course
SHIFTS = np.arange(-2.0, 2.6, 0.25)
THRESHOLDS = np.arange(0.2, 0.81, 0.05)
PECULIARITIES = (
    "A logistic model with about 700 weights, fitted to few phantoms; most of them deform one built-in head.",
    "It has never been measured on patients: a probability is calibrated for phantoms, half of them occluded.",
    "It sees 70 mm about the circle of Willis at 1.75 mm. Clots that are no denser than blood are told by early "
    "ischaemia alone, and vessels thinner than a voxel by where they usually run.",
    "Vessels come in pieces, in the right places but with large gaps: their lengths, densities and the hyperdense sign "
    "are rough.",
    "Two real CTs without a known occlusion were looked at once it was fitted: it suspected none. Nothing was chosen "
    "by them.",
)
Floats = npt.NDArray[np.float64]


def measure(out: Path, first: int, count: int, anatomies: str, only: tuple[str, ...]) -> None:
    """Measures and labels of the halves of so many phantoms."""
    source = PhantomSource(anatomies_of(PhantomSettings(anatomies=anatomies, only=only)), SEED)
    numbers = range(2 * first, 2 * (first + count))
    keep(out, ((source.case(number), number // 2) for number in numbers))


def measure_stored(out: Path, folder: Path) -> None:
    """The same of the cases that a training run made, by their subjects."""
    cases = (open_case(path) for path in sorted(folder.glob("case-*")))
    keep(out, ((case, -1 - int(case.subject)) for case in cases))


def keep(out: Path, cases: Iterable[tuple[Case | StoredCase, int]]) -> None:
    """Measure cases, each with the number of its person, and write the file anew now and then."""
    config = HalfNetConfig()  # type: ignore[call-arg]
    told = [OUTPUTS.index("occluded"), *(OUTPUTS.index(f"{name}-shut") for name in SHUT)]
    found, labels, persons = [], [], []
    for case, person in cases:
        image = torch.from_numpy(np.array(case.image[None], dtype=np.float32))
        found.append(measures(image, config.cell)[0].numpy())
        labels.append([case.target[k, 0, 0, 0] for k in told])
        persons.append(person)
        if len(found) % 50 == 0:
            np.savez(out, measures=found, labels=labels, persons=persons)
    np.savez(out, measures=found, labels=labels, persons=persons)


def fit(x: Floats, y: Floats, ridge: float) -> tuple[Floats, float]:
    """Weights and bias of a logistic function, with a ridge on the weights."""

    def loss(w: Floats) -> tuple[float, Floats]:
        z = x @ w[:-1] + w[-1]
        p = expit(z)
        value = float(np.mean(np.logaddexp(0, z) - y * z) + ridge * w[:-1] @ w[:-1] / 2)
        return value, np.append(x.T @ (p - y) / len(y) + ridge * w[:-1], np.mean(p - y))

    best = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
    return best[:-1], float(best[-1])


def held_out(x: Floats, y: Floats, persons: npt.NDArray[np.int64], ridge: float) -> Floats:
    """Logits of each half by a fit to other persons."""
    logits = np.zeros(len(y))
    for fold in range(FOLDS):
        out = persons % FOLDS == fold
        weights, bias = fit(x[~out], y[~out], ridge)
        logits[out] = x[out] @ weights + bias
    return logits


def calibration(logits: Floats, shut: Floats, persons: Floats) -> dict[str, Any]:
    """Calibration and threshold of the likelier side's logit, fields of a manifest."""
    people = np.unique(persons)
    highest = np.array([logits[persons == p].max() for p in people])
    occluded = np.array([shut[persons == p].max() for p in people])
    fitted = fit_calibration(highest, occluded)
    said = fitted.probability(highest)
    sums = [sensitivity(said, occluded, t).value + specificity(said, occluded, t).value for t in THRESHOLDS]
    threshold = round(float(THRESHOLDS[int(np.argmax(sums))]), 2)
    print(f"persons: AUC {auc(highest, occluded):.3f}, ECE {reliability(said, occluded, bins=5).expected_error:.3f}")
    print(f"  threshold {threshold}: sensitivity {sensitivity(said, occluded, threshold)}")
    print(f"  specificity {specificity(said, occluded, threshold)}")
    origin = f"{len(people)} phantoms, {int(occluded.sum())} of them occluded, each left out of the fit in turn"
    return {
        "calibration": {"slope": fitted.slope, "intercept": fitted.intercept, "origin": origin},
        "threshold": {"value": threshold, "origin": f"largest sum of sensitivity and specificity on {origin}"},
    }


def training(count: int) -> dict[str, Any]:
    """How it was made, for the manifest."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    command = "python scripts/fit_lvo_judge.py join CASES MEASURES -o BUNDLE"
    return {"recipe": "lvo.toml", "command": command, "data": f"{count} phantoms", "date": today, "seed": SEED,
            "steps": 0}  # fmt: skip


def fit_maps(folder: Path) -> dict[str, torch.Tensor]:
    """Weights of the maps: a logistic function at each voxel near a vessel's course, its bias set for the best Dice."""
    rng = np.random.default_rng(SEED)
    paths = sorted(folder.glob("case-*"))[:MAP_CASES]
    pixels, labels, whole = [], [], []
    for number, path in enumerate(paths):
        case = open_case(path)
        image = torch.from_numpy(np.array(case.image[None], dtype=np.float32))
        seen = voxel_measures(image)[0].reshape(-1, case.mask.size).T.numpy()
        target = case.target[:MAPS].reshape(MAPS, -1).T
        near = np.flatnonzero(image[0, 3:].amax(0).numpy().ravel() > NEAR)
        picked = rng.choice(near, min(len(near), MAP_VOXELS), replace=False)
        picked = np.union1d(picked, rng.integers(case.mask.size, size=MAP_VOXELS // 4))
        pixels.append(seen[picked])
        labels.append(target[picked])
        if number % 5 == 0:
            whole.append((seen[near], target[near]))
    x, y = np.concatenate(pixels).astype(np.float64), np.concatenate(labels).astype(np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-4
    x = (x - mean) / scale
    weights, biases = [], []
    for k in range(MAPS):
        w, b = fit(x, y[:, k], 1e-4)
        line = (1, 1, -1)
        holding = [
            (((v - mean) / scale @ w + b).reshape(line), (t[:, k] > 0).reshape(line)) for v, t in whole if t[:, k].any()
        ]
        scores = {shift: np.mean([dice(z + shift > 0, t) for z, t in holding]) for shift in SHIFTS}
        shift = max(scores, key=lambda s: scores[s])
        print(f"{OUTPUTS[k]}: mean Dice near the courses, on the fit's own cases, {scores[shift]:.3f}")
        weights.append(w)
        biases.append(b + shift)
    return {
        "voxel_mean": torch.from_numpy(mean).float(),
        "voxel_scale": torch.from_numpy(scale).float(),
        "head.weight": torch.from_numpy(np.stack(weights)).float()[:, :, None, None, None],
        "head.bias": torch.tensor(biases).float(),
    }


def join(cases: Path, files: list[Path], out: Path) -> None:
    """Fit, and write the bundle."""
    parts = [np.load(file) for file in files]
    x, y, persons = (
        np.concatenate([p[name] for p in parts]).astype(float) for name in ("measures", "labels", "persons")
    )
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-4
    x = (x - mean) / scale
    weights, biases = [], []
    fields = {}
    for k, name in enumerate(("occluded", *SHUT)):
        losses = {}
        for ridge in RIDGES:
            logits = held_out(x, y[:, k], persons.astype(int), ridge)
            losses[ridge] = float(np.mean(np.logaddexp(0, logits) - y[:, k] * logits))
        ridge = min(losses, key=lambda r: losses[r])
        logits = held_out(x, y[:, k], persons.astype(int), ridge)
        print(f"{name}: ridge {ridge}, AUC of halves of persons left out {auc(logits, y[:, k]):.3f}, {len(y)} halves")
        if not k:
            fields = calibration(logits, y[:, 0], persons)
        w, b = fit(x, y[:, k], ridge)
        weights.append(w)
        biases.append(b)
    judge = {
        "mean": torch.from_numpy(mean).float(),
        "scale": torch.from_numpy(scale).float(),
        "told.weight": torch.from_numpy(np.stack(weights)).float(),
        "told.bias": torch.tensor(biases).float(),
    }
    about = {"name": "lvo", "title": "Vessels, clot and occlusion on non-contrast CT, fitted to phantoms"}
    values = {**manifest_fields({}), **fields, **about, "task": "lvo", "network": {"name": "halfnet", "config": {}}}
    values["peculiarities"] = PECULIARITIES
    manifest = make_manifest({**values, "training": training(len(np.unique(persons)))}, "the fitted bundle")
    print(write_bundle(out, manifest, [judge | fit_maps(cases)], half=False, replace=True).folder)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    measuring = steps.add_parser("measure")
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--first", type=int, default=0)
    measuring.add_argument("--count", type=int, default=400)
    measuring.add_argument("--anatomies", default="")
    measuring.add_argument("--only", nargs="*", default=())
    measuring.add_argument("--stored", type=Path, help="folder of cases of a training run, instead of new ones")
    joining = steps.add_parser("join")
    joining.add_argument("cases", type=Path, help="folder of cases of a training run")
    joining.add_argument("files", type=Path, nargs="+")
    joining.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.step == "measure" and asked.stored:
        measure_stored(asked.out, asked.stored)
    elif asked.step == "measure":
        measure(asked.out, asked.first, asked.count, asked.anatomies, tuple(asked.only))
    else:
        join(asked.cases, asked.files, asked.output)


if __name__ == "__main__":
    main()
