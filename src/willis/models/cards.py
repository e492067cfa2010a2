"""A model card in Markdown, made of what the manifest says."""

from collections.abc import Iterable

from willis.models.manifest import Manifest


def render_card(manifest: Manifest) -> str:
    """Write the card of a bundle: use, licence, citation, inputs, thresholds, figures, peculiarities, training."""
    parts = [
        f"# {manifest.title}\n",
        f"{manifest.description}\n" if manifest.description else "",
        f"**Intended use.** {manifest.intended_use}\n",
        f"**Licence.** {manifest.licence}\n",
        f"**Authors.** {', '.join(manifest.authors)}\n" if manifest.authors else "",
        f"**Source.** {manifest.source}\n" if manifest.source else "",
        _section("Please cite", manifest.citation),
        _section("In and out", _in_and_out(manifest)),
        _section("Thresholds", _thresholds(manifest)),
        _section("Measured", _measured(manifest)),
        _section("Peculiarities", manifest.peculiarities),
        _section("Training", _training(manifest)),
    ]
    return "\n".join(part for part in parts if part)


def _section(title: str, lines: Iterable[str]) -> str:
    listed = "".join(f"- {line}\n" for line in lines)
    return f"## {title}\n\n{listed}" if listed else ""


def _by(numbers: Iterable[float]) -> str:
    return " × ".join(f"{number:g}" for number in numbers)


def _in_and_out(manifest: Manifest) -> Iterable[str]:
    missing = "; a missing one is replaced by zeros" if manifest.missing_channels == "zero" else ""
    yield f"In: {', '.join(manifest.channels)}, in this order{missing}."
    size = f", {_by(manifest.shape)} voxels" if manifest.shape else ""
    yield f"Grid: {_by(manifest.spacing_mm)} mm, {manifest.axes or 'RAS'}+{size}."
    window = manifest.window
    if window.mode == "sliding" and window.shape:
        yield f"Seen in windows of {_by(window.shape)} voxels that overlap by {window.overlap:.0%}."
    if window.mode == "slices" and window.shape:
        rows, columns, depth = window.shape
        yield f"Seen in stacks of {depth} slices of {rows} × {columns} voxels, of which the middle one is found."
    if manifest.planes:
        yield f"Seen in slices, {_planes(manifest)}."
    if manifest.intensity.scheme == "range":
        yield "Intensities: scaled to the image's own range."
    elif manifest.intensity.scheme == "zscore":
        yield f"Intensities: mean 0 and standard deviation 1 in the mask, cut at ± {manifest.intensity.cap:g}."
    elif manifest.intensity.scheme == "slice-max":
        yield "Intensities: each slice scaled so that its largest value is 255."
    elif manifest.intensity.scheme == "none":
        yield "Intensities: as the task prepares them, left as they are."
    else:
        yield _percentile(manifest)
    yield f"Out: {', '.join(manifest.outputs)} ({manifest.activation})."


def _planes(manifest: Manifest) -> str:
    views = "; ".join(
        f"{view.plane} {'cropped' if min(view.start) < 0 else 'padded'} to {_by(view.shape)}{_neighbours(view.stack)}"
        for view in manifest.planes
    )
    shared = len(manifest.members) == 1 and len(manifest.planes) > 1
    return f"{views}; {'one network for all planes' if shared else 'one network a plane'}"


def _neighbours(stack: int) -> str:
    before = stack // 2
    return f" with {before} slices before and {stack - 1 - before} after each as channels" if stack > 1 else ""


def _percentile(manifest: Manifest) -> str:
    scaled = f"Intensities: divided by percentile {manifest.intensity.percentile:g} in the brain"
    cap = manifest.intensity.cap
    return f"{scaled}, cut at {cap:g} and divided by it." if cap else f"{scaled}."


def _thresholds(manifest: Manifest) -> Iterable[str]:
    yield f"Probability from {manifest.threshold.value:g}: {manifest.threshold.origin}."
    clusters = manifest.clusters
    origin = f": {clusters.origin}" if clusters.origin else ""
    agreed = f", in which each member alone finds {clusters.agreed_voxels} or more" if clusters.agreed_voxels else ""
    spared = f" or of {clusters.spared_voxels} voxels or more" if clusters.spared_voxels else ""
    sure = f", of a mean probability of at least {clusters.least_mean:g}{spared}" if clusters.least_mean else ""
    yield (
        f"Clusters ({clusters.connectivity} neighbours) from {clusters.min_voxels} voxels, at most "
        f"{clusters.max_outside_brain:.0%} of them outside the brain{agreed}{sure}{origin}."
    )
    for name, rule in manifest.rules.items():
        yield f"{name} {rule.value:.4g}{f' ± {rule.spread:.2g}' if rule.spread else ''}: {rule.origin}."
    if manifest.calibration:
        c = manifest.calibration
        yield f"Calibrated: sigmoid({c.slope:.4g} × logit + {c.intercept:.4g}): {c.origin}."
    for name, known in manifest.volume_intervals.items():
        yield (
            f"Interval of {name}: {100 * known.coverage:g} % of {known.origin} have a true volume of "
            f"{known.low:.3g} to {known.high:.3g} times the one found, {known.offset_ml:g} ml added to both."
        )


def _measured(manifest: Manifest) -> Iterable[str]:
    for m in manifest.measured:
        yield f"{m.figure}: {m.value:.4g}{f' {m.unit}' if m.unit else ''} ({m.on})."
    for e in manifest.precision:
        pooled = "" if e.pooled is None else f" (of all voxels together {e.pooled:.4f})"
        yield (
            f"{e.precision} on {e.engine} against float32: Dice {e.dice:.4f}{pooled}, largest difference of "
            f"probability {e.max_difference:.2g}, {e.cases} cases{f': {e.on}' if e.on else ''}."
        )


def _training(manifest: Manifest) -> Iterable[str]:
    if manifest.training:
        t = manifest.training
        yield f"`{t.command}`, recipe {t.recipe}, seed {t.seed}, {t.steps} steps, {t.date}."
        yield f"Data: {t.data}."
