"""A bundle that is run by a plan of nnU-Net's: its members one after the other, within a stated memory.

Its tiles can't be cut: instance normalisation makes a network's answer hang on how much it sees. What can be kept small
is: one member at a time, one sum of logits for all of them, one map at a time on the image's own grid. What then
dominates is that sum, on the network's grid, and the network's own maps of a tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from willis.errors import BundleError
from willis.infer.engine import open_engine
from willis.infer.memory import BYTES_FLOAT32, keep_engine_limit
from willis.infer.nnunet import predict_labels
from willis.infer.nnunet_space import Labels, Shape, shape_at, spacings, thick_axis, zooming_order
from willis.infer.precision import PrecisionChoice
from willis.infer.protocol import Engine, EngineChoice
from willis.models.nnunet_plan import NnunetPlan, plan_of
from willis.units import counted

if TYPE_CHECKING:
    from willis.models.store import Bundle

BYTES_FLOAT64 = 8
BYTES_INT16 = 2
SPLINE_MARGIN = 12  # voxels that SciPy puts about an image whose spline it takes
TILE_COPIES = 5  # of a tile's logits: as they come, turned back, summed, averaged, weighted


def predict_planned(
    bundle: Bundle,
    images: npt.NDArray[np.floating],
    spacing_mm: Sequence[float],
    codes: Sequence[int],
    *,
    engine: EngineChoice = "auto",
    precision: PrecisionChoice = "auto",
    threads: int | None = None,
    memory_limit_gb: float | None = None,
) -> Labels:
    """Labels (I, J, K) of an image (C, I, J, K) in the axes of the file, by the mean logits of a bundle's members.

    Of a cascade, those of the earlier stage find first what the others see beside the image.

    Parameters
    ----------
    bundle
        With a plan.
    images, spacing_mm, codes
        See :func:`willis.infer.nnunet.predict_labels`.
    engine, precision, threads
        See :func:`willis.infer.engine.open_engine`.
    memory_limit_gb
        Most memory of the process, 10⁹ bytes.

    Raises
    ------
    BadInputError
        When the limit can't be kept; nothing is computed then.
    BundleError
        When the bundle has no plan, or the plan and the stages of a cascade don't fit each other.
    """

    def opened(stage: Bundle) -> Iterator[Engine]:
        for member in range(len(stage.manifest.members)):
            yield open_engine(stage, member, engine=engine, precision=precision, threads=threads)

    stages = [(stage, _plan(stage)) for stage in bundle.stages]
    told = [*(plan.previous.codes for _, plan in stages if plan.previous), codes]  # of each stage's labels
    if len(told) != len(stages):
        raise BundleError(
            f"{bundle.name} has {counted(len(stages), 'stage')}, and its plans speak of {len(told)}; import the "
            "bundle again."
        )
    if memory_limit_gb is not None:
        for stage, plan in stages:
            maps = planned_bytes(images.shape, spacing_mm, plan, len(stage.manifest.outputs))
            tile = (1, channels_seen(len(images), plan), *plan.patch)
            found_before = math.prod(images.shape[1:]) if plan.previous else 0
            keep_engine_limit(next(opened(stage)), tile, memory_limit_gb, bundle.name, beside=maps + found_before)
    found: Labels | None = None
    for (stage, plan), said in zip(stages, told, strict=True):
        found = predict_labels(opened(stage), images, spacing_mm, plan, said, found=found)
    assert found is not None
    return found


def _plan(stage: Bundle) -> NnunetPlan:
    plan = plan_of(stage.manifest)
    if plan is None:
        raise BundleError(f"{stage.name} has no plan to be run by; willis models import nnunet makes such bundles.")
    return plan


def channels_seen(images: int, plan: NnunetPlan) -> int:
    """Channels that a plan's network sees where so many images are given: of a cascade, labels too."""
    return images + (plan.previous.channels if plan.previous else 0)


def planned_bytes(shape: tuple[int, ...], spacing_mm: Sequence[float], plan: NnunetPlan, outputs: int) -> int:
    """Most bytes of arrays alive together when an image (C, I, J, K) is predicted, beside itself and its network.

    Parameters
    ----------
    shape, spacing_mm
        Of the image.
    plan
        What is done.
    outputs
        Of the network.
    """
    own, target = spacings(spacing_mm, plan)
    sides = tuple(shape[1:][2 - axis] for axis in plan.transpose)
    inner = shape_at(sides, own, target)
    axis = thick_axis(own, target, plan.separate)
    here, channels = math.prod(sides), channels_seen(shape[0], plan)
    padded = math.prod(max(n, side) for n, side in zip(inner, plan.patch, strict=True))
    image = channels * padded * BYTES_FLOAT32
    values = shape[0] * here * BYTES_FLOAT32
    inside = here  # where the image is, a byte a voxel
    placing = values + inside + here * BYTES_FLOAT64 + _making(sides, inner, axis, BYTES_FLOAT64) + image
    if plan.previous:
        labels = here * BYTES_INT16 + inside
        placing += here * BYTES_INT16 + shape[0] * math.prod(inner) * BYTES_FLOAT32
        shown = math.prod(inner) * (BYTES_INT16 + plan.previous.channels)
        placing = max(placing, image + labels + max(_making_labels(sides, inner, axis, plan.previous.order), shown))
    tile = TILE_COPIES * outputs * math.prod(plan.patch) * BYTES_FLOAT32
    tiling = (1 + (padded > math.prod(inner))) * image + (outputs + 2) * padded * BYTES_FLOAT32 + tile
    decided = here * (2 * BYTES_FLOAT32 + 2)  # the largest so far and another, labels, a comparison
    made = _making(inner, sides, axis, BYTES_FLOAT32)
    labelling = image + outputs * padded * BYTES_FLOAT32 + made + decided
    return max(values + image if sides == inner and not plan.previous else placing, tiling, labelling)


def _making(old: Shape, new: Shape, axis: int | None, size: int) -> int:
    """Bytes of arrays while one map is brought to a shape, the result's too."""
    if old == new:
        return 0
    if axis is not None:
        return size * (math.prod(new) + math.prod(new) // new[axis] * old[axis])
    sides, before, most = list(old), 0, 0
    for along in zooming_order(old, new):
        sides[along] = new[along]
        after = math.prod(sides)
        before, most = after, max(most, before + after)
    return size * most


def _making_labels(old: Shape, new: Shape, axis: int | None, order: int) -> int:
    """Bytes of arrays while labels are brought to a shape, the result's too."""
    if old == new or axis is not None:
        return BYTES_INT16 * (math.prod(new) + 2 * math.prod(new) // new[axis or 0] * old[axis or 0])
    scores = 3 * math.prod(new) * BYTES_FLOAT64  # a label's own, the best, the nearest voxel's
    spline = 2 * math.prod(n + 2 * SPLINE_MARGIN for n in old) * BYTES_FLOAT64 if order > 1 else 0
    return math.prod(old) * (BYTES_FLOAT64 + 1) + scores + 2 * math.prod(new) * (BYTES_INT16 + 1) + spline
