"""Fit what the default LVO network tells of a whole half, on phantoms, and put it into the trained bundle.

    .venv/bin/python scripts/fit_lvo_judge.py level runs/lvo/bundle -o runs/lvo/level --anatomies HEADS
    .venv/bin/python scripts/fit_lvo_judge.py measure runs/lvo/level judge-0.npz --anatomies HEADS --first 0 --count 400
    .venv/bin/python scripts/fit_lvo_judge.py join runs/lvo/level judge-*.npz -o runs/lvo/joined
    .venv/bin/python scripts/fit_lvo_judge.py occluded runs/lvo/joined sides-0.npz --anatomies HEADS --count 300
    .venv/bin/python scripts/fit_lvo_judge.py segment runs/lvo/joined sides-*.npz -o runs/lvo/named

`level` sets the bias of each map of a vessel and of clot so that a probability of 0.5 gives the best mean Dice on
phantoms. `measure` makes others, runs the network's maps on them and keeps their measures, in parts that may run side
by side. `join` fits a logistic function of them for each answer, its ridge chosen by cross-validation over persons, and
writes the bundle. `occluded` keeps the measures of occluded sides alone, of phantoms of their own; `segment` fits to
those which vessels of an occluded side are shut, so that the right one of the five answers is the likeliest, and leaves
the rest of the bundle as it is.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from willis.learn.case import Case
from willis.measure.calibration import fit_calibration, reliability
from willis.measure.decision import auc, sensitivity, specificity
from willis.measure.overlap import dice
from willis.models.bundle import Bundle
from willis.models.manifest import make_manifest
from willis.models.publish import write_bundle
from willis.models.store import open_bundle
from willis.nets.halfnet import HalfNet, measures
from willis.nets.registry import build_network
from willis.phantom.lvo_training import vessel_case
from willis.tasks.lvo.half_cases import PhantomSource, fit_error
from willis.tasks.lvo.halves import corners_mm, network_input, scaled_part
from willis.tasks.lvo.look import OTHER_SIDE
from willis.tasks.lvo.spec import OUTPUTS, SEGMENTS, SHUT
from willis.tasks.lvo.validated import best_threshold
from willis.tasks.phantoms import PhantomSettings, anatomies_of

SEED = 62
LEVEL_SEED = 63
OCCLUDED_SEED = 7_310_001
HELD_OUT = ("training_seg_18", "training_seg_19", "training_seg_20")
RIDGES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
FOLDS = 5
SHIFTS = np.arange(-2.0, 14.1, 0.5)  # of a logit
ZERO = int(np.argmin(np.abs(SHIFTS)))
PECULIARITIES = (
    "It has never been measured on patients: a probability is calibrated for phantoms, half of them occluded.",
    "It sees 70 mm about the circle of Willis at 1.25 mm. Clots that are no denser than blood are told by early "
    "ischaemia alone, and on thick slices vessels thinner than a voxel by where they usually run.",
    "Vessels come in pieces, those of M2 in few: lengths, densities and the hyperdense sign are rough.",
)
ANSWERS = np.array([[name in answer.split("+") for name in SHUT] for answer in SEGMENTS], dtype=float)
Floats = npt.NDArray[np.float64]


def level(bundle: Bundle, out: Path, count: int, anatomies: str) -> None:
    """Write the bundle with its maps' biases set on so many phantoms."""
    source = phantoms(anatomies, LEVEL_SEED)
    network = trained(bundle)
    names = OUTPUTS[: OUTPUTS.index("clot") + 1]
    scores: list[list[list[float]]] = [[] for _ in names]
    for number in range(2 * count):
        case = source.case(number)
        logits = maps_of(network, case)[0].numpy()
        for k, found in enumerate(scores):
            truth = case.target[k] > 0
            if truth.any():
                found.append([dice(logits[k] > -shift, truth) or 0.0 for shift in SHIFTS])
    with torch.no_grad():
        for k, (name, found) in enumerate(zip(names, scores, strict=True)):
            means = np.mean(found, axis=0)
            best = int(np.argmax(means))
            print(
                f"{name}: shift {SHIFTS[best]:+.2f}, mean Dice {means[best]:.3f} ({means[ZERO]:.3f} without) on "
                f"{len(found)} halves"
            )
            network.maps.head.bias[k] += SHIFTS[best]
    command = (
        f"{bundle.manifest.model_dump()['training']['command']}; python scripts/fit_lvo_judge.py level BUNDLE -o BUNDLE"
    )
    write(bundle, network, out, command)


