"""``willis phantom``: simulated patients with known truth, one sub-command for each kind."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from willis.phantom.kinds import KINDS, PhantomKind
from willis.units import counted

_CONTRAST_HELP = "Tissue values by the signal equations (physics), or drawn beyond physics (random), for training."
_ARGUMENTS: tuple[tuple[str, Any, Any, Parameter], ...] = (
    (
        "output",
        Path,
        Argument.empty,
        Parameter(name=("--output", "-o"), help="Folder to make; it must be absent or empty."),
    ),
    ("count", int, 1, Parameter(help="Number of patients.")),
    ("seed", int, 0, Parameter(help="One seed always gives the same bytes.")),
    (
        "anatomies",
        Path | None,
        None,
        Parameter(help="Folder of FreeSurfer-coded whole-head label maps to deform, instead of the built-in head."),
    ),
)


_INFARCTS = (
    "infarcts",
    Path | None,
    None,
    Parameter(
        help="Folder of traced infarcts, NIfTI masks in MNI space: about half of the infarcts are then of these."
    ),
)


def make_app() -> App:
    """The verb with one sub-command for each kind of phantom."""
    verb = App(name="phantom", help="Make simulated patients with known truth.")
    for name, kind in KINDS.items():
        verb.command(make_command(name, kind), name=name, help=f"Make {kind.title}.")
    return verb


def make_command(name: str, kind: PhantomKind) -> Callable[..., None]:
    """The function of one kind's sub-command."""

    def command(**given: Any) -> None:
        make(name, **{"contrast": kind.contrasts[0], **given})

    arguments = list(_ARGUMENTS)
    if len(kind.contrasts) > 1:
        choices: Any = Literal[kind.contrasts]
        arguments.append(("contrast", choices, kind.contrasts[0], Parameter(help=_CONTRAST_HELP)))
    if kind.takes_traced:
        arguments.append(_INFARCTS)
    for option, (about, values) in kind.choices.items():
        arguments.append((option, Literal[values], values[0], Parameter(help=about)))
    command.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Argument(argument, Argument.KEYWORD_ONLY, default=default, annotation=Annotated[annotation, about])
            for argument, annotation, default, about in arguments
        ]
    )
    command.__name__ = name
    command.__doc__ = None
    return command


def make(
    task: str, *, output: Path, contrast: str, count: int = 1, seed: int = 0, anatomies: Path | None = None,
    infarcts: Path | None = None, **choices: str,
) -> None:  # fmt: skip
    """Write the patients and say where they are."""
    from willis.app.cli.progress import ProgressReport
    from willis.phantom.anatomy import read_anatomies
    from willis.phantom.dataset import write_patients
    from willis.phantom.traced import find_traced

    options: dict[str, Any] = dict(choices)
    if infarcts is not None:
        options["traced"] = find_traced(infarcts)
    heads = read_anatomies(anatomies) if anatomies is not None else None
    with ProgressReport() as progress:
        write_patients(
            task, output, count=count, seed=seed, anatomies=heads, contrast=contrast, progress=progress, **options
        )
    print(f"{counted(count, 'patient')}: {output}\nTrue volumes: {output / 'truth.tsv'}")


app = make_app()
