from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from willis.errors import BadInputError, WillisError
from willis.learn.cache import open_case, write_case
from willis.learn.case import Case, CaseList
from willis.learn.pool import CasePool


def test_a_stored_case_comes_back(tmp_path: Path, sources: ModuleType) -> None:
    case = sources.numbered(3)
    write_case(case, tmp_path / "case")
    stored = open_case(tmp_path / "case")
    assert np.array_equal(stored.image, case.image) and stored.image.dtype == np.float16
    assert np.array_equal(stored.target, case.target) and np.array_equal(stored.mask, case.mask)
    assert [f.tolist() for f in stored.foreground] == [[1 * 30 + 2 * 6 + 3], []]
    assert (stored.subject, stored.spacing_mm) == ("3", (1.0, 2.0, 3.0))
    assert [p.name for p in tmp_path.iterdir()] == ["case"]


def test_values_that_the_stored_numbers_cannot_hold_are_refused(tmp_path: Path, sources: ModuleType) -> None:
    case = sources.numbered(3)
    case.image[1, 0, 0, 0] = -70_000
    with pytest.raises(BadInputError, match=r"case 3: the image holds 70000, .* with values up to 65504"):
        write_case(case, tmp_path / "small")
    assert not list(tmp_path.iterdir())
    write_case(case, tmp_path / "large", np.float32)
    assert open_case(tmp_path / "large").image.min() == -70_000


def test_the_window_moves_with_the_step_alone(tmp_path: Path, sources: ModuleType) -> None:
    pool = CasePool(sources.Endless(), tmp_path, window=3, first=2, per_step=0.5, workers=0)
    assert [list(pool.indices(step)) for step in (0, 1, 2, 4, 6)] == [[0, 1], [0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 4]]


def test_a_small_finite_source_is_used_whole(tmp_path: Path, sources: ModuleType) -> None:
    pool = CasePool(
        CaseList((sources.numbered(0), sources.numbered(1))), tmp_path, window=4, first=4, per_step=1, workers=0
    )
    assert list(pool.indices(0)) == list(pool.indices(100)) == [0, 1]


def test_a_large_finite_source_comes_round_again(tmp_path: Path, sources: ModuleType) -> None:
    cases = CaseList(tuple(sources.numbered(i) for i in range(3)))
    pool = CasePool(cases, tmp_path, window=2, first=2, per_step=1, workers=0)
    assert [int(pool.get(i).image[0, 0, 0, 0]) for i in range(5)] == [0, 1, 2, 0, 1]


def test_workers_make_what_is_asked_ahead_and_release_deletes(tmp_path: Path, sources: ModuleType) -> None:
    with CasePool(sources.Endless(), tmp_path, window=2, first=2, per_step=1, workers=1, ahead=2) as pool:
        pool.advance(0)
        assert [int(pool.get(i).image[0, 0, 0, 0]) for i in (0, 1, 3)] == [0, 1, 3]
        pool.release(2)
        assert sorted(path.name for path in tmp_path.glob("case-*")) == ["case-0000002", "case-0000003"]


def test_a_case_that_was_released_is_made_again(tmp_path: Path, sources: ModuleType) -> None:
    with CasePool(sources.Endless(), tmp_path, window=2, first=2, per_step=1, workers=1, ahead=0) as pool:
        pool.advance(3)
        pool.get(4)
        assert int(pool.get(0).image[0, 0, 0, 0]) == 0


def test_a_planned_source_is_made_in_the_order_of_its_plan_and_kept(tmp_path: Path, sources: ModuleType) -> None:
    """Of 12 cases in batches of 4 and a window of 5: what all processes need, nothing else, and none is lost."""
    settings: dict[str, Any] = {"window": 5, "first": 2, "per_step": 0.5, "batch": 4}
    with CasePool(sources.Planned(), tmp_path, **settings, workers=1, ahead=0) as pool:
        pool.advance(0)
        assert [pool.planned(0, n) for n in range(4)] == [(i, (2, 2, 3)) for i in (11, 10, 9, 8)]
        for index in (8, 9, 10, 11):
            pool.get(index)
        assert sorted(path.name[-2:] for path in tmp_path.glob("case-*")) == ["08", "09", "10", "11"]
        pool.release(1000)
        assert len(list(tmp_path.glob("case-*"))) == 4


def test_a_pool_without_workers_makes_what_other_processes_wait_for(tmp_path: Path, sources: ModuleType) -> None:
    settings: dict[str, Any] = {"window": 5, "first": 3, "per_step": 0, "workers": 0, "batch": 4}
    CasePool(sources.Planned(), tmp_path / "planned", **settings, shared=True).advance(0)
    CasePool(sources.Endless(), tmp_path / "drawn", **settings, shared=True).advance(0)
    CasePool(sources.Endless(), tmp_path / "alone", **settings).advance(0)
    made = {name: len(list((tmp_path / name).glob("case-*"))) for name in ("planned", "drawn", "alone")}
    assert made == {"planned": 4, "drawn": 3, "alone": 0}


def test_batches_of_another_size_than_planned_are_refused(tmp_path: Path, sources: ModuleType) -> None:
    settings: dict[str, Any] = {"window": 5, "first": 2, "per_step": 0, "workers": 0}
    with pytest.raises(BadInputError, match=r"plans batches of 4 patches, and \[training\] asks for 8"):
        CasePool(sources.Planned(), tmp_path, **settings, batch=8)
    assert CasePool(sources.Planned(batch=None), tmp_path, **settings, batch=8).planned(0, 0) is not None


def test_a_failing_case_is_told_of(tmp_path: Path, sources: ModuleType) -> None:
    with CasePool(sources.Endless(fails_at=1), tmp_path, window=2, first=2, per_step=0, workers=1) as pool:
        pool.advance(0)
        with pytest.raises(WillisError, match="training case 1 could not be made: ValueError: no such head"):
            pool.get(1)


def test_a_dying_worker_is_told_of(tmp_path: Path, sources: ModuleType) -> None:
    with CasePool(sources.Dies(), tmp_path, window=1, first=1, per_step=0, workers=1) as pool:
        pool.advance(0)
        with pytest.raises(WillisError, match="ended with exit code 3"):
            pool.get(0)


def test_what_is_refused(tmp_path: Path, sources: ModuleType) -> None:
    with pytest.raises(BadInputError, match="no training cases"):
        CasePool(CaseList(()), tmp_path, window=1, first=1, per_step=0, workers=0)
    ones = np.ones((3, 3, 3))
    with pytest.raises(BadInputError, match="must share I, J, K"):
        Case(ones[None].astype(np.float32), ones[None, :2].astype(np.uint8), ones > 0, "a", (1.0, 1.0, 1.0))
    with pytest.raises(BadInputError, match="NaN"):
        Case(np.full((1, 3, 3, 3), np.nan, np.float32), ones[None].astype(np.uint8), ones > 0, "a", (1.0, 1.0, 1.0))
