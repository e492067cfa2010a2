"""The plateau schedule against torch's own."""

import numpy as np
import pytest
import torch

from willis.learn.plateau import follow_plateau
from willis.learn.recipe import ScheduleSettings
from willis.learn.runstate import RunState

SCHEDULES = [(0, 0.0, 0), (2, 0.05, 0), (3, 0.0, 2), (1, 0.1, 3)]  # torch's patience, threshold, cooldown


def factors(values: list[float], settings: ScheduleSettings, *, less_is_better: bool) -> list[float]:
    state, found = RunState(), []
    for value in values:
        follow_plateau(settings, state, value, less_is_better=less_is_better)
        found.append(state.plateau_factor)
    return found


@pytest.mark.parametrize(("patience", "threshold", "cooldown"), SCHEDULES)
@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_rate_falls_when_that_of_torch_does(patience: int, threshold: float, cooldown: int, mode: str) -> None:
    rng = np.random.default_rng(patience)
    values = [float(v) for v in np.exp(-np.arange(60) / 10) + 0.1 * rng.standard_normal(60)]
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    judge = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, mode=mode, factor=0.5, patience=patience, threshold=threshold, threshold_mode="abs",
        cooldown=cooldown, min_lr=1e-3, eps=0,
    )  # fmt: skip
    wanted = []
    for value in values:
        judge.step(value)
        wanted.append(optimiser.param_groups[0]["lr"])
    given = {"name": "plateau", "patience": patience + 1, "threshold": threshold, "cooldown": cooldown}
    settings = ScheduleSettings.parse({**given, "factor": 0.5, "floor": 1e-3}, "test")
    assert min(wanted) < 0.2
    assert factors(values, settings, less_is_better=mode == "min") == pytest.approx(wanted)
