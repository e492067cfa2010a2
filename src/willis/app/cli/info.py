"""``willis info``: the tasks that exist, made from their specifications."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from willis import __version__
from willis.tasks.registry import TASKS, get_spec
from willis.tasks.taskspec import OptionSpec, TaskSpec


def info(
    task: str | None = None,
    *,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    markdown: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Show the tasks that exist.

    Parameters
    ----------
    task
        One task in full; all of them, one line each, when left out.
    as_json
        For programs: everything, as JSON.
    markdown
        The reference page of the documentation.
    """
    specs = [get_spec(name) for name in ([task] if task else TASKS)]
    if as_json:
        print(json.dumps(described(specs), indent=2, ensure_ascii=False))
    elif markdown:
        print(reference_page(specs), end="")
    elif task:
        print(task_section(specs[0]), end="")
    else:
        width = max(len(spec.name) for spec in specs)
        print(f"willis {__version__}\n")
        for spec in specs:
            print(f"  {spec.name:<{width}}  {spec.title}: {spec.description}")
        print("\nwillis info TASK shows one in full; willis run TASK --help shows how it is run.")


def described(specs: list[TaskSpec]) -> dict[str, Any]:
    """JSON-ready: the version and each task's specification with the flags of its command line."""
    return {"willis": __version__, "tasks": {spec.name: _with_flags(spec) for spec in specs}}


def _with_flags(spec: TaskSpec) -> dict[str, Any]:
    plain = json.loads(json.dumps(asdict(spec), default=_plain))
    for entry, role in zip(plain["roles"], spec.roles, strict=True):
        entry["flag"] = role.flag
    for entry, option in zip(plain["options"], spec.options, strict=True):
        entry["flag"] = option.flag
    return dict(plain)


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} has no JSON form")


def reference_page(specs: list[TaskSpec]) -> str:
    """Markdown page of all tasks, ``docs/reference/tasks.md``."""
    head = "# Tasks\n\nMade by `willis info --markdown` from the tasks' own specifications; not edited by hand.\n"
    return head + "".join("\n" + task_section(spec) for spec in specs)


def task_section(spec: TaskSpec) -> str:
    """Markdown section of one task."""
    parts = [
        f"## `{spec.name}`: {spec.title}\n\n{spec.description}\n",
        _images(spec),
        _table("Options", ("option", "default", "meaning"), [_option_row(option) for option in spec.options]),
        _table("Masks", ("label", "what", "meaning"), [(f"`{m.name}`", m.title, m.description) for m in spec.labels]),
        _table(
            "Measurements",
            ("name", "unit", "meaning"),
            [(f"`{m.name}`", m.unit or "–", m.description) for m in spec.measurements],
        ),
        f"**Default model**: {f'`{spec.default_bundle}`' if spec.default_bundle else 'none is needed'}.\n",
        f"**Intended use**: {spec.intended_use}\n",
        "**Please cite**\n\n"
        + "".join(f"- {c.text}, [doi:{c.doi}](https://doi.org/{c.doi})\n" for c in spec.citations),
    ]
    return "\n".join(part for part in parts if part)


def _images(spec: TaskSpec) -> str:
    rows = [(f"`{r.flag}`", r.title, "yes" if r.required else "no", r.description) for r in spec.roles]
    table = _table("Images", ("flag", "image", "needed", "what for"), rows)
    for group in spec.one_of:
        flags = " and ".join(f"`{spec.role(name).flag}`" for name in group)
        table += f"\nAt least one of {flags} must be given.\n"
    return table + _in_folders(spec)


def _in_folders(spec: TaskSpec) -> str:
    """What the images' files are called in a BIDS folder; nothing of a task that finds them by rules of its own."""
    ends = {role.flag: ", ".join(f"`_{end}`" for end in role.suffixes) for role in spec.roles if role.suffixes}
    if spec.each_image:
        return f"\nOf a BIDS folder every image is run by itself whose name ends in {', '.join(ends.values())}.\n"
    told = "; ".join(f"`{flag}` in {names}" for flag, names in ends.items())
    return f"\nOf a BIDS folder every session is run; the names of its files end, for {told}.\n" if told else ""


def _option_row(option: OptionSpec) -> tuple[str, str, str]:
    if option.kind == "flag":
        name = f"`{option.flag}` / `--no-{option.flag[2:]}`"
        return name, "on" if option.default else "off", option.help
    default = "–" if option.default is None else f"`{option.default}`"
    choices = f" One of {', '.join(f'`{c}`' for c in option.choices)}." if option.choices else ""
    return f"`{option.flag}`", default, option.help + choices


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [heads, tuple("---" for _ in heads), *rows]
    return f"**{title}**\n\n" + "".join("| " + " | ".join(line) + " |\n" for line in lines)
