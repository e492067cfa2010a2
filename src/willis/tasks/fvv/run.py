"""From a study to findings: prepare, predict, interpret, show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from willis.findings import Decision, Findings, Lesion, Mask, Measurement
from willis.image.in_plane import SIDE
from willis.image.mirror import plane_of
from willis.infer.back import probability_to_grid
from willis.infer.ensemble import Prediction, predict
from willis.models.manifest import Manifest
from willis.models.store import Bundle, open_bundle
from willis.study import Study
from willis.tasks.fvv import figures, interpret
from willis.tasks.fvv.asymmetry import b0_ratio, reflection_of
from willis.tasks.fvv.decision import decide, doubt_of, summarise
from willis.tasks.fvv.prepare import DwiPair, pair_of, prepare
from willis.tasks.fvv.published import published_files, votes_of_ten
from willis.tasks.fvv.spec import MISMATCH_BELOW_ML, SPEC
from willis.tasks.fvv.subvoxel import COUNTED_MM, counted_between_voxels
from willis.tasks.fvv.votes import LOWERED_ADC, Votes, count_votes, without_what_b0_hides
from willis.tasks.prepared import Prepared
from willis.tasks.provenance import Stopwatch, describe_bundle, describe_prediction, make_provenance
from willis.tasks.settings import Progress, RunSettings, part_of, silent
from willis.tasks.taskspec import OptionValue
from willis.units import MM3_PER_ML, counted
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

STEPS = 4
VISIBLE_RATIO = "visible_b0_ratio"  # name of a bundle's rule


@dataclass(frozen=True)
class Analysis:
    """What was found in a pair, before anything is measured by part, drawn or written."""

    bundle: Bundle
    pair: DwiPair
    prepared: Prepared
    prediction: Prediction
    votes: Votes


def analyse(
    study: Study,
    options: Mapping[str, OptionValue],
    *,
    settings: RunSettings,
    progress: Progress | None = None,
    watch: Stopwatch | None = None,
) -> Analysis:
    """Prepare, predict, and count the members' votes; parameters and errors are those of :func:`run`."""
    tell, watch = progress or silent, watch or Stopwatch()
    tell(0 / STEPS, "preparing")
    with watch.stage("load"):
        bundle = open_bundle(settings.bundle or str(SPEC.default_bundle), SPEC.name)
    with watch.stage("pair"):
        pair = pair_of(study, options)
    with watch.stage("prepare"):
        prepared = prepare(pair, bundle.manifest)
    with watch.stage("predict"):
        prediction = predict(
            bundle,
            prepared.image,
            **settings.running,
            progress=part_of(tell, 1 / STEPS, 2 / STEPS, "predicting"),
        )
    with watch.stage("votes"):
        votes = _votes(pair, prepared, prediction, bundle.manifest)
    return Analysis(bundle, pair, prepared, prediction, votes)


def run(
    study: Study,
    options: Mapping[str, OptionValue],
    *,
    settings: RunSettings,
    progress: Progress | None = None,
) -> Findings:
    """FLAIR Visibility Volume of a study.

    Parameters
    ----------
    study
        With ``b1000``, and ``b0`` or ``adc``; ``flair``, ``brain`` and ``flairvisible`` when there are any.
    options
        Complete, as ``SPEC.resolve_options`` gives them.
    settings
        Bundle, engine, precision, memory, threads.
    progress
        Told of each step.

    Raises
    ------
    BadInputError
        When the images can't be used together.
    BundleError
        When the bundle is absent or altered.
    """
    tell = progress or silent
    watch = Stopwatch()
    found = analyse(study, options, settings=settings, progress=tell, watch=watch)
    bundle, pair, prepared, prediction, votes = (
        found.bundle, found.pair, found.prepared, found.prediction, found.votes,
    )  # fmt: skip
    tell(2 / STEPS, "measuring")
    with watch.stage("interpret"):
        native = _native(votes, pair.b1000)
        masks = {name: pair.b1000.with_data(native[name], role=name, unit="") for name in ("brain", "lesion")}
        seen = 2 * native["visible"] >= 10
        masks["flairvisible"] = pair.b1000.with_data(seen.astype(np.uint8), role="flairvisible", unit="")
        decision, lesions, measurements = _findings(study, found, masks)
    tell(3 / STEPS, "drawing")
    attachments = published_files(votes, native, pair.b1000, watch)
    with watch.stage("figures"):
        synthesis = next(a.content for a in attachments if a.name.endswith(".png"))
        pictures = figures.make(study, pair, masks, synthesis)
    tell(1.0, "done")
    return Findings(
        task=SPEC.name,
        prefix=study.prefix,
        summary=summarise(decision, measurements, dropped=bool(votes.dropped_ml), doubt=doubt_of(votes)),
        masks=[Mask(name, "b1000", mask) for name, mask in masks.items()],
        probabilities=[Mask(name, "b1000", found) for name, found in _probability(pair, prepared, prediction).items()],
        measurements=measurements,
        lesions=lesions,
        decision=decision,
        figures=pictures,
        provenance=make_provenance(
            SPEC,
            study,
            options={**options, "b_value": pair.b},
            settings=settings,
            bundles=[describe_bundle(bundle)],
            prediction=describe_prediction(prediction),
            stopwatch=watch,
            methods=_methods(study, pair, prepared, bundle),
            registrations={role: _fit(r) for role, r in prepared.registrations.items()},
        ),
        notes=[*prepared.notes, *prediction.notes, *([votes.told_dropped] if votes.dropped_ml else [])],
        attachments=attachments,
    )


