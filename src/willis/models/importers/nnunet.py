"""A trained model folder of nnU-Net v2 as a bundle of ours: plans, dataset and the checkpoints of its folds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from willis.errors import BadInputError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.importers.checkpoint import read_checkpoint, state_of
from willis.models.importers.nnunet_folder import CHECKPOINT, TrainedFolder, read_folder
from willis.models.importers.nnunet_network import read_network, renamed
from willis.models.manifest import Network, make_manifest
from willis.models.nnunet_plan import AXES_KEY, ChannelValues, NnunetPlan, PreviousLabels, Scheme
from willis.models.store import user_folder, write_bundle

TURNING = {"NibabelIOWithReorient": "RAS", "SimpleITKIOWithReorient": "RAS"}  # readers of nnU-Net that turn files
AXES = "LAS"  # assumed where nothing says it: of axial slices as dcm2niix writes them; nnU-Net reads files as they lie
RESAMPLING = "resample_data_or_seg_to_shape"
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
    previous: Path | None = None,
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
        Which, by the end of their folders' names, of both stages of a cascade; when None all that are there, but
        ``fold_all`` only where it is alone.
    checkpoint
        Name of the weights' file.
    axes
        Orientation of the files that it was trained on; a scan is turned to it. None: what ``willis export`` wrote into
        the dataset.json that it was trained from, else :data:`AXES`, as the manifest then says.
    previous
        Folder of the stage before a cascade's; None: the one beside ``folder`` that its name leads to.

    Raises
    ------
    BadInputError
        When a file is absent or of another kind, or the plans ask for what isn't known here.
    """
    trained = read_folder(folder, folds, checkpoint)
    dataset = trained.dataset
    before = _stage_before(trained, previous, folds, checkpoint)
    plan = read_plan(trained)
    labels = [re.sub(r"[^a-z0-9._-]", "-", name.lower()) for name in read_labels(dataset)]
    outputs = labels if plan.regions else ["background", *labels]
    network = read_network(trained.about, len(outputs), plan)
    earlier = None if before is None else read_network(before.about, len(outputs), read_plan(before))
    lying, doubt = read_axes(trained.plans, dataset, axes)
    manifest = make_manifest(
        {
            "name": name,
            "task": task,
            "title": f"nnU-Net {trained.configuration}: {', '.join(labels)}",
            "network": network.model_dump(),
            "previous": None if earlier is None else {"network": earlier.model_dump()},
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
                *(() if before is None else (_cascaded(before),)),
                *doubt,
            ),
        },
        f"the bundle of {folder.name}",
    )
    place = out if out is not None else user_folder() / name
    return write_bundle(
        place, manifest, _weights(trained, network), half=False, card=render_card(manifest), replace=replace,
        previous=_weights(before, earlier) if before is not None and earlier is not None else (),
    )  # fmt: skip


def _weights(trained: TrainedFolder, network: Network) -> Iterator[dict[str, Tensor]]:
    return (renamed(state_of(read_checkpoint(file), file), network, file) for file in trained.files)


def _cascaded(before: TrainedFolder) -> str:
    count = len(before.files)
    return (
        f"A cascade: the labels that {count} {'network' if count == 1 else 'networks'} of {before.configuration} "
        f"({before.path.resolve().name}) found are seen beside the image."
    )


def _stage_before(
    final: TrainedFolder, asked: Path | None, folds: Sequence[str] | None, checkpoint: str
) -> TrainedFolder | None:
    """The folder whose labels a cascade sees; None where a model sees the image alone.

    Raises
    ------
    BadInputError
        When it is absent, or is of another configuration, or other labels, images or axes than the cascade's.
    """
    wanted = final.about.get("previous_stage")
    if not wanted:
        if asked is not None:
            raise BadInputError(
                f"{final.configuration} is no cascade and sees the image alone, but {asked} was given as its previous "
                "stage. Leave --previous out."
            )
        return None
    own = final.path.resolve()
    place = asked if asked is not None else own.with_name("__".join([*own.name.split("__")[:-1], str(wanted)]))
    if not place.is_dir():
        raise BadInputError(
            f"{final.configuration} is a cascade and sees the labels of {wanted}, whose folder {place} is absent. Give "
            "the trained model folder of that stage with --previous."
        )
    found = read_folder(place, folds, checkpoint)
    if found.configuration != wanted or found.about.get("previous_stage"):
        raise BadInputError(
            f"{place} holds the configuration {found.configuration}; {final.configuration} sees the labels of "
            f"{wanted}, a model of the image alone. Give its folder with --previous."
        )
    for what, of in (
        ("labels", lambda one: one.dataset.get("labels")),
        ("regions_class_order", lambda one: one.dataset.get("regions_class_order")),
        ("images", lambda one: list(_channel_names(one.dataset).values())),
        ("axes", lambda one: read_axes(one.plans, one.dataset, None)[0]),
    ):
        if of(found) != of(final):
            raise BadInputError(
                f"the stages of the cascade differ in their {what}: {of(found)} in {place}, {of(final)} in "
                f"{final.path}. Give folders that were trained from one dataset."
            )
    return found


