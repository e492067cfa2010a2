"""From a head scan to its brain mask and the volumes of its coarse parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from willis.findings import Findings, Mask, Measurement
from willis.models.store import open_bundle
from willis.study import Study
from willis.tasks.brain import figures
from willis.tasks.brain.find import NECK_MM, Brain, find_brain, threshold_of
from willis.tasks.brain.spec import SPEC
from willis.tasks.provenance import Stopwatch, describe_bundle, describe_prediction, make_provenance
from willis.tasks.settings import Progress, RunSettings, silent
from willis.tasks.taskspec import OptionValue

WRITTEN = tuple(label.name for label in SPEC.labels)


def run(
    study: Study,
    options: Mapping[str, OptionValue],
    *,
    settings: RunSettings,
    progress: Progress | None = None,
) -> Findings:
    """Brain mask and coarse parts of a study's ``image``.

    Raises
    ------
    BadInputError
        When no brain is found.
    BundleError
        When the bundle is absent or altered.
    """
    tell = progress or silent
    watch = Stopwatch()
    image = study["image"]
    tell(0 / 2, "finding the brain")
    with watch.stage("predict"):
        bundle = open_bundle(settings.bundle or str(SPEC.default_bundle), SPEC.name)
        brain = find_brain(image, settings, bundle)
    with watch.stage("interpret"):
        masks = [Mask("brain", "image", brain.mask_on(image.grid))]
        masks += [Mask(n, "image", brain.part_on(n, image.grid)) for n in WRITTEN[1:] if brain.has(n)]
    tell(1 / 2, "drawing")
    with watch.stage("figures"):
        pictures = figures.make(image, masks)
    tell(1.0, "done")
    measurements = _measure(masks)
    return Findings(
        task=SPEC.name,
        prefix=study.prefix,
        summary=f"Brain of {measurements['brain_volume'].value:.0f} ml.",
        masks=masks,
        probabilities=[Mask("brain", "image", brain.probability_on("brain", image.grid))],
        measurements=measurements,
        figures=pictures,
        provenance=make_provenance(
            SPEC,
            study,
            options=options,
            settings=settings,
            bundles=[describe_bundle(bundle)],
            prediction=describe_prediction(brain.prediction),
            stopwatch=watch,
            methods=_methods(brain),
        ),
        notes=[*image.notes, *brain.notes, *brain.prediction.notes],
    )


def _measure(masks: Sequence[Mask]) -> dict[str, Measurement]:
    found = [
        Measurement(f"{m.label}_volume", m.volume.volume_ml, "ml", None, f"{m.label.capitalize()} volume")
        for m in masks
    ]
    return {measurement.name: measurement for measurement in found}


def _methods(brain: Brain) -> str:
    manifest = brain.bundle.manifest
    threshold = threshold_of(manifest, "brain")
    return (
        f"The brain was found by the bundle {manifest.name} ({manifest.title}) on the image resampled to 2 mm, scaled "
        f"to its own range; voxels with a probability of at least {threshold:g} on the image's own grid "
        f"were kept, in one piece, without holes and without what hangs on it by less than {2 * NECK_MM:g} mm."
    )
