"""A bundle written for use elsewhere: as an ONNX bundle, or as OpenVINO networks."""

from __future__ import annotations

import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from willis.errors import BadInputError, MissingExtraError
from willis.infer.protocol import is_onnx
from willis.models.manifest import ONNX_NETWORK
from willis.models.nnunet_plan import plan_of
from willis.models.store import CARD_FILE, MANIFEST_FILE, write_bundle

if TYPE_CHECKING:
    from willis.models.store import Bundle

Format = Literal["onnx", "openvino"]


def export_bundle(bundle: Bundle, folder: Path, format_: Format, shape: tuple[int, int, int] | None = None) -> Path:
    """Write every member for images of one shape; the folder appears when it is complete.

    Parameters
    ----------
    bundle
        Holds weights of a network of willis.
    folder
        Is made. ``onnx``: a bundle with ONNX members; ``openvino``: ``member_0.xml``, ``member_0.bin``… and the
        manifest of the bundle they were made of.
    shape
        Voxels (I, J, K); the bundle's window or grid when None. Of a network that finds a slice from a stack, K are the
        slices of the stack; ONNX then takes any number of stacks (N, C, K, I, J) at once, OpenVINO one. Of a network
        over planes it is that of the slice, and with a plan its patch, neither of which is to be given; of slices ONNX
        takes any number (N, C, H, W, 1) at once.

    Raises
    ------
    BadInputError
        When the bundle holds ONNX already or is a cascade, the folder exists, no shape is known or fit, or slices of
        its planes differ in shape.
    MissingExtraError
        When OpenVINO is asked for and not installed.
    """
    if is_onnx(bundle):
        raise BadInputError(f"{bundle.name} holds ONNX graphs already; they are in {bundle.folder}.")
    if bundle.manifest.previous is not None:
        raise BadInputError(
            f"{bundle.name} is a cascade, whose network is of no use without the stage before it; cascades are not "
            "exported. Export a model of one stage."
        )
    if folder.exists():
        raise BadInputError(f"{folder} exists already. Choose another folder.")
    manifest = bundle.manifest
    planes = bool(manifest.planes)
    spatial = _fixed_shape(bundle, shape) or shape or manifest.window.shape or manifest.shape
    if spatial is None:
        raise BadInputError(f"{bundle.name} takes images of any size; give one with --shape, as --shape 96 96 96.")
    stacks = manifest.window.mode == "slices"
    whole = (1, manifest.inputs, *((spatial[2], *spatial[:2]) if stacks else spatial))
    _check_size(bundle, whole)
    if format_ == "openvino":
        return _as_openvino(bundle, folder, whole)
    from willis.infer.onnx_export import onnx_graph

    window, plan = manifest.window, manifest.network.config.get("plan")
    described = manifest.changed(
        network={"name": ONNX_NETWORK, "config": {"plan": plan} if plan else {}},
        members=(),
        files={},
        shape=spatial if manifest.window.mode == "whole" and not planes else manifest.shape,
        window=window.model_copy(update={"shape": spatial}) if window.shape and not planes else window,
        precision=(),
        peculiarities=(*manifest.peculiarities, f"Exported from the bundle {bundle.digest} for images of one size."),
    )
    graphs = (onnx_graph(bundle, member, whole, any_count=stacks or planes) for member in range(len(manifest.members)))
    return write_bundle(folder, described, graphs, card=bundle.card or None).folder


def _fixed_shape(bundle: Bundle, asked: tuple[int, int, int] | None) -> tuple[int, int, int] | None:
    """(H, W, 1) of the slices of a bundle of planes, or the patch of one with a plan; None: any shape will do."""
    plan = plan_of(bundle.manifest)
    if plan is None and not bundle.manifest.planes:
        return None
    shapes = {view.shape for view in bundle.manifest.planes}
    if len(shapes) > 1:
        raise BadInputError(
            f"{bundle.name} sees slices of {len(shapes)} shapes, and a graph is of one; export a bundle of one plane."
        )
    fixed = plan.patch if plan is not None else (*shapes.pop(), 1)
    if asked not in (None, fixed):
        sides = " × ".join(str(side) for side in fixed)
        raise BadInputError(f"{bundle.name} sees images of {sides} voxels and no others; leave --shape out.")
    return fixed


def _check_size(bundle: Bundle, shape: tuple[int, ...]) -> None:
    """Let the network refuse a size that it can't take, without computing anything."""
    import torch

    from willis.nets.registry import build_network

    with torch.device("meta"), torch.no_grad():
        build_network(bundle.manifest.network.name, bundle.manifest.network.config).eval()(torch.empty(shape))


def _as_openvino(bundle: Bundle, folder: Path, shape: tuple[int, ...]) -> Path:
    if not find_spec("openvino"):
        raise MissingExtraError("openvino", "openvino", "export to OpenVINO")
    import openvino as ov

    from willis.infer.torch_engine import member_network
    from willis.infer.torch_export import convert

    folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.absolute().parent) as made:
        draft = Path(made) / "new"
        draft.mkdir()
        for member in range(len(bundle.manifest.members)):
            network = convert(member_network(bundle, member), shape)
            ov.save_model(network, draft / f"member_{member}.xml", compress_to_fp16=False)
        shutil.copyfile(bundle.folder / MANIFEST_FILE, draft / "exported_from.json")
        if bundle.card:
            (draft / CARD_FILE).write_text(bundle.card, encoding="utf-8")
        draft.rename(folder)
    return folder
