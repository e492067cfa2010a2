"""From a study to findings: prepare, predict, interpret, show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.findings import Findings, Mask
from willis.infer.back import probability_to_grid
from willis.infer.ensemble import Prediction, predict
from willis.models.store import Bundle, open_bundle
from willis.study import Study
from willis.tasks.brain.find import Brain, find_brain
from willis.tasks.brain.mask import mask_notes, masks_of
from willis.tasks.clusters import ClusterRules, describe_lesions, find_lesions, mask_of, rules_of, total_ml
from willis.tasks.prepared import Prepared
from willis.tasks.provenance import Stopwatch, describe_bundle, describe_prediction, make_provenance
from willis.tasks.settings import Progress, RunSettings, part_of, silent
from willis.tasks.spread import methods_of, volume_spread
from willis.tasks.taskspec import OptionValue
from willis.tasks.wmh import figures, interpret
from willis.tasks.wmh.contrast import PARTS_COMPARED, contrast_notes
from willis.tasks.wmh.prepare import prepare
from willis.tasks.wmh.regions import (
    JUXTACORTICAL_MM,
    PERIVENTRICULAR_MM,
    RegionMaps,
    RegionOfVoxel,
    assign_regions,
    region_of_voxels,
    region_volumes,
)
from willis.tasks.wmh.spec import SPEC
from willis.units import counted
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

STEPS = 5


@dataclass(frozen=True)
class _OnFlair:
    """What was found, on the FLAIR's own grid."""

    probability: Volume
    brain: Volume
    ventricles: Volume | None
    region_of_voxel: RegionOfVoxel | None
    labels: npt.NDArray[np.int32]
    count: int
    member_ml: tuple[float, ...]


def run(
    study: Study,
    options: Mapping[str, OptionValue],
    *,
    settings: RunSettings,
    progress: Progress | None = None,
) -> Findings:
    """White matter hyperintensities of a study.

    Parameters
    ----------
    study
        With ``flair``; ``t1`` and ``brain`` when there are any.
    options
        Complete, as ``SPEC.resolve_options`` gives them.
    settings
        Bundle, engine, precision, memory, threads.
    progress
        Told of each step.

    Raises
    ------
    BadInputError
        When the images can't be used together, or no brain is found.
    BundleError
        When the bundle is absent or altered.
    """
    tell = progress or silent
    watch = Stopwatch()
    tell(0 / STEPS, "finding the brain")
    with watch.stage("brain"):
        bundle = open_bundle(settings.bundle or str(SPEC.default_bundle), SPEC.name)
        brain, brain_problem = _find_brain(study, bundle, settings)
    tell(1 / STEPS, "preparing")
    with watch.stage("prepare"):
        prepared = prepare(study, bundle.manifest, options, masks_of(brain, tight=True))
    with watch.stage("predict"):
        prediction = predict(
            bundle,
            prepared.image,
            mask=prepared.mask,
            **settings.running,
            progress=part_of(tell, 2 / STEPS, 3 / STEPS, "predicting"),
        )
    tell(3 / STEPS, "measuring")
    with watch.stage("interpret"):
        rules = rules_of(bundle.manifest, options)
        found = _on_flair(study, prepared, prediction, brain, rules)
        grid = study["flair"].grid
        regions, region_ml = [], None
        if found.region_of_voxel is not None:
            regions = assign_regions(found.labels, found.count, found.region_of_voxel)
            region_ml = region_volumes(found.labels > 0, found.region_of_voxel, grid.voxel_ml)
        lesions = describe_lesions(found.labels, found.count, found.probability.data, grid, regions)
        spread = volume_spread(bundle.manifest, options, "wmh_volume", total_ml(lesions), found.member_ml, "member")
        measurements = interpret.measure(lesions, prepared.brain.volume_ml, spread, region_ml)
        masks, probabilities = _outputs(study, prepared, prediction, found, rules)
        looks = _looks(study, prepared, bundle, brain)
    tell(4 / STEPS, "drawing")
    with watch.stage("figures"):
        pictures = figures.make(
            study, prepared, prediction, masks, measurements, found.ventricles, found.region_of_voxel
        )
    tell(1.0, "done")
    brain_notes = _brain_notes(study, prepared, brain)
    notes = [*prepared.notes, *looks, *brain_notes, *prediction.notes, *([brain_problem] if brain_problem else [])]
    return Findings(
        task=SPEC.name,
        prefix=study.prefix,
        summary=interpret.summarise(lesions, measurements, spread),
        masks=masks,
        probabilities=probabilities,
        measurements=measurements,
        lesions=lesions,
        tables={"regions": interpret.region_table(measurements)} if region_ml is not None else {},
        figures=pictures,
        provenance=make_provenance(
            SPEC,
            study,
            options={**options, "threshold": rules.threshold, "min_size": rules.min_mm3},
            settings=settings,
            bundles=[describe_bundle(b) for b in (bundle, *([brain.bundle] if brain is not None else []))],
            prediction=describe_prediction(prediction),
            stopwatch=watch,
            methods=_methods(study, prepared, bundle, rules, by_region=region_ml is not None) + methods_of(spread),
            registrations={role: _fit(r) for role, r in prepared.registrations.items()},
        ),
        notes=notes,
    )


