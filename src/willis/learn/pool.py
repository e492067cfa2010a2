"""CasePool: cases made on the fly by worker processes, ahead of need, without a race in the result."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from willis.errors import BadInputError, WillisError
from willis.learn.cache import StoredCase, open_case, write_case
from willis.learn.case import CaseSource, PlannedSource, source_count

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
POLL_S = 0.2  # how often a waiting trainer looks whether its workers still live


class CasePool:
    """A moving window over the numbered cases of a source, kept on disk.

    Step ``s`` may use the last ``window`` of the cases 0 … ``first + floor(s · per_step) - 1``, so what a step sees
    depends on its number alone, never on how fast the workers are: a case that isn't ready yet is waited for.

    Parameters
    ----------
    source
        Makes case k by ``source.case(k)``; one with a finite count is gone through again and again.
    folder
        Where cases are stored; those found there are used again.
    window, first, per_step
        Cases in use at once, cases before the first step, and new cases for each step.
    workers
        Processes that make cases; 0 makes them here, when needed.
    ahead
        How many cases may be made before they are needed.
    batch
        Patches of a step, in all processes together.
    makes
        False in all but one process of a distributed run: cases are then only waited for.
    shared
        Other processes wait for the cases of this one.

    A source that plans its batches is used whole: its cases are made in the order of the plan, and kept.

    Raises
    ------
    BadInputError
        When the source has no case, or plans batches of another size.
    """

    def __init__(
        self,
        source: CaseSource,
        folder: Path,
        *,
        window: int,
        first: int,
        per_step: float,
        workers: int = 1,
        ahead: int = 4,
        batch: int = 1,
        makes: bool = True,
        shared: bool = False,
    ) -> None:
        self._source = source
        self._folder = folder
        self._count = source_count(source)
        self._plan = _plan_of(source, batch)
        self._window = self._count if self._plan and self._count else window
        self._first = self._window if self._plan else max(1, min(first, window))
        self._per_step = per_step
        self._ahead = ahead
        self._batch = batch
        self._makes = makes
        self._shared = shared
        self._open: dict[int, StoredCase] = {}
        self._asked: set[int] = set()
        self._processes: list[Any] = []
        folder.mkdir(parents=True, exist_ok=True)
        if makes and workers > 0:
            self._start(workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def indices(self, step: int) -> range:
        """Numbers of the cases that a step may draw from."""
        newest = self._first + int(step * self._per_step)
        if self._count is not None and self._count <= self._window:
            newest = min(newest, self._count)
        return range(max(0, newest - self._window), newest)

    def advance(self, step: int) -> None:
        """Have made what this step needs in any process, and let workers make the next ones', the oldest first."""
        if self._processes:
            for index in self._wanted(step, self._ahead):
                self._ask(index)
        elif self._makes and self._shared:
            for index in self._wanted(step, 0):
                self._await(index)

    def _wanted(self, step: int, ahead: int) -> Iterable[int]:
        if self._plan:
            batches = (
                self._plan.planned(later, n) for later in range(step, step + ahead + 1) for n in range(self._batch)
            )
            return dict.fromkeys(patch[0] for patch in batches if patch is not None)
        indices = self.indices(step)
        stop = indices.stop + ahead
        if self._count is not None and self._count <= self._window:
            stop = min(stop, self._count)
        return range(indices.start, stop)

    def planned(self, step: int, number: int) -> tuple[int, tuple[int, int, int]] | None:
        """Case and centre of a patch, where the source plans its batches."""
        return self._plan.planned(step, number) if self._plan else None

    def get(self, index: int) -> StoredCase:
        """Case ``index``; waits until it is made.

        Raises
        ------
        WillisError
            When making it failed, with the reason, or when its worker died.
        """
        if index not in self._open:
            self._await(index)
            self._open[index] = open_case(self._path(index))
        return self._open[index]

    def release(self, step: int) -> None:
        """Delete the cases that neither this step nor a later one may use; call it at a checkpoint."""
        oldest = self.indices(step).start
        for index in [i for i in self._open if i < oldest]:
            del self._open[index]
        self._asked = {index for index in self._asked if index >= oldest}
        if self._makes:
            for path in self._folder.glob("case-*"):
                if int(path.name.removeprefix("case-")) < oldest:
                    shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """End the workers."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()
        self._processes = []
        self._open = {}

    def _path(self, index: int) -> Path:
        return self._folder / f"case-{index:07d}"

    def _start(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._orders: Any = context.Queue()
        self._answers: Any = context.Queue()
        with _one_thread():
            for _ in range(workers):
                arguments = (self._source, self._folder, self._count, self._orders, self._answers)
                process = context.Process(target=_work, args=arguments, daemon=True)
                process.start()
                self._processes.append(process)

    def _ask(self, index: int) -> None:
        if self._processes and index not in self._asked and not self._path(index).exists():
            self._orders.put(index)
            self._asked.add(index)

    def _await(self, index: int) -> None:
        path = self._path(index)
        self._ask(index)
        if self._makes and not self._processes and not path.exists():
            _make(self._source, self._count, index, path)
        while not path.exists():
            if not self._processes:
                time.sleep(POLL_S)
                continue
            self._listen()

    def _listen(self) -> None:
        try:
            index, reason = self._answers.get(timeout=POLL_S)
        except queue.Empty:
            dead = [process.exitcode for process in self._processes if not process.is_alive()]
            if dead:
                raise WillisError(
                    f"a process that makes training cases ended with exit code {dead[0]}; it may have run out of "
                    "memory. Lower sampling.workers, or make smaller cases."
                ) from None
            return
        if reason:
            raise WillisError(f"training case {index} could not be made: {reason}")


def _plan_of(source: CaseSource, batch: int) -> PlannedSource | None:
    """The source, if it plans batches, and plans them of this size."""
    if not isinstance(source, PlannedSource) or source.planned(0, 0) is None:
        return None
    if source.batch not in (None, batch):
        raise BadInputError(
            f"[data] plans batches of {source.batch} patches, and [training] asks for {batch}; set both batch alike."
        )
    return source


def _make(source: CaseSource, count: int | None, index: int, path: Path) -> None:
    write_case(source.case(index if count is None else index % count), path)


def _work(source: CaseSource, folder: Path, count: int | None, orders: Any, answers: Any) -> None:
    """Make cases by number until terminated."""
    while True:
        index = orders.get()
        try:
            _make(source, count, index, folder / f"case-{index:07d}")
            answers.put((index, ""))
        except Exception as error:  # every failure of a source is told to the trainer, which raises it
            answers.put((index, f"{type(error).__name__}: {error}"))


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that are started within use one thread each."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
