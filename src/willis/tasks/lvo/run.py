"""From a study to findings: prepare, compare the halves, look at vessels and territories, show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.findings import Findings, Mask
from willis.models.bundle import Bundle
from willis.models.store import open_bundle
from willis.study import Study
from willis.tasks.axes import as_given
from willis.tasks.lvo import figures, interpret
from willis.tasks.lvo.find_vessels import check_vessel_bundle, find_vessels
from willis.tasks.lvo.judge import Judged, judge, unused_note
from willis.tasks.lvo.prepare import PreparedHead, prepare
from willis.tasks.lvo.segment import find_segment, side_note
from willis.tasks.lvo.spec import SPEC, VESSELS
from willis.tasks.lvo.vessels import contrast_note, measure_vessels
from willis.tasks.provenance import Stopwatch, describe_bundle, make_provenance
from willis.tasks.settings import Progress, RunSettings, silent
from willis.tasks.taskspec import OptionValue
from willis.volume.grid import Grid
from willis.volume.resample import resample_to
from willis.volume.stack import even_runs
from willis.volume.volume import Volume

STEPS = 5
LABELS = {"other": "othervessels"}


def run(
    study: Study,
    options: Mapping[str, OptionValue],
    *,
    settings: RunSettings,
    progress: Progress | None = None,
) -> Findings:
    """Signs of a large vessel occlusion on a non-contrast CT.

    Parameters
    ----------
    study
        With ``ncct``; ``brain`` when there is one.
    options
        Complete, as ``SPEC.resolve_options`` gives them.
    settings
        Bundle, engine, precision, memory, threads.
    progress
        Told of each step.

    Raises
    ------
    BadInputError
        When the image is no head CT in HU, or an option doesn't fit the bundle.
    """
    tell = progress or silent
    watch = Stopwatch()
    tell(0 / STEPS, "laying the template on the head")
    bundle = open_bundle(settings.bundle or str(SPEC.default_bundle), SPEC.name)
    if options["prior"] and "prior" not in bundle.manifest.channels:
        raise BadInputError(f"the bundle {bundle.name} reads no prior; leave --prior out, or give a McResNet's bundle.")
    vessel_bundle = open_bundle(str(options["vessel_bundle"]), SPEC.name) if options["vessel_bundle"] else None
    notes = check_vessel_bundle(vessel_bundle) if vessel_bundle is not None else ()
    unused = unused_note(bundle, settings)
    segment_bundle = open_bundle(str(options["segment_bundle"]), SPEC.name) if options["segment_bundle"] else None
    with watch.stage("prepare"):
        prepared = prepare(study, options)
    if vessel_bundle is not None:
        tell(1 / STEPS, "finding the vessels")
        with watch.stage("vessels"):
            prepared = replace(prepared, vessels=find_vessels(prepared.ct, vessel_bundle, settings))
    tell(2 / STEPS, "judging the occlusion")
    with watch.stage("occlusion"):
        prepared, judged = judge(prepared, bundle, settings)
        if segment_bundle is not None:
            first, judged = judged, find_segment(prepared, judged, segment_bundle, settings)
            told = side_note(first, judged, segment_bundle)
            notes = (*notes, told) if told else notes
    tell(3 / STEPS, "measuring")
    with watch.stage("interpret"):
        least = float(options["darker"])  # type: ignore[arg-type]
        darker = interpret.darker_mask(prepared, least)
        territories = interpret.describe_territories(prepared, darker)
        vessels = measure_vessels(prepared.vessels, prepared.ct, prepared.left) if prepared.vessels else {}
        contrast = contrast_note(prepared.vessels, prepared.ct) if prepared.vessels else ""
        dense = [] if contrast else interpret.dense_vessels(vessels)
        decision = interpret.decide(judged, bundle.manifest, dense, bool(contrast), bool(prepared.unseen))
        measurements = interpret.measure(prepared, territories, darker, vessels, judged)
        masks, maps = _masks(prepared, darker, judged), [_difference(prepared, "ncct", prepared.ct.grid)]
        for space, grid in _own_slices(study):
            masks += [_laid(mask, space, grid) for mask in masks if mask.space == "ncct" and mask.label != "darker"]
            masks.append(Mask("darker", space, _moved(darker, prepared, grid)))
            maps.append(_difference(prepared, space, grid))
    tell(4 / STEPS, "drawing")
    with watch.stage("figures"):
        pictures = figures.make(prepared, masks, judged)
    tell(1.0, "done")
    found = Findings(
        task=SPEC.name,
        prefix=study.prefix,
        summary=interpret.summarise(decision, territories, darker, prepared.head.grid.voxel_ml, least),
        masks=masks,
        maps=maps,
        measurements=measurements,
        decision=decision,
        tables={
            "territories": interpret.territory_table(territories),
            **({"segments": interpret.segment_table(judged)} if judged.segments else {}),
        },
        figures=pictures,
        provenance=make_provenance(
            SPEC,
            study,
            options=options,
            settings=settings,
            bundles=[describe_bundle(used) for used in (bundle, vessel_bundle, segment_bundle) if used is not None],
            prediction=judged.record,
            stopwatch=watch,
            methods=_methods(prepared, least, bundle),
            registrations={"template": _fit(prepared)},
        ),
        notes=(*prepared.notes, *notes, *(note for note in (contrast, unused) if note)),
    )
    return as_given(found, study)


def _masks(prepared: PreparedHead, darker: npt.NDArray[np.bool_], judged: Judged) -> list[Mask]:
    """On the CT's own grid."""
    ct = prepared.ct.grid
    masks = [Mask("brain", "ncct", prepared.head.brain), Mask("darker", "ncct", _moved(darker, prepared, ct))]
    for code, name in enumerate(VESSELS, start=1) if prepared.vessels is not None else ():
        here = Volume((prepared.vessels.data == code).astype(np.uint8), ct, role=name)  # type: ignore[union-attr]
        masks.append(Mask(LABELS.get(name, name), "ncct", here))
    return masks if judged.place is None else [*masks, Mask("clot", "ncct", judged.place)]


