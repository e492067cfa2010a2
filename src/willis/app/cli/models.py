"""``willis models``: list, show, verify, import and export trained models; listing needs neither torch nor weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from willis.errors import BundleError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.manifest import Manifest
from willis.models.store import Shelf, find_bundle, list_bundles, open_bundle, search_folders

Switch = Parameter(negative=())

app = App(name="models", help="List, show, verify, import and export trained models.")
imports = App(name="import", help="Turn foreign weights into a bundle, once, apart from any run.")
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
        print(f"{bundle.name}: {len(bundle.manifest.files)} files as their manifest says ({bundle.folder})")


@imports.command
def shiva(
    folder: Path,
    *,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    modalities: str | None = None,
    info: Path | None = None,
    intensity: Literal["p99", "p99-capped"] = "p99",
    half: Annotated[bool, Switch] = False,
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Import the published SHIVA models of white matter hyperintensities (H5 files).

    Nothing in the files is executed. Where their model_info*.json is, each file's md5 is checked.

    Parameters
    ----------
    folder
        Holds the .h5 files of one model, here or below.
    output
        Folder of the bundle; else in your own store, where --bundle finds it by name.
    modalities
        Images in order, as t1,flair, where neither the JSON nor the file names tell.
    info
        The model_info*.json to go by, when there are several.
    intensity
        p99: as the models' README says; p99-capped: as the authors' pipeline SHiVAi does.
    half
        Store kernels as float16: half the size, probabilities differ a little.
    replace
        Take the place of a bundle of this name.
    """
    from willis.models.importers.shiva import import_shiva

    named = [word.strip() for word in modalities.split(",")] if modalities else None
    bundle = import_shiva(folder, output, modalities=named, info=info, scheme=intensity, half=half, replace=replace)
    _print_imported(bundle)


@imports.command
def onnx(
    manifest: Path,
    graphs: Annotated[list[Path], Parameter(consume_multiple=True)],
    *,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Import ONNX graphs of a foreign network, one for each member.

    Parameters
    ----------
    manifest
        JSON with the fields of a bundle.json but members and files; network.name is "onnx".
    graphs
        The .onnx files, in order.
    output
        Folder of the bundle; else in your own store, where --bundle finds it by name.
    replace
        Take the place of a bundle of this name.
    """
    from willis.models.importers.onnx_graphs import import_onnx

    _print_imported(import_onnx(manifest, graphs, output, replace=replace))


@imports.command
def nnunet(
    folder: Path,
    *,
    name: str,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    task: str = "lvo",
    licence: str = "unknown",
    folds: str | None = None,
    checkpoint: str = "checkpoint_final.pth",
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Import a trained model folder of nnU-Net v2: plans.json, dataset.json, fold_*/checkpoint_final.pth.

    Nothing in the files is executed.

    Parameters
    ----------
    folder
        TRAINER__PLANS__CONFIGURATION.
    name
        Of the bundle: what --vessel-bundle takes.
    output
        Folder of the bundle; else in your own store, where it is found by name.
    task
        That it belongs to.
    licence
        Of the weights.
    folds
        As 0,1,2; all that are there, when left out.
    checkpoint
        Name of the weights' file in each fold.
    replace
        Take the place of a bundle of this name.
    """
    from willis.models.importers.nnunet import import_nnunet

    chosen = [fold.strip() for fold in folds.split(",")] if folds else None
    _print_imported(
        import_nnunet(
            folder, output, name=name, task=task, licence=licence, folds=chosen, checkpoint=checkpoint, replace=replace
        )
    )


@imports.command
def mcresnet(
    file: Path,
    *,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    name: str = "mcresnet",
    licence: str = "unknown",
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Import a checkpoint of McResNet (.pth), the published network of large vessel occlusion.

    Nothing in the file is executed.

    Parameters
    ----------
    file
        A state_dict, with or without module. before its names.
    output
        Folder of the bundle; else in your own store, where --bundle finds it by name.
    name
        Of the bundle.
    licence
        Of the weights.
    replace
        Take the place of a bundle of this name.
    """
    from willis.models.importers.mcresnet import import_mcresnet

    _print_imported(import_mcresnet(file, output, name=name, licence=licence, replace=replace))


@imports.command
def fvv(
    folder: Path,
    *,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Import the published FVV models of DWI-FLAIR mismatch: ten ONNX graphs or ten PyTorch checkpoints.

    Nothing in the files is executed. Older models with four outputs are taken too.

    Parameters
    ----------
    folder
        Holds model1.onnx to model10.onnx, or as many .pth.
    output
        Folder of the bundle; else in your own store, where --bundle finds it by name.
    replace
        Take the place of a bundle of this name.
    """
    from willis.models.importers.fvv import import_fvv

    _print_imported(import_fvv(folder, output, replace=replace))


@imports.command
def perfusion(
    file: Path,
    *,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    half: Annotated[bool, Switch] = False,
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Import a multi-input perfusion network that Keras saved as a whole model (H5). Nothing in it is executed.

    Parameters
    ----------
    file
        The .h5 file; encoders' layers are named block1_conv1_cbf and so on.
    output
        Folder of the bundle; else in your own store.
    half
        Store kernels as float16: half the size, probabilities differ a little.
    replace
        Take the place of a bundle of this name.
    """
    from willis.models.importers.perfusion import import_perfusion

    _print_imported(import_perfusion(file, output, half=half, replace=replace))


@imports.command
def raxnet(
    folder: Path,
    *,
    output: Annotated[Path | None, Parameter(name=("--output", "-o"))] = None,
    half: Annotated[bool, Switch] = False,
    replace: Annotated[bool, Switch] = False,
) -> None:
    """Import the published RAX-NET weights of chronic stroke: axial.h5, sagittal.h5 and coronal.h5.

    Nothing in the files is executed.

    Parameters
    ----------
    folder
        Holds the files.
    output
        Folder of the bundle; else in your own store, where --bundle finds it by name.
    half
        Store kernels as float16: half the size, probabilities differ a little.
    replace
        Take the place of a bundle of this name.
    """
    from willis.models.importers.raxnet import import_raxnet

    _print_imported(import_raxnet(folder, output, half=half, replace=replace))


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

    _print_imported(join_planes([open_bundle(bundle) for bundle in names], output, name=name, replace=replace))


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
    print(f"{bundle.name}: {len(bundle.manifest.members)} members in {folder}")
    print(f"Licence: {bundle.manifest.licence}")


def _readable(shelf: Shelf) -> Bundle:
    if shelf.manifest is None:
        raise BundleError(shelf.problem or f"{shelf.folder} can't be read.")
    return Bundle(shelf.manifest, shelf.folder)


def _print_imported(bundle: Bundle) -> None:
    manifest = bundle.manifest
    print(f"{manifest.name}: {len(manifest.members)} members, {' + '.join(manifest.channels)}, in {bundle.folder}")
    print(f"Licence: {manifest.licence}\nIntended use: {manifest.intended_use}")
    print(f"Threshold: {manifest.threshold.value:g} ({manifest.threshold.origin})")


def _as_plain(shelf: Shelf) -> dict[str, object]:
    values = json.loads(shelf.manifest.to_json()) if shelf.manifest else None
    return {"folder": str(shelf.folder), "place": shelf.place, "problem": shelf.problem, "manifest": values}


def _row(shelf: Shelf, manifest: Manifest) -> tuple[str, ...]:
    size = sum((shelf.folder / name).stat().st_size for name in manifest.members if (shelf.folder / name).is_file())
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
