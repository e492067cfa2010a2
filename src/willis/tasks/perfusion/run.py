"""From a study to findings: prepare the maps, read them by thresholds and by a network, measure, show."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from willis.findings import Findings, Mask, Measurement
from willis.models.store import Bundle, open_bundle
from willis.study import Study
from willis.tasks.axes import as_given
from willis.tasks.ct_template import Brought
from willis.tasks.perfusion import beside, figures, interpret, territory
from willis.tasks.perfusion.by_network import NetworkReading, missing_maps, read_by_network
from willis.tasks.perfusion.clinical import Clinical, clinical_of
from willis.tasks.perfusion.prepare import PreparedMaps, prepare
from willis.tasks.perfusion.published import published_files
from willis.tasks.perfusion.spec import MAPS, SPEC, shown_name
from willis.tasks.perfusion.trials import criteria as criteria_of
from willis.tasks.provenance import Stopwatch, describe_bundle, describe_prediction, make_provenance
from willis.tasks.settings import Progress, RunSettings, part_of, silent
from willis.tasks.taskspec import OptionValue
from willis.volume.volume import Volume

STEPS = 5
NEEDED = ("cbf", "tmax")  # for core and penumbra by thresholds
LEAST_TOLD_ML = 5.0  # of low flow without delay, from which a note says so; assumed
MOST_LATE = 0.6  # of the tissue: all of one side, with some of the other; assumed
LEAST_UNTIMED_ML = 1.0  # of low flow without a Tmax, from which a note says so; assumed


def run(
    study: Study,
    options: Mapping[str, OptionValue],
    *,
    settings: RunSettings,
    progress: Progress | None = None,
) -> Findings:
    """Core and penumbra of a study by thresholds and by a network.

    Parameters
    ----------
    study
        With a series ``ctp``, or with maps.
    options
        Complete, as ``SPEC.resolve_options`` gives them.
    settings
        Bundle, engine, precision, memory, threads.
    progress
        Told of each step.

    Raises
    ------
    BadInputError
        When the series, the maps or the clinical numbers can't be used, or ``method`` is ``network`` and its maps
        aren't there.
    BundleError
        When the bundle is absent or altered.
    """
    tell = progress or silent
    watch = Stopwatch()
    clinical = clinical_of(study, options)
    bundle = _bundle_of(options, settings)
    thresholds = interpret.Thresholds(
        _number(options["relative_cbf"]), _number(options["tmax_above"]), _number(options["min_size"])
    )
    tell(0 / STEPS, "making the maps" if "ctp" in study.series else "reading the maps")
    with watch.stage("prepare"):
        prepared = prepare(study, options)
    with watch.stage("predict"):
        told = part_of(tell, 2 / STEPS, 3 / STEPS, "predicting")
        network, problem = _read_by_network(study, prepared, clinical, bundle, options, settings, told)
    tell(3 / STEPS, "measuring")
    with watch.stage("interpret"):
        reading = interpret.read_maps(prepared, thresholds)
        asked = thresholds != thresholds.as_published
        published = interpret.read_maps(prepared, thresholds.as_published) if asked else reading
        brought = territory.find_territories(prepared, reading)
        places = territory.measure_territories(brought, reading, prepared.grid.voxel_ml)
        measurements = _brain_last({**interpret.measure(prepared, reading, published), **places})
        missing = [name for name in NEEDED if name not in prepared.maps]
        by_trials = interpret.measure(prepared, published) if asked else measurements
        criteria = criteria_of(by_trials, clinical.nihss, clinical.age)
    tell(4 / STEPS, "drawing")
    with watch.stage("figures"):
        pictures = figures.make(prepared, reading, network, study.sources)
    with watch.stage("published"):
        wanted = network if prepared.way == "colours" else None
        attachments = [] if wanted is None else published_files(prepared, wanted, study.sources)
    tell(1.0, "done")
    where = territory.told_of_territory(brought, reading, prepared.grid.voxel_ml)
    said = f"{interpret.summarise(measurements, missing, thresholds)} {where}".rstrip()
    if network is not None:
        measurements = _brain_last({**measurements, **beside.measure_network(network, prepared.grid)})
    found = Findings(
        task=SPEC.name,
        prefix=study.prefix,
        summary=f"{said} {beside.told_of_network(measurements) if network is not None else problem}",
        masks=_masks(prepared, reading, network),
        probabilities=[
            Mask(f"network{name}", prepared.space, volume.with_data(volume.data, role=name))
            for name, volume in (network.probability.items() if network is not None else ())
        ],
        maps=[Mask(name, prepared.space, volume) for name, volume in prepared.maps.items() if name in MAPS],
        measurements=measurements,
        lesions=interpret.core_parts(prepared, reading, partial(territory.region_of, brought)),
        tables=_tables(prepared, reading, network, brought, criteria),
        figures=pictures,
        provenance={
            **make_provenance(
                SPEC,
                study,
                options=options,
                settings=settings,
                bundles=[describe_bundle(network.bundle)] if network else [],
                prediction=_prediction(network),
                stopwatch=watch,
                methods=_methods(prepared, thresholds, network),
            ),
            "perfusion": dict(prepared.details),
            "clinical": {"nihss": clinical.nihss, "age": clinical.age, "sex": clinical.sex},
        },
        notes=[
            *prepared.notes,
            *_reading_notes(prepared, reading, measurements),
            *([interpret.note_of_published(thresholds, by_trials)] if asked and "tmax" in prepared.maps else []),
            *([said_of] if (said_of := territory.note_of_territory(brought)) else []),
            *clinical.notes,
            *([*network.notes, *network.prediction.notes] if network is not None else []),
        ],
        attachments=attachments,
    )
    return as_given(found, study)


def _bundle_of(options: Mapping[str, OptionValue], settings: RunSettings) -> Bundle | None:
    """The bundle to run, checked before any work; None where no network is wanted."""
    reference = settings.bundle or SPEC.default_bundle
    return open_bundle(reference, SPEC.name) if reference and options["method"] != "thresholds" else None


def _read_by_network(
    study: Study, prepared: PreparedMaps, clinical: Clinical, bundle: Bundle | None,
    options: Mapping[str, OptionValue], settings: RunSettings, progress: Progress,
) -> tuple[NetworkReading | None, str]:  # fmt: skip
    """The network's reading, or why there is none."""
    if bundle is None:
        return None, "No network was run: only the threshold reading is available."
    lacking = missing_maps(bundle.manifest, prepared)
    if lacking and options["method"] == "both":
        names = ", ".join(shown_name(name) for name in lacking)
        return None, f"No network was run, since {bundle.name} needs {names}."
    scalars = {"nihss": clinical.nihss, "age": clinical.age, "sex": clinical.sex}
    least = _number(options["min_size"])
    return read_by_network(prepared, scalars, bundle, settings=settings, min_ml=least, progress=progress), ""