def _find_brain(study: Study, bundle: Bundle, settings: RunSettings) -> tuple[Brain | None, str]:
    reference = "t1" if "t1" in study and "t1" in bundle.manifest.channels else "flair"
    try:
        return find_brain(study[reference], settings), ""
    except BadInputError as problem:
        if "brain" not in study:
            raise
        return None, f"Regions are unknown: {problem}"


def _brain_notes(study: Study, prepared: Prepared, brain: Brain | None) -> Sequence[str]:
    if brain is None:
        return ()
    return mask_notes(prepared.brain, brain, prepared.reference.upper()) if "brain" in study else brain.notes


def _on_flair(
    study: Study, prepared: Prepared, prediction: Prediction, brain: Brain | None, rules: ClusterRules
) -> _OnFlair:
    grid = study["flair"].grid
    way = prepared.to_prepared.get("flair")
    mask = _mask_on(prepared.brain, grid, way)
    inside = mask.data > 0
    probability = probability_to_grid(prediction.probability[0], prepared.grid, grid, world_transform=way)
    members = _members_on(prediction, prepared, grid, way)
    labels, count = find_lesions(probability.data, inside, grid, rules, members)
    member_ml = [np.count_nonzero(find_lesions(m, inside, grid, rules)[0]) * grid.voxel_ml for m in members]
    region_of_voxel = _regions_on(brain, prepared.grid, grid, way)
    ventricles = None if brain is None or region_of_voxel is None else brain.part_on("ventricles", grid, way)
    return _OnFlair(probability, mask, ventricles, region_of_voxel, labels, count, tuple(member_ml))


def _members_on(
    prediction: Prediction, prepared: Prepared, grid: Grid, way: FloatArray | None
) -> list[npt.NDArray[np.floating]]:
    """Probabilities (I, J, K) of each of several members on a grid; of a single one none."""
    several = prediction.members if len(prediction.members) > 1 else ()
    return [
        probability_to_grid(member[0].astype(np.float32), prepared.grid, grid, world_transform=way).data
        for member in several
    ]


def _looks(study: Study, prepared: Prepared, bundle: Bundle, brain: Brain | None) -> list[str]:
    """What is said of images that look like others than they were given as."""
    if brain is None or not all(brain.has(name) for name in PARTS_COMPARED):
        return []
    channels = zip(bundle.manifest.channels, prepared.image, strict=True)
    images = {role: data for role, data in channels if role in study}
    return contrast_notes(images, lambda name: brain.part_on(name, prepared.grid).data > 0)


