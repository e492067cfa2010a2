"""``willis models``: list, show, verify, import and export trained models; listing needs neither torch nor weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from willis.app.cli.imports import imports, print_imported
from willis.errors import BadInputError, BundleError
from willis.infer.precision import LEAST_DICE
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.manifest import Manifest
from willis.models.store import Shelf, find_bundle, list_bundles, open_bundle, search_folders
from willis.units import counted

Switch = Parameter(negative=())

app = App(name="models", help="List, show, verify, import and export trained models.")
app.command(imports)


@app.command(name="list")
def list_(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """List the models that can be named with --bundle.

    Parameters
    ----------
    as_json
        For programs: everything, as JSON.
    """
    shelves = list_bundles()
    if as_json:
        print(json.dumps([_as_plain(shelf) for shelf in shelves], indent=2, ensure_ascii=False))
        return
    heads = ("name", "task", "version", "images", "members", "MB", "where", "licence")
    rows = [_row(shelf, shelf.manifest) for shelf in shelves if shelf.manifest]
    if rows:
        _print_table(heads, rows)
    else:
        print("There is no model yet. willis models import, or willis train, makes one. Searched:")
        print("".join(f"  {place}: {folder}\n" for place, folder in search_folders()), end="")
    for shelf in shelves:
        if shelf.problem:
            print(f"can't be used: {shelf.problem}")


@app.command
def show(name: str, *, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> None:
    """Show a model: intended use, licence, citation, thresholds and where they were chosen, measured figures.

    Parameters
    ----------
    name
        Name or folder of the model.
    as_json
        Its manifest.
    """
    bundle = find_bundle(name)
    if as_json:
        print(bundle.manifest.to_json(), end="")
        return
    facts = render_card(bundle.manifest)
    print(facts)
    if bundle.card and bundle.card.strip() != facts.strip():
        print(f"---\n\n{bundle.card}")
    print(f"Folder: {bundle.folder}\nIdentity: {bundle.digest}")


@app.command
def verify(*names: str) -> None:
    """Check that every file of a model has the SHA-256 that its manifest says.

    Parameters
    ----------
    names
        Names or folders; all that are found, when left out.
    """
    bundles = [find_bundle(name) for name in names] or [_readable(shelf) for shelf in list_bundles()]
    for bundle in bundles:
        bundle.verify()
        print(f"{bundle.name}: {counted(len(bundle.manifest.files), 'file')} as their manifest says ({bundle.folder})")


@app.command
def join(
    names: Annotated[list[str], Parameter(consume_multiple=True)],
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    name: str = "chronic",
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Make one model of models of single planes.

    Parameters
    ----------
    names
        Names or folders of the models, one a plane.
    output
        Folder of the bundle.
    name
        Of the new model.
    replace
        Take the place of a bundle of this name.
    """
    from willis.models.join import join_planes

    print_imported(join_planes([open_bundle(bundle) for bundle in names], output, name=name, replace=replace))


@app.command
def export(
    name: str,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    format_: Annotated[Literal["onnx", "openvino"], Parameter(name="--format")] = "onnx",
    shape: tuple[int, int, int] | None = None,
) -> None:
    """Write a model for use outside willis; ONNX comes as a bundle that willis runs too.

    Parameters
    ----------
    name
        Name or folder of the model.
    output
        Folder that is made.
    format_
        What to write.
    shape
        Voxels along each axis; else those of the model's window or grid.
    """
    from willis.infer.export import export_bundle

    bundle = open_bundle(name)
    folder = export_bundle(bundle, output, format_, shape)
    print(f"{bundle.name}: {counted(len(bundle.manifest.members), 'member')} in {folder}")
    print(f"Licence: {bundle.manifest.licence}")


