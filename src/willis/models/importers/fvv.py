"""The published FVV models, ten ONNX graphs or ten PyTorch checkpoints, as one bundle.

References
----------
.. [1] Benzakoun et al. 2025, doi:10.1177/23969873251362712
.. [2] The models' code: https://github.com/NeuroSainteAnne/FVA
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from willis.errors import BadInputError, MissingExtraError
from willis.models.bundle import Bundle, sha256_of
from willis.models.cards import render_card
from willis.models.importers.checkpoint import read_checkpoint, state_of
from willis.models.importers.fvv_names import our_name
from willis.models.manifest import ONNX_NETWORK, Manifest, make_manifest
from willis.models.store import user_folder, write_bundle
from willis.nets.registry import build_network
from willis.units import counted

MEMBERS = 10  # as published
NETWORK = "deeplab25d"
STACK = (2, 7, 256, 256)  # what one slice is found from: channels, slices, height, width
KEPT_OF_LEGACY = (0, 2, 3)  # brain, infarct, FLAIR-visible among the four outputs of older models
GRAPH_INPUT, GRAPH_OUTPUT = "modelInput", "modelOutput"
_NUMBER = re.compile(r"(\d+)\D*$")


def import_fvv(folder: Path, out: Path | None = None, *, half: bool = False, replace: bool = False) -> Bundle:
    """Make one bundle of the published files.

    Parameters
    ----------
    folder
        Holds ``model1.onnx`` to ``model10.onnx``, or as many ``.pth``.
    out
        The bundle's folder; in the user's store under its own name when not given.
    half
        Store the checkpoints' kernels as float16; logits then differ. Graphs are stored as they are.
    replace
        Whether a bundle of this name may be replaced.

    Raises
    ------
    BadInputError
        When there are no such files, files of both kinds, one that is there twice, or one of another network.
    BundleError
        When a bundle stands there already.
    """
    paths = find_models(folder)
    _refuse_copies(paths)
    foreign = paths[0].suffix == ".onnx"
    members: Iterator[bytes] | Iterator[dict[str, npt.NDArray[np.float32]]]
    members = (read_graph(path) for path in paths) if foreign else (read_weights(path) for path in paths)
    manifest = _manifest(foreign, len(paths))
    return write_bundle(
        out if out is not None else user_folder() / manifest.name,
        manifest,
        members,
        half=half,
        card=render_card(manifest),
        replace=replace,
    )


def find_models(folder: Path) -> list[Path]:
    """The models of a folder by the number at the end of their names.

    Raises
    ------
    BadInputError
        When there are none, or both kinds.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is no folder. Give the one that holds the published .onnx or .pth files.")
    kinds = {suffix: sorted(folder.glob(f"*{suffix}"), key=_order) for suffix in (".onnx", ".pth")}
    found = [paths for paths in kinds.values() if paths]
    if len(found) == 1:
        return found[0]
    what = "both .onnx and .pth files" if found else "no .onnx or .pth file"
    raise BadInputError(f"{folder} holds {what}; the models of one kind are needed, as model1.onnx to model10.onnx.")


def _refuse_copies(paths: Sequence[Path]) -> None:
    """Refuse a file that is there twice, as a second download leaves it: it would have two votes."""
    seen: dict[str, Path] = {}
    for path in paths:
        if (first := seen.setdefault(sha256_of(path), path)) != path:
            raise BadInputError(f"{first.name} and {path.name} of {first.parent} are one model. Keep one of them.")


def _order(path: Path) -> tuple[int, str]:
    number = _NUMBER.search(path.stem)
    return (int(number[1]) if number else 0, path.name)


