"""train: from a recipe and cases to a run folder with checkpoints, logs and a bundle."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from willis.errors import BadInputError
from willis.learn.batches import Batch, make_batch
from willis.learn.case import CaseSource, NamedSource
from willis.learn.checkpoint import load_state, save_state
from willis.learn.distributed import World, join_world
from willis.learn.learner import Learner
from willis.learn.plateau import follow_plateau
from willis.learn.pool import CasePool
from willis.learn.recipe import Recipe
from willis.learn.runfolder import BEST_FILE, LAST_FILE, RECIPE_FILE, check_cases, may_go_on, restore, write_recipe
from willis.learn.runlog import RunLog
from willis.learn.runstate import RunState, TrainingResult
from willis.learn.schedule import ends_cycle

Validate = Callable[[nn.Module], Mapping[str, float]]
Progress = Callable[[int, int, Mapping[str, Any]], None]  # step (1 for the first), steps, figures

CASES_FOLDER = "cases"  # of the run folder
CURVES_INTERVAL_S = 60.0  # least time between two drawings of the curves while a run goes on


def train(
    recipe: Recipe,
    cases: CaseSource,
    validate: Validate | None = None,
    out: str | Path = "run",
    *,
    resume: bool = False,
    start: Mapping[str, Tensor] | None = None,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Train a network.

    Parameters
    ----------
    recipe
        What to train and how.
    cases
        Where cases come from; picklable when ``sampling.workers`` > 0.
    validate
        Given the network to judge (the moving average, in eval mode), returns figures by name; none when there is
        nothing to judge it by.
    out
        Run folder.
    resume
        Go on from the last checkpoint in it; the weights become the same as without the interruption.
    start
        Weights to start from.
    progress
        Called after every step.
    stop
        Asked after every step; when it says True the run ends cleanly as ``interrupted``.

    Raises
    ------
    BadInputError
        When the folder already holds a run and ``resume`` isn't set, the run to go on with has other cases, another
        network, optimiser or other stages, or the settings don't fit together; nothing is written then.
    """
    folder = Path(out)
    with join_world() as world:
        _check(recipe, world)
        if recipe.training.threads:
            torch.set_num_threads(recipe.training.threads)
        learner = Learner(recipe, world, start)
        state = restore(learner, folder / LAST_FILE) if may_go_on(folder, recipe, resume=resume) else None
        names = list(cases.names) if isinstance(cases, NamedSource) else []
        if state is not None:
            check_cases(state.cases, names, folder)
        elif world.leads and (folder / RECIPE_FILE).exists():  # a run that ended before its first checkpoint
            shutil.rmtree(folder / CASES_FOLDER, ignore_errors=True)
        world.barrier()  # all have looked before the leading one writes
        if world.leads:
            write_recipe(folder, recipe)
        with _pool(recipe, cases, folder, world) as pool:
            run = _Run(recipe, folder, learner, pool, state, validate, progress, stop)
            run.state.cases = names
            run.go()
        return TrainingResult(folder, run.state, run.members(), world.leads)


