"""What a trained stage does on patients left out: a row a patient, figures with intervals, and a calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from willis.errors import BadInputError
from willis.measure.calibration import fit_calibration
from willis.measure.decision import Interval, auc, auc_interval, sensitivity, specificity
from willis.measure.overlap import dice
from willis.models.manifest import Calibration, Manifest, Threshold
from willis.tasks.lvo.look import calibrated
from willis.tasks.lvo.spec import SEGMENTS, VESSELS

RESAMPLES = 2000  # of patients, for the interval of a mean
THRESHOLDS = np.arange(0.2, 0.81, 0.05)  # of probability, among which one is chosen


@dataclass(frozen=True)
class JudgedScan:
    """A patient left out of the training: truth, and the mean logit of the bundle's members."""

    subject: str
    occluded: bool
    logit: float


@dataclass(frozen=True)
class Estimate:
    """One figure with its 95 % interval, over so many patients."""

    name: str
    value: float
    interval: Interval
    patients: int


def scan_rows(scans: Sequence[JudgedScan], manifest: Manifest) -> list[dict[str, Any]]:
    """One row a patient, with the columns of the published tables of validation."""
    rows = []
    for scan in scans:
        probability = calibrated(scan.logit, manifest)
        said = int(probability >= manifest.threshold.value)
        truth = int(scan.occluded)
        rows.append({"Patient ID": scan.subject, "Ground Truth": truth, "Probability": probability, "Prediction": said})
    return rows


def scan_figures(scans: Sequence[JudgedScan], manifest: Manifest, rng: np.random.Generator) -> list[Estimate]:
    """Sensitivity and specificity with Wilson's intervals, AUC with that of the bootstrap."""
    score = np.array([calibrated(scan.logit, manifest) for scan in scans])
    truth = np.array([scan.occluded for scan in scans])
    threshold = manifest.threshold.value
    found = []
    for name, measure in (("sensitivity", sensitivity), ("specificity", specificity)):
        share = measure(score, truth, threshold)
        found.append(Estimate(name, share.value, share.interval, share.cases))
    return [*found, Estimate("auc", auc(score, truth), auc_interval(score, truth, rng), len(scans))]


def calibration_of(scans: Sequence[JudgedScan], where: str) -> Calibration:
    """Platt scaling of the logits of patients left out.

    Raises
    ------
    BadInputError
        When they are all of one kind, or the logits don't rise with an occlusion.
    """
    slope, intercept = fit_calibration([s.logit for s in scans], [s.occluded for s in scans])
    ups = sum(scan.occluded for scan in scans)
    if slope <= 0:
        raise BadInputError(
            f"the bundle's answers don't rise with an occlusion: over {len(scans)} patients of {where}, {ups} "
            f"occluded, the slope is {slope:.3g}. It can't be calibrated; train it on, or check labels and orientation."
        )
    origin = f"{len(scans)} patients of {where}, {ups} occluded, by Platt scaling"
    return Calibration(slope=slope, intercept=intercept, origin=origin)


def threshold_of(scans: Sequence[JudgedScan], calibration: Calibration) -> Threshold:
    """Where the sum of sensitivity and specificity of calibrated probabilities is largest."""
    said = expit(calibration.slope * np.array([s.logit for s in scans]) + calibration.intercept)
    value = best_threshold(said, np.array([s.occluded for s in scans]))
    return Threshold(value=value, origin=f"largest sum of sensitivity and specificity on {calibration.origin}")


def best_threshold(probability: npt.NDArray[np.float64], occluded: npt.NDArray[np.bool_]) -> float:
    """The one of ``THRESHOLDS`` with the largest sum of sensitivity and specificity, the lowest of equals."""
    sums = [sensitivity(probability, occluded, t).value + specificity(probability, occluded, t).value
            for t in THRESHOLDS]  # fmt: skip
    return round(float(THRESHOLDS[int(np.argmax(sums))]), 2)


def vessel_row(found: npt.NDArray[np.integer], truth: npt.NDArray[np.integer]) -> dict[str, float]:
    """Dice of each vessel of two label maps (I, J, K); NaN where neither holds it."""
    return {
        name: dice(found == code, truth == code) if (found == code).any() or (truth == code).any() else float("nan")
        for code, name in enumerate(VESSELS, start=1)
    }


def vessel_figures(rows: Sequence[Mapping[str, float]], rng: np.random.Generator) -> list[Estimate]:
    """Mean Dice of each vessel over the patients that have it, with the bootstrap's interval."""
    figures = []
    for name in VESSELS:
        values = np.array([row[name] for row in rows])
        values = values[np.isfinite(values)]
        means = rng.choice(values, (RESAMPLES, values.size)).mean(axis=1) if values.size else np.full(1, np.nan)
        low, high = np.quantile(means, (0.025, 0.975))
        mean = float(values.mean()) if values.size else float("nan")
        figures.append(Estimate(f"dice_{name}", mean, (float(low), float(high)), int(values.size)))
    return figures


def confusion(truth: Sequence[str], said: Sequence[str]) -> list[dict[str, Any]]:
    """One row a true segment: how often each answer of ``spec.SEGMENTS`` was given."""
    pairs = list(zip(truth, said, strict=True))
    return [{"segment": true, **{answer: pairs.count((true, answer)) for answer in SEGMENTS}} for true in SEGMENTS]
