"""``willis models import``: foreign weights become bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from willis.models.bundle import Bundle
from willis.models.manifest import Manifest
from willis.units import counted

Output = Annotated[
    Path | None,
    Parameter(
        name=("--output", "-o"),
        help="Folder of the bundle; else in your own store, where it is found by name.",
    ),
]
Replace = Annotated[bool, Parameter(negative=(), help="Take the place of a bundle of this name.")]
Half = Annotated[
    bool,
    Parameter(negative=(), help="Store kernels as float16: half the size, probabilities differ a little."),
]

imports = App(name="import", help="Turn foreign weights into a bundle, once, apart from any run.")


@imports.command
def shiva(
    folder: Path,
    *,
    output: Output = None,
    modalities: str | None = None,
    info: Path | None = None,
    intensity: Literal["p99", "p99-capped"] = "p99",
    half: Half = False,
    replace: Replace = False,
) -> None:
    """Import the published SHIVA models of white matter hyperintensities (H5 files).

    Nothing in the files is executed. Where their model_info*.json is, each file's md5 is checked.

    Parameters
    ----------
    folder
        Holds the .h5 files of one model, here or below.
    modalities
        Images in order, as t1,flair, where neither the JSON nor the file names tell.
    info
        The model_info*.json to go by, when there are several.
    intensity
        p99: as the models' README says; p99-capped: as the authors' pipeline SHiVAi does.
    """
    from willis.models.importers.shiva import import_shiva

    named = [word.strip() for word in modalities.split(",")] if modalities else None
    bundle = import_shiva(folder, output, modalities=named, info=info, scheme=intensity, half=half, replace=replace)
    print_imported(bundle)


@imports.command
def onnx(
    manifest: Path,
    graphs: Annotated[list[Path], Parameter(consume_multiple=True)],
    *,
    output: Output = None,
    replace: Replace = False,
) -> None:
    """Import ONNX graphs of a foreign network, one for each member.

    Parameters
    ----------
    manifest
        JSON with the fields of a bundle.json but members and files; network.name is "onnx".
    graphs
        The .onnx files, in order.
    """
    from willis.models.importers.onnx_graphs import import_onnx

    print_imported(import_onnx(manifest, graphs, output, replace=replace))


@imports.command
def nnunet(
    folder: Path,
    *,
    name: str,
    output: Output = None,
    task: str = "lvo",
    licence: str = "unknown",
    folds: str | None = None,
    checkpoint: str = "checkpoint_final.pth",
    axes: str | None = None,
    previous: Path | None = None,
    replace: Replace = False,
) -> None:
    """Import a trained model folder of nnU-Net v2: plans.json, dataset.json, fold_*/checkpoint_final.pth.

    Nothing in the files is executed. Of a cascade both stages become one model.

    Parameters
    ----------
    folder
        TRAINER__PLANS__CONFIGURATION.
    name
        Of the bundle: what --vessel-bundle takes.
    task
        That it belongs to.
    licence
        Of the weights.
    folds
        As 0,1,2; all that are there, when left out. They hold for both stages of a cascade.
    checkpoint
        Name of the weights' file in each fold.
    axes
        Orientation of the files that it was trained on, such as LPS. Left out, it is what its dataset.json says, as
        willis export writes it, else LAS, that of axial slices from dcm2niix.
    previous
        Folder of the stage before that of a cascade (TRAINER__PLANS__3d_lowres); it is looked for beside FOLDER.
    """
    from willis.models.importers.nnunet import import_nnunet

    chosen = [fold.strip() for fold in folds.split(",")] if folds else None
    bundle = import_nnunet(
        folder, output, name=name, task=task, licence=licence, folds=chosen, checkpoint=checkpoint, axes=axes,
        previous=previous, replace=replace,
    )  # fmt: skip
    print_imported(bundle)


@imports.command
def mcresnet(
    file: Path,
    *,
    output: Output = None,
    name: str = "mcresnet",
    licence: str = "unknown",
    axes: str = "LAS",
    replace: Replace = False,
) -> None:
    """Import a checkpoint of McResNet (.pth), the published network of large vessel occlusion.

    Nothing in the file is executed.

    Parameters
    ----------
    file
        A state_dict, with or without module. before its names.
    name
        Of the bundle.
    licence
        Of the weights.
    axes
        Orientation of the files that it was trained on, such as LPS; LAS is that of axial slices from dcm2niix.
    """
    from willis.models.importers.mcresnet import import_mcresnet

    print_imported(import_mcresnet(file, output, name=name, licence=licence, axes=axes, replace=replace))


@imports.command
def fvv(
    folder: Path,
    *,
    output: Output = None,
    half: Half = False,
    replace: Replace = False,
) -> None:
    """Import the published FVV models of DWI-FLAIR mismatch: ten ONNX graphs or ten PyTorch checkpoints.

    Nothing in the files is executed. Older models with four outputs are taken too.

    Parameters
    ----------
    folder
        Holds model1.onnx to model10.onnx, or as many .pth.
    """
    from willis.models.importers.fvv import import_fvv

    print_imported(import_fvv(folder, output, half=half, replace=replace))


@imports.command
def perfusion(
    file: Path,
    *,
    output: Output = None,
    colours: str = "jet",
    half: Half = False,
    replace: Replace = False,
) -> None:
    """Import a multi-input perfusion network that Keras saved as a whole model (H5). Nothing in it is executed.

    Parameters
    ----------
    file
        The .h5 file; encoders' layers are named block1_conv1_cbf and so on.
    colours
        Colour table in which its maps were painted, which the file doesn't say: hot, inferno, jet, nipy_spectral,
        rainbow, turbo or viridis. Every way in is then painted so.
    """
    from willis.models.importers.perfusion import import_perfusion

    print_imported(import_perfusion(file, output, colours=colours, half=half, replace=replace))


@imports.command
def raxnet(
    folder: Path,
    *,
    output: Output = None,
    half: Half = False,
    replace: Replace = False,
) -> None:
    """Import the published RAX-NET weights of chronic stroke: axial.h5, sagittal.h5 and coronal.h5.

    Nothing in the files is executed.

    Parameters
    ----------
    folder
        Holds the files.
    """
    from willis.models.importers.raxnet import import_raxnet

    print_imported(import_raxnet(folder, output, half=half, replace=replace))


def print_imported(bundle: Bundle) -> None:
    """Say what a new bundle holds, under which licence and for what use."""
    manifest = bundle.manifest
    print(f"{manifest.name}: {_told_members(manifest)}, {' + '.join(manifest.channels)}, in {bundle.folder}")
    print(f"Licence: {manifest.licence}\nIntended use: {manifest.intended_use}")
    print(f"Threshold: {manifest.threshold.value:g} ({manifest.threshold.origin})")
    if manifest.axes:
        print(f"Axes: {manifest.axes}")
    for told in manifest.peculiarities:
        print(f"Note: {told}")


def _told_members(manifest: Manifest) -> str:
    """How many networks a bundle holds, of both stages where it is a cascade."""
    own = counted(len(manifest.members), "member")
    if manifest.previous is None:
        return own
    return f"a cascade of {counted(len(manifest.previous.members), 'member')}, then {own}"
