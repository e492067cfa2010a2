"""Which H5 files make up one SHIVA model, checked against the `model_info*.json` that its authors publish."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from willis.errors import BadInputError, invalid_option

_FOLD = re.compile(r"fold_(\d+)(?=_model\.h5$|\.h5$|_|\.)")
_OTHER_TARGETS = re.compile(r"(?<![A-Za-z])(PVS|VRS|CMB|LAC)(?![A-Za-z])")
_ROLES = ("t1", "flair")


@dataclass(frozen=True)
class ShivaFiles:
    """The files of one model in the order of their folds, its channels, and what its JSON says of it."""

    folds: tuple[Path, ...]
    channels: tuple[str, ...]
    channels_from: str
    version: str
    released: str
    author: str
    checked: bool


def find_shiva_files(folder: Path, *, modalities: Sequence[str] | None, info: Path | None) -> ShivaFiles:
    """Find the files of one model in a folder and check their md5 sums where a JSON gives them.

    Raises
    ------
    BadInputError
        When there are no files, files of several models, folds missing, or a sum that differs.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder} is no folder. Give the one that holds the published .h5 files.")
    present = sorted(folder.rglob("*.h5"))
    if not present:
        raise BadInputError(
            f"{folder} holds no .h5 file, here or below. SavedModel and .keras files can't be imported."
        )
    stated = _info_for(folder, present, info)
    if stated is None:
        return _by_names(present, modalities)
    path, values = stated
    folds = tuple(_in_order([_locate(path, entry, present) for entry in values["files"]]))
    for entry in values["files"]:
        _check_md5(_locate(path, entry, present), str(entry["md5"]), path)
    channels = _checked_channels(modalities or values.get("modalities", []))
    return ShivaFiles(
        folds,
        channels,
        "--modalities" if modalities else path.name,
        str(values.get("version", "unknown")),
        str(values.get("release date", "unknown")),
        str(values.get("author", "Philippe Boutinaud")),
        checked=True,
    )


def _info_for(folder: Path, present: Sequence[Path], info: Path | None) -> tuple[Path, dict[str, Any]] | None:
    """The JSON whose files are all here; there may be several in a folder, one for each version of the models."""
    found = [(p, _read_info(p)) for p in ([info] if info else sorted(folder.rglob("model_info*.json")))]
    if not found:
        return None
    fitting = [(p, values) for p, values in found if not _absent(values, present)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise BadInputError(
            f"{folder} holds several whole models: {', '.join(str(p) for p, _ in fitting)}. Name one with --info."
        )
    path, values = min(found, key=lambda entry: len(_absent(entry[1], present)))
    raise BadInputError(
        f"{path} names files that are not in {folder}: {', '.join(_absent(values, present))}. "
        "Fetch them, or move the JSON away."
    )


def _read_info(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        names = [(str(entry["name"]), str(entry["md5"])) for entry in values["files"]]
    except OSError as error:
        raise BadInputError(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise BadInputError(f"{path} is not a model_info file: JSON with files, each with name and md5.") from None
    target = str(values.get("target", "WMH"))
    if target.upper() != "WMH":
        raise BadInputError(f"{path} describes a model for {target}; only those for WMH can be imported.")
    if not names or not all(name.endswith(".h5") for name, _ in names):
        raise BadInputError(
            f"{path} describes {values.get('architecture', 'a model')} not kept as H5, which can't be read."
        )
    return dict(values)


def _absent(values: dict[str, Any], present: Sequence[Path]) -> list[str]:
    here = {p.name for p in present}
    return [entry["name"] for entry in values["files"] if Path(entry["name"]).name not in here]


def _locate(info: Path, entry: dict[str, Any], present: Sequence[Path]) -> Path:
    """The file that the JSON names, by its relative path, or where files were moved by its name alone."""
    wanted = Path(entry["name"])
    for tail in (wanted.parts, wanted.parts[-1:]):
        matching = [p for p in present if p.parts[-len(tail) :] == tail]
        if len(matching) == 1:
            return matching[0]
    raise BadInputError(f"{info} names {wanted}, which is here more than once. Keep one model in the folder.")


def _check_md5(path: Path, expected: str, info: Path) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected.lower():
        raise BadInputError(
            f"{path} has the md5 {found}, and {info.name} says {expected.lower()}. Fetch the file again."
        )


def _by_names(present: Sequence[Path], modalities: Sequence[str] | None) -> ShivaFiles:
    parents = sorted({str(p.parent) for p in present})
    if len(parents) > 1:
        raise BadInputError(
            f"There are .h5 files of several models, in {', '.join(parents)}. Name one of these folders."
        )
    for path in present:
        other = _OTHER_TARGETS.search(path.name)
        if other and "WMH" not in f"{path.parent.name} {path.name}":
            raise BadInputError(f"{path} is a model for {other.group(1)}; only those for WMH can be imported.")
    folds = tuple(_in_order(present))
    channels = _checked_channels(modalities or _channels_by_name(folds[0]))
    source = "--modalities" if modalities else "the files' names"
    return ShivaFiles(folds, channels, source, "unknown", "unknown", "Philippe Boutinaud", checked=False)


def _channels_by_name(path: Path) -> tuple[str, ...]:
    words = f"{path.parent.name} {path.name}".upper()
    if re.search(r"T1[-_.]FLAIR", words):
        return ("t1", "flair")
    if "FLAIR" in words:
        return ("flair",)
    raise BadInputError(
        f"The name of {path} does not tell its images. Name them in order with --modalities, as t1,flair."
    )


def _checked_channels(modalities: Sequence[str]) -> tuple[str, ...]:
    channels = tuple(str(m).lower() for m in modalities)
    for channel in channels:
        if channel not in _ROLES:
            raise invalid_option("modality", channel, _ROLES)
    if not channels or len(set(channels)) != len(channels):
        raise BadInputError(
            f"The modalities are {list(channels)}; each of {', '.join(_ROLES)} may stand once, and one must."
        )
    return channels


def _in_order(paths: Sequence[Path]) -> list[Path]:
    """Paths by their fold number; a gap means that a file was not fetched."""
    numbered = sorted((_number(path), path) for path in paths)
    numbers = [number for number, _ in numbered]
    if numbers != list(range(len(numbers))):
        raise BadInputError(
            f"The folds here are {numbers}; each from 0 to the last is needed once. Fetch what is missing."
        )
    return [path for _, path in numbered]


def _number(path: Path) -> int:
    numbers = _FOLD.findall(path.name)
    if not numbers:
        raise BadInputError(f"The name of {path} holds no fold number like fold_0, so its place is unknown.")
    return int(numbers[-1])
