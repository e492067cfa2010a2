"""Metric: a measure of a prediction against a reference as data, with what it is worth when a mask is empty.

Whether a case enters a mean must depend on its reference alone. If it depended on the prediction, a method could
better its mean by finding nothing. So no metric is undefined for an empty prediction of a reference that isn't empty,
and where the reference is empty a metric is undefined for every prediction or for none (Metric refuses other tables).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy.typing as npt

from willis.errors import BadInputError
from willis.measure.pair import MaskPair, Spacing
from willis.units import Unit

Empty = float | Literal["undefined", "diagonal", "formula"]
Better = Literal["higher", "lower", "zero"]


@dataclass(frozen=True)
class Metric:
    """One metric: what it is called, how it is computed, where it comes from, what empty masks give.

    Calling it with two arrays computes it; :meth:`of` does so for a :class:`MaskPair`, which metrics share.

    Parameters
    ----------
    name
        Column of tables, with the unit where it isn't 1: ``hd95_mm``.
    title
        For people.
    formula
        In the letters of ``docs/reference/measures.md``.
    meaning
        One or two sentences: what it says, and every choice in its definition.
    unit
        Of the value.
    better
        Which way a method improves; ``"zero"`` for signed differences.
    source
        Paper with its DOI.
    empty_prediction, empty_reference, both_empty
        Its value then: a number, ``"undefined"`` (n/a, NaN), ``"diagonal"`` (of the field of view, mm), or
        ``"formula"`` where the formula itself holds.
    formula_of
        The computation, for the cases that the three before don't settle.
    """

    name: str
    title: str
    formula: str
    meaning: str
    unit: Unit
    better: Better
    source: str
    empty_prediction: Empty
    empty_reference: Empty
    both_empty: Empty
    formula_of: Callable[[MaskPair], float]

    def __post_init__(self) -> None:
        if self.empty_prediction == "undefined":
            raise BadInputError(f"{self.name}: an empty prediction may not be undefined, or misses leave the mean.")
        if (self.empty_reference == "undefined") != (self.both_empty == "undefined"):
            raise BadInputError(f"{self.name}: for an empty reference, every prediction is undefined or none is.")

    def __call__(
        self, prediction: npt.ArrayLike, reference: npt.ArrayLike, spacing_mm: Spacing = (1.0, 1.0, 1.0)
    ) -> float:
        """Compute the metric of two binary masks (I, J, K); NaN where it is undefined."""
        return self.of(MaskPair(prediction, reference, spacing_mm))

    def of(self, pair: MaskPair) -> float:
        """Compute the metric of a pair; NaN where it is undefined."""
        rule = self._rule(pair)
        if rule == "formula":
            return float(self.formula_of(pair))
        if rule == "diagonal":
            return pair.diagonal_mm
        return math.nan if rule == "undefined" else float(rule)

    def _rule(self, pair: MaskPair) -> Empty:
        if pair.predicted and pair.referenced:
            return "formula"
        if pair.predicted:
            return self.empty_reference
        return self.empty_prediction if pair.referenced else self.both_empty
