"""Where bundles are kept, and how one is found: by name or path, for a task, checked by SHA-256 on every load."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_data_path

from willis.errors import BundleError
from willis.models.bundle import CARD_FILE, MANIFEST_FILE, Bundle, read_bundle
from willis.models.manifest import Manifest
from willis.models.publish import amend_bundle, write_bundle

__all__ = [
    "BUNDLES_VARIABLE",
    "CARD_FILE",
    "MANIFEST_FILE",
    "Bundle",
    "Shelf",
    "amend_bundle",
    "default_bundle",
    "find_bundle",
    "list_bundles",
    "open_bundle",
    "search_folders",
    "user_folder",
    "write_bundle",
]

BUNDLES_VARIABLE = "WILLIS_BUNDLES"
"""Environment variable with more folders of bundles, or bundles themselves, separated as in PATH."""

Place = Literal["environment", "user", "shipped"]
_SHIPPED = Path(__file__).parent / "bundles"


@dataclass(frozen=True)
class Shelf:
    """One bundle as found in the store: its manifest, or the problem that keeps it from being used."""

    folder: Path
    place: Place
    manifest: Manifest | None
    problem: str | None


def user_folder() -> Path:
    """Give the folder of the user's own bundles."""
    return user_data_path("willis", appauthor=False) / "bundles"


def search_folders() -> list[tuple[Place, Path]]:
    """Give the folders that are searched for a name, in order: environment variable, shipped, user.

    So a default bundle, which bears its task's name, gives way only to a folder that was named on purpose.
    """
    listed = os.environ.get(BUNDLES_VARIABLE, "").split(os.pathsep)
    places: list[tuple[Place, Path]] = [("environment", Path(entry).expanduser()) for entry in listed if entry.strip()]
    return [*places, ("shipped", _SHIPPED), ("user", user_folder())]


def list_bundles() -> list[Shelf]:
    """List every bundle of the store in search order; no weights are read and nothing is raised for a bad one."""
    return [_look_at(folder, place) for place, root in search_folders() for folder in _bundle_folders(root)]


def open_bundle(reference: str | os.PathLike[str], task: str | None = None) -> Bundle:
    """Find a bundle by name or path and check the SHA-256 of each of its files.

    Parameters
    ----------
    reference
        A name (searched in WILLIS_BUNDLES, the shipped ones, then the user's folder), or the path of a folder.
    task
        The task it is wanted for; a bundle of another task is refused.

    Raises
    ------
    BundleError
        When there is none, its manifest is invalid or too new, a file is absent or altered, or the task is another.
    """
    bundle = find_bundle(reference)
    if task is not None and bundle.manifest.task != task:
        raise BundleError(f"{bundle.name} is a bundle for the task {bundle.manifest.task!r}; {task!r} was asked for.")
    bundle.verify()
    return bundle


def find_bundle(reference: str | os.PathLike[str]) -> Bundle:
    """Find a bundle by name or path and read its manifest, without looking at its other files.

    Raises
    ------
    BundleError
        When there is none, or its manifest is invalid or too new.
    """
    return read_bundle(_find(reference))


def default_bundle(task: str) -> Bundle:
    """Open the default bundle of a task, which bears the task's name.

    Raises
    ------
    BundleError
        When there is none, or it is damaged.
    """
    return open_bundle(task, task)


def _find(reference: str | os.PathLike[str]) -> Path:
    path = Path(reference).expanduser()
    if (path / MANIFEST_FILE).is_file():
        return path
    if path.name == MANIFEST_FILE and path.is_file():
        return path.parent
    if not isinstance(reference, str) or os.sep in reference or path.is_absolute():
        raise BundleError(f"{path} holds no bundle: there is no {MANIFEST_FILE} in it.")
    for _, root in search_folders():
        for folder in _bundle_folders(root):
            if folder.name == reference:
                return folder
    known = ", ".join(dict.fromkeys(shelf.folder.name for shelf in list_bundles())) or "none"
    raise BundleError(
        f"There is no bundle {reference!r}; known are: {known}. Give a name, or the path of a bundle's folder."
    )


def _bundle_folders(root: Path) -> Iterator[Path]:
    if (root / MANIFEST_FILE).is_file():
        yield root
    elif root.is_dir():
        yield from sorted(p.parent for p in root.glob(f"[!.]*/{MANIFEST_FILE}"))


def _look_at(folder: Path, place: Place) -> Shelf:
    try:
        return Shelf(folder, place, read_bundle(folder).manifest, None)
    except BundleError as error:
        return Shelf(folder, place, None, str(error))
