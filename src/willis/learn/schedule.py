"""Learning rates by step; a pure function of the step, but for the plateau, whose state is a single factor."""

from __future__ import annotations

import math

from willis.learn.recipe import ScheduleSettings


def rate_factor(settings: ScheduleSettings, step: int, steps: int) -> float:
    """Factor of the highest learning rate for step 0 … steps − 1, in (0, 1].

    ``cyclic`` follows eq. 2 of [1]_, a half cosine in each of ``cycles`` parts of the run, which differ by one step at
    most; there the last part is what the others, rounded up, leave.

    References
    ----------
    .. [1] Huang et al. 2017, arXiv:1704.00109
    """
    if step < settings.warmup:
        return (step + 1) / (settings.warmup + 1)
    done = (step - settings.warmup) / max(1, steps - settings.warmup)
    if settings.name == "poly":
        shape = math.pow(1 - done, settings.power)
    elif settings.name == "cosine":
        shape = (1 + math.cos(math.pi * done)) / 2
    elif settings.name == "exponential":
        shape = math.pow(settings.factor, (step - settings.warmup) / settings.every)
    elif settings.name == "cyclic":
        begin, end = _cycle(settings, step, steps)
        shape = (1 + math.cos(math.pi * (step - begin) / (end - begin))) / 2
    else:
        shape = 1.0
    return settings.floor + (1 - settings.floor) * shape


def ends_cycle(settings: ScheduleSettings, step: int, steps: int) -> bool:
    """Whether a snapshot is due after this step."""
    if settings.name != "cyclic":
        return False
    return step + 1 == _cycle(settings, step, steps)[1]


def _cycle(settings: ScheduleSettings, step: int, steps: int) -> tuple[int, int]:
    """First step of the cycle that a step lies in, and the one after its last."""
    count = min(settings.cycles, steps)
    number = ((step + 1) * count - 1) // steps
    return number * steps // count, (number + 1) * steps // count
