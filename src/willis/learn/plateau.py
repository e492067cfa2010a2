"""The plateau schedule: the rate falls when validation no longer makes progress."""

from __future__ import annotations

import math

from willis.learn.recipe import ScheduleSettings
from willis.learn.runstate import RunState


def follow_plateau(settings: ScheduleSettings, state: RunState, value: float, *, less_is_better: bool) -> None:
    """Count a validation, and lower the factor of the rate after ``patience`` of them without progress.

    Progress is a value better than the best by more than ``threshold``; NaN is none. After the rate was lowered,
    ``cooldown`` validations don't count as stale; the factor never falls below ``floor``. The rules are those of [1]_,
    whose patience is one less than this one.

    Parameters
    ----------
    settings
        ``[schedule]`` of the recipe.
    state
        Its ``plateau_`` fields are changed.
    value
        Of the figure that the schedule watches.
    less_is_better
        Whether that is a loss.

    References
    ----------
    .. [1] torch.optim.lr_scheduler.ReduceLROnPlateau with threshold_mode="abs", pytorch.org/docs
    """
    sign = -1 if less_is_better else 1
    better = state.plateau_best is None or sign * value > sign * state.plateau_best + settings.threshold
    if better and not math.isnan(value):
        state.plateau_best, state.plateau_stale = value, 0
    else:
        state.plateau_stale += 1
    if state.plateau_cooldown:
        state.plateau_cooldown, state.plateau_stale = state.plateau_cooldown - 1, 0
    if state.plateau_stale >= settings.patience:
        state.plateau_factor = max(settings.floor, state.plateau_factor * settings.factor)
        state.plateau_cooldown, state.plateau_stale = settings.cooldown, 0