class _Run:
    """One call of :func:`train`."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        learner: Learner,
        pool: CasePool,
        resumed: RunState | None,
        validate: Validate | None,
        progress: Progress | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.recipe, self.folder, self.learner, self.pool = recipe, folder, learner, pool
        self.world = learner.world
        self.validate, self.progress, self.stop = validate, progress, stop
        self.state = resumed or RunState()
        self.log = RunLog(folder, upto=None if resumed is None else resumed.step) if self.world.leads else None
        self.began = time.monotonic()
        self.drew = self.began
        self.waited_s = 0.0  # time in which the loop stood still for want of cases

    def go(self) -> None:
        """Run until a reason to end."""
        self.state.reason = self._ended()
        if self.state.reason:
            self._close()
            return
        with ThreadPoolExecutor(1) as ahead:
            coming = self._order(ahead)
            while not self.state.reason and (self._left or self._enter_next()):
                start = time.perf_counter()
                batch = coming.result()
                self.waited_s += time.perf_counter() - start
                if self._left > 1 or self._next is not None:
                    coming = self._order(ahead, 1)
                self._step(batch)
                self.state.reason = self._reason()
            coming.cancel()
        self.state.reason = self.state.reason or "finished"
        self._checkpoint()
        if self.log is not None:
            self.log.add("note", self.state.step, {"reason": self.state.reason})
        self._close()

    def _close(self) -> None:
        if self.log is not None:
            self.log.finish()
        self.world.barrier()

    @property
    def _next(self) -> int | None:
        """Number of the stage after this one."""
        following = self.state.stage + 1
        return following if following < len(self.learner.stages) else None

    @property
    def _left(self) -> int:
        """Steps that the stage at hand still has; none where its patience is over and another follows."""
        if self._next is not None and self._stale:
            return 0
        return max(self.state.stage_start + self.learner.stage_steps - self.state.step, 0)

    @property
    def _stale(self) -> bool:
        patience = self.learner.stage.patience
        return bool(patience) and self.state.stale >= patience

    def _enter_next(self) -> bool:
        """Begin the next stage, with a checkpoint, so that a resumed run never comes back from its weights; or none."""
        if self._next is None:
            return False
        self.world.barrier()
        state, best = self.state, self.folder / BEST_FILE
        state.stage, state.stage_start = self._next, state.step
        state.stale, state.plateau_stale, state.plateau_cooldown = 0, 0, 0
        state.plateau_factor, state.plateau_best = 1.0, None
        stage = self.learner.stages[state.stage]
        start = load_state(best)[0] if stage.start == "best" and state.best is not None else None
        self.learner.enter(state.stage, state.step, start)
        if self.log is not None:
            self.log.add("note", state.step, {"stage": stage.name or state.stage + 1})
        self._checkpoint()
        return True

    def _order(self, ahead: ThreadPoolExecutor, offset: int = 0) -> Future[Batch]:
        step = self.state.step + offset
        self.pool.advance(step)
        return ahead.submit(make_batch, self.recipe, self.pool, step, self.world.share(self.recipe.training.batch))

    def _step(self, batch: Batch) -> None:
        training, step = self.recipe.training, self.state.step
        start = time.perf_counter()
        values: dict[str, Any] = dict(self.learner.step(batch, step))
        values["seconds"] = time.perf_counter() - start
        self.state.seconds += values["seconds"]
        self.state.step = done = step + 1
        over = self._left == 0
        if self.log is not None and (done % training.log_every == 0 or done == 1 or over):
            values["waited"] = self.waited_s
            self.log.add("train", done, values)
        if self.log is not None and training.record_patches:
            self.log.add_patches(done, batch.drawn)
        if self.progress is not None and self.world.leads:
            self.progress(done, training.steps, values)
        if ends_cycle(self.recipe.schedule, step - self.state.stage_start, self.learner.stage_steps):
            self._snapshot(done)
        if training.validate_every and (done % training.validate_every == 0 or over):
            self._validate()
        if training.checkpoint_every and done % training.checkpoint_every == 0:
            self._checkpoint()

    def _validate(self) -> None:
        if self.validate is None:
            return
        for other in range(1, self.recipe.training.refresh_batches + 1):
            samples = self.world.share(self.recipe.training.batch)
            self.learner.refresh(make_batch(self.recipe, self.pool, self.state.step - 1, samples, other=other))
        figures: dict[str, float] = {}
        if self.world.leads:
            start = time.perf_counter()
            with torch.no_grad():
                figures = {name: float(v) for name, v in self.validate(self.learner.result.eval()).items()}
            if self.log is not None:
                self.log.add("validation", self.state.step, {**figures, "seconds": time.perf_counter() - start})
        figures = self.world.tell(figures)
        if figures:
            self._judge(figures)

    def _judge(self, figures: Mapping[str, float]) -> None:
        """Keep the best weights, count stale validations, lower the rate on a plateau; NaN is no progress."""
        training, schedule, state = self.recipe.training, self.recipe.schedule, self.state
        value = _measured(figures, "training.monitor", training.monitor)
        if schedule.name == "plateau":
            watched = _measured(figures, "schedule.monitor", schedule.monitor) if schedule.monitor else value
            mode = schedule.monitor_mode if schedule.monitor else training.monitor_mode
            follow_plateau(schedule, state, watched, less_is_better=mode == "min")
            self.learner.plateau_factor = state.plateau_factor
        sign = 1 if training.monitor_mode == "max" else -1
        if not math.isnan(value) and (state.best is None or sign * value > sign * state.best):
            state.best, state.best_step, state.stale = value, state.step, 0
            if self.world.leads:
                save_state(self.folder / BEST_FILE, self.learner.weights(), {"step": state.step, "value": value})
            return
        state.stale += 1

    def _ended(self) -> str:
        """Why no step may follow, by the run's state alone: so a run that had ended isn't resumed by a step."""
        if self._next is not None:
            return ""
        return "patience" if self._stale else "" if self._left else "finished"

    def _reason(self) -> str:
        if ended := self._ended():
            return ended
        limit = self.recipe.training.time_limit_minutes * 60
        if self.world.any(bool(limit) and time.monotonic() - self.began > limit):
            return "time limit"
        if self.stop is not None and self.world.any(self.stop()):
            return "interrupted"
        return ""

    def _snapshot(self, step: int) -> None:
        self.state.snapshots.append(step)
        if self.world.leads:
            save_state(self.folder / f"snapshot-{step}.safetensors", self.learner.weights(), {"step": step})

    def _checkpoint(self) -> None:
        if self.world.leads:
            save_state(self.folder / LAST_FILE, self.learner.tensors(), asdict(self.state))
            self.pool.release(self.state.step)
            if self.log is not None and time.monotonic() - self.drew > CURVES_INTERVAL_S:
                self.log.finish()
                self.drew = time.monotonic()

    def members(self) -> tuple[dict[str, Tensor], ...]:
        """Weights for the bundle, as the recipe chooses them."""
        choice = self.recipe.bundle.members
        best = self.folder / BEST_FILE
        if choice == "best" and best.exists():
            return (load_state(best)[0],)
        if choice == "snapshots" and self.state.snapshots:
            paths = [self.folder / f"snapshot-{step}.safetensors" for step in self.state.snapshots]
            return tuple(load_state(path)[0] for path in paths)
        return (self.learner.weights(),)


def _measured(figures: Mapping[str, float], setting: str, name: str) -> float:
    """The figure of a validation that a setting of the recipe names."""
    if name not in figures:
        raise BadInputError(
            f"{setting} is {name!r}, which the validation doesn't measure; it measures {', '.join(figures)}."
        )
    return figures[name]


def _check(recipe: Recipe, world: World) -> None:
    training = recipe.training
    parts = world.size * training.accumulate
    if training.batch % parts:
        raise BadInputError(
            f"training.batch is {training.batch} and must be a multiple of processes × accumulate, here {parts}."
        )


def _pool(recipe: Recipe, cases: CaseSource, folder: Path, world: World) -> CasePool:
    sampling = recipe.sampling
    return CasePool(
        cases,
        folder / CASES_FOLDER,
        window=sampling.window,
        first=sampling.first,
        per_step=sampling.cases_per_step,
        workers=sampling.workers,
        ahead=sampling.ahead,
        batch=recipe.training.batch,
        makes=world.leads,
        shared=world.size > 1,
    )