def measure(bundle: Bundle, out: Path, first: int, count: int, anatomies: str) -> None:
    """Measures and labels of the halves of so many phantoms; the file is written anew now and then."""
    source = phantoms(anatomies, SEED)
    network = trained(bundle)
    told = [OUTPUTS.index("occluded"), *(OUTPUTS.index(f"{name}-shut") for name in SHUT)]
    found, labels, persons = [], [], []
    for number in range(2 * first, 2 * (first + count)):
        case = source.case(number)
        image = torch.from_numpy(np.asarray(case.image[None], dtype=np.float32))
        found.append(measures(image, maps_of(network, case).sigmoid(), network.config.cell)[0].numpy())
        labels.append([case.target[k, 0, 0, 0] for k in told])
        persons.append(number // 2)
        if len(found) % 50 == 0:
            np.savez(out, measures=found, labels=labels, persons=persons)
    np.savez(out, measures=found, labels=labels, persons=persons)


def occluded(bundle: Bundle, out: Path, first: int, count: int, anatomies: str) -> None:
    """Measures of the occluded side of so many phantoms, and the place of its answer in ``spec.SEGMENTS``."""
    heads = anatomies_of(PhantomSettings(anatomies=anatomies, held_out=HELD_OUT))
    network = trained(bundle)
    found, answers = [], []
    for number in range(first, first + count):
        case = vessel_case(np.random.default_rng([OCCLUDED_SEED, number]), heads, *corners_mm(), occluded=True)
        assert case.drawn is not None
        matrix = case.matrix @ fit_error(np.random.default_rng([OCCLUDED_SEED, number, 1]))
        side = network_input(scaled_part(case.ct, matrix), "right" if case.drawn.right else "left")
        image = torch.from_numpy(side[None])
        with torch.inference_mode():
            found.append(measures(image, network.maps(image).sigmoid(), network.config.cell)[0].numpy())
        answers.append(SEGMENTS.index(case.drawn.segment))
    np.savez(out, measures=found, answers=answers, persons=np.arange(first, first + count))


def phantoms(anatomies: str, seed: int) -> PhantomSource:
    """Phantoms of the heads that may be trained on."""
    return PhantomSource(anatomies_of(PhantomSettings(anatomies=anatomies, held_out=HELD_OUT)), seed)


def maps_of(network: HalfNet, case: Case) -> torch.Tensor:
    """(1, L, 56, 56, 56) logits of a half."""
    with torch.inference_mode():
        found: torch.Tensor = network.maps(torch.from_numpy(np.asarray(case.image[None], dtype=np.float32)))
    return found


def trained(bundle: Bundle) -> HalfNet:
    """The network of a bundle's only member."""
    network = build_network(bundle.manifest.network.name, bundle.manifest.network.config)
    assert isinstance(network, HalfNet)
    network.load_state_dict({name: torch.from_numpy(value) for name, value in bundle.member_weights(0).items()})
    return network.eval()


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


def other_side(logits: Floats, shut: Floats) -> float:
    """What share of the other side's logit tells best, taken from a side's own, whether that is shut; both (P, 2)."""

    def loss(w: Floats) -> float:
        z = w[0] * (logits - w[1] * logits[:, ::-1]) + w[2]
        return float(np.mean(np.logaddexp(0, z) - shut * z))

    return float(minimize(loss, np.array([1.0, 0.0, 0.0])).x[1])


def calibration(logits: Floats, shut: Floats, persons: Floats) -> dict[str, Any]:
    """The share of the other side, calibration and threshold of the likelier side's logit, fields of a manifest."""
    people = np.unique(persons)
    both, occluded = (np.array([values[persons == p] for p in people]) for values in (logits, shut))
    share = other_side(both, occluded)
    highest = (both - share * both[:, ::-1]).max(axis=1)
    occluded = occluded.max(axis=1)
    print(f"share of the other side's logit taken away: {share:.3f}")
    fitted = fit_calibration(highest, occluded)
    said = fitted.probability(highest)
    threshold = best_threshold(said, occluded > 0)
    print(f"persons: AUC {auc(highest, occluded):.3f}, ECE {reliability(said, occluded, bins=5).expected_error:.3f}")
    print(f"  threshold {threshold}: sensitivity {sensitivity(said, occluded, threshold)}")
    print(f"  specificity {specificity(said, occluded, threshold)}")
    origin = f"{len(people)} phantoms, {int(occluded.sum())} of them occluded, each left out of the fit in turn"
    return {
        "rules": {OTHER_SIDE: {"value": share, "origin": f"likeliest answers for the sides of {origin}"}},
        "calibration": {"slope": fitted.slope, "intercept": fitted.intercept, "origin": origin},
        "threshold": {"value": threshold, "origin": f"largest sum of sensitivity and specificity on {origin}"},
    }


def join(bundle: Bundle, files: list[Path], out: Path) -> None:
    """Fit, and write the bundle."""
    parts = [np.load(file) for file in files]
    x, y, persons = (
        np.concatenate([p[name] for p in parts]).astype(float) for name in ("measures", "labels", "persons")
    )
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-4
    x = (x - mean) / scale
    weights, biases = [], []
    fields: dict[str, Any] = {}
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
    network = trained(bundle)
    network.mean.copy_(torch.from_numpy(mean))
    network.scale.copy_(torch.from_numpy(scale))
    with torch.no_grad():
        network.told.weight.copy_(torch.from_numpy(np.stack(weights)))
        network.told.bias.copy_(torch.tensor(biases))
    count = len(np.unique(persons))
    command = bundle.manifest.model_dump()["training"]["command"]
    command += f"; python scripts/fit_lvo_judge.py measure BUNDLE PARTS --anatomies HEADS (persons 0 to {count - 1})"
    command += "; python scripts/fit_lvo_judge.py join BUNDLE PARTS -o BUNDLE"
    write(bundle, network, out, command, **fields, peculiarities=PECULIARITIES)


def fit_answers(x: Floats, answers: npt.NDArray[np.int64], ridge: float) -> tuple[Floats, Floats]:
    """(F, 3) weights and (3,) biases of the logits of ``spec.SHUT``; an answer's score is the sum of its vessels'."""
    n, f = x.shape
    rows = np.arange(n)

    def loss(w: Floats) -> tuple[float, Floats]:
        weights, bias = w[:-3].reshape(f, 3), w[-3:]
        scores = (x @ weights + bias) @ ANSWERS.T
        total = logsumexp(scores, axis=1)
        value = float(np.mean(total - scores[rows, answers]) + ridge * np.sum(weights**2) / 2)
        over = np.exp(scores - total[:, None])
        over[rows, answers] -= 1
        slope = over @ ANSWERS / n
        return value, np.append((x.T @ slope + ridge * weights).ravel(), slope.sum(axis=0))

    best = minimize(loss, np.zeros(3 * f + 3), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return best[:-3].reshape(f, 3), best[-3:]


def answered(x: Floats, answers: npt.NDArray[np.int64], persons: npt.NDArray[np.int64], ridge: float) -> Floats:
    """(N, 5) log of each answer's share, by a fit to other persons."""
    found = np.zeros((len(answers), len(SEGMENTS)))
    for fold in range(FOLDS):
        out = persons % FOLDS == fold
        weights, bias = fit_answers(x[~out], answers[~out], ridge)
        scores = (x[out] @ weights + bias) @ ANSWERS.T
        found[out] = scores - logsumexp(scores, axis=1, keepdims=True)
    return found


def segment(bundle: Bundle, files: list[Path], out: Path) -> None:
    """Fit the logits of the vessels on occluded sides, by measures of the half and of its segments, and write."""
    parts = [np.load(file) for file in files]
    x, answers, persons = (np.concatenate([p[name] for p in parts]) for name in ("measures", "answers", "persons"))
    network = trained(bundle)
    cells = (network.config.side // network.config.cell) ** 3
    used = np.r_[cells, 2 * cells + 1 : x.shape[1]]  # without those of single cells: too many to be fitted
    mean, scale = x[:, used].mean(axis=0), x[:, used].std(axis=0) + 1e-4
    scaled = (x[:, used] - mean) / scale
    rows = np.arange(len(answers))
    losses = {r: -float(answered(scaled, answers, persons, r)[rows, answers].mean()) for r in RIDGES}
    ridge = min(losses, key=lambda r: losses[r])
    shares = answered(scaled, answers, persons, ridge)
    right = np.mean(shares.argmax(axis=1) == answers)
    print(f"ridge {ridge}: of {len(answers)} occluded sides left out of the fit, {right:.3f} named right;")
    print(f"  mean log loss {losses[ridge]:.3f}, mean share of what is named {np.exp(shares.max(axis=1)).mean():.3f}")
    weights, bias = fit_answers(scaled, answers, ridge)
    whole = np.zeros((x.shape[1], len(SHUT)))
    whole[used] = weights / scale[:, None]
    bias = bias - mean @ (weights / scale[:, None])
    with torch.no_grad():  # the network scales measures by the mean and scale of all halves
        network.told.bias[1:] = torch.from_numpy(bias + network.mean.double().numpy() @ whole)
        network.told.weight[1:] = torch.from_numpy((whole * network.scale.double().numpy()[:, None]).T)
    command = bundle.manifest.model_dump()["training"]["command"]
    command += f"; python scripts/fit_lvo_judge.py occluded BUNDLE SIDES --anatomies HEADS --count {len(answers)}"
    write(bundle, network, out, f"{command}; python scripts/fit_lvo_judge.py segment BUNDLE SIDES -o BUNDLE")


def write(bundle: Bundle, network: HalfNet, out: Path, command: str, **fields: Any) -> None:
    """A bundle's manifest with other weights, made by a command today."""
    told = bundle.manifest.model_dump(mode="json")
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    told["training"] |= {"command": command, "date": date}
    manifest = make_manifest({**told, **fields}, "the fitted bundle")
    print(write_bundle(out, manifest, [network.state_dict()], half=True, replace=True).folder)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    steps = parser.add_subparsers(dest="step", required=True)
    levelling = steps.add_parser("level")
    levelling.add_argument("bundle", help="as willis train wrote it")
    levelling.add_argument("-o", "--output", type=Path, required=True)
    levelling.add_argument("--count", type=int, default=60)
    levelling.add_argument("--anatomies", required=True)
    measuring = steps.add_parser("measure")
    measuring.add_argument("bundle", help="levelled")
    measuring.add_argument("out", type=Path)
    measuring.add_argument("--first", type=int, default=0)
    measuring.add_argument("--count", type=int, default=400)
    measuring.add_argument("--anatomies", required=True)
    siding = steps.add_parser("occluded")
    siding.add_argument("bundle", help="joined, or levelled")
    siding.add_argument("out", type=Path)
    siding.add_argument("--first", type=int, default=0)
    siding.add_argument("--count", type=int, default=300)
    siding.add_argument("--anatomies", required=True)
    naming = steps.add_parser("segment")
    naming.add_argument("bundle", help="joined")
    naming.add_argument("files", type=Path, nargs="+")
    naming.add_argument("-o", "--output", type=Path, required=True)
    joining = steps.add_parser("join")
    joining.add_argument("bundle", help="the one that was measured")
    joining.add_argument("files", type=Path, nargs="+")
    joining.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    bundle = open_bundle(asked.bundle, "lvo")
    if asked.step == "level":
        level(bundle, asked.output, asked.count, asked.anatomies)
    elif asked.step == "measure":
        measure(bundle, asked.out, asked.first, asked.count, asked.anatomies)
    elif asked.step == "occluded":
        occluded(bundle, asked.out, asked.first, asked.count, asked.anatomies)
    elif asked.step == "segment":
        segment(bundle, asked.files, asked.output)
    else:
        join(bundle, asked.files, asked.output)


if __name__ == "__main__":
    main()
