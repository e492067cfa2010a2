"""Lesions found, missed and invented.

A lesion is a 26-connected component. Two rules match them. *Detection* (WMH segmentation challenge): a reference lesion
is found when the prediction covers at least one voxel of it, a predicted lesion is right when at least one voxel of it
lies in the reference; one predicted lesion may thus find several. *Panoptic*: a predicted and a reference lesion match
when their IoU is above 0.5, which pairs each with one other at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from willis.image.components import component_sizes, label_components
from willis.measure.metric import Metric
from willis.measure.pair import MaskPair

MATCH_IOU = 0.5  # exceeded by one partner at most; Kirillov 2019 section 4.1, doi:10.1109/CVPR.2019.00963
_KUIJF = "Kuijf et al. 2019, doi:10.1109/TMI.2019.2905770"
_ISLES = "as in ISLES'22, de la Rosa et al. 2024, doi:10.48550/arXiv.2403.19425"
_KIRILLOV = "Kirillov et al. 2019, doi:10.1109/CVPR.2019.00963"


@dataclass(frozen=True)
class LesionMatch:
    """How the lesions of a prediction and a reference meet.

    Parameters
    ----------
    predicted, referenced
        Number of lesions.
    right, found
        Predicted lesions that touch the reference, and reference lesions that the prediction touches.
    matched_iou
        IoU of each pair of lesions above 0.5.
    """

    predicted: int
    referenced: int
    right: int
    found: int
    matched_iou: npt.NDArray[np.float64]


def match_lesions(pair: MaskPair) -> LesionMatch:
    """Label the lesions of both masks and see which meet."""
    ours, our_count = label_components(pair.prediction[pair.box])
    theirs, their_count = label_components(pair.reference[pair.box])
    both = (ours > 0) & (theirs > 0)
    code, shared = np.unique(ours[both].astype(np.int64) * (their_count + 1) + theirs[both], return_counts=True)
    mine, its = np.divmod(code, their_count + 1)
    either = component_sizes(ours, our_count)[mine - 1] + component_sizes(theirs, their_count)[its - 1] - shared
    iou = shared / either
    return LesionMatch(our_count, their_count, np.unique(mine).size, np.unique(its).size, iou[iou > MATCH_IOU])


def _f1(pair: MaskPair) -> float:
    match = pair.once(match_lesions)
    recall, exactness = match.found / match.referenced, match.right / match.predicted
    return 2 * recall * exactness / (recall + exactness) if match.found else 0.0


def _recognition(pair: MaskPair) -> float:
    match = pair.once(match_lesions)
    return 2 * match.matched_iou.size / (match.predicted + match.referenced)


def _segmentation(pair: MaskPair) -> float:
    iou = pair.once(match_lesions).matched_iou
    return float(iou.mean()) if iou.size else 0.0


lesion_sensitivity = Metric(
    name="lesion_sensitivity",
    title="Lesion sensitivity",
    formula="reference lesions that P touches / reference lesions",
    meaning="By the detection rule. Undefined when there is no lesion to find.",
    unit="1",
    better="higher",
    source=_KUIJF,
    empty_prediction=0.0,
    empty_reference="undefined",
    both_empty="undefined",
    formula_of=lambda pair: pair.once(match_lesions).found / pair.once(match_lesions).referenced,
)

lesion_precision = Metric(
    name="lesion_precision",
    title="Lesion precision",
    formula="predicted lesions that touch R / predicted lesions",
    meaning="By the detection rule. Nothing found where there is a lesion counts as 0, nothing found of nothing as 1.",
    unit="1",
    better="higher",
    source=_KUIJF,
    empty_prediction=0.0,
    empty_reference=0.0,
    both_empty=1.0,
    formula_of=lambda pair: pair.once(match_lesions).right / pair.once(match_lesions).predicted,
)

lesion_f1 = Metric(
    name="lesion_f1",
    title="Lesion F1",
    formula="2 s p / (s + p), with s and p the lesion sensitivity and precision",
    meaning="Harmonic mean of the two; 0 when no lesion meets another.",
    unit="1",
    better="higher",
    source=_KUIJF,
    empty_prediction=0.0,
    empty_reference=0.0,
    both_empty=1.0,
    formula_of=_f1,
)

lesion_count_difference = Metric(
    name="lesion_count_difference",
    title="Lesion count difference",
    formula="N(P) − N(R)",
    meaning="Signed: above 0 when too many were found. Its mean is a bias, in which misses and false finds cancel.",
    unit="count",
    better="zero",
    source=_ISLES,
    empty_prediction="formula",
    empty_reference="formula",
    both_empty=0.0,
    formula_of=lambda pair: pair.once(match_lesions).predicted - pair.once(match_lesions).referenced,
)

absolute_lesion_count_difference = Metric(
    name="absolute_lesion_count_difference",
    title="Absolute lesion count difference",
    formula="|N(P) − N(R)|",
    meaning="Without its sign.",
    unit="count",
    better="lower",
    source=_ISLES,
    empty_prediction="formula",
    empty_reference="formula",
    both_empty=0.0,
    formula_of=lambda pair: abs(pair.once(match_lesions).predicted - pair.once(match_lesions).referenced),
)

recognition_quality = Metric(
    name="recognition_quality",
    title="Recognition quality",
    formula="2 M / (N(P) + N(R)), with M the number of matched pairs",
    meaning="F1 by the panoptic rule.",
    unit="1",
    better="higher",
    source=_KIRILLOV,
    empty_prediction=0.0,
    empty_reference=0.0,
    both_empty=1.0,
    formula_of=_recognition,
)

segmentation_quality = Metric(
    name="segmentation_quality",
    title="Segmentation quality",
    formula="mean IoU of the matched pairs",
    meaning="By the panoptic rule; 0 when no pair matches, so that misses don't leave the mean. It says nothing of "
    "lesions without a partner: read it with the recognition quality.",
    unit="1",
    better="higher",
    source=_KIRILLOV,
    empty_prediction=0.0,
    empty_reference=0.0,
    both_empty=1.0,
    formula_of=_segmentation,
)

panoptic_quality = Metric(
    name="panoptic_quality",
    title="Panoptic quality",
    formula="recognition quality × segmentation quality",
    meaning="Both in one number.",
    unit="1",
    better="higher",
    source=_KIRILLOV,
    empty_prediction=0.0,
    empty_reference=0.0,
    both_empty=1.0,
    formula_of=lambda pair: _recognition(pair) * _segmentation(pair),
)

METRICS = (
    lesion_sensitivity,
    lesion_precision,
    lesion_f1,
    lesion_count_difference,
    absolute_lesion_count_difference,
    recognition_quality,
    segmentation_quality,
    panoptic_quality,
)