def _regions_on(brain: Brain | None, fine: Grid, grid: Grid, way: FloatArray | None) -> RegionOfVoxel | None:
    """(I, J, K) region of each voxel of ``grid``, told on the network's grid of 1 mm; None when parts are unknown.

    Thick slices, or a FLAIR that shows a slab, would miss the nearest of a ventricle or of the cortex.
    """
    names = ("ventricles", "cortex", "cerebellum", "brainstem")
    if brain is None or not all(brain.has(name) for name in (*names, "left")):
        return None
    parts = {name: brain.part_on(name, fine).data > 0 for name in names}
    maps = RegionMaps(**parts, left=brain.left_half_on(fine).data > 0)
    told = Volume(region_of_voxels(maps, fine.spacing_mm), fine)
    return resample_to(told, grid, "nearest", world_transform=way).data


def _mask_on(mask: Volume, grid: Grid, way: FloatArray | None) -> Volume:
    moved = resample_to(mask.with_data(mask.data.astype(np.float32)), grid, "linear", world_transform=way)
    return moved.with_data((moved.data >= 0.5).astype(np.uint8))


def _outputs(
    study: Study, prepared: Prepared, prediction: Prediction, found: _OnFlair, rules: ClusterRules
) -> tuple[list[Mask], list[Mask]]:
    grid = study["flair"].grid
    lesions = mask_of(found.labels, grid, "wmh")
    masks = [Mask("wmh", "flair", lesions), Mask("brain", "flair", found.brain)]
    probabilities = [Mask("wmh", "flair", found.probability.with_data(found.probability.data, role="wmh", unit="1"))]
    if "t1" in study:
        t1 = study["t1"].grid
        way = prepared.to_prepared.get("t1")
        there = probability_to_grid(prediction.probability[0], prepared.grid, t1, world_transform=way)
        brain = _mask_on(prepared.brain, t1, way)
        asked = _members_on(prediction, prepared, t1, way) if rules.agreed_mm3 else ()
        labels, _ = find_lesions(there.data, brain.data > 0, t1, rules, asked)
        masks += [Mask("wmh", "t1", mask_of(labels, t1, "wmh")), Mask("brain", "t1", brain)]
    return masks, probabilities


def _fit(registration: Any) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(registration).items()
    }


def _methods(study: Study, prepared: Prepared, bundle: Bundle, rules: ClusterRules, *, by_region: bool) -> str:
    read = [role for role in bundle.manifest.channels if role in study]
    images = " and ".join(role.upper() for role in read)
    registered = (
        "The FLAIR was registered rigidly to the T1 by mutual information. "
        if "flair" in prepared.registrations
        else "The images were used where their files place them. "
        if len(read) > 1
        else ""
    )
    regions = (
        " Each voxel of a lesion was given its region: brainstem or cerebellum; juxtacortical within "
        f"{JUXTACORTICAL_MM:g} mm of the cortex and nearer to it than to a ventricle; periventricular within "
        f"{PERIVENTRICULAR_MM:g} mm of a ventricle; else deep. A network of any contrast found these parts in the "
        f"{prepared.reference.upper()} at 2 mm; distances were taken at 1 mm. A lesion is counted in the region that "
        "has most of it."
        if by_region
        else ""
    )
    agreed = (
        f", or less than {rules.agreed_mm3:g} mm³ in any member alone"
        if rules.agreed_mm3 and len(bundle.manifest.members) > 1
        else ""
    )
    spared = f" if smaller than {rules.spared_mm3:g} mm³" if rules.spared_mm3 else ""
    sure = f", or of a mean probability below {rules.least_mean:g}{spared}" if rules.least_mean else ""
    mask = "the brain mask that was given" if "brain" in study else "a brain mask found by a network of any contrast"
    return (
        f"White matter hyperintensities were segmented on {images}. {registered}Images were resampled to 1 mm "
        f"({' × '.join(str(n) for n in prepared.grid.shape)} voxels about the centre of {mask}) and divided by the "
        f"99th percentile in the brain. The bundle {bundle.manifest.name} ({bundle.manifest.title}; "
        f"{counted(len(bundle.manifest.members), 'member')}, mean of probabilities) was run; voxels with a probability "
        f"of at least {rules.threshold:g} on the FLAIR's own grid were joined with {rules.connectivity} neighbours, "
        f"and clusters below {rules.min_mm3:g} mm³, more than {100 * rules.max_outside_brain:g} % outside the brain"
        f"{agreed}{sure} were dropped.{regions}"
    )
