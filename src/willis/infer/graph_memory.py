"""The memory that a graph takes on OpenVINO's processor plugin, read off the graph."""

from __future__ import annotations

import math

import openvino as ov

from willis.infer.memory import Step, peak_bytes

ELEMENTWISE = frozenset(
    {"Add", "Multiply", "Subtract", "Divide", "Swish", "Relu", "PRelu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Mish"}
    | {"HSwish", "Gelu", "Clamp", "Convert", "SoftMax", "Softmax", "Reshape", "Squeeze", "Unsqueeze"}
)  # fused into the operation before, or written over their input
CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
COMPILED_BYTES = 90_000_000  # of the plugin, its kernels and scratch; measured


def graph_bytes(model: ov.Model, bytes_per_value: int) -> int:
    """Most bytes of maps alive together when the plugin runs a graph of fixed shapes."""
    summed = _summed_in_place(model)
    steps = []
    for node in model.get_ordered_ops():
        kind, name = node.get_type_name(), node.get_friendly_name()
        if kind in {"Constant", "Result"}:
            continue
        inputs = sorted((source.get_friendly_name() for source in _maps(node)), key=lambda source: source in summed)
        size = 0 if name in summed else math.prod(node.get_output_shape(0)) * bytes_per_value
        steps.append(Step(tuple(inputs), name, size, kind in ELEMENTWISE))
    return peak_bytes(steps)


def weight_values(model: ov.Model) -> int:
    """How many numbers the graph's constants hold."""
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return sum(math.prod(node.get_output_shape(0)) for node in constants)


def _maps(node: ov.Node) -> list[ov.Node]:
    sources = (node.input_value(port).get_node() for port in range(node.get_input_size()))
    return [source for source in sources if source.get_type_name() != "Constant"]


def _summed_in_place(model: ov.Model) -> set[str]:
    """Convolutions (with their bias) whose result is added onto another map, and so never stands for itself."""
    summed: set[str] = set()
    for node in model.get_ordered_ops():
        maps = _maps(node) if node.get_type_name() == "Add" else []
        if len(maps) == 2:
            summed |= next((chain for chain in map(_convolution, maps) if chain), set())
    return summed


def _convolution(node: ov.Node) -> set[str]:
    """Names of a convolution and of the addition of its bias; none when the map is another operation's."""
    if node.get_type_name() in CONVOLUTIONS:
        return {node.get_friendly_name()}
    maps = _maps(node) if node.get_type_name() == "Add" else []
    if len(maps) == 1 and maps[0].get_type_name() in CONVOLUTIONS:
        return {node.get_friendly_name(), maps[0].get_friendly_name()}
    return set()
