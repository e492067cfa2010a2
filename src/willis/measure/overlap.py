"""Overlap of two masks, counted in voxels."""

from __future__ import annotations

from willis.measure.metric import Metric

dice = Metric(
    name="dice",
    title="Dice coefficient",
    formula="2 |P ∩ R| / (|P| + |R|)",
    meaning="Shared voxels over the mean size of both masks. Two empty masks agree.",
    unit="1",
    better="higher",
    source="Dice 1945, doi:10.2307/1932409",
    empty_prediction=0.0,
    empty_reference=0.0,
    both_empty=1.0,
    formula_of=lambda pair: 2 * pair.shared / (pair.predicted + pair.referenced),
)

jaccard = Metric(
    name="jaccard",
    title="Jaccard index",
    formula="|P ∩ R| / |P ∪ R|",
    meaning="Shared voxels over the voxels of either mask: Dice / (2 − Dice).",
    unit="1",
    better="higher",
    source="Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x",
    empty_prediction=0.0,
    empty_reference=0.0,
    both_empty=1.0,
    formula_of=lambda pair: pair.shared / (pair.predicted + pair.referenced - pair.shared),
)

sensitivity = Metric(
    name="sensitivity",
    title="Sensitivity (voxels)",
    formula="|P ∩ R| / |R|",
    meaning="Part of the reference's voxels that was found. Without a reference there is nothing to find, whatever "
    "was predicted: undefined.",
    unit="1",
    better="higher",
    source="Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x",
    empty_prediction=0.0,
    empty_reference="undefined",
    both_empty="undefined",
    formula_of=lambda pair: pair.shared / pair.referenced,
)

precision = Metric(
    name="precision",
    title="Precision (voxels)",
    formula="|P ∩ R| / |P|",
    meaning="Part of the predicted voxels that is right. An empty prediction of a lesion counts as 0, so that a miss "
    "can't leave the mean; an empty prediction of nothing is right.",
    unit="1",
    better="higher",
    source="Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x",
    empty_prediction=0.0,
    empty_reference=0.0,
    both_empty=1.0,
    formula_of=lambda pair: pair.shared / pair.predicted,
)

METRICS = (dice, jaccard, sensitivity, precision)
