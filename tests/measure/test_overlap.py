"""Overlap against known answers and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as judge

from willis.measure.overlap import dice, jaccard, precision, sensitivity


def cube(start: int, side: int = 10) -> np.ndarray:
    mask = np.zeros((24, 12, 12), dtype=np.uint8)
    mask[start : start + side, 1:11, 1:11] = 1
    return mask


@given(shift=st.integers(0, 14))
def test_shifted_cubes(shift: int) -> None:
    a, b = cube(0), cube(shift)
    shared = max(10 - shift, 0)
    assert dice(a, b) == pytest.approx(shared / 10)
    assert jaccard(a, b) == pytest.approx(shared / (20 - shared))
    assert sensitivity(a, b) == precision(a, b) == pytest.approx(shared / 10)


def test_half_found_is_precise_but_not_sensitive() -> None:
    half, whole = cube(0, side=5), cube(0)
    assert (sensitivity(half, whole), precision(half, whole)) == (0.5, 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_agrees(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, r = rng.random((2, 9, 8, 7)) > rng.uniform(0.2, 0.9)
    flat = (r.ravel(), p.ravel())
    assert dice(p, r) == pytest.approx(judge.f1_score(*flat))
    assert jaccard(p, r) == pytest.approx(judge.jaccard_score(*flat))
    assert sensitivity(p, r) == pytest.approx(judge.recall_score(*flat))
    assert precision(p, r) == pytest.approx(judge.precision_score(*flat))
