"""NIfTI files by their names, in small or capital letters, and those of a folder."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable
from pathlib import Path

_ONE_PIECE = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
_ENDING = re.compile(r"\.(nii|hdr|img)(\.gz)?$", re.IGNORECASE)


def is_nifti(path: Path) -> bool:
    """Whether a name is that of a NIfTI file in one piece.

    >>> [is_nifti(Path(name)) for name in ("a.nii.gz", "a.NII", "a.Nii.GZ", "a.gz", "nii")]
    [True, True, True, False, False]
    """
    return _ONE_PIECE.search(path.name) is not None


def stem_of(path: Path) -> str:
    """A NIfTI file's name without its ending; any other name as it is.

    >>> stem_of(Path("sub-01_dwi.nii.gz")), stem_of(Path("v1.2_b0.NII"))
    ('sub-01_dwi', 'v1.2_b0')
    """
    return _ENDING.sub("", path.name)


def find_niftis(folder: Path, pattern: str = "**/*") -> list[Path]:
    """NIfTI files of a folder, in order of their paths, without what is hidden.

    Links to folders are followed. A link to a file that isn't there is a file like any other, so that who reads it says
    so: an image that a data set has and that wasn't fetched isn't one that it lacks.

    Parameters
    ----------
    pattern
        Glob within the folder; ``*`` takes those in the folder itself alone.
    """
    found = (folder / name for name in glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 - Path.glob skips folders behind links
    return sorted(path for path in found if is_nifti(path) and not path.is_dir())


def told_twins(paths: Iterable[Path]) -> str:
    """In words, the first two files of one folder that differ by their ending alone; empty when there are none."""
    seen: dict[Path, Path] = {}
    for path in paths:
        twin = seen.setdefault(path.with_name(stem_of(path)), path)
        if twin != path:
            return f"{twin.name} and {path.name} differ by their ending alone; keep the one that is meant."
    return ""
