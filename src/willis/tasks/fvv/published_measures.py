"""The publication's measures of a network in training, by slice, patient and all voxels together.

Benzakoun 2025, doi:10.1177/23969873251362712. Unlike the published code, areas and thresholds are in mm² and ml, not in
voxels, a patient's score counts each output once, and AUC is AUC. Calibration is of the voxels of all patients'
validation masks together: expected calibration error over ten bins of equal width (Guo 2017,
doi:10.48550/arXiv.1706.04599), which the publication doesn't have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.learn.case import Case
from willis.measure.calibration import Reliability, pool_reliability, reliability
from willis.measure.decision import auc
from willis.measure.kappa import cohen_kappa

OUTPUTS = ("brain", "lesion", "flairvisible")
ABOVE = 0.5  # probability of a voxel that counts
LEAST_MM2 = 16.0  # of infarct in a slice that has a class: 20 voxels of 230 mm over 256
LITTLE, MOST = 0.2, 0.8  # visible share of a slice's infarct below which none of it counts as visible, or all above
NONE, HIDDEN, MIXED, VISIBLE = range(4)  # classes of slices
SCORE_ABOVE = 2.5  # of three: a voxel is sure to be brain, infarct and visible
THRESHOLDS_ML = np.round(np.arange(0, 10.01, 0.05), 2)  # of the visible volume from which a patient has no mismatch


@dataclass(frozen=True)
class PatientCounts:
    """What one patient adds to the measures.

    Parameters
    ----------
    overlaps
        (2, 2) of the visible and of the hidden part of the infarct: voxels in both masks, and in one plus in the other.
    true, found
        (K,) class of each slice.
    score_ml
        Volume that is surely brain, infarct and visible at once.
    promises
        Of each output, its probabilities in the case's mask against the truth.
    """

    overlaps: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]
    found: npt.NDArray[np.int64]
    score_ml: float
    promises: tuple[Reliability, ...]

    @property
    def positive(self) -> bool:
        """Whether a slice's infarct is visible, in part or as a whole: no mismatch."""
        return bool((self.true >= MIXED).any())


class PublishedMeasures:
    """Measures of brain, infarct and visible part, for :func:`willis.tasks.validation.make_validation`."""

    def of_case(self, probability: npt.NDArray[np.floating], case: Case) -> PatientCounts:
        """Count one patient.

        Parameters
        ----------
        probability
            (3, I, J, K) brain, infarct, visible part; slices lie along K.
        """
        target = case.target > 0
        found = probability > ABOVE
        found[1] &= found[0]
        found[2] &= found[1]
        pairs = ((target[2], found[2]), (target[1] & ~target[2], found[1] & ~found[2]))
        overlaps = [[int((t & f).sum()), int(t.sum()) + int(f.sum())] for t, f in pairs]
        area_mm2 = case.spacing_mm[0] * case.spacing_mm[1]
        brain, infarct, visible = (p.astype(np.float32) for p in probability)
        sure = brain + brain * infarct + brain * infarct * visible > SCORE_ABOVE
        inside = case.mask > 0
        return PatientCounts(
            np.array(overlaps),
            slice_classes(target[1], target[2], area_mm2),
            slice_classes(found[1], found[2], area_mm2),
            float(sure.sum()) * float(np.prod(case.spacing_mm)) / 1000,
            tuple(reliability(p[inside], t[inside]) for p, t in zip(probability, target, strict=True)),
        )

    def of_all(self, counts: Sequence[PatientCounts]) -> dict[str, float]:
        """``dice_global``, ``kappa_slices``, ``auc``, ``kappa_patients`` and its ``threshold_ml``; those defined.

        ``dice_global`` is the mean of the Dice of all visible and of all hidden voxels, over all patients together;
        ``ece_brain``, ``ece_lesion`` and ``ece_flairvisible`` are expected calibration errors.
        """
        both, sums = np.sum([one.overlaps for one in counts], axis=0).T
        dices = [2 * b / s if s else 1.0 for b, s in zip(both, sums, strict=True)]
        score, positive = np.array([c.score_ml for c in counts]), np.array([c.positive for c in counts])
        kappas = np.array([cohen_kappa(score > threshold, positive) for threshold in THRESHOLDS_ML])
        measures = {
            "dice_global": float(np.mean(dices)),
            "kappa_slices": cohen_kappa(
                np.concatenate([c.true for c in counts]), np.concatenate([c.found for c in counts])
            ),
        }
        measures |= {f"ece_{name}": found.expected_error for name, found in _calibration(counts).items()}
        if positive.any() and not positive.all():
            best = int(np.nanargmax(kappas))
            measures |= {"auc": auc(score, positive), "kappa_patients": float(kappas[best])}
            measures["threshold_ml"] = float(THRESHOLDS_ML[best])
        return {name: value for name, value in measures.items() if not math.isnan(value)}

    def tables(self, counts: Sequence[PatientCounts]) -> dict[str, list[dict[str, Any]]]:
        """``calibration``: each output's bins of probability, voxels in them, what was promised and what came true."""
        return {
            "calibration": [
                {
                    "output": name,
                    "from": round(float(found.edges[k]), 3),
                    "to": round(float(found.edges[k + 1]), 3),
                    "voxels": int(found.count[k]),
                    "promised": float(found.promised[k]) if found.count[k] else None,
                    "observed": float(found.observed[k]) if found.count[k] else None,
                }
                for name, found in _calibration(counts).items()
                for k in range(found.count.size)
            ]
        }


def _calibration(counts: Sequence[PatientCounts]) -> Mapping[str, Reliability]:
    """Of each output, over all patients."""
    return {
        name: pool_reliability(parts)
        for name, parts in zip(OUTPUTS, zip(*(one.promises for one in counts), strict=True), strict=True)
    }


def slice_classes(infarct: npt.NDArray[Any], visible: npt.NDArray[Any], area_mm2: float) -> npt.NDArray[np.int64]:
    """(K,) class of each slice of (I, J, K) masks: none, hidden, mixed or visible, by the share that is visible."""
    size, seen = infarct.sum(axis=(0, 1)), (visible & infarct).sum(axis=(0, 1))
    share = seen / np.maximum(size, 1)
    classes = np.where(share < LITTLE, HIDDEN, np.where(share > MOST, VISIBLE, MIXED))
    return np.asarray(np.where(size * area_mm2 < LEAST_MM2, NONE, classes), dtype=np.int64)
