"""A trained model folder of nnU-Net v2 as a bundle of ours: plans, dataset and the checkpoints of its folds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from willis.errors import BadInputError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.importers.checkpoint import read_checkpoint, state_of
from willis.models.manifest import Network, make_manifest
from willis.models.nnunet_plan import AXES_KEY, ChannelValues, NnunetPlan, Scheme
from willis.models.store import user_folder, write_bundle
from willis.nets.plainunet import SLOPE, PlainUNetConfig
from willis.nets.registry import build_network

TURNING = {"NibabelIOWithReorient": "RAS", "SimpleITKIOWithReorient": "RAS"}  # readers of nnU-Net that turn files
AXES = "LAS"  # assumed where nothing says it: of axial slices as dcm2niix writes them; nnU-Net reads files as they lie
CHECKPOINT = "checkpoint_final.pth"
ARCHITECTURES = {"PlainConvUNet": "plainunet", "ResidualEncoderUNet": "resencunet"}
COUNTS = {"plainunet": "n_conv_per_stage", "resencunet": "n_blocks_per_stage"}
SIZES = frozenset(
    {"n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides", "n_conv_per_stage_decoder", "conv_bias"}
    | {"norm_op", "norm_op_kwargs", "nonlin", "nonlin_kwargs"}
)  # of a network, beside COUNTS
RESAMPLING = "resample_data_or_seg_to_shape"
_STAGE = re.compile(
    r"^(encoder\.stages\.(?P<e>\d+)\.\d+|decoder\.stages\.(?P<d>\d+))\.convs\.(?P<n>\d+)\.(?P<rest>(conv|norm)\.\w+)$"
)
_STEM = re.compile(r"^encoder\.stem\.convs\.0\.((?:conv|norm)\.\w+)$")
_BLOCK = re.compile(r"^encoder\.stages\.(\d+)\.blocks\.(\d+)\.(conv1|conv2|skip)\.(?:\d+\.)?((?:conv|norm)\.\w+)$")
_UP = re.compile(r"^decoder\.transpconvs\.(\d+)\.(weight|bias)$")
_HEAD = re.compile(r"^decoder\.seg_layers\.(\d+)\.(weight|bias)$")
LARGEST_WINS = "the largest logit wins; no threshold is used"
REGIONS_WIN = "regions may overlap; of those above it, the last in the order of outputs wins"
INTENDED_USE = "As its authors say. In willis: research, not a medical device."


def import_nnunet(
    folder: Path,
    out: Path | None = None,
    *,
    name: str,
    task: str = "lvo",
    licence: str = "unknown",
    folds: Sequence[str] | None = None,
    checkpoint: str = CHECKPOINT,
    axes: str | None = None,
    replace: bool = False,
) -> Bundle:
    """Make a bundle of a folder ``TRAINER__PLANS__CONFIGURATION``.

    Nothing in the files is executed: checkpoints are read as tensors and plain values alone.

    Parameters
    ----------
    folder
        Holds plans.json, dataset.json and fold_*/checkpoint_final.pth.
    out
        The bundle's folder; in the user's store under its name when not given.
    name, task, licence
        Of the bundle.
    folds
        Which, by the end of their folders' names; all that are there when None.
    checkpoint
        Name of the weights' file.
    axes
        Orientation of the files that it was trained on; a scan is turned to it. None: what ``willis export`` wrote into
        the dataset.json that it was trained from, else :data:`AXES`, as the manifest then says.

    Raises
    ------
    BadInputError
        When a file is absent or of another kind, or the plans ask for what isn't known here.
    """
    plans, dataset = _read(folder / "plans.json"), _read(folder / "dataset.json")
    files = _checkpoints(folder, folds, checkpoint)
    first = read_checkpoint(files[0])
    configuration = str(_value(first, "init_args", files[0]).get("configuration", folder.name.split("__")[-1]))
    plan = read_plan(plans, dataset, configuration, first.get("inference_allowed_mirroring_axes") or ())
    labels = [re.sub(r"[^a-z0-9._-]", "-", name.lower()) for name in read_labels(dataset)]
    outputs = labels if plan.regions else ["background", *labels]
    network = read_network(plans, configuration, len(plan.values), len(outputs), plan)
    lying, doubt = read_axes(plans, dataset, axes)
    manifest = make_manifest(
        {
            "name": name,
            "task": task,
            "title": f"nnU-Net {configuration}: {', '.join(labels)}",
            "network": network.model_dump(),
            "channels": [re.sub(r"[^a-z0-9._-]", "-", str(c).lower()) for c in _channel_names(dataset).values()],
            "outputs": outputs,
            "activation": "sigmoid" if plan.regions else "softmax",
            "spacing_mm": plan.spacing_mm,
            "axes": lying,
            "window": {"mode": "sliding", "shape": plan.patch, "overlap": 0.5},
            "intensity": {"scheme": "range"},
            "threshold": {"value": 0.5, "origin": REGIONS_WIN if plan.regions else LARGEST_WINS},
            "licence": licence,
            "intended_use": INTENDED_USE,
            "citation": ("Isensee et al. 2021, nnU-Net. doi:10.1038/s41592-020-01008-z",),
            "source": folder.name,
            "peculiarities": (
                "Run as its plans say (network.config.plan); spacing and window here are of its own axes.",
                *doubt,
            ),
        },
        f"the bundle of {folder.name}",
    )
    members = (renamed(state_of(read_checkpoint(file), file), network, file) for file in files)
    place = out if out is not None else user_folder() / name
    return write_bundle(place, manifest, members, half=False, card=render_card(manifest), replace=replace)


def read_plan(
    plans: Mapping[str, Any], dataset: Mapping[str, Any], configuration: str, mirror: Sequence[int]
) -> NnunetPlan:
    """What the plans say of one configuration.

    Raises
    ------
    BadInputError
        When they ask for another resampling, normalisation or a cascade.
    """
    about = resolved(plans, configuration)
    for held, key, known in (
        (plans, "label_manager", "LabelManager"),
        (about, "preprocessor_name", "DefaultPreprocessor"),
    ):
        if held.get(key, known) != known:
            raise BadInputError(f"the plans' {key} is {held[key]}; known is nnU-Net's own {known}.")
    if about.get("previous_stage"):
        raise BadInputError(f"configuration {configuration} is a cascade, which isn't known here; give another.")
    for kind in ("data", "probabilities"):
        found = str(about.get(f"resampling_fn_{kind}", RESAMPLING))
        if found != RESAMPLING:
            raise BadInputError(f"the plans resample {kind} by {found}; known is {RESAMPLING}.")
    spacing, patch = list(about["spacing"]), list(about["patch_size"])
    flat = len(patch) == 2
    data, result = (about.get(f"resampling_fn_{kind}_kwargs", {}) for kind in ("data", "probabilities"))
    fingerprint = plans.get("foreground_intensity_properties_per_channel", {})
    rules = zip(about["normalization_schemes"], about["use_mask_for_norm"], strict=True)
    return NnunetPlan(
        flat=flat,
        transpose=tuple(plans["transpose_forward"]),
        spacing_mm=(1.0, *spacing) if flat else tuple(spacing),
        patch=(1, *patch) if flat else tuple(patch),
        values=tuple(_values(str(s), bool(m), fingerprint.get(str(c), {})) for c, (s, m) in enumerate(rules)),
        mirror=tuple(int(axis) for axis in mirror),
        image_order=data.get("order", 3),
        image_order_z=data.get("order_z", 0),
        result_order=result.get("order", 1),
        result_order_z=result.get("order_z", 0),
        separate=result.get("force_separate_z"),
        regions=any(_is_region(value) for value in dataset["labels"].values()),
    )


def resolved(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """A configuration with what it inherits from others."""
    known = plans.get("configurations", {})
    if configuration not in known:
        raise BadInputError(f"the plans have no configuration {configuration!r}; they have {', '.join(known)}.")
    own = dict(known[configuration])
    parent = own.pop("inherits_from", None)
    return {**(resolved(plans, parent) if parent else {}), **own}


def read_network(plans: Mapping[str, Any], configuration: str, inputs: int, outputs: int, plan: NnunetPlan) -> Network:
    """The network that the plans describe, as one of ours.

    Raises
    ------
    BadInputError
        When it is neither nnU-Net's plain one nor that with a residual encoder, or of plans from before version 2.2.
    """
    about = resolved(plans, configuration).get("architecture")
    if about is None:
        raise BadInputError(
            "the plans don't describe their network; they are older than nnU-Net 2.2 and can't be read."
        )
    kind = str(about["network_class_name"]).rpartition(".")[2]
    size = {key: value for key, value in about["arch_kwargs"].items() if value is not None}
    if kind not in ARCHITECTURES:
        raise BadInputError(f"the plans' network is {kind}; known are {', '.join(ARCHITECTURES)}.")
    name = ARCHITECTURES[kind]
    norm, slope = size.get("norm_op_kwargs", {}), size.get("nonlin_kwargs", {}).get("negative_slope", SLOPE)
    strange = [key for key, value in size.items() if key not in SIZES | {COUNTS[name]} and value]
    if not str(size.get("norm_op", "")).endswith(("InstanceNorm2d", "InstanceNorm3d")):
        strange.append("norm_op")
    if not str(size.get("nonlin", "")).endswith("LeakyReLU") or slope != SLOPE:
        strange.append("nonlin")
    if strange:
        raise BadInputError(
            f"the plans' {kind} has {strange[0]} = {size.get(strange[0])}; known are instance normalisation, leaky "
            f"ReLU of slope {SLOPE:g} and no more than nnU-Net's own planners ask for."
        )
    stages = size.get("n_stages", 0)
    fields = {
        "inputs": inputs,
        "outputs": outputs,
        "features": _each(size.get("features_per_stage"), stages),
        "kernels": [_triple(k, plan.flat) for k in _each(size.get("kernel_sizes"), stages)],
        "strides": [_triple(s, plan.flat) for s in _each(size.get("strides"), stages)],
        "convs": _each(size.get(COUNTS[name]), stages),
        "decoder_convs": _each(size.get("n_conv_per_stage_decoder"), stages - 1),
        "bias": size.get("conv_bias", False),
        "norm_eps": norm.get("eps", 1e-5),
        "norm_affine": norm.get("affine", False),
        "plan": plan.model_dump(mode="json"),
    }
    config = PlainUNetConfig.parse(fields, f"the plans' {kind}")
    return Network(name=name, config=config.model_dump(mode="json"))


def read_labels(dataset: Mapping[str, Any]) -> list[str]:
    """Names of labels 1, 2, 3…; where some are regions of several, all in the order in which voxels are given to them.

    Raises
    ------
    BadInputError
        When labels aren't numbered in order, or the regions' own labels (``regions_class_order``) aren't one each.
    """
    labels = {str(label): value for label, value in dataset["labels"].items() if label not in ("background", "ignore")}
    if any(_is_region(value) for value in labels.values()):
        codes = dataset.get("regions_class_order")
        if not isinstance(codes, list) or len(set(codes) - {0}) != len(labels) or len(codes) != len(labels):
            raise BadInputError(
                f"regions_class_order of the dataset must name one label above 0 for each of {', '.join(labels)}; "
                f"found {codes}."
            )
        return list(labels)
    single = {label: value[0] if isinstance(value, list) and value else value for label, value in labels.items()}
    order = sorted(single, key=lambda label: str(single[label]).zfill(6))
    if [single[label] for label in order] != [*range(1, len(order) + 1)]:
        raise BadInputError(f"labels of the dataset must be 1, 2, 3…, or regions of such; found {labels}.")
    return order


def _is_region(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1


def read_axes(plans: Mapping[str, Any], dataset: Mapping[str, Any], asked: str | None) -> tuple[str, tuple[str, ...]]:
    """Orientation in which a model saw its training files, and what a reader should know of how that is known."""
    turned = TURNING.get(str(plans.get("image_reader_writer")))
    said, told = (None if code is None else str(code).upper() for code in (turned or dataset.get(AXES_KEY), asked))
    if said and told and said != told:
        where = (
            "plans say that its training files were read" if turned else "dataset.json says that its training files lay"
        )
        return told, (f"Its {where} in {said}; {told} was asked for and is used.",)
    if known := told or said:
        return known, ()
    return AXES, (
        f"Nothing says in which orientation its training files lay: {AXES} is assumed. If they lay otherwise, its "
        "answers are wrong; then import it again with --axes.",
    )


def renamed(state: Mapping[str, Tensor], network: Network, file: Path) -> dict[str, Tensor]:
    """A checkpoint's weights under our names; what it holds twice, and deep supervision's heads, left out.

    Raises
    ------
    BadInputError
        When one is missing or of another shape.
    """
    with torch.device("meta"):
        built = build_network(network.name, network.config)
    wanted = {name: tuple(value.shape) for name, value in built.state_dict().items()}
    last = max(int(name.split(".")[1]) for name in wanted if name.startswith("up."))
    found = {}
    for name, value in state.items():
        ours = _our_name(name, last)
        if ours in wanted:
            found[ours] = value.unsqueeze(2) if value.ndim == 4 else value
            if tuple(found[ours].shape) != wanted[ours]:
                raise BadInputError(f"{file}: {name} has shape {tuple(value.shape)}; the plans ask for {wanted[ours]}.")
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise BadInputError(
            f"{file} lacks {len(missing)} of the weights that its plans ask for, the first {missing[0]}."
        )
    return {name: found[name] for name in wanted}


def _our_name(name: str, last: int) -> str:
    if stage := _STAGE.match(name):
        part = f"encoder.{stage['e']}" if stage["e"] is not None else f"decoder.{stage['d']}"
        return f"{part}.{stage['n']}.{stage['rest']}"
    if stem := _STEM.match(name):
        return f"encoder.0.0.{stem[1]}"
    if block := _BLOCK.match(name):
        return f"encoder.{block[1]}.{int(block[2]) + (block[1] == '0')}.{block[3]}.{block[4]}"
    if up := _UP.match(name):
        return f"up.{up[1]}.{up[2]}"
    if (head := _HEAD.match(name)) and int(head[1]) == last:
        return f"head.{head[2]}"
    return ""


def _values(scheme: str, inside: bool, found: Mapping[str, float]) -> ChannelValues:
    known = Scheme.__args__  # type: ignore[attr-defined]
    if scheme not in known:
        raise BadInputError(f"the plans normalise by {scheme}; known are {', '.join(known)}.")
    if scheme != "CTNormalization":
        return ChannelValues(scheme=scheme, inside=inside)  # type: ignore[arg-type]
    low, high = found["percentile_00_5"], found["percentile_99_5"]
    return ChannelValues(scheme="CTNormalization", low=low, high=high, mean=found["mean"], std=found["std"])


def _each(values: Any, stages: int) -> list[Any]:
    """One value a stage, of as many or of one for all."""
    return list(values) if isinstance(values, (list, tuple)) else [values] * stages


def _triple(sides: Any, flat: bool) -> tuple[int, int, int]:
    values = [sides] * (2 if flat else 3) if isinstance(sides, int) else list(sides)
    i, j, k = [1, *values] if flat else values
    return i, j, k


def _checkpoints(folder: Path, folds: Sequence[str] | None, checkpoint: str) -> list[Path]:
    if folds is None:
        files = sorted(folder.glob(f"fold_*/{checkpoint}"))
    else:
        files = [folder / f"fold_{fold}" / checkpoint for fold in folds]
    absent = [file for file in files if not file.is_file()]
    if absent or not files:
        raise BadInputError(f"{absent[0] if absent else folder / 'fold_*' / checkpoint} is absent; no weights to read.")
    return files


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(
            f"{path} can't be read: {error.strerror}. Give a trained model folder of nnU-Net."
        ) from None
    except ValueError as error:
        raise BadInputError(f"{path} is not JSON: {error}.") from None
    if not isinstance(held, dict):
        raise BadInputError(f"{path} holds no object.")
    return held


def _value(held: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    found = held.get(key)
    if not isinstance(found, Mapping):
        raise BadInputError(f"{path} has no {key}; it is no checkpoint of nnU-Net v2.")
    return found


def _channel_names(dataset: Mapping[str, Any]) -> Mapping[str, str]:
    return dataset.get("channel_names") or dataset.get("modality") or {"0": "image"}
