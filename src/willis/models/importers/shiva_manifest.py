"""What is known of the published SHIVA models of white matter hyperintensities, as a manifest."""

from collections.abc import Mapping, Sequence
from typing import Literal

from willis.models.importers.shiva_files import ShivaFiles
from willis.models.manifest import Manifest, make_manifest
from willis.units import counted

Scheme = Literal["p99", "p99-capped"]

PUBLISHED_SHAPE = (160, 214, 176)  # voxels of 1 mm; README of SHIVA_WMH
PUBLISHED_LEVELS = 7
THRESHOLD = 0.5  # README of SHIVA_WMH
PIPELINE_CAP = 1.3  # times the 99th percentile; preprocessing of SHiVAi
MAX_OUTSIDE_BRAIN = 0.25  # fraction of a cluster's voxels; SHiVAi

_LICENCE = (
    "CC-BY-NC-SA-4.0, as stated by the authors in the models' repository; registered as "
    "IDDN.FR.001.240030.000.S.P.2022.000.31230"
)
_INTENDED_USE = (
    "Research. The authors state that inferences made by these models should not be used for clinical purposes, and "
    "their licence excludes commercial use."
)
_PECULIARITIES = (
    "Upsampled maps are padded with zeros to their skip's size, the smaller half before and the larger after, so the "
    "image's size decides where zeros come in: keep 160 x 214 x 176 voxels.",
    "The deepest of the seven levels pools to one voxel, so every voxel sees the whole box: keep the brain centred.",
    "Trained with and without a brain mask applied; the authors' script multiplies image and probability by the mask.",
    "The 0.5 of the models' README is the threshold here; the authors' pipeline SHiVAi uses 0.2 for WMH by default.",
)
_SCHEMES = {
    "p99": "Intensities are divided by the 99th percentile in the brain, as the models' README says.",
    "p99-capped": "Intensities are divided by the 99th percentile in the brain, cut at 1.3, and divided by 1.3, as "
    "SHiVAi does; the models' README knows no cap.",
}


def shiva_manifest(
    files: ShivaFiles,
    config: Mapping[str, object],
    shape: tuple[int, int, int] | None,
    notes: Sequence[str],
    scheme: Scheme,
) -> Manifest:
    """Describe the imported model; `shape` is what its graph states, else the published one for seven levels."""
    levels = len(config["filters"])  # type: ignore[arg-type]
    if shape is None and levels == PUBLISHED_LEVELS:
        shape = PUBLISHED_SHAPE
    sums = (
        "agreed with the authors' model_info file"
        if files.checked
        else "were not checked: no model_info file was there"
    )
    return make_manifest(
        {
            "name": f"shiva-wmh-{'-'.join(files.channels)}",
            "version": files.version,
            "title": f"SHIVA-WMH, {' + '.join(c.upper() for c in files.channels)}, {counted(len(files.folds), 'fold')}",
            "task": "wmh",
            "description": "White matter hyperintensities by a 3D U-Net on the whole brain; the mean of its folds.",
            "network": {"name": "unet3d", "config": dict(config)},
            "channels": files.channels,
            "outputs": ["wmh"],
            "spacing_mm": (1.0, 1.0, 1.0),
            "shape": shape,
            "window": {"mode": "whole"},
            "intensity": {"scheme": scheme, "cap": PIPELINE_CAP if scheme == "p99-capped" else None},
            "threshold": {"value": THRESHOLD, "origin": "README of the published models; not chosen by willis"},
            "clusters": {
                "connectivity": 26,
                "min_voxels": 1,
                "max_outside_brain": MAX_OUTSIDE_BRAIN,
                "origin": "defaults of the authors' pipeline SHiVAi",
            },
            "licence": _LICENCE,
            "citation": [
                "Tsuchida A, Boutinaud P, Verrecchia V, et al. Early detection of white matter hyperintensities using "
                "SHIVA-WMH detector. Human Brain Mapping 2024. doi:10.1002/hbm.26548",
            ],
            "intended_use": _INTENDED_USE,
            "authors": [files.author],
            "source": f"https://github.com/pboutinaud/SHIVA_WMH, version {files.version}, released {files.released}; "
            f"imported from {', '.join(path.name for path in files.folds)}; their md5 sums {sums}",
            "peculiarities": [*_PECULIARITIES, _SCHEMES[scheme], *notes],
        },
        where="the manifest of the imported model",
    )
