"""The command ``willis``: its verbs, and what becomes of an error.

Exit codes: 0 done, 1 a fault of willis itself, 2 bad input or usage, 3 done but some cases failed, 130 interrupted,
143 ended from outside.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError, UnusedCliTokensError

from willis import __version__
from willis.errors import WillisError, invalid_option

DONE: Final = 0
FAULT: Final = 1
BAD_INPUT: Final = 2
SOME_FAILED: Final = 3
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells count
ENDED: Final = 143  # 128 + SIGTERM

VERBS = {
    "run": ("willis.app.cli.run:app", "Analyse a scan: willis run TASK --help shows the images that TASK needs."),
    "report": ("willis.app.cli.report:report", "Rebuild the report of a finished run from its folder."),
    "demo": ("willis.app.cli.demo:demo", "Make one phantom patient, analyse it, and compare with the truth."),
    "info": ("willis.app.cli.info:info", "Show the tasks that exist: their images, options, outputs, citations."),
    "models": ("willis.app.cli.models:app", "List, show, verify, import and export trained models."),
    "phantom": ("willis.app.cli.phantom:app", "Make simulated patients with known truth."),
    "dataset": ("willis.app.cli.dataset:app", "Describe labelled patients; split, fold and check them."),
    "export": ("willis.app.cli.export:app", "Write labelled patients in the layouts that others train from."),
    "train": ("willis.app.cli.train:train", "Train a model by a recipe."),
    "import-setting": (
        "willis.app.cli.import_setting:import_setting",
        "Turn a JSON setting of the published perfusion network into a recipe.",
    ),
    "compare": ("willis.app.cli.compare:compare", "Train several recipes on the same folds and compare them."),
    "evaluate": ("willis.app.cli.evaluate:evaluate", "Compare masks with their references."),
    "doctor": ("willis.app.cli.doctor:doctor", "Check this installation and this machine."),
}


def make_app() -> App:
    """The command line, each verb imported only when it is called."""
    app = App(
        name="willis",
        help="Measured findings from stroke and small-vessel brain scans: masks, volumes, reports.",
        version=__version__,
        suppress_keyboard_interrupt=False,
        help_epilogue="Any verb takes --debug: the full traceback of an error. Research use; not a medical device.",
    )
    for name, (place, help_text) in VERBS.items():
        app.command(place, name=name, help=help_text)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks must not end a run
    sys.exit(call(sys.argv[1:] if arguments is None else arguments))


def _end(*_: object) -> None:
    """Leave by way of every ``finally``, so that nothing unfinished stays behind."""
    sys.exit(ENDED)


def call(arguments: Sequence[str]) -> int:
    """Run one command line and give its exit code; every error ends as a sentence on stderr."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"]
    try:
        _check_verb(words)
        result = make_app()(words, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away: nothing left to say
        return DONE
    except KeyboardInterrupt:
        return _say("interrupted; nothing unfinished was kept.", INTERRUPTED)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _say(*_explained(error))
    return result if isinstance(result, int) else DONE


def _check_verb(words: Sequence[str]) -> None:
    """Refuse an unknown verb before the verbs' modules are imported to look for the nearest name."""
    if words and not words[0].startswith("-") and words[0] not in VERBS:
        raise invalid_option("verb", words[0], VERBS)


def _explained(error: Exception) -> tuple[str, int]:
    """One line for a person, whatever the library that raised made of it, and the exit code."""
    sentence = " ".join(str(error).split())
    if isinstance(error, UnusedCliTokensError):
        verb = " ".join(("willis", *(error.command_chain or ())))
        words = ", ".join(repr(word) for word in error.unused_tokens or ())
        return f"{words} can't be given without the option that says what it is; {verb} --help shows all.", BAD_INPUT
    if isinstance(error, WillisError | CycloptsError):
        return sentence, BAD_INPUT
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}.", BAD_INPUT
    if isinstance(error, MemoryError):
        return "memory ran out; lower it with --memory-limit, in GB.", FAULT
    kind = type(error).__name__
    return f"a fault of willis, not of its input: {kind}: {sentence} (--debug shows the traceback)", FAULT


def _say(sentence: str, code: int) -> int:
    print(f"willis: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
