"""The tasks that exist, by name, and how one is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from willis.errors import invalid_option
from willis.tasks.settings import Progress, RunSettings
from willis.tasks.taskspec import OptionValue, TaskSpec

if TYPE_CHECKING:
    from willis.findings import Findings
    from willis.study import Study


class TaskRun(Protocol):
    """The function ``run`` in a task's ``run.py``."""

    def __call__(
        self,
        study: Study,
        options: Mapping[str, OptionValue],
        *,
        settings: RunSettings,
        progress: Progress | None = None,
    ) -> Findings:
        """Find what the task is about; options are complete and checked."""
        ...


@dataclass(frozen=True)
class TaskEntry:
    """Where the modules of a task are, and whether it reads folders of patients by a ``cohort.py`` of its own.

    Nothing is imported before it is needed.
    """

    package: str
    own_cohort: bool = False

    def spec(self) -> TaskSpec:
        """``SPEC`` of the task's ``spec.py``, which imports nothing heavy."""
        return cast(TaskSpec, import_module(f"{self.package}.spec").SPEC)

    def run(self) -> TaskRun:
        """``run`` of the task's ``run.py``."""
        return cast(TaskRun, import_module(f"{self.package}.run").run)

    def run_folder(self) -> Callable[..., dict[str, str]]:
        """What runs all patients of a folder: the task's own ``cohort.py``, or that of all, by its roles' suffixes.

        It is called as :func:`willis.tasks.cohort.run_folder` is, less the specification, and gives each patient's
        problem.
        """
        if self.own_cohort:
            return cast("Callable[..., dict[str, str]]", import_module(f"{self.package}.cohort").run_folder)
        return partial(import_module("willis.tasks.cohort").run_folder, self.spec())


TASKS: dict[str, TaskEntry] = {
    "fvv": TaskEntry("willis.tasks.fvv", own_cohort=True),
    "perfusion": TaskEntry("willis.tasks.perfusion"),
    "wmh": TaskEntry("willis.tasks.wmh"),
    "chronic": TaskEntry("willis.tasks.chronic"),
    "lvo": TaskEntry("willis.tasks.lvo"),
    "brain": TaskEntry("willis.tasks.brain"),
}


def get_task(name: str) -> TaskEntry:
    """The task of that name.

    Raises
    ------
    BadInputError
        When there is none.
    """
    if name not in TASKS:
        raise invalid_option("task", name, TASKS)
    return TASKS[name]


def get_spec(name: str) -> TaskSpec:
    """The specification of the task of that name."""
    return get_task(name).spec()


def run_task(
    name: str,
    study: Study,
    *,
    settings: RunSettings | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Findings:
    """Ask a task of a study.

    Parameters
    ----------
    name
        One of :data:`TASKS`.
    study
        With the images that the task needs.
    settings
        Bundle, engine, precision, memory, threads; the defaults when None.
    progress
        Told of each step.
    options
        The task's own, see its specification.

    Raises
    ------
    BadInputError
        When the task is unknown, an image is missing, or an option isn't allowed; nothing has been computed then.
    """
    task = get_task(name)
    spec = task.spec()
    resolved = spec.resolve_options(options)
    spec.check_roles(study.roles)
    return task.run()(study, resolved, settings=settings or RunSettings(), progress=progress)