def _votes(pair: DwiPair, prepared: Prepared, prediction: Prediction, manifest: Manifest) -> Votes:
    """Votes where they count: on the published slices, or on the b1000's own grid."""
    threshold = manifest.threshold.value
    if manifest.window.mode == "slices":
        answers = (member.astype(np.float32) for member in prediction.members)
        return count_votes(answers, prepared.grid, threshold, manifest.clusters.min_voxels)
    grid = pair.b1000.grid
    least = round(_least_ml(manifest) / grid.voxel_ml) if manifest.clusters.min_voxels > 1 else 1
    votes = count_votes(members_on(pair, prepared, prediction), grid, threshold, max(least, 1), pair.known_adc)
    votes = counted_between_voxels(votes, list(prediction.members), prepared.grid, threshold)
    rule = manifest.rules.get(VISIBLE_RATIO)
    if rule is None or not votes.lesion.any():
        return votes
    reflection = reflection_of(pair.b0, votes.brain)
    ratio = b0_ratio(pair.b0, pair.b1000, votes.lesion, votes.brain, pair.b, reflection)
    return replace(without_what_b0_hides(votes, ratio, rule), plane=plane_of(reflection))


def _least_ml(manifest: Manifest) -> float:
    """Volume below which a part of the infarct is dropped by a bundle on a lattice."""
    return manifest.clusters.min_voxels * float(np.prod(manifest.spacing_mm)) / MM3_PER_ML


def members_on(pair: DwiPair, prepared: Prepared, prediction: Prediction) -> Iterator[npt.NDArray[np.float32]]:
    """Each member's probabilities on the b1000's own grid."""
    for member in prediction.members:
        yield np.stack([_on_b1000(one.astype(np.float32), pair, prepared).data for one in member])


def _on_b1000(probability: npt.NDArray[np.float32], pair: DwiPair, prepared: Prepared) -> Volume:
    return probability_to_grid(probability, prepared.grid, pair.b1000.grid, kernel="spline")


def _native(votes: Votes, b1000: Volume) -> dict[str, npt.NDArray[np.uint8]]:
    """``brain``, ``lesion`` (0, 1) and ``visible`` (0 to 10) on the b1000's own grid."""
    maps = {
        "brain": votes.brain.astype(np.uint8),
        "lesion": votes.lesion.astype(np.uint8),
        "visible": votes_of_ten(votes),
    }
    return {
        name: np.ascontiguousarray(resample_to(Volume(data, votes.grid), b1000.grid, "nearest").data)
        for name, data in maps.items()
    }


def _findings(
    study: Study, found: Analysis, masks: Mapping[str, Volume]
) -> tuple[Decision, list[Lesion], dict[str, Measurement]]:
    pair, votes, grid = found.pair, found.votes, found.pair.b1000.grid
    lesion, visible, brain = (masks[name].data > 0 for name in ("lesion", "flairvisible", "brain"))
    probability = _on_b1000(found.prediction.probability[1], pair, found.prepared)
    lesions = interpret.describe_lesions(lesion, visible, probability.data, brain, grid, votes.plane)
    adc = interpret.mean_adc(lesion, pair.known_adc)
    rater = {}
    if pair.rater is not None:
        rater = interpret.score_rater(visible, lesion, pair.rater, study["flairvisible"].volume_ml)
    return decide(votes), lesions, interpret.measure(votes, lesions, adc, rater)


def _probability(pair: DwiPair, prepared: Prepared, prediction: Prediction) -> dict[str, Volume]:
    named = {"lesion": prediction.probability[1], "flairvisible": prediction.probability[2]}
    return {name: replace(_on_b1000(data, pair, prepared), role=name) for name, data in named.items()}


def _fit(registration: Any) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in asdict(registration).items()
    }


def _methods(study: Study, pair: DwiPair, prepared: Prepared, bundle: Bundle) -> str:
    manifest = bundle.manifest
    second = "a b0" if "b0" in study else "a b0 made of the b1000 and the ADC"
    if manifest.window.mode == "slices":
        how, dropped, between = f"Slices were brought to {SIDE} × {SIDE} voxels as published", "", ""
    else:
        how = (
            f"Images were resampled to {' × '.join(f'{s:g}' for s in manifest.spacing_mm)} mm, without the spatial "
            "frequencies that this can't hold"
        )
        between = f", that of the visible part on voxels cut to at most {COUNTED_MM:g} mm"
        small = f" that have less than {_least_ml(manifest):.2g} ml, or" if manifest.clusters.min_voxels > 1 else ""
        dropped = (
            f"Parts of the infarct{small} whose median ADC is not below {LOWERED_ADC:g} times the brain's median were "
            "dropped. "
        )
    grid = prepared.grid if manifest.window.mode == "slices" else pair.b1000.grid
    mask = "the brain mask that was given" if pair.brain is not None else "a mask by Otsu's threshold on both images"
    return (
        f"Acute infarct and its FLAIR-visible part were segmented on a b{pair.b:g} and {second}. {how}, given mean 0 "
        f"and standard deviation 1 in {mask}, and cut at ± {manifest.intensity.cap:g}. The bundle "
        f"{manifest.name} ({manifest.title}; {counted(len(manifest.members), 'member')}) was run. Brain, and infarct "
        f"within it, are what at least half of the members find. {dropped}The FLAIR Visibility Volume is the mean over "
        f"members of the volume that each calls visible in the infarct. Below {MISMATCH_BELOW_ML:g} ml it means "
        f"DWI-FLAIR mismatch. {_ratio_rule(manifest)}"
        f"Volumes were counted on a grid of {' × '.join(str(n) for n in grid.shape)} voxels{between}."
    )


def _ratio_rule(manifest: Manifest) -> str:
    rule = manifest.rules.get(VISIBLE_RATIO)
    if rule is None:
        return ""
    return (
        f"Where b0 in the infarct is less than {rule.value:.2f} times as bright as at the mirrored place, nothing of "
        "it counted as visible. "
    )
