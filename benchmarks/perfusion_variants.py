"""The published variants F, U and G trained briefly on phantoms: interrupted, resumed, and the table over groups.

    .venv/bin/python benchmarks/perfusion_variants.py -o runs/variants --steps 60
    .venv/bin/python benchmarks/perfusion_variants.py -o runs/variants --steps 3000 --published

Each recipe is trained for half of the steps, stopped, and resumed; G goes through its stages, each with as many steps.
By default widths are about an eighth of the published ones and slices have 128 pixels, so that two cores need minutes;
``--published`` trains the recipes as they are. Prints the mean Dice of penumbra and core over patients, as the
publication's tables have it, and that of all voxels together in brackets. Every run folder holds the tables
``validation-groups.tsv``, ``validation-patients.tsv`` and ``validation-slices.tsv``.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

from willis.learn.recipe import Recipe, read_recipe
from willis.learn.trainer import train
from willis.tasks.training import bundle_from, cases_and_validation

ROOT = Path(__file__).parents[1]
NARROW = {"vgg": [8, 16, 32, 64, 64], "branch": 16, "dense": 16, "bottom": 32, "up": [16, 8, 8, 8], "head": 8}
COLUMNS = [(group, label) for group in ("LVO", "non-LVO", "all") for label in ("penumbra", "core")]


def chosen(path: Path, arguments: argparse.Namespace) -> Recipe:
    recipe = read_recipe(path)
    if not arguments.published:
        recipe = recipe.changed("network", config={**recipe.network.config, **NARROW, "size": arguments.size})
        recipe = recipe.changed(
            "data", size=arguments.size, side=arguments.size, phantom={"validation_count": arguments.patients}
        )
        recipe = recipe.changed(
            "sampling", patch=(arguments.size, arguments.size, 1), window=40, first=arguments.first, cases_per_step=0.2
        )
        recipe = recipe.changed("optimiser", rate=arguments.rate)
    steps = arguments.steps * max(len(recipe.stages), 1)
    return recipe.changed("training", steps=steps, validate_every=arguments.steps, log_every=5, threads=1)


def trained(path: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Train, stop at half, resume."""
    recipe = chosen(path, arguments)
    for half in (True, False):
        cases, validate = cases_and_validation(recipe, folder)
        done: list[int] = []

        def note(step: int, *_: object, done: list[int] = done) -> None:
            done.append(step)

        def at_half(done: list[int] = done, half: bool = half) -> bool:
            return half and 2 * len(done) >= recipe.training.steps

        result = train(recipe, cases, validate, folder, resume=not half, progress=note, stop=at_half)
        state = result.state
        print(f"  {path.stem}: {state.reason} after step {state.step}, stage {state.stage + 1}", flush=True)
    bundle_from(recipe, result, folder / "bundle", path.name, "benchmarks/perfusion_variants.py")


def line_of(folder: Path) -> str:
    with (folder / "validation-groups.tsv").open(newline="") as file:
        rows = {(row["group"], row["label"]): row for row in csv.DictReader(file, delimiter="\t")}
    cells = [rows.get(column, {}) for column in COLUMNS]
    scores = [f"{_short(c.get('dice_patients'))} ({_short(c.get('dice_voxels'))})" for c in cells]
    none = rows.get(("without stroke", "core"), {})
    return " | ".join([*scores, f"{none.get('false_patients', '-')} of {none.get('patients', '-')}"])


def _short(text: str | None) -> str:
    return "-" if text in (None, "n/a") else f"{float(text):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--variants", default="FUG")
    parser.add_argument("--inputs", default="PMs", choices=("PMs", "PMs-M", "PMs-N", "PMs-M-N"))
    parser.add_argument("--steps", type=int, default=60, help="of each stage; G has two or three")
    parser.add_argument("--patients", type=int, default=6, help="phantoms of the validation, of each group in turn")
    parser.add_argument("--first", type=int, default=4, help="phantoms to wait for before the first step")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side of the narrow networks' slices")
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate of the narrow networks")
    parser.add_argument("--published", action="store_true", help="the published width, size and rate")
    arguments = parser.parse_args()
    lines = []
    for variant in arguments.variants:
        began = time.process_time()
        path = ROOT / "recipes" / f"perfusion-{variant}-{arguments.inputs}.toml"
        folder = arguments.output / path.stem
        trained(path, folder, arguments)
        lines.append(f"{path.stem.removeprefix('perfusion-')} | {line_of(folder)}")
        print(f"{variant}: {time.process_time() - began:.0f} CPU s without those of the processes that make phantoms")
    print("recipe | " + " | ".join(f"{g} {label}" for g, label in COLUMNS) + " | without stroke: false core in")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
