"""``willis doctor``: what this installation and this machine can do."""

from __future__ import annotations

import json
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from willis.errors import BundleError
from willis.infer.engine import choose_engine
from willis.infer.precision import UNASKED, choose_precision, cpu_flags, multiplies_natively
from willis.models.bundle import read_bundle
from willis.models.manifest import ONNX_NETWORK
from willis.models.store import list_bundles, search_folders

BYTES_PER_GB = 1e9
_FEATURES = {"AVX2": "avx2", "AVX-512": "avx512f", "AMX": "amx_tile"}  # name for people: name of /proc/cpuinfo


def doctor(*, as_json: Annotated[bool, Parameter(name="--json", negative=())] = False) -> int:
    """Check this installation and this machine.

    Exits with 2 when a bundle is damaged or a needed package is absent.

    Parameters
    ----------
    as_json
        For programs: everything, as JSON.
    """
    found = examine()
    print(json.dumps(found, indent=2) if as_json else told(found))
    return 2 if found["troubles"] else 0


def examine() -> dict[str, Any]:
    """Everything that is shown, JSON-ready; ``troubles`` holds a sentence for each fault."""
    packages, extras = _packages()
    bundles = _bundles()
    troubles = [f"{name} is needed and not installed." for name, found in packages.items() if found is None]
    troubles += [f"bundle {b['name']}: {b['problem']}" for b in bundles if b["problem"]]
    if _version_of("torchvision"):
        troubles.append("torchvision is installed; it replaces the torch that willis was tested with. Remove it.")
    return {
        "willis": version("willis"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "packages": packages,
        "extras": extras,
        "folders": {**_cache(), **{f"bundles ({place})": str(folder) for place, folder in search_folders()}},
        "bundles": bundles,
        "precision": _precision(bundles),
        "troubles": troubles,
    }


def told(found: dict[str, Any]) -> str:
    """The examination for a person."""
    cpu = found["processor"]
    lines = [
        f"willis {found['willis']}, Python {found['python']}, {found['system']}",
        "",
        f"Processor   {cpu['name']}: {cpu['usable_cores']} of {cpu['cores']} cores usable",
        f"            {', '.join(f'{name}: {_yes(has)}' for name, has in cpu['features'].items())}",
        f"Memory      {_gb(cpu['memory_gb'])}, of which {_gb(cpu['memory_available_gb'])} free",
        f"Precision   {found['precision']['choice']}: {found['precision']['reason']}",
        "",
        "Packages    " + _joined(f"{name} {have or 'ABSENT'}" for name, have in found["packages"].items()),
        "Extras      " + _joined(f"{name}: {_yes(have)}" for name, have in found["extras"].items()),
        "",
        *(f"{name:<24} {place}" for name, place in found["folders"].items()),
        "",
        "Bundles",
        *(f"  {b['name']:<20} {b['place']:<12} {b['problem'] or 'checksums right'}" for b in found["bundles"]),
        *([] if found["bundles"] else ["  none"]),
        "",
        *(f"Trouble: {trouble}" for trouble in found["troubles"]),
        *([] if found["troubles"] else ["No trouble found."]),
    ]
    return "\n".join(lines)


def _packages() -> tuple[dict[str, str | None], dict[str, bool]]:
    """Versions of what willis needs, and for each extra whether all of it is there."""
    needed: dict[str, str | None] = {}
    extras: dict[str, bool] = {}
    for requirement in requires("willis") or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([^'\"]+)", requirement)
        if extra is None:
            needed[name] = _version_of(name)
        else:
            extras[extra[1]] = extras.get(extra[1], True) and _version_of(name) is not None
    return needed, extras


def _version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> dict[str, Any]:
    flags = cpu_flags()
    return {
        "name": _cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "features": {name: flag in flags for name, flag in _FEATURES.items()}
        | {"float16": multiplies_natively("float16", flags), "bfloat16": multiplies_natively("bfloat16", flags)},
        "memory_gb": _memory_gb("SC_PHYS_PAGES"),
        "memory_available_gb": _memory_gb("SC_AVPHYS_PAGES"),
    }


def _cpu_name() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.machine()


def _memory_gb(pages: str) -> float | None:
    try:
        return round(os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE") / BYTES_PER_GB, 1)
    except (AttributeError, ValueError, OSError):
        return None  # this system doesn't say


def _yes(has: bool) -> str:
    return "yes" if has else "no"


def _gb(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} GB"


def _cache() -> dict[str, str]:
    """Where networks are kept that were converted for OpenVINO."""
    if find_spec("openvino") is None:
        return {}
    from willis.infer.openvino_engine import cache_folder

    return {"cache": str(cache_folder())}


def _bundles() -> list[dict[str, Any]]:
    """Every bundle of the store, each file checked against its SHA-256."""
    found = []
    for shelf in list_bundles():
        problem, precision = shelf.problem, None
        if shelf.manifest is not None:
            engine = choose_engine("auto", onnx_bundle=shelf.manifest.network.name == ONNX_NETWORK)
            precision = choose_precision("auto", [m for m in shelf.manifest.precision if m.engine == engine])
            try:
                read_bundle(shelf.folder).verify()
            except BundleError as error:
                problem = str(error)
        found.append({"name": shelf.folder.name, "place": shelf.place, "problem": problem, "precision": precision})
    return found


def _precision(bundles: list[dict[str, Any]]) -> dict[str, str]:
    """What ``--precision auto`` does on this machine, and why."""
    native = [half for half in UNASKED if multiplies_natively(half)]
    if not native:
        return {"choice": "float32", "reason": f"this processor doesn't multiply {' or '.join(UNASKED)} itself"}
    taken = {half: [b["name"] for b in bundles if b["precision"] == half] for half in native}
    proven = {half: names for half, names in taken.items() if names}
    if not proven:
        fast = " and ".join(native)
        return {"choice": "float32", "reason": f"{fast}: fast here, but no bundle was measured to stay the same so"}
    by_half = "; ".join(f"{half} for {', '.join(names)}" for half, names in proven.items())
    return {"choice": next(iter(proven)), "reason": f"fast here, and measured to give the same masks: {by_half}"}


def _joined(parts: Any, width: int = 100) -> str:
    lines, line = [], ""
    for part in parts:
        if line and len(line) + len(part) > width:
            lines.append(line)
            line = ""
        line += (", " if line else "") + part
    return (",\n" + " " * 12).join([*lines, line])
