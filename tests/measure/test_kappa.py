"""Cohen's kappa, with scikit-learn as the judge."""

import math

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.measure.kappa import cohen_kappa


@pytest.mark.parametrize("classes", [2, 4])
def test_scikit_learn_agrees(classes: int) -> None:
    judge = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(classes)
    one, two = rng.integers(classes, size=(2, 60))
    assert cohen_kappa(one, two) == pytest.approx(judge.cohen_kappa_score(one, two))


def test_scores_that_are_no_classes_are_refused() -> None:
    for scores in ([0.2, 0.9, 1.4], [0, 1, math.nan]):
        with pytest.raises(BadInputError, match="classes are whole numbers"):
            cohen_kappa(scores, [0, 0, 1])
    with pytest.raises(BadInputError, match="judged 2 and 3 cases"):
        cohen_kappa([0, 1], [0, 0, 1])
