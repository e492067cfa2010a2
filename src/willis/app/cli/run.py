"""``willis run TASK``: one sub-command for each task, its choices made from the task's specification."""

from __future__ import annotations

import os
from collections.abc import Callable
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Group, Parameter

from willis.errors import BadInputError
from willis.tasks.registry import TASKS, get_spec, get_task, run_task
from willis.tasks.settings import EngineName, Precision, RunSettings
from willis.tasks.taskspec import OptionSpec, RoleSpec, TaskSpec
from willis.units import counted

if TYPE_CHECKING:
    from willis.findings import Findings, Measurement

SOME_FAILED = 3  # exit code: done, but some cases failed
IMAGES = Group("Images", sort_key=1)
OUTPUT = Group("Output", sort_key=2)
OPTIONS = Group("Options of the task", sort_key=3)
ENGINE = Group("How it is run", sort_key=4)

_TYPES: dict[str, Any] = {"flag": bool, "integer": int, "number": float, "text": str, "path": Path}

_COMMON: tuple[tuple[str, Any, Any, Parameter], ...] = (
    (
        "index",
        dict[str, int] | None,
        None,
        Parameter(help="Which volume of a 4D file, from 0, by the image's name: --index.IMAGE 2.", group=IMAGES),
    ),
    ("output", Path, Argument.empty, Parameter(name=("--output", "-o"), help="Folder of the results.", group=OUTPUT)),
    ("subject", str | None, None, Parameter(help="BIDS label; else from the file names, else 01.", group=OUTPUT)),
    ("session", str | None, None, Parameter(help="BIDS label; else from the file names.", group=OUTPUT)),
    ("bundle", str | None, None, Parameter(help="Name or folder of a model, instead of the default.", group=ENGINE)),
    ("engine", EngineName, "auto", Parameter(help="What runs the network; torch takes a graphics card.", group=ENGINE)),
    (
        "precision",
        Precision,
        "auto",
        Parameter(help="Of the arithmetic; auto: fast where the model was measured to stay the same.", group=ENGINE),
    ),
    (
        "memory_limit",
        float | None,
        None,
        Parameter(help="Most memory of the prediction, GB; the volume is tiled to keep it.", group=ENGINE),
    ),
    ("threads", int | None, None, Parameter(help="Processor threads; else all that may be used.", group=ENGINE)),
)


def make_app() -> App:
    """The verb with one sub-command for each task."""
    verb = App(name="run", help="Analyse a scan.")
    for name in TASKS:
        spec = get_spec(name)
        verb.command(make_command(spec), name=name, help=command_help(spec))
    return verb


def command_help(spec: TaskSpec) -> str:
    """What ``willis run TASK --help`` says first."""
    return f"{spec.title}: {spec.description}\n\n{spec.intended_use}"


def make_command(spec: TaskSpec) -> Callable[..., int | None]:
    """The function of one task's sub-command, its signature made from the specification."""

    def command(*positional: Any, **given: Any) -> int | None:
        folder: Path | None = positional[0] if positional else given.pop("folder", None)
        images = {role.name: given.pop(role.argument, None) for role in spec.roles}
        options = {option.name: given.pop(option.name, None) for option in spec.options}
        if folder is not None:
            return analyse_folder(spec, folder, images, options, **given)
        analyse(spec, images, options, **given)
        return None

    arguments = [_FOLDER, *(_of_role(role) for role in spec.roles)]
    arguments += [_keyword(name, kind, default, about) for name, kind, default, about in _COMMON]
    arguments += [_of_option(option) for option in spec.options]
    command.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    command.__name__ = spec.name
    command.__doc__ = None
    return command


def analyse(
    spec: TaskSpec,
    images: dict[str, Path | None],
    options: dict[str, Any],
    *,
    output: Path,
    index: dict[str, int] | None = None,
    subject: str | None = None,
    session: str | None = None,
    memory_limit: float | None = None,
    **how: Any,
) -> None:
    """Read, run, write, print: one study from files to its report.

    Raises
    ------
    WillisError
        When anything given can't be used; nothing is written then.
    """
    settings = RunSettings(memory_limit_gb=memory_limit, **how)
    given = {role: path for role, path in images.items() if path is not None}
    spec.check_roles(given)
    options = spec.resolve_options(options)
    check_output(output)

    from willis.app.cli.progress import ProgressReport
    from willis.io.derivatives import earlier_outputs
    from willis.io.study import read_study
    from willis.report.write import write

    with ProgressReport() as progress:
        progress(0, "reading the images")
        paths: dict[str, Any] = {spec.role(role).argument: path for role, path in given.items()}
        study = read_study(subject=subject, session=session, index=index, **paths)
        digests = {source.sha256 for source in study.sources.values()}
        earlier_outputs(study.prefix, spec.name, digests, output)  # refuses another's folder before the work
        findings = run_task(spec.name, study, settings=settings, progress=progress, **options)
        progress(1, "writing the results")
        report = write(findings, output)
    print(told(findings))
    print(f"\nReport: {report}")


