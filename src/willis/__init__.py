"""willis: measured findings from stroke and small-vessel brain scans.

>>> import willis
>>> study = willis.read_study(t1="t1.nii.gz", flair="flair.nii.gz")  # doctest: +SKIP
>>> findings = willis.run("wmh", study)  # doctest: +SKIP
>>> findings.measurements["wmh_volume"]  # doctest: +SKIP
>>> willis.write(findings, "out")  # doctest: +SKIP

Names are imported when first used, so that ``import willis`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from willis.errors import BadInputError, BundleError, GeometryError, MissingExtraError, WillisError
    from willis.findings import Decision, Figure, Findings, Lesion, Mask, Measurement
    from willis.io.nifti import read_nifti, write_nifti
    from willis.io.study import read_study
    from willis.models.store import open_bundle
    from willis.report.write import write
    from willis.study import Study
    from willis.tasks.registry import run_task as run
    from willis.tasks.settings import RunSettings
    from willis.tasks.taskspec import TaskSpec
    from willis.volume.grid import Grid
    from willis.volume.volume import Volume

_PLACES = {
    "BadInputError": "willis.errors:BadInputError",
    "BundleError": "willis.errors:BundleError",
    "Decision": "willis.findings:Decision",
    "Figure": "willis.findings:Figure",
    "Findings": "willis.findings:Findings",
    "GeometryError": "willis.errors:GeometryError",
    "Grid": "willis.volume.grid:Grid",
    "Lesion": "willis.findings:Lesion",
    "Mask": "willis.findings:Mask",
    "Measurement": "willis.findings:Measurement",
    "MissingExtraError": "willis.errors:MissingExtraError",
    "RunSettings": "willis.tasks.settings:RunSettings",
    "Study": "willis.study:Study",
    "TaskSpec": "willis.tasks.taskspec:TaskSpec",
    "Volume": "willis.volume.volume:Volume",
    "WillisError": "willis.errors:WillisError",
    "open_bundle": "willis.models.store:open_bundle",
    "read_nifti": "willis.io.nifti:read_nifti",
    "read_study": "willis.io.study:read_study",
    "run": "willis.tasks.registry:run_task",
    "write": "willis.report.write:write",
    "write_nifti": "willis.io.nifti:write_nifti",
}

__all__ = [
    "BadInputError",
    "BundleError",
    "Decision",
    "Figure",
    "Findings",
    "GeometryError",
    "Grid",
    "Lesion",
    "Mask",
    "Measurement",
    "MissingExtraError",
    "RunSettings",
    "Study",
    "TaskSpec",
    "Volume",
    "WillisError",
    "__version__",
    "open_bundle",
    "read_nifti",
    "read_study",
    "run",
    "write",
    "write_nifti",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'willis' has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
