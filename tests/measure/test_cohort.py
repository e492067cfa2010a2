"""Means over a cohort: what counts, and that a miss never improves one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from willis.measure.agreement import bland_altman, icc_agreement, icc_consistency
from willis.measure.case import METRICS, evaluate_case
from willis.measure.cohort import agree, summarise
from willis.volume.grid import Grid
from willis.volume.volume import Volume

GRID = Grid((10, 9, 8), np.diag([1.0, 1.0, 2.0, 1.0]))
NOTHING = Volume(np.zeros(GRID.shape, dtype=bool), GRID)


def mask(seed: int, density: float = 0.05) -> Volume:
    return Volume(np.random.default_rng(seed).random(GRID.shape) < density, GRID)


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    return {s.metric.name: s.mean for s in summarise(rows, seed=0)}


@settings(max_examples=8, deadline=None)
@given(missed=st.integers(0, 3), seed=st.integers(0, 1000))
def test_a_miss_never_improves_a_mean(missed: int, seed: int) -> None:
    references = [mask(seed + n) for n in range(3)] + [NOTHING]
    predictions = [Volume(r.data & mask(seed + 9, 0.6).data | mask(seed + 7, 0.01).data, GRID) for r in references]
    found = [evaluate_case(p, r) for p, r in zip(predictions, references, strict=True)]
    worse = list(found)
    worse[missed] = evaluate_case(NOTHING, references[missed])
    if missed == 3:
        worse[missed] = evaluate_case(mask(seed + 5), NOTHING)
        found[missed] = evaluate_case(NOTHING, NOTHING)
    before, after = means(found), means(worse)
    for metric in METRICS:
        a, b = before[metric.name], after[metric.name]
        if metric.better == "higher":
            assert b <= a + 1e-12, metric.name
        elif metric.unit == "mm":
            assert b >= a - 1e-12, metric.name


def test_undefined_cases_are_counted_apart() -> None:
    rows = [evaluate_case(mask(1), mask(2)), evaluate_case(mask(1), NOTHING), evaluate_case(NOTHING, NOTHING)]
    found = {s.metric.name: s for s in summarise(rows, seed=0)}
    assert (found["sensitivity"].count, found["sensitivity"].undefined) == (1, 2)
    assert found["sensitivity"].mean == rows[0]["sensitivity"]
    assert (found["dice"].count, found["dice"].undefined) == (3, 0)
    assert found["dice"].mean == pytest.approx((rows[0]["dice"] + 0 + 1) / 3)


def test_numbers_of_a_summary() -> None:
    rows = [evaluate_case(mask(n), mask(n + 1, 0.5)) for n in range(6)]
    values = np.array([row["precision"] for row in rows])
    found = next(s for s in summarise(rows, seed=4) if s.metric.name == "precision")
    assert (found.mean, found.median) == pytest.approx((values.mean(), np.median(values)))
    assert found.spread == pytest.approx(values.std(ddof=1))
    assert values.min() <= found.interval[0] < found.mean < found.interval[1] <= values.max()
    assert found == next(s for s in summarise(rows, seed=4) if s.metric.name == "precision")


def test_a_cohort_without_a_defined_case() -> None:
    found = {s.metric.name: s for s in summarise([evaluate_case(NOTHING, NOTHING)], seed=0)}
    assert math.isnan(found["sensitivity"].mean)
    assert math.isnan(found["dice"].interval[0])
    assert found["dice"].mean == 1


def test_agreement_is_of_volumes_and_counts() -> None:
    rows = [evaluate_case(mask(n), mask(n, 0.02 + 0.01 * n)) for n in range(8)]
    volume, lesions = agree(rows)
    pairs = np.array([[row["predicted_ml"], row["reference_ml"]] for row in rows])
    assert volume.name == "volume_ml"
    assert volume.bland_altman == bland_altman(pairs[:, 0], pairs[:, 1])
    assert volume.icc_agreement == icc_agreement(pairs)
    assert volume.icc_consistency == icc_consistency(pairs)
    counts = [row["lesion_count_difference"] for row in rows]
    assert (lesions.name, lesions.bland_altman.bias) == ("lesions", pytest.approx(np.mean(counts)))


def test_one_case_has_no_agreement() -> None:
    assert agree([evaluate_case(mask(1), mask(2))]) == []
