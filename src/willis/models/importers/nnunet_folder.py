"""A trained model folder of nnU-Net v2 as it lies on disk: plans, dataset, and the checkpoints of its folds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from willis.errors import BadInputError
from willis.models.importers.checkpoint import read_checkpoint

CHECKPOINT = "checkpoint_final.pth"
ALL_CASES = "fold_all"  # trained on every case; nnU-Net's own prediction takes it only where it is named


@dataclass(frozen=True)
class TrainedFolder:
    """What a folder ``TRAINER__PLANS__CONFIGURATION`` holds.

    Parameters
    ----------
    path
        Of the folder.
    plans, dataset
        plans.json and dataset.json.
    configuration
        Name of the one that was trained.
    files
        The checkpoint of each fold.
    mirror
        Axes along which predictions may be mirrored.
    """

    path: Path
    plans: Mapping[str, Any]
    dataset: Mapping[str, Any]
    configuration: str
    files: tuple[Path, ...]
    mirror: tuple[int, ...]

    @property
    def about(self) -> dict[str, Any]:
        """The plans' entry for the configuration, with what it inherits from others."""
        return resolved(self.plans, self.configuration)


def read_folder(path: Path, folds: Sequence[str] | None, checkpoint: str) -> TrainedFolder:
    """Read a folder's plans and what its first checkpoint says of itself; weights are left in their files.

    Raises
    ------
    BadInputError
        When a file is absent or of another kind.
    """
    plans, dataset = _read(path / "plans.json"), _read(path / "dataset.json")
    files = _checkpoints(path, folds, checkpoint)
    first = read_checkpoint(files[0])
    configuration = str(_value(first, "init_args", files[0]).get("configuration", path.name.split("__")[-1]))
    mirror = tuple(int(axis) for axis in first.get("inference_allowed_mirroring_axes") or ())
    return TrainedFolder(path, plans, dataset, configuration, tuple(files), mirror)


def resolved(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """A configuration with what it inherits from others."""
    known = plans.get("configurations", {})
    if configuration not in known:
        raise BadInputError(f"the plans have no configuration {configuration!r}; they have {', '.join(known)}.")
    own = dict(known[configuration])
    parent = own.pop("inherits_from", None)
    return {**(resolved(plans, parent) if parent else {}), **own}


def _checkpoints(folder: Path, folds: Sequence[str] | None, checkpoint: str) -> list[Path]:
    if folds is None:
        files = sorted(folder.glob(f"fold_*/{checkpoint}"))
        files = [file for file in files if file.parent.name != ALL_CASES] or files
    else:
        files = [folder / f"fold_{fold}" / checkpoint for fold in folds]
    absent = [file for file in files if not file.is_file()]
    if absent or not files:
        raise BadInputError(f"{absent[0] if absent else folder / 'fold_*' / checkpoint} is absent; no weights to read.")
    return files


def _read(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(
            f"{path} can't be read: {error.strerror}. Give a trained model folder of nnU-Net."
        ) from None
    except ValueError as error:
        raise BadInputError(f"{path} is not JSON: {error}.") from None
    if not isinstance(held, dict):
        raise BadInputError(f"{path} holds no object.")
    return held


def _value(held: Mapping[str, Any], key: str, path: Path) -> Mapping[str, Any]:
    found = held.get(key)
    if not isinstance(found, Mapping):
        raise BadInputError(f"{path} has no {key}; it is no checkpoint of nnU-Net v2.")
    return found