@app.command
def quantise(
    name: str,
    *,
    recipe: Path,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    data: Path | None = None,
    split: Path | None = None,
    part: str | None = None,
    folds: int | None = None,
    fold: int | None = None,
    count: int = 4,
    shape: tuple[int, int, int] | None = None,
) -> None:
    """Make a model of a trained one that runs in 8-bit integers; it is kept only if it finds the same.

    Parameters
    ----------
    name
        Name or folder of the model.
    recipe
        The recipe that it was trained by: training cases set the ranges, cases left out compare the masks.
    output
        Folder that is made if the Dice of every output with float32 is at least 0.99.
    data
        Folder of labelled patients, instead of the recipe's.
    split, part
        Split file that shares them out, and its part that is left out; instead of the recipe's.
    folds, fold
        Of the patients, fold FOLD of so many is left out.
    count
        Training cases that set the ranges.
    shape
        Voxels along each axis that the network is given; else those of the model's window or grid.
    """
    from willis.app.cli.train import with_flags
    from willis.learn.recipe import read_recipe
    from willis.tasks.quantisation import quantise as make

    chosen = with_flags(read_recipe(recipe), data, split=split, part=part, folds=folds, fold=fold)
    found = make(open_bundle(name), chosen, output, count=count, shape=shape)
    for label, value in found.dice.items():
        print(f"Dice of {label} with float32, {counted(found.cases, 'case')}: {value:.4f}")
    print(f"CPU time of a window: {found.seconds:.3f} s in float32, {found.seconds_int8:.3f} s in int8")
    print(f"Written: {output}")


