"""From a study to findings: prepare, predict in three planes, fuse, interpret, show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError, GeometryError
from willis.findings import Findings, Mask
from willis.infer.back import probability_to_grid
from willis.infer.ensemble import Prediction
from willis.infer.planes import SMOOTHING, STEP, predict_planes
from willis.io.labelled import read_lesion_mask
from willis.models.manifest import Rule
from willis.models.store import Bundle, open_bundle
from willis.study import Study
from willis.tasks.brain.find import find_brain
from willis.tasks.brain.mask import masks_of
from willis.tasks.chronic import figures, interpret
from willis.tasks.chronic.fusion_scores import fusion_table
from willis.tasks.chronic.prepare import PreparedPlanes, prepare
from willis.tasks.chronic.published import published_tables
from willis.tasks.chronic.space import left_half, region_masks, template
from willis.tasks.chronic.spec import SPEC
from willis.tasks.clusters import ClusterRules, describe_lesions, find_lesions, mask_of, rules_of, total_ml
from willis.tasks.ct_template import read_territories
from willis.tasks.provenance import Stopwatch, describe_bundle, describe_prediction, make_provenance
from willis.tasks.settings import Progress, RunSettings, part_of, silent
from willis.tasks.spread import methods_of, volume_spread
from willis.tasks.taskspec import OptionValue
from willis.tasks.territories import Codes, largest, share_table, sided, volumes_ml
from willis.volume.plane import Plane
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

STEPS = 5
TERRITORY_NOTE = "Arterial territories are those of an average brain; their borders vary between people."


@dataclass(frozen=True)
class _OnT1:
    """What was found, on the T1's own grid."""

    probability: Volume
    labels: npt.NDArray[np.int32]
    count: int
    planes: dict[Plane, npt.NDArray[np.bool_]]
    regions: dict[str, npt.NDArray[np.bool_]]
    territories: Codes


def run(
    study: Study,
    options: Mapping[str, OptionValue],
    *,
    settings: RunSettings,
    progress: Progress | None = None,
) -> Findings:
    """Chronic stroke lesions of a study.

    Parameters
    ----------
    study
        With ``t1``; ``brain`` when there is one.
    options
        Complete, as ``SPEC.resolve_options`` gives them.
    settings
        Bundle, engine, precision, memory, threads.
    progress
        Told of each step.

    Raises
    ------
    BadInputError
        When the image can't be used, no brain is found, the bundle names no planes, or the reference doesn't fit.
    BundleError
        When the bundle is absent or altered.
    """
    tell = progress or silent
    watch = Stopwatch()
    bundle = _bundle(settings)
    reference = _reference(study, options)
    tell(0 / STEPS, "finding the brain")
    with watch.stage("brain"):
        brain = None if "brain" in study else find_brain(study["t1"], settings)
    tell(1 / STEPS, "laying the T1 on the template")
    with watch.stage("prepare"):
        prepared = prepare(study, bundle.manifest, options, masks_of(brain))
    with watch.stage("predict"):
        prediction = predict_planes(
            bundle,
            prepared.images,
            mask=prepared.mask,
            **settings.running,
            progress=part_of(tell, 2 / STEPS, 3 / STEPS, "predicting"),
        )
    tell(3 / STEPS, "measuring")
    with watch.stage("interpret"):
        rules = rules_of(bundle.manifest, options)
        found = _on_t1(study, prepared, prediction, bundle, rules, str(options["fusion"]))
        grid = study["t1"].grid
        fused = found.labels > 0
        names = interpret.assign_regions(found.labels, found.count, found.regions)
        lesions = describe_lesions(found.labels, found.count, found.probability.data, grid, names)
        alone = [float(np.count_nonzero(mask)) * grid.voxel_ml for mask in found.planes.values()]
        spread = volume_spread(bundle.manifest, options, "lesion_volume", total_ml(lesions), alone, "plane")
        measurements = interpret.measure(
            lesions, fused, found.regions["left"], found.planes, spread, grid, prepared.brain.volume_ml
        )
        tables = {"planes": interpret.plane_table(found.planes, fused, grid)}
        if lesions:
            inside = prepared.brain.data > 0
            tables["territories"] = share_table(found.territories, inside, {"lesion": fused}, grid.voxel_ml)
        territory = largest(volumes_ml(found.territories, fused, grid.voxel_ml))
        attachments = []
        if reference is not None:
            tables["fusion"] = fusion_table(found.planes, fused, reference, grid)
            attachments = published_tables(found.planes, fused, reference, grid.orientation, study.prefix)
    tell(4 / STEPS, "drawing")
    with watch.stage("figures"):
        masks = _masks(study, prepared, found)
        pictures = figures.make(study["t1"], masks, lesions, list(found.planes), prepared.upright)
    tell(1.0, "done")
    return Findings(
        task=SPEC.name,
        prefix=study.prefix,
        summary=interpret.summarise(lesions, measurements, spread, territory),
        masks=masks,
        probabilities=[Mask("lesion", "t1", found.probability)],
        measurements=measurements,
        lesions=lesions,
        tables=tables,
        figures=pictures,
        attachments=attachments,
        provenance=make_provenance(
            SPEC,
            study,
            options={**options, "threshold": rules.threshold, "min_size": rules.min_mm3},
            settings=settings,
            bundles=[describe_bundle(b) for b in (bundle, *([brain.bundle] if brain is not None else []))],
            prediction=describe_prediction(prediction),
            stopwatch=watch,
            methods=_methods(study, prepared, bundle, rules, str(options["fusion"])) + methods_of(spread),
            registrations={} if prepared.fit is None else {"t1": _fit(prepared)},
        ),
        notes=[
            *prepared.notes,
            *(brain.notes if brain is not None else ()),
            *prediction.notes,
            *([TERRITORY_NOTE] if lesions else []),
        ],
    )


