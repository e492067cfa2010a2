"""Provenance: from what, by what and how a result was made, ready for JSON."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from willis.infer.ensemble import Prediction
from willis.models.bundle import Bundle
from willis.study import Study
from willis.tasks.settings import RunSettings
from willis.tasks.taskspec import TaskSpec
from willis.volume.series import Series
from willis.volume.volume import Volume

RECORDED_PACKAGES = ("willis", "torch", "openvino", "numpy", "scipy", "nibabel", "SimpleITK")


@dataclass
class Stopwatch:
    """Wall and processor seconds of each stage of a run."""

    stages: list[dict[str, Any]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside the ``with`` block under ``name``."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.stages.append(
            {
                "stage": name,
                "wall_s": round(time.perf_counter() - wall, 3),
                "cpu_s": round(time.process_time() - cpu, 3),
            }
        )


def describe_bundle(bundle: Bundle) -> dict[str, Any]:
    """What a result must say of the model that made it."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "title": manifest.title,
        "sha256": bundle.digest,
        "members": len(manifest.members),
        "licence": manifest.licence,
        "intended_use": manifest.intended_use,
        "citation": list(manifest.citation),
        "source": manifest.source,
        "peculiarities": list(manifest.peculiarities),
        "threshold": manifest.threshold.model_dump(),
    }


def describe_prediction(prediction: Prediction) -> dict[str, Any]:
    """What ran a network, and how much memory it was thought to take."""
    return {
        "engine": prediction.engine,
        "precision": prediction.precision,
        "peak_memory_estimate_gb": prediction.peak_memory_estimate_gb,
    }


def make_provenance(
    spec: TaskSpec,
    study: Study,
    *,
    options: Mapping[str, Any],
    settings: RunSettings,
    bundles: Sequence[Mapping[str, Any]],
    prediction: Mapping[str, Any],
    stopwatch: Stopwatch,
    methods: str,
    registrations: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Everything that is needed to tell, and to repeat, how a result was made.

    Parameters
    ----------
    spec, study, options, settings
        What was asked, of what, and how.
    bundles
        From :func:`describe_bundle`, the task's own first.
    prediction
        From :func:`describe_prediction`; of several predictions, one for each.
    stopwatch
        Seconds of each stage.
    methods
        A paragraph in words of what was run.
    registrations
        By role, the fit of each registration.
    """
    images: dict[str, Volume | Series] = {**study.volumes, **study.series}
    return {
        "task": spec.name,
        "title": spec.title,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": {
            role: {
                "file": study.sources[role].path.name if role in study.sources else None,
                "sha256": study.sources[role].sha256 if role in study.sources else None,
                "shape": list(image.grid.shape),
                "spacing_mm": [round(s, 4) for s in image.grid.spacing_mm],
                "orientation": image.grid.orientation,
                "notes": list(image.notes),
            }
            for role, image in images.items()
        },
        "bundles": [dict(bundle) for bundle in bundles],
        "options": {name: str(value) if hasattr(value, "__fspath__") else value for name, value in options.items()},
        "settings": asdict(settings),
        "prediction": dict(prediction),
        "registrations": dict(registrations or {}),
        "seeds": {},
        "timings": list(stopwatch.stages),
        "versions": _versions(),
        "platform": {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()},
        "methods": methods,
        "citation": [f"{c.text} doi:{c.doi}" for c in spec.citations],
        "intended_use": spec.intended_use,
        "licence": bundles[0]["licence"] if bundles else "",
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
