"""How far the work is: a bar in a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

LINE_INTERVAL_S = 10.0  # least time between two plain lines about one step


class ProgressReport:
    """Shows what is being done and how much of it is; a context manager that clears its bar at the end.

    Parameters
    ----------
    bar
        Whether to draw a bar; None to draw it in a terminal alone.
    """

    def __init__(self, *, bar: bool | None = None) -> None:
        self._draws = sys.stderr.isatty() if bar is None else bar
        self._bar: Bar | None = None
        self._row: TaskID | None = None
        self._said = ("", 0.0)

    def __enter__(self) -> Self:
        if self._draws:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._row = self._bar.add_task("", total=1.0)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, fraction: float, stage: str) -> None:
        """Show that ``fraction`` (0 to 1) of the work is done, and what is being done now.

        What stands before a colon is the step: plain lines tell of each at once, and then only now and then.
        """
        if self._bar is not None and self._row is not None:
            self._bar.update(self._row, completed=fraction, description=stage)
            return
        now = time.monotonic()
        step = stage.partition(":")[0]
        step_said, when = self._said
        if step == step_said and now - when < LINE_INTERVAL_S:
            return
        self._said = (step, now)
        print(f"{fraction:4.0%} {stage}", file=sys.stderr, flush=True)