def read_weights(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Weights of a checkpoint under the names of ``nets.deeplab25d``; of four outputs the three that count.

    Raises
    ------
    BadInputError
        When the file holds code, quantised weights, or those of another network.
    """
    state = state_of(read_checkpoint(path), path)
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for name, value in state.items():
        if value.is_quantized:
            raise BadInputError(f"{path} is quantised; give the checkpoint from before, or its ONNX graph.")
        weights[our_name(name, path)] = np.ascontiguousarray(value.float().numpy())
    if weights.get("head.bias", np.empty(0)).shape == (4,):
        for name in ("head.weight", "head.bias"):
            weights[name] = weights[name][list(KEPT_OF_LEGACY)]
    _check_shapes(path, weights)
    return weights


def _check_shapes(path: Path, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in build_network(NETWORK, {}).state_dict().items()}
    if strange := sorted(set(wanted) ^ set(weights)):
        raise BadInputError(f"{path}: arrays without a counterpart: {', '.join(strange[:3])}; it is another network.")
    for name, array in weights.items():
        if array.shape != wanted[name]:
            raise BadInputError(f"{path}: {name} has the shape {array.shape}; {wanted[name]} is needed.")
        if not np.isfinite(array).all():
            raise BadInputError(f"{path}: {name} holds values that are not finite.")


def read_graph(path: Path) -> bytes:
    """An ONNX graph from (N, 2, 7, 256, 256) to (N, 3, 256, 256); of four outputs the three that count are taken out.

    Raises
    ------
    BadInputError
        When the file is no such graph.
    MissingExtraError
        When the package ``onnx`` isn't installed.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "import ONNX graphs of FVV") from None
    content = path.read_bytes()
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's own error types differ between its implementations
        raise BadInputError(f"{path} is no ONNX file: {error}.") from None
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = {value.name: _sizes(value) for value in graph.input if value.name not in stored}
    outputs = {value.name: _sizes(value) for value in graph.output}
    if inputs.get(GRAPH_INPUT, ())[1:] != STACK or list(outputs) != [GRAPH_OUTPUT]:
        raise BadInputError(
            f"{path} takes {inputs} and gives {outputs}; a graph of FVV takes {GRAPH_INPUT} (N, 2, 7, 256, 256) and "
            f"gives {GRAPH_OUTPUT}."
        )
    if outputs[GRAPH_OUTPUT][1] != 4:
        return content
    for node in graph.node:
        node.output[:] = [f"{GRAPH_OUTPUT}.all" if name == GRAPH_OUTPUT else name for name in node.output]
        node.input[:] = [f"{GRAPH_OUTPUT}.all" if name == GRAPH_OUTPUT else name for name in node.input]
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(KEPT_OF_LEGACY, np.int64), "willis.kept"))
    graph.node.append(onnx.helper.make_node("Gather", [f"{GRAPH_OUTPUT}.all", "willis.kept"], [GRAPH_OUTPUT], axis=1))
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = len(KEPT_OF_LEGACY)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _sizes(value: object) -> tuple[int, ...]:
    return tuple(d.dim_value for d in value.type.tensor_type.shape.dim)  # type: ignore[attr-defined]


def _manifest(foreign: bool, count: int) -> Manifest:
    return make_manifest(
        {
            "name": "fvv-published-onnx" if foreign else "fvv-published",
            "title": f"FVV as published, {counted(count, 'member')}",
            "task": "fvv",
            "network": {"name": ONNX_NETWORK if foreign else NETWORK, "config": {}},
            "channels": ("b1000", "b0"),
            "outputs": ("brain", "lesion", "flairvisible"),
            "spacing_mm": (1.0, 1.0, 5.0),
            "window": {"mode": "slices", "shape": (256, 256, 7)},
            "intensity": {"scheme": "zscore", "cap": 10.0},
            "threshold": {"value": 0.5, "origin": "as published: the sign of the logit"},
            "licence": "Not stated in the files; ask the authors (https://github.com/NeuroSainteAnne/FVA)",
            "citation": (
                "Benzakoun et al. 2025, automated DWI-FLAIR mismatch assessment in stroke using DWI only, European "
                "Stroke Journal. doi:10.1177/23969873251362712",
            ),
            "intended_use": "Research on stroke of unknown onset. Not a medical device.",
            "source": "https://github.com/NeuroSainteAnne/FVA",
            "peculiarities": (
                "Slices keep their own spacing; the plane is rescaled to 256 × 256 only when a side is below 240 or "
                "above 272, so spacing_mm is nominal.",
                "Padding before strided convolutions is applied to the axes in reverse order, so that seven slices "
                "become three on the way; the weights were trained so.",
                *(() if count == MEMBERS else (f"{counted(count, 'member')} imported; {MEMBERS} are published.",)),
            ),
        },
        "the FVV models",
    )