def _brain_last(every: Mapping[str, Measurement]) -> dict[str, Measurement]:
    """All measurements, the brain's volume last."""
    return {**{name: m for name, m in every.items() if name != "brain_volume"}, "brain_volume": every["brain_volume"]}


def _tables(
    prepared: PreparedMaps, reading: interpret.Reading, network: NetworkReading | None, brought: Brought,
    criteria: list[dict[str, Any]],
) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    slices = interpret.slice_table(prepared, reading)
    masks = {"core": reading.core, "penumbra": reading.penumbra}
    if network is not None:
        masks |= {"network_core": network.core, "network_penumbra": network.penumbra}
    rows = territory.territory_table(brought, prepared, masks)
    placed = {"territories": rows} if rows else {}
    if network is None:
        return {"criteria": criteria, **placed, "slices": slices}
    return {
        "readings": beside.readings_table(network, reading, prepared.grid),
        "criteria": criteria,
        **placed,
        "slices": beside.with_network_slices(slices, network, prepared.grid),
    }


def _prediction(network: NetworkReading | None) -> dict[str, Any]:
    if network is None:
        return {}
    return describe_prediction(network.prediction)


def _number(value: OptionValue) -> float:
    return float(value)  # type: ignore[arg-type]


def _masks(prepared: PreparedMaps, reading: interpret.Reading, network: NetworkReading | None) -> list[Mask]:
    found = {"brain": prepared.brain, "core": reading.core, "penumbra": reading.penumbra}
    if reading.core is None and reading.hypoperfused is not None:
        found["hypoperfused"] = reading.hypoperfused
    if network is not None:
        found |= {"networkcore": network.core, "networkpenumbra": network.penumbra}
    return [
        Mask(label, prepared.space, Volume(mask.astype(np.uint8), prepared.grid, role=label))
        for label, mask in found.items()
        if mask is not None
    ]


def _reading_notes(
    prepared: PreparedMaps, reading: interpret.Reading, measurements: Mapping[str, Any]
) -> list[str]:  # fmt: skip
    notes = []
    untimed = reading.low_flow_untimed_ml
    elsewhere = (reading.low_flow_elsewhere_ml or 0.0) - untimed
    if elsewhere >= LEAST_TOLD_ML:
        notes.append(
            f"{elsewhere:.1f} ml have a CBF as low as a core's without delay, as an old infarct has; they aren't "
            "counted."
        )
    if untimed >= LEAST_UNTIMED_ML:
        notes.append(
            f"{untimed:.1f} ml have a CBF as low as a core's where Tmax is 0 or no number; they aren't counted. Where "
            "that means that Tmax couldn't be told, the core is larger by them: look at the maps."
        )
    if reading.core is None and reading.hypoperfused is not None and reading.reference_cbf and "cbf" in prepared.bars:
        lowest = min(prepared.bars["cbf"])
        notes.append(
            f"The bar of the CBF map begins at {lowest:.4g}, above the core's threshold: the core can't be told. "
            "Export the map with a bar from 0."
        )
    if reading.hypoperfused is not None and interpret.side_of(measurements) == "both sides":
        notes.append("Hypoperfused tissue lies on both sides: the reference of the core's threshold is less certain.")
    if reading.hypoperfused is not None and prepared.tissue.any():
        share = float(reading.hypoperfused.sum()) / float(prepared.tissue.sum())
        if share > MOST_LATE:
            notes.append(
                f"{100 * share:.0f} % of the tissue is hypoperfused, more than one side of the brain: so looks a Tmax "
                "that isn't in s, or that holds a delay of the whole head. Check the map's unit."
            )
    return notes


def _methods(prepared: PreparedMaps, thresholds: interpret.Thresholds, network: NetworkReading | None) -> str:
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
    ran = (
        ""
        if network is None
        else f" Beside it the bundle {network.bundle.manifest.name} ({network.bundle.manifest.title}) was run slice by "
        f"slice on {', '.join(shown_name(name) for name in network.bundle.manifest.channels)}; each voxel of tissue "
        "got its class of highest probability, and parts as small were dropped alike. The trials' figures are "
        "taken from the thresholds."
    )
    return (
        f"{made}Single values were calmed by a median in each slice. Hypoperfused is tissue with Tmax above "
        f"{thresholds.tmax_s:g} s, core that part of it whose CBF is below {100 * thresholds.relative_cbf:g} % of the "
        "mean of normally supplied tissue of the other side, penumbra the rest; parts below "
        f"{thresholds.min_ml:g} ml were dropped.{ran}"
    )
