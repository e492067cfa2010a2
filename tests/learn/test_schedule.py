import math

import numpy as np
import pytest

from willis.learn.recipe import ScheduleSettings
from willis.learn.schedule import ends_cycle, rate_factor


def rates(steps: int = 100, **values: object) -> list[float]:
    settings = ScheduleSettings.parse(values, "test")
    return [rate_factor(settings, step, steps) for step in range(steps)]


@pytest.mark.parametrize("name", ["constant", "poly", "cosine", "plateau", "cyclic"])
def test_rates_start_at_one_and_never_leave_floor_to_one(name: str) -> None:
    factors = rates(name=name, floor=0.05)
    assert factors[0] == 1
    assert all(0.05 <= factor <= 1 for factor in factors)


def test_poly_and_cosine_by_their_formulas() -> None:
    assert rates(name="poly", power=0.9)[40] == pytest.approx(0.6**0.9)
    assert rates(name="cosine")[25] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)
    assert rates(name="cosine", floor=0.2)[50] == pytest.approx(0.6)


def test_warmup_rises_linearly_then_the_schedule_begins() -> None:
    factors = rates(name="cosine", warmup=4)
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[4] > factors[5] > factors[99] > 0


def test_cycles_restart_and_snapshots_fall_at_their_ends() -> None:
    factors = rates(name="cyclic", cycles=4)
    assert [step for step, factor in enumerate(factors) if factor == 1] == [0, 25, 50, 75]
    settings = ScheduleSettings.parse({"name": "cyclic", "cycles": 4}, "test")
    assert [step for step in range(100) if ends_cycle(settings, step, 100)] == [24, 49, 74, 99]
    assert [step for step in range(10) if ends_cycle(settings, step, 10)] == [1, 4, 6, 9]


@pytest.mark.parametrize(("steps", "cycles"), [(100, 5), (9, 5), (11, 5), (100, 7), (3, 5), (1, 1), (16, 6)])
def test_every_cycle_is_as_long_as_another_and_ends_low(steps: int, cycles: int) -> None:
    settings = ScheduleSettings.parse({"name": "cyclic", "cycles": cycles}, "test")
    ends = [step for step in range(steps) if ends_cycle(settings, step, steps)]
    lengths = np.diff([-1, *ends])
    assert ends[-1] == steps - 1 and len(ends) == min(steps, cycles)
    assert np.ptp(lengths) <= 1
    rates = [rate_factor(settings, step, steps) for step in range(steps)]
    for end, length in zip(ends, lengths, strict=True):
        half_cosine = (1 + np.cos(np.pi * np.arange(length) / length)) / 2
        assert rates[end - length + 1 : end + 1] == pytest.approx(half_cosine.tolist())


def test_other_schedules_have_no_snapshots() -> None:
    assert not any(ends_cycle(ScheduleSettings.parse({}, "test"), step, 10) for step in range(10))
