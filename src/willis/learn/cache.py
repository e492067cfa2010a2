"""Cases on disk: plain uncompressed arrays that are mapped, not read, when a patch is cut out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.learn.case import Case

LARGEST_FOREGROUND_LIST = 100_000  # voxels kept for each label to centre patches on; a regular subset of more


@dataclass(frozen=True)
class StoredCase:
    """A case whose arrays lie on disk.

    Parameters
    ----------
    image
        (C, I, J, K) float16 (or as it was written), mapped.
    target
        (L, I, J, K) uint8, mapped.
    mask
        (I, J, K) bool, mapped.
    foreground
        For each label the flat indices into (I, J, K) where it is set; empty for an absent label.
    subject, spacing_mm, stack, group
        As in :class:`willis.learn.case.Case`.
    """

    image: npt.NDArray[np.floating]
    target: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    foreground: tuple[npt.NDArray[np.int64], ...]
    subject: str
    spacing_mm: tuple[float, float, float]
    stack: int = 1
    group: str = ""


def write_case(case: Case, folder: Path, dtype: type[np.floating] = np.float16) -> None:
    """Store a case in a new folder, which appears under its name only when complete; its image as numbers of a type.

    Raises
    ------
    BadInputError
        When the image holds values that the type can't.
    """
    largest, most = float(np.abs(case.image).max(initial=0.0)), float(np.finfo(dtype).max)
    if largest > most:
        raise BadInputError(
            f"case {case.subject}: the image holds {largest:g}, and cases are stored with values up to {most:g}. "
            "Scale it to about 0 to 1."
        )
    hidden = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(hidden, ignore_errors=True)
    hidden.mkdir(parents=True)
    np.save(hidden / "image.npy", case.image.astype(dtype, copy=False))
    np.save(hidden / "target.npy", case.target.astype(np.uint8, copy=False))
    np.save(hidden / "mask.npy", case.mask.astype(np.bool_, copy=False))
    for label, target in enumerate(case.target):
        where = np.flatnonzero(target)
        stride = -(-where.size // LARGEST_FOREGROUND_LIST) or 1
        np.save(hidden / f"foreground-{label}.npy", where[::stride].astype(np.int64))
    spacing = [float(s) for s in case.spacing_mm]
    about = {"subject": case.subject, "spacing_mm": spacing, "stack": case.stack, "group": case.group}
    (hidden / "case.json").write_text(json.dumps(about), encoding="utf-8")
    hidden.rename(folder)


def open_case(folder: Path) -> StoredCase:
    """Open a stored case without reading its arrays."""
    about = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    target = np.load(folder / "target.npy", mmap_mode="r")
    x, y, z = about["spacing_mm"]
    return StoredCase(
        image=np.load(folder / "image.npy", mmap_mode="r"),
        target=target,
        mask=np.load(folder / "mask.npy", mmap_mode="r"),
        foreground=tuple(np.load(folder / f"foreground-{label}.npy") for label in range(target.shape[0])),
        subject=about["subject"],
        spacing_mm=(x, y, z),
        stack=about["stack"],
        group=about["group"],
    )


class KeptCases:
    """A source of cases that were stored whole: each is read when it is asked for."""

    def __init__(self, cases: Iterable[Case], folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)  # of another run, perhaps of other patients
        self._folders: list[Path] = []
        for number, case in enumerate(cases):
            self._folders.append(folder / f"case-{number:07d}")
            write_case(case, self._folders[-1], np.float32)

    def __len__(self) -> int:
        return len(self._folders)

    def case(self, index: int) -> Case:
        """Case ``index``, in memory."""
        kept = open_case(self._folders[index])
        image, target, mask = (np.array(array, order="K") for array in (kept.image, kept.target, kept.mask))
        return Case(image, target, mask, kept.subject, kept.spacing_mm, kept.group, kept.stack)
