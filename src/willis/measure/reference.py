"""The page ``docs/reference/measures.md``, made from the metrics themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable

from willis.measure import lesionwise, overlap, surface, volumetry
from willis.measure.metric import Empty, Metric

HEAD = """# Measures

Made by `docs/reference/make_measures.py` from the metrics in `willis.measure`; not edited by hand.

P is the predicted, R the reference mask, |·| a number of voxels, V(·) a volume, N(·) a number of lesions, S_P and S_R
the surface voxels, d(x, S) the distance in mm from a voxel to the nearest of a set.

## What empty masks give

Finding nothing is a result, so every metric has a value for it, and the table is the rule that the code follows.
Whether a case enters a mean depends on its reference alone: where the reference holds a lesion, no metric is undefined,
so that a missed lesion can't leave a mean and so improve it. Where the reference is empty, a metric is undefined
(`n/a`) for every prediction or for none. Undefined cases are left out of the mean and counted beside it. *Diagonal* is
that of the field of view, in mm, from outer corner to outer corner.

"""
GROUPS: tuple[tuple[str, str, tuple[Metric, ...]], ...] = (
    ("Overlap", "Counted in voxels.", overlap.METRICS),
    ("Volume", "True under shear too: voxels times the determinant of the affine.", volumetry.METRICS),
    (
        "Surface",
        "A surface voxel is a voxel of the mask with at least one of its six face neighbours outside the mask or "
        "outside the image, as in MONAI. Distances run between centres of surface voxels, with the spacing of each "
        "axis, under shear with the affine's columns.",
        surface.METRICS,
    ),
    (
        "Lesions",
        "A lesion is a 26-connected component. Two rules match them. *Detection*, as in the WMH segmentation "
        "challenge: a reference lesion is found when the prediction covers at least one voxel of it; a predicted "
        "lesion is right when at least one voxel of it lies in the reference; one predicted lesion may find several. "
        "*Panoptic*: a predicted and a reference lesion match when their IoU is above 0.5, which pairs each with one "
        "other at most.",
        lesionwise.METRICS,
    ),
)
TAIL = """## Over a cohort

| what | how | source |
| --- | --- | --- |
| interval of a mean | bootstrap over patients (each with all its sessions), 2000 resamples, bias-corrected and accelerated, 95 %, seeded | [Efron 1987](https://doi.org/10.1080/01621459.1987.10478410) |
| Bland-Altman | bias and bias ± 1.96 SD of P − R; intervals by Student's t with standard errors s/√n and s √(1/n + 1.96² / (2 (n − 1))) | [Bland and Altman 1999](https://doi.org/10.1177/096228029900800204) |
| ICC(2,1) | absolute agreement of single ratings, two-way random | [Shrout and Fleiss 1979](https://doi.org/10.1037/0033-2909.86.2.420), intervals [McGraw and Wong 1996](https://doi.org/10.1037/1082-989X.1.1.30) |
| ICC(3,1) | consistency of single ratings, two-way mixed | the same |

Agreement is of volumes in ml and of lesion counts, over all evaluated cases; with fewer than two there is none.

## Calibration

| what | how | source |
| --- | --- | --- |
| reliability | bins of equal width or equal count: mean probability against the part that was true | [Guo 2017](https://doi.org/10.48550/arXiv.1706.04599) |
| expected calibration error | mean gap of the bins, weighted by count | [Guo 2017](https://doi.org/10.48550/arXiv.1706.04599) |
| Brier score | mean squared difference of probability and truth | [Brier 1950](https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2) |
| slope and intercept | logistic function of the logits by maximum likelihood, with Platt's targets | Platt 1999, [Lin 2007](https://doi.org/10.1007/s10994-007-5018-6) |
"""  # noqa: E501

_DOI = re.compile(r"doi:(\S+?)(?=[;,]?(?:\s|$))")
_BETTER = {"higher": "higher", "lower": "lower", "zero": "near 0"}


def reference_page() -> str:
    """Markdown of all metrics: what empty masks give, then definition, unit, direction and source of each."""
    metrics = [metric for _, _, group in GROUPS for metric in group]
    empty = _table(
        ("metric", "empty prediction", "empty reference", "both empty"),
        ((f"`{m.name}`", *(_shown(v) for v in (m.empty_prediction, m.empty_reference, m.both_empty))) for m in metrics),
    )
    return HEAD + empty + "\n" + "".join(_section(*group) for group in GROUPS) + TAIL


def _section(title: str, about: str, metrics: Iterable[Metric]) -> str:
    return f"## {title}\n\n{about}\n\n" + "".join(_entry(metric) for metric in metrics)


def _entry(m: Metric) -> str:
    unit = "" if m.unit in ("1", "") else f" Unit: {m.unit}."
    source = _DOI.sub(lambda found: f"[doi:{found[1]}](https://doi.org/{found[1]})", m.source)
    better = f"Better: {_BETTER[m.better]}."
    return f"### `{m.name}`: {m.title}\n\n    {m.formula}\n\n{m.meaning}{unit} {better} Source: {source}.\n\n"


def _shown(value: Empty) -> str:
    if isinstance(value, str):
        return {"undefined": "n/a", "diagonal": "diagonal", "formula": "by the formula"}[value]
    return f"{value:g}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
