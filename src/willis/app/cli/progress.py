"""How far the work is: bars in a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_INTERVAL_S = 10.0  # least time between two plain lines of one stage


class ProgressReport:
    """Shows ``(stage, done, total)`` as it is told; a context manager that clears its bars at the end.

    Parameters
    ----------
    bars
        Whether to draw bars; None to draw them in a terminal alone.
    """

    def __init__(self, *, bars: bool | None = None) -> None:
        self._draws = sys.stderr.isatty() if bars is None else bars
        self._bars: Bars | None = None
        self._rows: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._draws:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps of a stage are done; a total of 0 stands for unknown."""
        if self._bars is not None:
            self._draw(self._bars, stage, done, total)
        else:
            self._write(stage, done, total)

    def _draw(self, bars: Bars, stage: str, done: int, total: int) -> None:
        if stage not in self._rows:
            self._rows[stage] = bars.add_task(stage, total=total or None)
        bars.update(self._rows[stage], completed=done, total=total or None)

    def _write(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        first, last = stage not in self._said, total > 0 and done >= total
        if not (first or last or now - self._said[stage] >= LINE_INTERVAL_S):
            return
        self._said[stage] = now
        print(f"{stage}: {done}/{total}" if total else stage, file=sys.stderr, flush=True)
