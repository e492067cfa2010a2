"""ONNX graphs of a foreign network, as a bundle."""

from collections.abc import Sequence
from pathlib import Path

from willis.errors import BadInputError, BundleError
from willis.models.bundle import Bundle
from willis.models.cards import render_card
from willis.models.manifest import ONNX_NETWORK, Manifest, parse_manifest
from willis.models.store import user_folder, write_bundle
from willis.units import counted


def import_onnx(manifest: Path, graphs: Sequence[Path], out: Path | None = None, *, replace: bool = False) -> Bundle:
    """Make a bundle of ONNX files, one for each member.

    Each takes one image (N, C, I, J, K) and gives logits (N, L, I, J, K), its weights within the file. Where the `onnx`
    package is installed this is checked.

    Parameters
    ----------
    manifest
        JSON with the fields of a Manifest; `members` and `files` are filled in.
    out
        The bundle's folder; in the user's store under its own name when not given.

    Raises
    ------
    BadInputError
        When a file can't be read or is no such graph.
    BundleError
        When the manifest is not valid, or a bundle stands there already.
    """
    try:
        described = parse_manifest(manifest.read_text(encoding="utf-8"), where=str(manifest))
    except OSError as error:
        raise BadInputError(f"{manifest} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{manifest} is not text in UTF-8; save it as such.") from None
    if described.network.name != ONNX_NETWORK:
        raise BundleError(f"{manifest} names the network {described.network.name!r}; for ONNX graphs it is 'onnx'.")
    described = described.changed(members=(), files={})
    return write_bundle(
        out if out is not None else user_folder() / described.name,
        described,
        [_graph(path, described) for path in graphs],
        card=render_card(described),
        replace=replace,
    )


def _graph(path: Path, manifest: Manifest) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInputError(f"{path} can't be read: {error.strerror}.") from None
    try:
        import onnx
    except ImportError:
        return content
    try:
        graph = onnx.load_model_from_string(content).graph
    except Exception as error:  # protobuf's own error types differ between its implementations
        raise BadInputError(f"{path} is no ONNX file: {error}.") from None
    if any(t.data_location == onnx.TensorProto.EXTERNAL for t in graph.initializer):
        raise BadInputError(f"{path} keeps weights in another file. Save it again with all its weights inside.")
    stored = {t.name for t in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise BadInputError(
            f"{path} has {counted(len(inputs), 'input')} and {counted(len(graph.output), 'output')}; one of "
            "each is needed."
        )
    for value, names in ((inputs[0], manifest.channels), (graph.output[0], manifest.outputs)):
        sizes = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if len(sizes) != 5 or sizes[1] not in (0, len(names)):
            raise BadInputError(f"{path}: {value.name} has the shape {sizes}; (1, {len(names)}, I, J, K) is needed.")
    return content
