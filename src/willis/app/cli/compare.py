"""``willis compare``: several recipes on the same folds, one table, paired tests and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from willis.app.cli.dataset import check_empty
from willis.errors import BadInputError

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
    """Train several networks or losses on the same folds and compare them case by case.

    Parameters
    ----------
    recipes
        Two or more TOML files of one task.
    output
        Folder to make: a run for each recipe and fold, each case's Dice (scores.tsv), means, deviations and tests of
        every pair (tests.tsv), a picture (scores.png).
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
    by_recipe = {name: [float(row["dice"]) for row in rows if row["recipe"] == name] for name in chosen}
    tests = paired_tests(by_recipe)
    write_table(rows, output / "scores.tsv")
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


def test_rows(scores: dict[str, list[float]], tests: list[PairedTest]) -> list[dict[str, Any]]:
    """Each test with the mean Dice of both recipes over their cases, and its standard deviation."""
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
        "{:<{}}  Dice {mean:.4f} ± {sd:.4f}  ({} cases)".format(name, width, len(values), **_mean_and_deviation(values))
        for name, values in scores.items()
    ]
    lines += [
        f"{t.one} against {t.other}: {t.difference:+.4f}, Wilcoxon p {t.p:.3g}, Holm {t.p_holm:.3g}, {t.cases} cases"
        for t in tests
    ]
    return "\n".join(lines)
