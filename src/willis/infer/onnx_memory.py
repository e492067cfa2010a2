"""The memory that an ONNX graph takes, by the shapes that ONNX infers."""

from __future__ import annotations

import math

import onnx
from onnx import shape_inference

from willis.infer.memory import BYTES_FLOAT32, Step, peak_bytes


def onnx_bytes(content: bytes, shape: tuple[int, ...]) -> int:
    """Bytes of the weights, and most bytes of maps alive together on an image (N, C, I, J, K), in float32."""
    model = onnx.load_from_string(content)
    weights: int = sum(math.prod(weight.dims) for weight in model.graph.initializer) * BYTES_FLOAT32
    return weights + peak_bytes(_steps(_shaped(model, shape)))


def _shaped(model: onnx.ModelProto, shape: tuple[int, ...]) -> onnx.ModelProto:
    sides = model.graph.input[0].type.tensor_type.shape.dim
    for side, length in zip(sides, shape, strict=True):
        side.dim_value = length
    return shape_inference.infer_shapes(model, data_prop=True)


def _steps(model: onnx.ModelProto) -> list[Step]:
    graph = model.graph
    sizes = {
        value.name: math.prod(side.dim_value for side in value.type.tensor_type.shape.dim) * BYTES_FLOAT32
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    constant = {weight.name for weight in graph.initializer}
    steps = [Step((), graph.input[0].name, sizes[graph.input[0].name])]
    for node in graph.node:
        inputs = tuple(name for name in node.input if name and name not in constant)
        steps += [Step(inputs, name, sizes.get(name, 0)) for name in node.output if name]
    return steps
