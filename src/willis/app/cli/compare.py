"""``willis compare``: several recipes on the same folds, one table, paired tests and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from willis.app.cli.dataset import check_empty
from willis.errors import BadInputError
from willis.units import counted

if TYPE_CHECKING:
    from willis.learn.recipe import Recipe
    from willis.measure.paired import PairedTest


def compare(
    recipes: Annotated[list[Path], Parameter(consume_multiple=True)],
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    data: Path | None = None,
    split: Path | None = None,
    part: str | None = None,
    folds: int = 5,
    steps: int | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Train several networks or losses on the same folds and compare them patient by patient.

    Parameters
    ----------
    recipes
        Two or more TOML files of one task.
    output
        Folder to make: a run for each recipe and fold, each case's Dice (scores.tsv), means, deviations and tests of
        every pair over patients (tests.tsv), a picture (scores.png). A patient with several cases, such as planes or
        sessions, counts once, by their mean.
    data
        Folder of labelled patients for all of them; else what the recipes name. Phantoms have one fold.
    split
        Split file that shares them out (``willis dataset split`` or ``folds``), instead of what the recipes name.
    part
        The part that validates, of a split that isn't of folds.
    folds
        Number of folds; where there is a split, its folds are left out instead, or the part that they name.
    steps
        Number of steps, instead of the recipes'.
    resume
        Go on with the runs in the folder.
    """
    from willis.draw.distributions import raincloud
    from willis.io.tables import write_table
    from willis.measure.paired import paired_tests
    from willis.tasks.comparison import parts_left_out, train_and_judge
    from willis.tasks.training import check_channels

    if not resume:
        check_empty(output)
    chosen = _read(recipes, data, split, part, steps)
    for recipe in chosen.values():
        check_channels(recipe)
    rows: list[dict[str, Any]] = []
    for name, recipe in chosen.items():
        for part, without in parts_left_out(recipe, folds).items():
            print(f"{name}: {part} left out", flush=True)
            scores = train_and_judge(without, output / name / part)
            rows += [{"recipe": name, "part": part, **score} for score in scores]
    write_table(rows, output / "scores.tsv")
    by_recipe = scores_of_patients(rows)
    tests = paired_tests(by_recipe)
    write_table(test_rows(by_recipe, tests), output / "tests.tsv")
    (output / "scores.png").write_bytes(raincloud(by_recipe, label="Dice"))
    print(told(by_recipe, tests))
    print(f"\nTables and picture: {output}")


def _read(
    paths: list[Path], data: Path | None, split: Path | None, part: str | None, steps: int | None
) -> dict[str, Recipe]:
    from willis.app.cli.train import with_flags
    from willis.learn.recipe import read_recipe
    from willis.tasks.comparison import check_same_cases

    if len(paths) < 2 or len({path.stem for path in paths}) < len(paths):
        raise BadInputError("two or more recipes with names of their own are compared.")
    found = {}
    for path in paths:
        found[path.stem] = with_flags(read_recipe(path), data, split=split, part=part, steps=steps)
    if len({recipe.task for recipe in found.values()}) > 1:
        raise BadInputError("the recipes are of different tasks; those of one task are compared.")
    check_same_cases(found)
    return found


def scores_of_patients(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """By recipe the mean Dice of each patient's cases, patients in one order; NaN where none is defined.

    Raises
    ------
    BadInputError
        When the recipes were judged on different patients.
    """
    import numpy as np

    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    for row in rows:
        patients = found.setdefault(row["recipe"], {})
        patients.setdefault((row["part"], row["patient"]), []).append(float(row["dice"]))
    (first, wanted), *others = found.items()
    for other, patients in others:
        if alone := sorted(wanted.keys() ^ patients.keys()):
            raise BadInputError(f"{first} and {other} were judged on different patients: {alone[0][1]} by one alone.")
    means = {
        name: {who: [s for s in scores if np.isfinite(s)] for who, scores in patients.items()}
        for name, patients in found.items()
    }
    return {
        name: [float(np.mean(patients[who])) if patients[who] else float("nan") for who in wanted]
        for name, patients in means.items()
    }


def test_rows(scores: dict[str, list[float]], tests: list[PairedTest]) -> list[dict[str, Any]]:
    """Each test with the mean Dice of both recipes over patients, and its standard deviation."""
    rows = []
    for test in tests:
        both = {"one": _mean_and_deviation(scores[test.one]), "other": _mean_and_deviation(scores[test.other])}
        spread = {f"{which}_{name}": value for which, found in both.items() for name, value in found.items()}
        rows.append({**vars(test), **spread})
    return rows


def _mean_and_deviation(values: list[float]) -> dict[str, float]:
    import numpy as np

    known = np.array([value for value in values if np.isfinite(value)])
    return {
        "mean": float(known.mean()) if known.size else float("nan"),
        "sd": float(known.std(ddof=1)) if known.size > 1 else float("nan"),
    }


def told(scores: dict[str, list[float]], tests: list[PairedTest]) -> str:
    """Means and deviations, then the tests, for a terminal."""
    width = max(len(name) for name in scores)
    lines = [
        "{:<{}}  Dice {mean:.4f} ± {sd:.4f}  ({})".format(
            name, width, counted(len(values), "patient"), **_mean_and_deviation(values)
        )
        for name, values in scores.items()
    ]
    lines += [
        f"{t.one} against {t.other}: {t.difference:+.4f}, Wilcoxon p {t.p:.3g}, Holm {t.p_holm:.3g}, "
        f"{counted(t.cases, 'patient')}"
        for t in tests
    ]
    return "\n".join(lines)