def _difference(prepared: PreparedHead, space: str, grid: Grid) -> Mask:
    """The published map, of both halves, on a grid of the patient's space."""
    there = Volume(prepared.difference.absolute, prepared.head.grid, role="difference", unit="HU")
    return Mask("difference", space, resample_to(there, grid))


def _own_slices(study: Study) -> list[tuple[str, Grid]]:
    """The scanner's own slices, where those aren't the grid that is worked on: a name and a grid for each even run."""
    source = study.sources.get("ncct")
    stack = source.slices if source is not None else None
    if stack is None or (stack.even and stack.straight):
        return []
    runs = even_runs(stack)
    return [("scanner" if len(runs) == 1 else f"scanner{n}", grid) for n, (_, grid) in enumerate(runs, start=1)]


def _laid(mask: Mask, space: str, grid: Grid) -> Mask:
    """A mask on the CT's own grid, on another grid of the patient's space."""
    moved = resample_to(mask.volume.with_data(mask.volume.data.astype(np.float32)), grid)
    return Mask(mask.label, space, moved.with_data((moved.data >= 0.5).astype(np.uint8)))


def _moved(mask: npt.NDArray[np.bool_], prepared: PreparedHead, grid: Grid) -> Volume:
    """A mask on the midplane grid, on another grid of the patient's space."""
    moved = resample_to(Volume(mask.astype(np.float32), prepared.head.grid), grid)
    return moved.with_data((moved.data >= 0.5).astype(np.uint8))


def _fit(prepared: PreparedHead) -> dict[str, Any]:
    fit = prepared.head.fit
    return {
        "matrix": fit.matrix.tolist(),
        "correlation": round(fit.correlation, 4),
        "overlap": round(fit.overlap, 4),
        "deformed_by": prepared.head.deformed_by,
        "largest_deformation_mm": round(prepared.head.deformation.largest_mm(), 2),
        "largest_mirror_deformation_mm": round(prepared.difference.mirror.largest_mm(), 2),
    }


def _methods(prepared: PreparedHead, least: float, bundle: Bundle) -> str:
    return (
        f"The occlusion was judged by the bundle {bundle.manifest.name} ({bundle.manifest.title}). "
        "An average CT in MNI space was laid on the CT by an affine map (correlation of values in a soft-tissue and "
        f"bone window) and deformed onto its brain by {prepared.head.deformed_by}. The brain was found as the soft "
        "tissue in one piece inside the skull near the template's brain. On a grid of 1.5 mm along the brain's middle "
        "plane the brain's mirror image was deformed onto it; both were median filtered (3 × 3 × 3) and subtracted, "
        "without places where either is below 15 HU or that differ by more than 70 HU. Brain darker than its mirror "
        f"image by {least:g} HU after smoothing (Gaussian, sigma 3 mm), in clusters of at least 1 ml, was outlined "
        "and sorted by a map of arterial territories."
    )
