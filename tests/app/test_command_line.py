"""The command line as a person meets it: help, exit codes, sentences instead of tracebacks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from willis.app.cli import main
from willis.app.cli.progress import ProgressReport
from willis.app.cli.run import amount, told
from willis.errors import BadInputError
from willis.findings import Findings, Measurement
from willis.tasks.registry import TASKS, get_spec

Captured = pytest.CaptureFixture[str]


def one_line(text: str) -> str:
    """The only line of what was said on stderr."""
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 1, text
    assert lines[0].startswith("willis: ")
    return lines[0]


def test_help_names_every_verb(capsys: Captured) -> None:
    assert main.call(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in main.VERBS)


def test_python_runs_the_package_as_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "willis", "run", "wmh"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--output" in one_line(done.stderr)


def test_no_arguments_shows_help(capsys: Captured) -> None:
    assert main.call([]) == 0
    assert "Usage: willis COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_has_help(verb: str, capsys: Captured) -> None:
    assert main.call([verb, "--help"]) == 0
    assert f"Usage: willis {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("task", TASKS)
def test_help_of_a_task_names_its_images_and_options(task: str, capsys: Captured) -> None:
    assert main.call(["run", task, "--help"]) == 0
    shown = capsys.readouterr().out
    spec = get_spec(task)
    assert all(role.flag in shown for role in spec.roles)
    assert all(option.flag in shown for option in spec.options)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "verb is 'frobnicate'; allowed are 'run'"),
        (["run", "tarot"], 'Unknown command "tarot"'),
        (["run", "wmh", "--flar", "x.nii", "-o", "out"], "Unknown option: --flar. Did you mean --flair?"),
        (["run", "wmh", "x.nii", "-o", "out"], "'x.nii' can't be given without the option that says"),
        (["run", "wmh", "--flair"], "--flair requires an argument"),
        (["run", "wmh", "--flair", "x.nii"], "--output requires an argument"),
        (["run", "wmh", "-o", "out"], "wmh needs --flair; given was no image"),
        (["run", "wmh", "--t1", "x.nii", "-o", "out"], "wmh needs --flair; given was --t1"),
        (["run", "wmh", "--flair", "x.nii", "-o", "out", "--engine", "abacus"], 'Invalid value "abacus" for --engine'),
        (["run", "wmh", "--flair", "x.nii", "-o", "out", "--threshold", "high"], "--threshold"),
        (["run", "wmh", "--flair", "x.nii", "-o", "out", "--threshold", "2"], "--threshold is 2"),
        (["run", "wmh", "--flair", "x.nii", "-o", "out", "--threads", "0"], "--threads is 0; at least 1 is needed"),
        (["run", "wmh", "--flair", "x.nii", "-o", "out", "--memory-limit", "-1"], "--memory-limit is -1.0 GB"),
        (["info", "tarot"], "task is 'tarot'; allowed are 'fvv', 'perfusion', 'wmh', 'chronic', 'lvo', 'brain'."),
    ],
)
def test_wrong_usage_is_one_sentence(
    arguments: list[str], said: str, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.call(arguments) == 2
    captured = capsys.readouterr()
    assert said in one_line(captured.err)
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


def verb_that(act: Callable[[], object]) -> Callable[[], object]:
    """A command without options that does one thing."""

    def command() -> object:
        return act()

    return command


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        raise error

    return verb_that(act)


@pytest.fixture
def only_verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Puts a made-up command in the place of ``willis info``."""

    def put(command: Callable[[], object]) -> None:
        monkeypatch.setattr("willis.app.cli.info.info", command)

    return put


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (BadInputError("the image\n  is upside down."), 2, "willis: the image is upside down."),
        (FileNotFoundError(2, "No such file or directory", "a.nii"), 2, "willis: a.nii: No such file or directory."),
        (PermissionError(13, "Permission denied", "out"), 2, "willis: out: Permission denied."),
        (MemoryError(), 1, "memory ran out; lower it with --memory-limit"),
        (ZeroDivisionError("by nothing"), 1, "a fault of willis, not of its input: ZeroDivisionError: by nothing"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_end_as_a_sentence_and_a_code(
    error: BaseException,
    code: int,
    said: str,
    capsys: Captured,
    only_verb: Callable[[Callable[[], object]], None],
) -> None:
    only_verb(raising(error))
    assert main.call(["info"]) == code
    captured = capsys.readouterr()
    assert said in one_line(captured.err)
    assert "Traceback" not in captured.err


@pytest.mark.parametrize("error", [BadInputError("no."), ZeroDivisionError("no.")])
def test_debug_shows_the_traceback(
    error: Exception, capsys: Captured, only_verb: Callable[[Callable[[], object]], None]
) -> None:
    only_verb(raising(error))
    quiet = main.call(["info"])
    capsys.readouterr()
    assert main.call(["info", "--debug"]) == quiet
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_verb_may_give_its_exit_code(
    result: object, code: int, only_verb: Callable[[Callable[[], object]], None]
) -> None:
    only_verb(verb_that(lambda: result))
    assert main.call(["info"]) == code


@pytest.mark.parametrize(("sent", "code_wanted"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_verb_cleans_up(sent: signal.Signals, code_wanted: int) -> None:
    code = (
        "import signal, time, sys, willis.app.cli.info as info, willis.app.cli.main as main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background\n"
        "def slow():\n"
        "    try:\n        print('started', flush=True); time.sleep(60)\n"
        "    finally:\n        print('cleaned', flush=True)\n"
        "info.info = slow\n"
        "main.main(['info'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.1)
        process.send_signal(sent)
        told, said = process.communicate(timeout=30)
    assert process.returncode == code_wanted
    assert told == "cleaned\n"
    assert "Traceback" not in said


def test_a_reader_that_goes_away_is_no_fault() -> None:
    code = "from willis.app.cli.main import main; main(['info', '--json'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_terminal_without_some_letters_ends_nothing() -> None:
    code = "from willis.app.cli.main import main; main(['info', 'wmh'])"
    told = {
        letters: subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONIOENCODING": letters},
        ).stdout.decode(letters)
        for letters in ("utf-8", "ascii")
    }
    assert not told["utf-8"].isascii(), "the page must hold a letter that ASCII lacks"
    assert told["ascii"].encode("ascii").decode("unicode_escape") == told["utf-8"]


def test_info_as_json_holds_every_task(capsys: Captured) -> None:
    assert main.call(["info", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["tasks"]) == set(TASKS)
    for name, task in told["tasks"].items():
        assert [role["flag"] for role in task["roles"]] == [role.flag for role in get_spec(name).roles]


def test_reference_page_is_current(capsys: Captured) -> None:
    """docs/reference/tasks.md is what `make docs` makes of the specifications."""
    assert main.call(["info", "--markdown"]) == 0
    page = Path(__file__).resolve().parents[2] / "docs" / "reference" / "tasks.md"
    assert page.read_text(encoding="utf-8") == capsys.readouterr().out, "run: make docs"


def test_amounts_carry_units_and_intervals() -> None:
    assert amount(Measurement("v", 12.3456, "ml", (10.9, 13.84))) == "12.35 ml (10.9 to 13.84)"
    assert amount(Measurement("n", 7, "count")) == "7"
    assert amount(Measurement("share", 0.5, "%")) == "0.5 %"
    assert amount(Measurement("adc", 0.51, "um2/ms")) == "0.51 10⁻³ mm²/s"
    assert amount(Measurement("ratio", None, "1")) == "not defined"


def test_findings_are_told_with_their_notes() -> None:
    numbers = {"v": Measurement("v", 1.0, "ml", label="Volume"), "n": Measurement("n", 2, "count")}
    told_text = told(Findings("wmh", "sub-01", "Two lesions.", measurements=numbers, notes=("Registered poorly.",)))
    assert told_text.splitlines() == [
        "Two lesions.",
        "",
        "  Volume  1 ml",
        "  n       2",
        "",
        "Note: Registered poorly.",
    ]


def test_progress_is_plain_lines_where_there_is_no_terminal(capsys: Captured) -> None:
    with ProgressReport() as progress:
        progress(0, "reading")
        for step in range(5):
            progress(step / 5, f"predicting: window {step}")
        progress(1, "writing")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == ["  0% reading", "  0% predicting: window 0", "100% writing"]


def test_progress_is_a_bar_in_a_terminal(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with ProgressReport(bar=True) as progress:
        progress(0.5, "predicting")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "predicting" in captured.err