@app.command(name="measure-precision")
def measure_precision(
    name: str,
    *,
    recipe: Path,
    precision: Literal["float16", "bfloat16"],
    engine: Literal["auto", "torch", "openvino"] = "auto",
    data: Path | None = None,
    split: Path | None = None,
    part: str | None = None,
    folds: int | None = None,
    fold: int | None = None,
    count: int | None = None,
    threads: int | None = None,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Measure whether a model finds the same in half precision as in float32.

    ``--precision auto`` takes what was measured here with a Dice of at least 0.999 in every mask of every case, on
    processors that multiply it themselves.

    Parameters
    ----------
    name
        Name or folder of the model.
    recipe
        The recipe that it was trained by: the cases that it leaves out are compared.
    precision
        What is measured; this processor must multiply it.
    engine
        What runs it; the reference is torch.
    data
        Folder of labelled patients, instead of the recipe's.
    split, part
        Split file that shares them out, and its part that is left out; instead of the recipe's.
    folds, fold
        Of the patients, fold FOLD of so many is compared.
    count
        Cases at most; of phantoms, so many. Else as the recipe says.
    threads
        Of the processor.
    output
        Folder of the model with the measurement in its manifest; else it is printed alone.
    replace
        Take the place of a model that stands in that folder.
    """
    from willis.app.cli.train import with_flags
    from willis.learn.recipe import read_recipe
    from willis.tasks.equivalence import measure_precision as measure
    from willis.tasks.equivalence import write_measured

    bundle = open_bundle(name)
    if output is not None and output.exists() and not replace:
        raise BadInputError(f"{output} exists already. Choose another folder, or add --replace.")
    chosen = with_flags(read_recipe(recipe), data, split=split, part=part, folds=folds, fold=fold)

    def tell(case: int, dice: Mapping[str, float]) -> None:
        print(f"case {case}: " + ", ".join(f"{label} {value:.4f}" for label, value in dice.items()), flush=True)

    found = measure(bundle, chosen, precision=precision, engine=engine, count=count, threads=threads, tell=tell)
    rows: list[tuple[str, ...]] = [
        (label, f"{found.least[label]:.4f}", f"{found.pooled[label]:.4f}") for label in found.least
    ]
    _print_table((f"Dice of {precision} with float32", "least case", "all voxels"), rows)
    print(
        f"Largest difference of a probability: {found.max_difference:.3g}; {counted(found.cases, 'case')}, "
        f"{found.engine}"
    )
    taken = "takes it" if found.proven else "doesn't take it"
    print(f"The least is {found.dice:.4f}; at least {LEAST_DICE} is needed: --precision auto {taken}.")
    if output is not None:
        of = "phantoms" if data is None and not chosen.data.get("folder") else "patients"
        write_measured(bundle, found, output, f"{of} that {recipe.name} leaves out", replace=replace)
        print(f"Written: {output}")


@app.command
def calibrate(
    name: str,
    *,
    data: Path,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    folds: int | None = None,
    fold: int = 0,
    vessel_bundle: str | None = None,
    deformation: Literal["demons", "greedy", "ants"] = "demons",
    threads: int | None = None,
    table: Path | None = None,
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Calibrate a model that judges occlusions (lvo) on labelled CTs, each through the road of a run.

    Slope, intercept and threshold are written with where they come from. The figures printed are those before: patients
    that calibrate a model measure nothing.

    Parameters
    ----------
    name
        Name or folder of the model.
    data
        Phantoms, as willis phantom lvo makes them, or patients in the published layout, of which those of
        val_labels.csv count where there are tables. None of them may have trained the model.
    output
        Folder of the calibrated model.
    folds, fold
        Of the patients, fold FOLD of so many counts alone.
    vessel_bundle
        What finds the vessels, as for a run; else the labelled ones are given.
    deformation
        As for a run.
    threads
        Of the processor.
    table
        CSV to write, one row a patient: Patient ID, Ground Truth, Probability, Prediction, as before.
    replace
        Take the place of a model that stands in that folder.
    """
    import numpy as np

    from willis.app.cli.progress import ProgressReport
    from willis.io.size_tables import write_csv
    from willis.learn.recipe import FoldSettings
    from willis.tasks.lvo.calibrate import Road, find_heads, judge_heads, write_calibrated
    from willis.tasks.lvo.validated import scan_figures, scan_rows
    from willis.tasks.settings import RunSettings

    bundle = open_bundle(name, "lvo")
    if output.exists() and not replace:
        raise BadInputError(f"{output} exists already. Choose another folder, or add --replace.")
    heads = find_heads(data, FoldSettings(count=folds, index=fold) if folds is not None else None)
    vessels = open_bundle(vessel_bundle, "lvo") if vessel_bundle is not None else None
    road = Road(vessels, deformation, RunSettings(threads=threads))
    with ProgressReport() as progress:
        judged = judge_heads(bundle, heads, road, progress)
    origin = f"{data.name}, {road.told(heads)}"
    calibration, threshold = write_calibrated(bundle, judged, origin, output, anew=replace)
    if table is not None:
        rows = scan_rows(judged, bundle.manifest)
        write_csv([list(rows[0]), *(list(row.values()) for row in rows)], table)
    for figure in scan_figures(judged, bundle.manifest, np.random.default_rng(0)):
        low, high = figure.interval
        print(f"before: {figure.name:11s} {figure.value:.3f} ({low:.3f} to {high:.3f}), {figure.patients} patients")
    print(f"slope {calibration.slope:.3f}, intercept {calibration.intercept:.3f}: {calibration.origin}")
    print(f"threshold {threshold.value:g}: {threshold.origin}\nWritten: {output}")


def _readable(shelf: Shelf) -> Bundle:
    if shelf.manifest is None:
        raise BundleError(shelf.problem or f"{shelf.folder} can't be read.")
    return Bundle(shelf.manifest, shelf.folder)


def _as_plain(shelf: Shelf) -> dict[str, object]:
    values = json.loads(shelf.manifest.to_json()) if shelf.manifest else None
    return {"folder": str(shelf.folder), "place": shelf.place, "problem": shelf.problem, "manifest": values}


def _row(shelf: Shelf, manifest: Manifest) -> tuple[str, ...]:
    held = (*manifest.members, *(manifest.previous.members if manifest.previous else ()))
    size = sum((shelf.folder / name).stat().st_size for name in held if (shelf.folder / name).is_file())
    return (
        shelf.folder.name,
        manifest.task,
        manifest.version,
        "+".join(manifest.channels),
        str(len(manifest.members)),
        f"{size / 1e6:.1f}",
        shelf.place,
        manifest.licence.split(",")[0],
    )


def _print_table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(line[column]) for line in [heads, *rows]) for column in range(len(heads))]
    for line in [heads, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