def read_plan(trained: TrainedFolder) -> NnunetPlan:
    """What the plans say of the configuration that was trained.

    Raises
    ------
    BadInputError
        When they ask for another resampling or normalisation.
    """
    plans, dataset, about = trained.plans, trained.dataset, trained.about
    for held, key, known in (
        (plans, "label_manager", "LabelManager"),
        (about, "preprocessor_name", "DefaultPreprocessor"),
    ):
        if held.get(key, known) != known:
            raise BadInputError(f"the plans' {key} is {held[key]}; known is nnU-Net's own {known}.")
    cascaded = bool(about.get("previous_stage"))
    kinds = ("probabilities", "data", "seg") if cascaded else ("probabilities", "data")
    for kind in kinds:
        found = str(about.get(f"resampling_fn_{kind}", RESAMPLING))
        if found != RESAMPLING:
            raise BadInputError(f"the plans resample {kind} by {found}; known is {RESAMPLING}.")
    spacing, patch = list(about["spacing"]), list(about["patch_size"])
    flat = len(patch) == 2
    result, data, *labels = (about.get(f"resampling_fn_{kind}_kwargs", {}) for kind in kinds)
    thick = [held.get("force_separate_z") for held in (result, data, *labels)]
    if len(set(thick)) > 1:
        raise BadInputError(
            f"the plans' force_separate_z is {', '.join(map(str, thick))} for {', '.join(kinds)}; known is one for all."
        )
    fingerprint = plans.get("foreground_intensity_properties_per_channel", {})
    rules = zip(about["normalization_schemes"], about["use_mask_for_norm"], strict=True)
    return NnunetPlan(
        flat=flat,
        transpose=tuple(plans["transpose_forward"]),
        spacing_mm=(1.0, *spacing) if flat else tuple(spacing),
        patch=(1, *patch) if flat else tuple(patch),
        values=tuple(_values(str(s), bool(m), fingerprint.get(str(c), {})) for c, (s, m) in enumerate(rules)),
        mirror=trained.mirror,
        image_order=data.get("order", 3),
        image_order_z=data.get("order_z", 0),
        result_order=result.get("order", 1),
        result_order_z=result.get("order_z", 0),
        separate=thick[0],
        regions=any(_is_region(value) for value in dataset["labels"].values()),
        previous=_previous_labels(dataset, labels[0]) if labels else None,
    )


def _previous_labels(dataset: Mapping[str, Any], resampling: Mapping[str, Any]) -> PreviousLabels:
    """How a cascade's network sees labels, by ``resampling_fn_seg_kwargs``; a channel for each above 0, in order."""
    for key, known in (("is_seg", True), ("order_z", 0)):
        if resampling.get(key, known) != known:
            raise BadInputError(f"the plans resample seg with {key} = {resampling[key]}; known is {known}.")
    names = read_labels(dataset)
    values = {name: value for name, value in dataset["labels"].items() if name != "ignore"}.values()
    shown = sorted({code for value in values for code in (value if isinstance(value, list) else [value])} - {0})
    codes = dataset["regions_class_order"] if any(map(_is_region, values)) else range(1, len(names) + 1)
    hidden = sorted(set(codes) - set(shown))
    if hidden:
        raise BadInputError(
            f"regions_class_order names {hidden[0]}, which is no label of the dataset; those are {shown}."
        )
    return PreviousLabels(
        codes=tuple(shown.index(code) + 1 for code in codes), channels=len(shown), order=resampling.get("order", 1)
    )


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


def _values(scheme: str, inside: bool, found: Mapping[str, float]) -> ChannelValues:
    known = Scheme.__args__  # type: ignore[attr-defined]
    if scheme not in known:
        raise BadInputError(f"the plans normalise by {scheme}; known are {', '.join(known)}.")
    if scheme != "CTNormalization":
        return ChannelValues(scheme=scheme, inside=inside)  # type: ignore[arg-type]
    low, high = found["percentile_00_5"], found["percentile_99_5"]
    return ChannelValues(scheme="CTNormalization", low=low, high=high, mean=found["mean"], std=found["std"])


def _channel_names(dataset: Mapping[str, Any]) -> Mapping[str, str]:
    return dataset.get("channel_names") or dataset.get("modality") or {"0": "image"}
