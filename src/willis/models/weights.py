"""Weights as bytes: safetensors, read and written with numpy alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from willis.errors import BundleError

Weights = Mapping[str, Any]
"""Weights by name: numpy arrays, or torch tensors on any device."""

HALF_TOLERANCE = 2.0**-10  # of a tensor's largest value: one unit in float16's last place


def pack_weights(weights: Weights, *, half: bool = True) -> bytes:
    """Serialise weights as safetensors.

    With `half`, floating arrays of two or more dimensions become float16. Vectors (biases, normalisation, running
    statistics) stay float32: they are a thousandth of the bytes, and a running variance can be larger or smaller than
    float16 holds. A matrix so small that float16 would lose more than `HALF_TOLERANCE` of its largest value stays too.

    Raises
    ------
    BundleError
        When there are none, one is not finite, or one is too large for float16.
    """
    if not weights:
        raise BundleError("There are no weights to write.")
    return save({name: _stored(name, _as_array(value), half) for name, value in sorted(weights.items())})


def holds_half(content: bytes) -> bool:
    """Whether a safetensors file that can be read stores an array as float16."""
    return any(array.dtype == np.float16 for array in load(content).values())


def unpack_weights(content: bytes, where: str) -> dict[str, npt.NDArray[Any]]:
    """Read safetensors; floating arrays come as float32.

    Raises
    ------
    BundleError
        When the bytes are not safetensors.
    """
    try:
        stored = load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise BundleError(f"{where} is not a safetensors file that can be read: {error}.") from None
    return {name: a.astype(np.float32) if a.dtype.kind == "f" else a for name, a in stored.items()}


def _as_array(value: Any) -> npt.NDArray[Any]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    return np.ascontiguousarray(value) if np.ndim(value) else np.asarray(value)


def _stored(name: str, value: npt.NDArray[Any], half: bool) -> npt.NDArray[Any]:
    if value.dtype.kind != "f":
        return value
    if not np.isfinite(value).all():
        raise BundleError(f"The weight {name} holds values that are not finite; a bundle with it is not written.")
    single = value.astype(np.float32)
    if not half or single.ndim < 2 or single.size == 0:
        return single
    largest = float(np.abs(single).max())
    if largest > float(np.finfo(np.float16).max):
        raise BundleError(
            f"The weight {name} holds {largest:.4g}, and float16 ends at 65504; write it with half=False."
        )
    rounded = single.astype(np.float16)
    lost = float(np.abs(rounded.astype(np.float32) - single).max())
    return rounded if lost <= HALF_TOLERANCE * largest else single
