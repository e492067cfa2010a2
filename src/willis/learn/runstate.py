"""What a run remembers besides tensors, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor


@dataclass
class RunState:
    """What a run remembers besides tensors.

    Parameters
    ----------
    step
        Steps done.
    stage, stage_start
        The stage at hand, from 0, and the steps that were done when it began.
    best, best_step
        Best value of the monitored figure and the step after which it was measured.
    stale
        Validations since then, or since the stage began.
    plateau_factor
        The plateau schedule's factor of the rate.
    plateau_best, plateau_stale, plateau_cooldown
        Best value of the figure that this schedule follows, validations without progress since then or since the rate
        was lowered, and how many don't count yet.
    seconds
        Time spent in steps, over all resumptions.
    reason
        Why the run ended: ``finished``, ``patience``, ``time limit``, ``interrupted``; empty while it runs.
    snapshots
        Steps after which a snapshot was written.
    cases
        Names of the sessions that are learned from, where the source tells them.
    """

    step: int = 0
    stage: int = 0
    stage_start: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    plateau_factor: float = 1.0
    plateau_best: float | None = None
    plateau_stale: int = 0
    plateau_cooldown: int = 0
    seconds: float = 0.0
    reason: str = ""
    snapshots: list[int] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class TrainingResult:
    """How a run ended.

    Parameters
    ----------
    folder
        The run folder.
    state
        Steps done, best figure, reason for the end.
    members
        Weights that a bundle of this run has, by name.
    leads
        Whether this is the process that writes, of those that trained together.
    """

    folder: Path
    state: RunState
    members: tuple[dict[str, Tensor], ...]
    leads: bool = True
