"""A torch member turned into an ONNX graph, for engines and tools outside willis."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from willis.infer.torch_engine import member_network

if TYPE_CHECKING:
    from willis.models.store import Bundle

OPSET = 18  # of 2022; every later runtime reads it


def onnx_graph(bundle: Bundle, member: int, shape: tuple[int, ...]) -> bytes:
    """Give one member as ONNX: input ``image`` (N, C, I, J, K) of one shape, output ``logits``, numbers unrounded."""
    with tempfile.TemporaryDirectory() as made, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter warns of itself and of sizes that are constant here on purpose
        path = Path(made) / "network.onnx"
        torch.onnx.export(
            member_network(bundle, member),
            (torch.zeros(shape),),
            path,
            input_names=["image"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )
        return path.read_bytes()
