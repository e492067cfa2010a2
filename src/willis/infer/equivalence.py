"""How like float32 a bundle's masks are in another precision: the measurement that lets ``auto`` choose it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.infer.engine import choose_engine
from willis.infer.ensemble import predict
from willis.infer.precision import Precision
from willis.infer.protocol import EngineChoice, Float32, is_onnx
from willis.models.manifest import Equivalence
from willis.models.store import Bundle


def measure_equivalence(
    bundle: Bundle,
    cases: Iterable[tuple[Float32, npt.NDArray[np.bool_] | None]],
    *,
    precision: Precision,
    engine: EngineChoice = "openvino",
) -> Equivalence:
    """Least Dice of the masks, and largest difference of probability, against float32 on the reference engine.

    Parameters
    ----------
    bundle
        Its manifest's threshold makes the masks.
    cases
        Validation images (C, I, J, K), prepared as for a run, each with its brain mask (I, J, K) or None.
    precision, engine
        What is measured; this processor must multiply the precision. The reference is torch, of ONNX bundles ONNX
        Runtime.

    Returns
    -------
    Equivalence
        For ``Manifest.precision``. Two empty masks count as a Dice of 1.

    Raises
    ------
    BadInputError
        When there are no cases, or the processor doesn't multiply the precision.
    """
    measured = choose_engine(engine, onnx_bundle=is_onnx(bundle))
    reference = choose_engine("onnx" if is_onnx(bundle) else "torch", onnx_bundle=is_onnx(bundle))
    threshold = bundle.manifest.threshold.value
    least, largest, count = 1.0, 0.0, 0
    for image, mask in cases:
        expected = predict(bundle, image, mask=mask, engine=reference, precision="float32").probability
        found = predict(bundle, image, mask=mask, engine=measured, precision=precision).probability
        least = min(least, *(_dice(f >= threshold, e >= threshold) for f, e in zip(found, expected, strict=True)))
        largest = max(largest, float(np.abs(found - expected).max()))
        count += 1
    if count == 0:
        raise BadInputError("an equivalence of precisions needs at least one validation case; none was given.")
    return Equivalence(precision=precision, engine=measured, dice=least, max_difference=largest, cases=count)


def _dice(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    total = np.count_nonzero(one) + np.count_nonzero(other)
    return 2.0 * np.count_nonzero(one & other) / total if total else 1.0
