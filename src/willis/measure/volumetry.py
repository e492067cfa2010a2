"""Volumes of two masks and their difference."""

from __future__ import annotations

from willis.measure.metric import Metric
from willis.measure.pair import MaskPair

_TAHA = "Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x"


def _difference_ml(pair: MaskPair) -> float:
    return (pair.predicted - pair.referenced) * pair.voxel_ml


def _difference_percent(pair: MaskPair) -> float:
    return 100 * (pair.predicted - pair.referenced) / pair.referenced


volume_difference_ml = Metric(
    name="volume_difference_ml",
    title="Volume difference",
    formula="V(P) − V(R)",
    meaning="Signed: above 0 when too much was found. Its mean is the bias, in which misses and false finds cancel; "
    "the absolute difference says how far off a case is.",
    unit="ml",
    better="zero",
    source=_TAHA,
    empty_prediction="formula",
    empty_reference="formula",
    both_empty=0.0,
    formula_of=_difference_ml,
)

absolute_volume_difference_ml = Metric(
    name="absolute_volume_difference_ml",
    title="Absolute volume difference",
    formula="|V(P) − V(R)|",
    meaning="Without its sign.",
    unit="ml",
    better="lower",
    source=_TAHA,
    empty_prediction="formula",
    empty_reference="formula",
    both_empty=0.0,
    formula_of=lambda pair: abs(_difference_ml(pair)),
)

volume_difference_percent = Metric(
    name="volume_difference_percent",
    title="Relative volume difference",
    formula="100 (V(P) − V(R)) / V(R)",
    meaning="Signed, in per cent of the reference. There is no per cent of nothing: undefined without a reference.",
    unit="%",
    better="zero",
    source=_TAHA,
    empty_prediction=-100.0,
    empty_reference="undefined",
    both_empty="undefined",
    formula_of=_difference_percent,
)

absolute_volume_difference_percent = Metric(
    name="absolute_volume_difference_percent",
    title="Absolute relative volume difference",
    formula="100 |V(P) − V(R)| / V(R)",
    meaning="Without its sign, as in the WMH segmentation challenge.",
    unit="%",
    better="lower",
    source="Kuijf et al. 2019, doi:10.1109/TMI.2019.2905770",
    empty_prediction=100.0,
    empty_reference="undefined",
    both_empty="undefined",
    formula_of=lambda pair: abs(_difference_percent(pair)),
)

METRICS = (
    volume_difference_ml,
    absolute_volume_difference_ml,
    volume_difference_percent,
    absolute_volume_difference_percent,
)