def analyse_folder(
    spec: TaskSpec,
    folder: Path,
    images: dict[str, Path | None],
    options: dict[str, Any],
    *,
    output: Path,
    memory_limit: float | None = None,
    **how: Any,
) -> int:
    """Run every patient of a folder, and say how many failed; the exit code.

    Raises
    ------
    WillisError
        When it is no folder or holds no patient, or anything else is given that one patient alone can have.
    """
    if not folder.is_dir():
        flags = ", ".join(role.flag for role in spec.roles)
        raise BadInputError(
            f"{str(folder)!r} can't be given without the option that says what image it is ({flags}); only a folder of "
            "patients can, and it is none."
        )
    alone = [f"--{name}" for name in ("index", "subject", "session") if how.pop(name, None) is not None]
    alone += [spec.role(role).flag for role, path in images.items() if path is not None]
    alone += [option.flag for option in spec.options if option.one_patient and options[option.name] is not None]
    if alone:
        raise BadInputError(f"{alone[0]} belongs to one patient and can't be given with the folder {folder}.")
    if output.resolve() == folder.resolve():
        raise BadInputError(f"{folder} holds the patients' images; give another folder for the results.")
    settings = RunSettings(memory_limit_gb=memory_limit, **how)
    resolved = spec.resolve_options(options)
    check_output(output)

    from willis.app.cli.progress import ProgressReport
    from willis.report.write import write

    with ProgressReport() as progress:
        run_folder = get_task(spec.name).run_folder()
        problems = run_folder(folder, output, resolved, settings=settings, write=write, tell=progress)
    failed = [name for name, problem in problems.items() if problem]
    for name in failed:
        print(f"{name}: {problems[name]}")
    print(f"{len(problems) - len(failed)} of {counted(len(problems), 'scan')}: {output}")
    return SOME_FAILED if failed else 0


def check_output(folder: Path) -> None:
    """Refuse a folder that nothing can be written to, before anything is computed.

    Raises
    ------
    BadInputError
        When it is a file, or can't be made or written to.
    """
    if folder.exists() and not folder.is_dir():
        raise BadInputError(f"{folder} is a file; give a folder for the results.")
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise BadInputError(f"nothing can be written to {above}; give another folder for the results.")


def told(findings: Findings) -> str:
    """The findings for a terminal: the summary, each number with its unit and interval, the notes."""
    rows = [(m.label or m.name, amount(m)) for m in findings.measurements.values()]
    width = max((len(label) for label, _ in rows), default=0)
    lines = [findings.summary, "", *(f"  {label:<{width}}  {value}" for label, value in rows)]
    if findings.notes:
        lines += ["", *(f"Note: {note}" for note in findings.notes)]
    return "\n".join(lines)


def amount(measurement: Measurement) -> str:
    """A number with its unit and interval: ``12.4 ml (10.9 to 13.8)``."""
    from willis.report.words import unit_words

    if measurement.value is None:
        return "not defined"
    unit = f" {unit_words(measurement.unit)}".rstrip()
    text = f"{measurement.value:.4g}{unit}"
    if measurement.interval is None:
        return text
    low, high = measurement.interval
    return f"{text} ({low:.4g} to {high:.4g})"


_FOLDER = Argument(
    "folder",
    Argument.POSITIONAL_OR_KEYWORD,
    default=None,
    annotation=Annotated[
        Path | None, Parameter(help="Folder of patients, each run on its own, instead of single images.", group=IMAGES)
    ],
)


def _keyword(name: str, kind: Any, default: Any, about: Parameter) -> Argument:
    return Argument(name, Argument.KEYWORD_ONLY, default=default, annotation=Annotated[kind, about])


def _of_role(role: RoleSpec) -> Argument:
    about = Parameter(name=role.flag, help=role.description, group=IMAGES, show_default=False)
    return _keyword(role.argument, Path | None, None, about)


def _of_option(option: OptionSpec) -> Argument:
    kind: Any = Literal[option.choices] if option.kind == "choice" else _TYPES[option.kind]
    about = Parameter(name=option.flag, help=option.help, group=OPTIONS)
    return _keyword(option.name, kind if option.default is not None else kind | None, option.default, about)


app = make_app()
