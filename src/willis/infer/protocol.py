"""What every engine is: a network that is ready to be run, and the names of the kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

from willis.errors import WillisError

if TYPE_CHECKING:
    from willis.models.store import Bundle

EngineChoice = Literal["auto", "torch", "openvino", "onnx"]
EngineName = Literal["torch", "openvino", "onnx"]
Float32 = npt.NDArray[np.float32]
INT8 = "int8"


class Engine(Protocol):
    """A network that is ready to be run.

    Attributes
    ----------
    name
        ``torch``, ``openvino`` or ``onnx``.
    precision
        ``float32``, ``float16``, ``bfloat16`` or ``int8``: of the products inside; input and output are float32.
    """

    name: str
    precision: str

    def __call__(self, x: Float32) -> Float32:
        """Logits (N, L, I, J, K) of images (N, C, I, J, K), both float32."""

    def needed_bytes(self, shape: tuple[int, ...]) -> int:
        """Estimate of what a call with an image (N, C, I, J, K) adds to the process' memory at its peak.

        Raises
        ------
        BadInputError
            When the network can't take that shape.
        """


def finite(logits: Float32, engine: Engine) -> Float32:
    """The logits of an engine, all of which must be numbers: whatever else there is would be read as nothing found.

    Raises
    ------
    WillisError
        When one is NaN or infinite.
    """
    if not (np.isfinite(logits.min()) and np.isfinite(logits.max())):
        raise WillisError(
            f"the network gave answers that are no numbers, in {engine.precision} by {engine.name}; nothing can be "
            "said of the image. Ask for --precision float32; where that doesn't help, the weights or the image are "
            "damaged."
        )
    return logits


def is_onnx(bundle: Bundle) -> bool:
    """Whether the bundle's members are ONNX files rather than weights for a network of willis."""
    return bundle.manifest.network.name == "onnx"


def is_int8(bundle: Bundle) -> bool:
    """Whether the bundle's convolutions run in 8-bit integers (:mod:`willis.infer.int8`)."""
    return is_onnx(bundle) and bundle.manifest.network.config.get("numbers") == INT8
