"""Learning rates by step; a pure function of the step, but for the plateau, whose state is a single factor."""

from __future__ import annotations

import math

from willis.learn.recipe import ScheduleSettings


def rate_factor(settings: ScheduleSettings, step: int, steps: int) -> float:
    """Factor of the highest learning rate for step 0 … steps − 1, in (0, 1].

    ``cyclic`` follows eq. 2 of [1]_: a half cosine in each of ``cycles`` equal parts of the run.

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
        length = math.ceil(steps / settings.cycles)
        shape = (1 + math.cos(math.pi * (step % length) / length)) / 2
    else:
        shape = 1.0
    return settings.floor + (1 - settings.floor) * shape


def ends_cycle(settings: ScheduleSettings, step: int, steps: int) -> bool:
    """Whether a snapshot is due after this step."""
    if settings.name != "cyclic":
        return False
    length = math.ceil(steps / settings.cycles)
    return (step + 1) % length == 0 or step + 1 == steps
