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


def onnx_graph(bundle: Bundle, member: int, shape: tuple[int, ...], *, any_count: bool = False) -> bytes:
    """One member as ONNX: input ``image``, output ``logits``, numbers unrounded.

    Parameters
    ----------
    bundle
        Holds weights of a network of willis.
    member
        Index into its members.
    shape
        Of the input: (N, C, I, J, K), or (N, C, K, I, J) for a network that finds the middle of K slices.
    any_count
        Whether N may be another in each call.
    """
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
            dynamic_axes={"image": {0: "count"}, "logits": {0: "count"}} if any_count else None,
            dynamo=False,
        )
        return path.read_bytes()
