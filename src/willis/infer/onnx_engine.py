"""The portable engine: ONNX Runtime, for bundles that hold a foreign network as ONNX."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from willis.errors import BadInputError
from willis.infer.precision import Precision
from willis.infer.protocol import Float32, finite

if TYPE_CHECKING:
    from willis.models.store import Bundle


class OnnxEngine:
    """Runs an ONNX file on the processor, in the numbers that it holds."""

    name = "onnx"

    def __init__(self, content: bytes, *, threads: int | None = None) -> None:
        import onnxruntime as ort  # type: ignore[import-untyped]

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.enable_cpu_mem_arena = False
        self.precision = "float32"
        self._content = content
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    @classmethod
    def of_member(cls, bundle: Bundle, member: int, *, precision: Precision, threads: int | None) -> OnnxEngine:
        """The engine of one member of a bundle.

        Raises
        ------
        BadInputError
            When another precision than float32 is asked for.
        """
        if precision != "float32":
            raise BadInputError(f"ONNX Runtime runs in float32 here; {precision} was asked for. Use openvino.")
        return cls(bundle.member_bytes(member), threads=threads)

    def needed_bytes(self, shape: tuple[int, ...]) -> int:
        """The weights and the peak of the maps that are alive together, by the shapes that ONNX infers."""
        from willis.infer.onnx_memory import onnx_bytes

        return onnx_bytes(self._content, shape)

    def __call__(self, x: Float32) -> Float32:
        """Logits (N, L, I, J, K) of images (N, C, I, J, K), both float32."""
        (logits,) = self._session.run(None, {self._input: np.ascontiguousarray(x, dtype=np.float32)})
        return finite(np.asarray(logits, dtype=np.float32), self)
