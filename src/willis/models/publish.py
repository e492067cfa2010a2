"""Bundles are written whole or not at all."""

import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from willis.errors import BundleError
from willis.models.bundle import CARD_FILE, MANIFEST_FILE, Bundle, read_bundle, read_whole
from willis.models.manifest import ONNX_NETWORK, Manifest
from willis.models.weights import Weights, pack_weights


def write_bundle(
    folder: str | os.PathLike[str],
    manifest: Manifest,
    members: Sequence[Weights | bytes],
    half: bool = True,
    *,
    card: str | None = None,
    replace: bool = False,
) -> Bundle:
    """Write a bundle whole or not at all: everything goes to a hidden sibling folder that is then renamed.

    Parameters
    ----------
    manifest
        Its `members` and `files` are filled in here.
    members
        For each member its weights by name (arrays or torch tensors), or the bytes of an ONNX graph.
    half
        Store matrices and kernels as float16; vectors and integers always keep their type (see `weights.pack_weights`).
    card
        Text of the model card, written as README.md.
    replace
        Take the place of a bundle that stands there already.

    Raises
    ------
    BundleError
        When the folder exists, there is no member, or a weight is not finite or too large for float16.
    """
    if not members:
        raise BundleError(f"A bundle needs at least one member; none was given for {manifest.name}.")
    files: dict[str, bytes] = {}
    suffix = "onnx" if manifest.network.name == ONNX_NETWORK else "safetensors"
    for index, member in enumerate(members):
        if isinstance(member, bytes) != (suffix == "onnx"):
            wanted = "the bytes of an ONNX graph" if suffix == "onnx" else "weights by name"
            raise BundleError(f"Member {index} of {manifest.name} must be {wanted}.")
        files[f"member_{index}.{suffix}"] = member if isinstance(member, bytes) else pack_weights(member, half=half)
    names = tuple(files)
    if card is not None:
        files[CARD_FILE] = card.encode()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    complete = manifest.changed(members=names, files=sums)
    return _publish(Path(folder), complete, files, replace)


def amend_bundle(folder: str | os.PathLike[str], *, card: str | None = None, **changes: Any) -> Bundle:
    """Change fields of a bundle's manifest, or its card, and keep its members as they are.

    Raises
    ------
    BundleError
        When the bundle is damaged or a changed field is not allowed.
    """
    bundle = read_bundle(Path(folder))
    bundle.verify()
    files = {name: read_whole(bundle.folder / name) for name in bundle.manifest.files}
    if card is not None:
        files[CARD_FILE] = card.encode()
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return _publish(bundle.folder, bundle.manifest.changed(**changes, files=sums), files, replace=True)


def _publish(folder: Path, manifest: Manifest, files: Mapping[str, bytes], replace: bool) -> Bundle:
    folder = folder.absolute()
    if folder.exists() and not replace:
        raise BundleError(f"{folder} exists already. Choose another folder, or say that it is to be replaced.")
    if folder.exists() and not (folder / MANIFEST_FILE).is_file():
        raise BundleError(f"{folder} is no bundle (it has no {MANIFEST_FILE}), so it is not replaced.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
        draft = Path(made) / "new"
        draft.mkdir()
        for name, content in files.items():
            (draft / name).write_bytes(content)
        (draft / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
        _swap(draft, folder, Path(made) / "old")
    return Bundle(manifest, folder)


def _swap(draft: Path, folder: Path, old: Path) -> None:
    """Put `draft` in the place of `folder`; what stood there goes to `old`, and comes back if that fails."""
    standing = folder.exists()
    if standing:
        folder.rename(old)
    try:
        draft.rename(folder)
    except OSError:
        if standing:
            old.rename(folder)
        raise
