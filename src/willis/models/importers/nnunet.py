"""A trained model folder of nnU-Net v2 as a bundle of ours: plans, dataset and the checkpoints of its folds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from willis.errors import BadInputError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.importers.checkpoint import read_checkpoint, state_of
from willis.models.manifest import make_manifest
from willis.models.nnunet_plan import AXES_KEY, ChannelValues, NnunetPlan, Scheme
from willis.models.store import user_folder, write_bundle
from willis.nets.plainunet import PlainUNet, PlainUNetConfig

AXES = "LAS"  # assumed where nothing says it: of axial slices as dcm2niix writes them; nnU-Net reads files as they lie
CHECKPOINT = "checkpoint_final.pth"
ARCHITECTURE = "PlainConvUNet"
RESAMPLING = "resample_data_or_seg_to_shape"
_STAGE = re.compile(
    r"^(encoder\.stages\.(?P<e>\d+)\.\d+|decoder\.stages\.(?P<d>\d+))\.convs\.(?P<n>\d+)\.(?P<rest>(conv|norm)\.\w+)$"
)
_UP = re.compile(r"^decoder\.transpconvs\.(\d+)\.(weight|bias)$")
_HEAD = re.compile(r"^decoder\.seg_layers\.(\d+)\.(weight|bias)$")
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
    labels = read_labels(dataset)
    network = network_config(plans, configuration, len(plan.values), len(labels) + 1, plan)
    lying, doubt = read_axes(dataset, axes)
    manifest = make_manifest(
        {
            "name": name,
            "task": task,
            "title": f"nnU-Net {configuration}: {', '.join(labels)}",
            "network": {"name": "plainunet", "config": network.model_dump(mode="json")},
            "channels": [re.sub(r"[^a-z0-9._-]", "-", str(c).lower()) for c in _channel_names(dataset).values()],
            "outputs": ["background", *(re.sub(r"[^a-z0-9._-]", "-", label.lower()) for label in labels)],
            "activation": "softmax",
            "spacing_mm": plan.spacing_mm,
            "axes": lying,
            "window": {"mode": "sliding", "shape": plan.patch, "overlap": 0.5},
            "intensity": {"scheme": "range"},
            "threshold": {"value": 0.5, "origin": "the largest logit wins; no threshold is used"},
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
    )


def resolved(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """A configuration with what it inherits from others."""
    known = plans.get("configurations", {})
    if configuration not in known:
        raise BadInputError(f"the plans have no configuration {configuration!r}; they have {', '.join(known)}.")
    own = dict(known[configuration])
    parent = own.pop("inherits_from", None)
    return {**(resolved(plans, parent) if parent else {}), **own}


def network_config(
    plans: Mapping[str, Any], configuration: str, inputs: int, outputs: int, plan: NnunetPlan
) -> PlainUNetConfig:
    """Size of the network that the plans describe.

    Raises
    ------
    BadInputError
        When it is another than nnU-Net's plain one, or of plans from before version 2.2.
    """
    about = resolved(plans, configuration).get("architecture")
    if about is None:
        raise BadInputError(
            "the plans don't describe their network; they are older than nnU-Net 2.2 and can't be read."
        )
    kind = str(about["network_class_name"]).rpartition(".")[2]
    size = about["arch_kwargs"]
    plain = size.get("norm_op", "").endswith(("InstanceNorm2d", "InstanceNorm3d")) and not size.get("dropout_op")
    if kind != ARCHITECTURE or not plain or not str(size.get("nonlin", "")).endswith("LeakyReLU"):
        raise BadInputError(f"the plans' network is {kind} with {size.get('norm_op')}; known is {ARCHITECTURE}.")
    norm = size.get("norm_op_kwargs") or {}
    return PlainUNetConfig(
        inputs=inputs,
        outputs=outputs,
        features=tuple(size["features_per_stage"]),
        kernels=tuple(_triple(k, plan.flat) for k in size["kernel_sizes"]),
        strides=tuple(_triple(s, plan.flat) for s in size["strides"]),
        convs=tuple(size["n_conv_per_stage"]),
        decoder_convs=tuple(size["n_conv_per_stage_decoder"]),
        bias=bool(size.get("conv_bias", True)),
        norm_eps=float(norm.get("eps", 1e-5)),
        norm_affine=bool(norm.get("affine", False)),
        plan=plan.model_dump(mode="json"),
    )


def read_labels(dataset: Mapping[str, Any]) -> list[str]:
    """Names of labels 1, 2, 3…

    Raises
    ------
    BadInputError
        When labels are regions, or not numbered in order.
    """
    labels = {str(label): value for label, value in dataset["labels"].items() if label not in ("background", "ignore")}
    order = sorted(labels, key=lambda label: str(labels[label]).zfill(6))
    if any(not isinstance(labels[label], int) for label in order) or [labels[x] for x in order] != [
        *range(1, len(order) + 1)
    ]:
        raise BadInputError(f"labels of the dataset must be 1, 2, 3…, and no regions; found {labels}.")
    return order


def read_axes(dataset: Mapping[str, Any], asked: str | None) -> tuple[str, tuple[str, ...]]:
    """Orientation of the files that a model was trained on, and what a reader should know of how that is known."""
    said, told = (None if code is None else str(code).upper() for code in (dataset.get(AXES_KEY), asked))
    if said and told and said != told:
        return told, (
            f"Its dataset.json says that its training files lay in {said}; {told} was asked for and is used.",
        )
    if known := told or said:
        return known, ()
    return AXES, (
        f"Nothing says in which orientation its training files lay: {AXES} is assumed. If they lay otherwise, its "
        "answers are wrong; then import it again with --axes.",
    )


def renamed(state: Mapping[str, Tensor], config: PlainUNetConfig, file: Path) -> dict[str, Tensor]:
    """A checkpoint's weights under our names; what it holds twice, and deep supervision's heads, left out.

    Raises
    ------
    BadInputError
        When one is missing or of another shape.
    """
    wanted = {name: tuple(value.shape) for name, value in PlainUNet(config).state_dict().items()}
    found = {}
    for name, value in state.items():
        ours = _our_name(name, len(config.decoder_convs) - 1)
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
