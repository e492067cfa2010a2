"""NIfTI files by their names, in small or capital letters, and those of a folder."""

from __future__ import annotations

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

    Parameters
    ----------
    pattern
        Glob within the folder; ``*`` takes those in the folder itself alone.
    """
    return sorted(
        path
        for path in folder.glob(pattern)
        if is_nifti(path)
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def told_twins(paths: Iterable[Path]) -> str:
    """In words, the first two files of one folder that differ by their ending alone; empty when there are none."""
    seen: dict[Path, Path] = {}
    for path in paths:
        twin = seen.setdefault(path.with_name(stem_of(path)), path)
        if twin != path:
            return f"{twin.name} and {path.name} differ by their ending alone; keep the one that is meant."
    return ""
