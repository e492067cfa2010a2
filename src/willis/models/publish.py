"""Bundles are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from willis.errors import BundleError
from willis.models.bundle import CARD_FILE, MANIFEST_FILE, Bundle, read_bundle, sha256_of
from willis.models.cards import render_card
from willis.models.manifest import ONNX_NETWORK, Manifest

if TYPE_CHECKING:
    from willis.models.weights import Weights


def write_bundle(
    folder: str | os.PathLike[str],
    manifest: Manifest,
    members: Iterable[Weights | bytes],
    half: bool = True,
    *,
    previous: Iterable[Weights] = (),
    card: str | None = None,
    replace: bool = False,
) -> Bundle:
    """Write a bundle whole or not at all: everything goes to a hidden sibling folder that is then renamed.

    Parameters
    ----------
    manifest
        Its `members` and `files` are filled in here.
    members
        For each member its weights by name (arrays or torch tensors), or the bytes of an ONNX graph. They are taken
        one at a time, so that a generator keeps memory at one member.
    half
        Store matrices and kernels as float16; vectors and integers always keep their type (see `weights.pack_weights`).
    previous
        Weights of each member of the manifest's earlier stage.
    card
        Text of the model card, written as README.md.
    replace
        Take the place of a bundle that stands there already.

    Raises
    ------
    BundleError
        When the folder exists, there is no member, or a weight is not finite or too large for float16.
    """
    with _draft_of(Path(folder).absolute(), replace) as draft:
        files: dict[str, Any] = {"members": _write_members(draft, "member", members, manifest, half)}
        if manifest.previous is not None:
            names = _write_members(draft, "previous", previous, manifest, half)
            files["previous"] = {"network": manifest.previous.network.model_dump(), "members": names}
        if card is not None:
            (draft / CARD_FILE).write_text(card, encoding="utf-8")
        complete = _seal(draft, manifest.changed(**files, files={}))
    return Bundle(complete, Path(folder).absolute())


def _write_members(
    draft: Path, prefix: str, members: Iterable[Weights | bytes], manifest: Manifest, half: bool
) -> tuple[str, ...]:
    """Write the members of one stage one at a time and give the names of their files."""
    from willis.models.weights import pack_weights  # numpy and safetensors, which listing bundles doesn't need

    suffix = "onnx" if manifest.network.name == ONNX_NETWORK else "safetensors"
    names = []
    for index, member in enumerate(members):
        if isinstance(member, bytes) != (suffix == "onnx"):
            wanted = "the bytes of an ONNX graph" if suffix == "onnx" else "weights by name"
            raise BundleError(f"Member {index} of {manifest.name} must be {wanted}.")
        names.append(f"{prefix}_{index}.{suffix}")
        (draft / names[-1]).write_bytes(member if isinstance(member, bytes) else pack_weights(member, half=half))
    if not names:
        kind = "member" if prefix == "member" else "member of its earlier stage"
        raise BundleError(f"A bundle needs at least one {kind}; none was given for {manifest.name}.")
    return tuple(names)


def amend_bundle(folder: str | os.PathLike[str], *, card: str | None = None, **changes: Any) -> Bundle:
    """Change fields of a bundle's manifest, or its card, and keep its members as they are.

    Raises
    ------
    BundleError
        When the bundle is damaged or a changed field is not allowed.
    """
    bundle = read_bundle(Path(folder))
    return copy_bundle(bundle, bundle.folder, replace=True, card=card, **changes)


def copy_bundle(
    bundle: Bundle, folder: str | os.PathLike[str], *, replace: bool = False, card: str | None = None, **changes: Any
) -> Bundle:
    """Write a bundle elsewhere with fields of its manifest, or its card, changed and its members as they are.

    Raises
    ------
    BundleError
        When the bundle is damaged, the folder exists and isn't to be replaced, or a changed field is not allowed.
    """
    bundle.verify()
    with _draft_of(Path(folder).absolute(), replace) as draft:
        for name in bundle.manifest.files:
            shutil.copyfile(bundle.folder / name, draft / name)
        if card is not None:
            (draft / CARD_FILE).write_text(card, encoding="utf-8")
        amended = _seal(draft, bundle.manifest.changed(**changes, files={}))
    return Bundle(amended, Path(folder).absolute())


def copy_with_card(bundle: Bundle, folder: str | os.PathLike[str], *, replace: bool = False, **changes: Any) -> Bundle:
    """:func:`copy_bundle`; a card that was made of the manifest is made anew, another one is kept."""
    made_of_manifest = bundle.card.strip() == render_card(bundle.manifest).strip()
    card = render_card(bundle.manifest.changed(**changes)) if made_of_manifest else None
    return copy_bundle(bundle, folder, replace=replace, card=card, **changes)


def _seal(draft: Path, manifest: Manifest) -> Manifest:
    """Write the manifest with the SHA-256 of every file that stands in the draft."""
    sealed = manifest.changed(files={path.name: sha256_of(path) for path in draft.iterdir()})
    (draft / MANIFEST_FILE).write_text(sealed.to_json(), encoding="utf-8")
    return sealed


@contextmanager
def _draft_of(folder: Path, replace: bool) -> Iterator[Path]:
    """Give an empty hidden folder beside `folder`, which takes its place if all goes well and vanishes if not."""
    if folder.exists() and not replace:
        raise BundleError(f"{folder} exists already. Choose another folder, or say that it is to be replaced.")
    if folder.exists() and not (folder / MANIFEST_FILE).is_file():
        raise BundleError(f"{folder} is no bundle (it has no {MANIFEST_FILE}), so it is not replaced.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as made:
        draft = Path(made) / "new"
        draft.mkdir()
        yield draft
        _swap(draft, folder, Path(made) / "old")


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
