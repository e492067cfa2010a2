"""From a study to findings: prepare the maps, read them by thresholds, measure, show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from willis.findings import Findings, Mask
from willis.study import Study
from willis.tasks.perfusion import figures, interpret
from willis.tasks.perfusion.clinical import clinical_of
from willis.tasks.perfusion.prepare import PreparedMaps, prepare
from willis.tasks.perfusion.spec import MAPS, SPEC
from willis.tasks.provenance import Stopwatch, make_provenance
from willis.tasks.settings import Progress, RunSettings, silent
from willis.tasks.taskspec import OptionValue
from willis.volume.volume import Volume

STEPS = 4
NEEDED = ("cbf", "tmax")  # for core and penumbra by thresholds


def run(
    study: Study,
    options: Mapping[str, OptionValue],
    *,
    settings: RunSettings,
    progress: Progress | None = None,
) -> Findings:
    """Core and penumbra of a study by thresholds.

    Parameters
    ----------
    study
        With a series ``ctp``, or with maps.
    options
        Complete, as ``SPEC.resolve_options`` gives them.
    settings
        Recorded; no network is run.
    progress
        Told of each step.

    Raises
    ------
    BadInputError
        When the series, the maps or the clinical numbers can't be used.
    """
    tell = progress or silent
    watch = Stopwatch()
    clinical = clinical_of(study, options)
    thresholds = interpret.Thresholds(
        _number(options["relative_cbf"]), _number(options["tmax_above"]), _number(options["min_size"])
    )
    tell(0 / STEPS, "making the maps" if "ctp" in study.series else "reading the maps")
    with watch.stage("prepare"):
        prepared = prepare(study, options)
    tell(2 / STEPS, "measuring")
    with watch.stage("interpret"):
        reading = interpret.read_maps(prepared, thresholds)
        measurements = interpret.measure(prepared, reading)
        missing = [name for name in NEEDED if name not in prepared.maps]
    tell(3 / STEPS, "drawing")
    with watch.stage("figures"):
        pictures = figures.make(prepared, reading)
    tell(1.0, "done")
    return Findings(
        task=SPEC.name,
        prefix=study.prefix,
        summary=interpret.summarise(measurements, missing, thresholds),
        masks=_masks(prepared, reading),
        maps=[Mask(name, prepared.space, volume) for name, volume in prepared.maps.items() if name in MAPS],
        measurements=measurements,
        lesions=interpret.core_parts(prepared, reading),
        tables={
            "criteria": interpret.criteria(measurements, clinical.nihss, clinical.age),
            "slices": interpret.slice_table(prepared, reading),
        },
        figures=pictures,
        provenance={
            **make_provenance(
                SPEC,
                study,
                options=options,
                settings=settings,
                bundles=[],
                prediction={},
                stopwatch=watch,
                methods=_methods(prepared, thresholds),
            ),
            "perfusion": dict(prepared.details),
            "clinical": {"nihss": clinical.nihss, "age": clinical.age},
        },
        notes=[*prepared.notes, *_reading_notes(reading, measurements), *clinical.notes],
    )


def _number(value: OptionValue) -> float:
    return float(value)  # type: ignore[arg-type]


def _masks(prepared: PreparedMaps, reading: interpret.Reading) -> list[Mask]:
    found = {"brain": prepared.brain, "core": reading.core, "penumbra": reading.penumbra}
    if reading.core is None and reading.hypoperfused is not None:
        found["hypoperfused"] = reading.hypoperfused
    return [
        Mask(label, prepared.space, Volume(mask.astype(np.uint8), prepared.grid, role=label))
        for label, mask in found.items()
        if mask is not None
    ]


def _reading_notes(reading: interpret.Reading, measurements: Mapping[str, Any]) -> list[str]:
    notes = []
    elsewhere = reading.low_flow_elsewhere_ml
    if elsewhere is not None and elsewhere >= 5.0:
        notes.append(
            f"{elsewhere:.1f} ml have a CBF as low as a core's without delay, as an old infarct has; they aren't "
            "counted."
        )
    if reading.hypoperfused is not None and interpret.side_of(measurements) == "both sides":
        notes.append("Hypoperfused tissue lies on both sides: the reference of the core's threshold is less certain.")
    return notes


def _methods(prepared: PreparedMaps, thresholds: interpret.Thresholds) -> str:
    said = prepared.details
    made = (
        f"CBF, CBV, MTT and Tmax were computed from the series of {said['frames']} frames: shifts of the head found on "
        f"bone, enhancement above the mean of {said['baseline_frames']} frames before contrast, artery and vein found "
        f"by height, width and time, the artery's area scaled by {said['vein_over_artery_area']} to the vein's, frames "
        f"smoothed in their slices (standard deviation {said['smoothing_mm']:g} mm), block-circulant deconvolution "
        "with limited oscillation (Wu 2003), whose loss at short transit was found on exponential residue functions "
        "and undone. "
        if prepared.way == "series"
        else "Maps were read as given. "
    )
    return (
        f"{made}Single values were calmed by a median in each slice. Hypoperfused is tissue with Tmax above "
        f"{thresholds.tmax_s:g} s, core that part of it whose CBF is below {100 * thresholds.relative_cbf:g} % of the "
        "mean of normally supplied tissue of the other side, penumbra the rest; parts below "
        f"{thresholds.min_ml:g} ml were dropped."
    )
