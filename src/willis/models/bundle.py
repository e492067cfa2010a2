"""A bundle as a folder: `bundle.json`, the members' files, the card; every file checked by its SHA-256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from willis.errors import BundleError
from willis.models.manifest import ONNX_NETWORK, Manifest, parse_manifest

if TYPE_CHECKING:
    import numpy.typing as npt

MANIFEST_FILE = "bundle.json"
CARD_FILE = "README.md"


@dataclass(frozen=True)
class Bundle:
    """A trained model: its manifest and the folder that holds its files."""

    manifest: Manifest
    folder: Path

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.manifest.name

    @property
    def card(self) -> str:
        """The model card (Markdown), or nothing where the bundle has none."""
        path = self.folder / CARD_FILE
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    @property
    def digest(self) -> str:
        """SHA-256 over the manifest, which itself holds the sum of every file: one word that identifies the bundle."""
        return hashlib.sha256(self.manifest.to_json().encode()).hexdigest()

    @property
    def stages(self) -> tuple[Bundle, ...]:
        """Itself, after the earlier stage of a cascade as a bundle of its own, whose files lie in the same folder."""
        earlier = self.manifest.previous
        if earlier is None:
            return (self,)
        network = earlier.network.model_dump()
        alone = self.manifest.changed(network=network, members=earlier.members, previous=None, precision=())
        return Bundle(alone, self.folder), self

    def member_path(self, index: int) -> Path:
        """Path of one member's file, its SHA-256 not checked."""
        members = self.manifest.members
        if not 0 <= index < len(members):
            raise BundleError(f"{self.name} has members 0 to {len(members) - 1}; {index} was asked for.")
        return self.folder / members[index]

    def member_bytes(self, index: int) -> bytes:
        """Content of one member's file.

        Raises
        ------
        BundleError
            When it is absent or its SHA-256 differs from the manifest's.
        """
        path = self.member_path(index)
        content = read_whole(path)
        _check_sum(path, hashlib.sha256(content).hexdigest(), self.manifest.files[path.name])
        return content

    def member_weights(self, index: int) -> dict[str, npt.NDArray[Any]]:
        """Weights of one member by name, floating ones as float32.

        Raises
        ------
        BundleError
            When the file is absent or altered, or the bundle holds ONNX graphs.
        """
        if self.manifest.network.name == ONNX_NETWORK:
            raise BundleError(f"{self.name} holds ONNX graphs, which have no weights to load one by one.")
        from willis.models.weights import unpack_weights  # numpy and safetensors, which listing bundles doesn't need

        return unpack_weights(self.member_bytes(index), where=str(self.member_path(index)))

    def verify(self) -> None:
        """Check the SHA-256 of every file that the manifest names.

        Raises
        ------
        BundleError
            Naming the first file that is absent or altered, and both sums.
        """
        for name, expected in self.manifest.files.items():
            path = self.folder / name
            _check_sum(path, sha256_of(path), expected)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle's manifest; neither weights nor sums are looked at.

    Raises
    ------
    BundleError
        When the manifest is absent, invalid, too new, or names no members.
    """
    path = folder / MANIFEST_FILE
    try:
        text = read_whole(path).decode()
    except UnicodeDecodeError:
        raise BundleError(f"{path} is not text in UTF-8.") from None
    manifest = parse_manifest(text, where=str(path))
    members = [manifest.members, *([manifest.previous.members] if manifest.previous else [])]
    if not all(members) or not manifest.files:
        raise BundleError(f"{path} names no members or no SHA-256 sums; the bundle is incomplete.")
    return Bundle(manifest, folder)


def read_whole(path: Path) -> bytes:
    """Read a file of a bundle; BundleError when it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} can't be read: {error.strerror}.") from None


def sha256_of(path: Path) -> str:
    """Sum up a file of a bundle; BundleError when it can't be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{path} can't be read: {error.strerror}.") from None


def _check_sum(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise BundleError(
            f"{path} was altered: its SHA-256 is {found}, and its manifest says {expected}. "
            "Fetch or import the bundle again."
        )
