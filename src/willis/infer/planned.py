"""A bundle that is run by a plan of nnU-Net's: its members one after the other, within a stated memory.

Its tiles can't be cut: instance normalisation makes a network's answer hang on how much it sees. What can be kept small
is: one member at a time, one sum of logits for all of them, one map at a time on the image's own grid. What then
dominates is that sum, on the network's grid, and the network's own maps of a tile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from willis.errors import BundleError
from willis.infer.engine import open_engine
from willis.infer.memory import BYTES_FLOAT32, keep_engine_limit
from willis.infer.nnunet import Labels, predict_labels
from willis.infer.nnunet_space import Shape, shape_at, spacings, thick_axis
from willis.infer.precision import PrecisionChoice
from willis.infer.protocol import Engine, EngineChoice
from willis.models.nnunet_plan import NnunetPlan, plan_of

if TYPE_CHECKING:
    from willis.models.store import Bundle

BYTES_FLOAT64 = 8
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
        When the bundle has no plan.
    """
    plan = plan_of(bundle.manifest)
    if plan is None:
        raise BundleError(f"{bundle.name} has no plan to be run by; willis models import nnunet makes such bundles.")

    def opened(member: int) -> Engine:
        return open_engine(bundle, member, engine=engine, precision=precision, threads=threads)

    first = [opened(0)]
    maps = planned_bytes(images.shape, spacing_mm, plan, len(bundle.manifest.outputs))
    keep_engine_limit(first[0], (1, len(images), *plan.patch), memory_limit_gb, bundle.name, beside=maps)
    engines = (first.pop() if first else opened(member) for member in range(len(bundle.manifest.members)))
    return predict_labels(engines, images, spacing_mm, plan, codes)


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
    here, channels = math.prod(sides), shape[0]
    padded = math.prod(max(n, side) for n, side in zip(inner, plan.patch, strict=True))
    image = channels * padded * BYTES_FLOAT32
    values = channels * here * BYTES_FLOAT32
    placing = values + here * BYTES_FLOAT64 + _making(sides, inner, axis, plan.image_order, BYTES_FLOAT64) + image
    tile = TILE_COPIES * outputs * math.prod(plan.patch) * BYTES_FLOAT32
    tiling = (1 + (padded > math.prod(inner))) * image + (outputs + 2) * padded * BYTES_FLOAT32 + tile
    decided = here * (2 * BYTES_FLOAT32 + 2)  # the largest so far and another, labels, a comparison
    made = _making(inner, sides, axis, plan.result_order, BYTES_FLOAT32)
    labelling = image + outputs * padded * BYTES_FLOAT32 + made + decided
    return max(values + image if sides == inner else placing, tiling, labelling)


def _making(old: Shape, new: Shape, axis: int | None, order: int, size: int) -> int:
    """Bytes of arrays while one map is brought to a shape, the result's too."""
    if old == new:
        return 0
    if axis is not None:
        return size * (math.prod(new) + math.prod(new) // new[axis] * old[axis])
    spline = math.prod(n + 2 * SPLINE_MARGIN for n in old) if order > 1 else 0
    return size * math.prod(new) + 2 * spline * BYTES_FLOAT64
