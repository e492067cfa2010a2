"""A torch member turned into an ONNX graph, for engines and tools outside willis."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import torch

from willis.infer.torch_engine import member_network

if TYPE_CHECKING:
    from willis.models.store import Bundle

OPSET = 18  # of 2022; every later runtime reads it


def onnx_graph(bundle: Bundle, member: int, shape: tuple[int, ...]) -> bytes:
    """Give one member as ONNX: input ``image`` (N, C, I, J, K) of one shape, output ``logits``, its numbers unrounded."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            member_network(bundle, member),
            (torch.zeros(shape),),
            buffer,
            input_names=["image"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )
    return buffer.getvalue()