def _bundle(settings: RunSettings) -> Bundle:
    bundle = open_bundle(settings.bundle or str(SPEC.default_bundle), SPEC.name)
    if not bundle.manifest.planes:
        raise BadInputError(f"the bundle {bundle.name} names no planes; chronic runs networks over slices of planes.")
    return bundle


def _reference(study: Study, options: Mapping[str, OptionValue]) -> npt.NDArray[np.bool_] | None:
    path = options["reference"]
    if path is None:
        return None
    given = read_lesion_mask(Path(str(path)))
    if not given.grid.same_as(study["t1"].grid):
        raise GeometryError(
            f"the reference {given.grid.shape} does not lie on the grid of the T1 {study['t1'].grid.shape}. "
            "Resample it onto the T1, or leave it out."
        )
    return np.asarray(given.data > 0)


def _on_t1(
    study: Study, prepared: PreparedPlanes, prediction: Prediction, bundle: Bundle, rules: ClusterRules, fusion: str
) -> _OnT1:
    grid, way = study["t1"].grid, prepared.to_prepared
    inside = prepared.brain.data > 0
    views = [view.plane for view in bundle.manifest.planes]
    alone = {
        plane: probability_to_grid(member[0].astype(np.float32), prepared.grid, grid, world_transform=way).data
        for plane, member in zip(views, prediction.members, strict=True)
    }
    fused = interpret.fuse(list(alone.values()), rules.threshold, fusion)
    level = interpret.majority(len(alone)) if fusion == "majority" else rules.threshold
    labels, count = find_lesions(fused, inside, grid, replace(rules, threshold=level))
    tissue = resample_to(template().tissue, grid, "nearest", world_transform=way).data
    regions = region_masks(tissue, left_half(grid, way))
    territories = resample_to(read_territories(None), grid, "nearest", world_transform=way).data
    return _OnT1(
        Volume(fused, grid, role="lesion", unit="1"),
        labels,
        count,
        {plane: p >= rules.threshold for plane, p in alone.items()},
        regions,
        sided(territories, ~regions["left"]),
    )


def _masks(study: Study, prepared: PreparedPlanes, found: _OnT1) -> list[Mask]:
    grid = study["t1"].grid
    masks = [Mask("lesion", "t1", mask_of(found.labels, grid, "lesion")), Mask("brain", "t1", prepared.brain)]
    masks += [
        Mask(f"lesion{plane}", "t1", Volume(mask.astype(np.uint8), grid, role="lesion"))
        for plane, mask in found.planes.items()
    ]
    return masks


def _fit(prepared: PreparedPlanes) -> dict[str, Any]:
    assert prepared.fit is not None, "a T1 on the template's own grid was not registered"
    fit = prepared.fit
    return {"matrix": fit.matrix.tolist(), "correlation": fit.correlation, "overlap": fit.overlap}


def _across_slices(rules: Mapping[str, Rule]) -> str:
    """What was done across the slices of each plane, in sentences; empty where nothing was."""
    said = ""
    if STEP in rules and (step := int(rules[STEP].value)) > 1:
        said += f"One slice in {step} was run, and probabilities between them were interpolated. "
    if SMOOTHING in rules:
        said += (
            f"Probabilities of each plane were smoothed across its slices (sigma {rules[SMOOTHING].value:g} slices). "
        )
    return said


def _methods(study: Study, prepared: PreparedPlanes, bundle: Bundle, rules: ClusterRules, fusion: str) -> str:
    mask = "the brain mask that was given" if "brain" in study else "a brain mask found by a network of any contrast"
    laid = (
        "It was on the template's grid already"
        if prepared.fit is None
        else f"It was laid on an average brain by an affine map within {mask} (correlation "
        f"{prepared.fit.correlation:.2f})"
    )
    planes = ", ".join(view.plane for view in bundle.manifest.planes)
    joined = "mean of probabilities" if fusion == "mean" else "vote of more than half"
    return (
        f"Chronic stroke lesions were segmented on the T1. {laid}, and resampled to 1 mm "
        f"({' × '.join(str(n) for n in prepared.grid.shape)} voxels). The bundle {bundle.manifest.name} "
        f"({bundle.manifest.title}) was run on the slices of these planes: {planes}. "
        f"{_across_slices(bundle.manifest.rules)}They were fused by the {joined} "
        f"on the T1's own grid; voxels with at least {rules.threshold:g} were joined with {rules.connectivity} "
        f"neighbours, and clusters below {rules.min_mm3:g} mm³ or more than {100 * rules.max_outside_brain:g} % "
        "outside the brain were dropped."
    )
