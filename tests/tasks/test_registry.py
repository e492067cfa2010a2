"""Tasks as data: that each specification hangs together, and what it refuses."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.findings import Findings
from willis.infer import engine as infer_engine
from willis.infer import precision as infer_precision
from willis.study import Study
from willis.tasks import registry, settings
from willis.tasks.registry import TASKS, TaskEntry, get_spec, run_task
from willis.tasks.settings import RunSettings
from willis.tasks.taskspec import Citation, OptionSpec, RoleSpec, TaskSpec
from willis.volume.grid import Grid
from willis.volume.volume import Volume

SPEC = TaskSpec(
    name="made-up",
    title="Made up",
    description="Nothing, in anything.",
    roles=(
        RoleSpec("a", "A", "first", required=True),
        RoleSpec("b", "B", "second"),
        RoleSpec("c", "C", "third"),
        RoleSpec("brain", "Brain mask", "where", is_mask=True),
    ),
    labels=(),
    measurements=(),
    citations=(Citation("Nobody 2000", "10.0/none"),),
    intended_use="None.",
    default_bundle=None,
    options=(
        OptionSpec("quick", "flag", False, "less"),
        OptionSpec("count", "integer", 3, "how many", least=1, most=9),
        OptionSpec("threshold", "number", None, "from where", least=0, most=1),
        OptionSpec("way", "choice", "left", "which", choices=("left", "right")),
        OptionSpec("place", "path", None, "where"),
        OptionSpec("word", "text", "x", "what"),
    ),
    one_of=(("b", "c"),),
)


@pytest.mark.parametrize("name", TASKS)
def test_every_specification_hangs_together(name: str) -> None:
    spec = get_spec(name)
    assert spec.name == name
    arguments = [role.argument for role in spec.roles] + [option.name for option in spec.options]
    assert len(arguments) == len(set(arguments))
    assert any(role.required for role in spec.roles) or spec.one_of
    for group in spec.one_of:
        assert all(spec.role(role) for role in group)
    assert spec.labels and spec.measurements and spec.citations
    assert len({m.name for m in spec.measurements}) == len(spec.measurements)
    for text in (spec.title, spec.description, spec.intended_use):
        assert text.strip() == text and text
    for citation in spec.citations:
        assert citation.doi.startswith("10.")


@pytest.mark.parametrize("name", TASKS)
def test_every_default_is_allowed(name: str) -> None:
    for option in get_spec(name).options:
        assert option.checked(option.default) == option.default
        assert option.kind != "choice" or option.choices
        assert option.kind != "flag" or isinstance(option.default, bool)


@pytest.mark.parametrize("name", TASKS)
def test_no_option_hides_one_of_the_command_line(name: str) -> None:
    taken = {
        "output",
        "index",
        "subject",
        "session",
        "bundle",
        "engine",
        "precision",
        "memory_limit",
        "threads",
    }
    spec = get_spec(name)
    assert not taken & {role.argument for role in spec.roles}
    assert not taken & {option.name for option in spec.options}


def test_options_are_completed_and_typed() -> None:
    resolved = SPEC.resolve_options({"count": 5, "place": "here", "threshold": 1, "quick": True})
    assert resolved == {
        "quick": True,
        "count": 5,
        "threshold": 1.0,
        "way": "left",
        "place": Path("here"),
        "word": "x",
    }
    assert isinstance(resolved["threshold"], float)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("count", 0, "--count is 0; allowed is 1 to 9"),
        ("count", 2.5, "--count takes an integer; found 2.5"),
        ("count", True, "--count takes an integer; found True"),
        ("threshold", 1.1, "--threshold is 1.1; allowed is 0 to 1"),
        ("threshold", float("nan"), "--threshold is nan"),
        ("threshold", "half", "--threshold takes a number; found 'half'"),
        ("way", "up", "--way is 'up'; allowed are 'left', 'right'"),
        ("quick", 1, "--quick takes a flag; found 1"),
        ("place", 3, "--place takes a path; found 3"),
        ("word", 3, "--word takes a text; found 3"),
        ("colour", "red", "made-up has no option 'colour'"),
    ],
)
def test_bad_options_are_refused(option: str, value: Any, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        SPEC.resolve_options({option: value})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "needs --a; given was no image"),
        (["b"], "needs --a; given was --b"),
        (["b", "c"], "needs --a; given were --b, --c"),
        (["a"], "needs --b or --c; given was --a"),
        (["a", "brain"], "needs --b or --c; given were --a, --brain-mask"),
        (["a", "b", "dwi"], "doesn't read dwi; it reads a, b, c, brain"),
    ],
)
def test_bad_sets_of_images_are_refused(given: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        SPEC.check_roles(given)


@pytest.mark.parametrize("given", [["a", "b"], ["a", "c"], ["a", "b", "c", "brain"]])
def test_good_sets_of_images_are_taken(given: list[str]) -> None:
    SPEC.check_roles(given)


def test_run_task_hands_over_complete_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def run(study: Study, options: Mapping[str, Any], *, settings: RunSettings, progress: Any = None) -> Findings:
        seen.update(study=study, options=options, settings=settings)
        return Findings("made-up", study.prefix, "nothing")

    class Entry(TaskEntry):
        def spec(self) -> TaskSpec:
            return SPEC

        def run(self) -> Any:
            return run

    monkeypatch.setitem(registry.TASKS, "made-up", Entry("nowhere"))
    volume = Volume(np.ones((2, 2, 2), np.float32), Grid((2, 2, 2), np.eye(4)))
    study = Study({"a": volume, "b": volume})
    assert run_task("made-up", study, count=7).task == "made-up"
    assert seen["options"] == SPEC.resolve_options({"count": 7})
    assert seen["settings"] == RunSettings()
    seen.clear()
    for bad in ({"count": 99}, {"nonsense": 1}):
        with pytest.raises(BadInputError):
            run_task("made-up", study, **bad)
    with pytest.raises(BadInputError, match="needs --a"):
        run_task("made-up", Study({"b": volume}))
    assert not seen, "the task was run although something was refused"


def test_unknown_task_is_refused() -> None:
    with pytest.raises(
        BadInputError, match="task is 'nonsense'; allowed are 'fvv', 'perfusion', 'wmh', 'chronic', 'lvo', 'brain'"
    ):
        run_task("nonsense", Study({}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"engine": "keras"}, "--engine is 'keras'"),
        ({"precision": "int8"}, "--precision is 'int8'"),
        ({"memory_limit_gb": 0.0}, "--memory-limit is 0.0 GB"),
        ({"memory_limit_gb": float("nan")}, "--memory-limit is nan GB"),
        ({"threads": 0}, "--threads is 0"),
    ],
)
def test_bad_settings_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        RunSettings(**given)


def test_settings_offer_what_prediction_takes() -> None:
    assert get_args(settings.EngineName) == get_args(infer_engine.EngineChoice)
    assert get_args(settings.Precision) == get_args(infer_precision.PrecisionChoice)
