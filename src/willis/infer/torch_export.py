"""A torch member turned into an OpenVINO network on disk; the only step of the fast engine that needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import openvino as ov
import torch
from torch import nn

from willis.infer.lowered import lower
from willis.infer.torch_engine import member_network

if TYPE_CHECKING:
    from willis.models.store import Bundle


def convert(network: nn.Module, shape: tuple[int, ...]) -> ov.Model:
    """The network as an OpenVINO model for images of one shape (N, C, I, J, K); nothing is computed."""
    with torch.no_grad():
        program = torch.export.export(lower(network), (torch.zeros(shape),))
    model = ov.convert_model(program)
    model.reshape(list(shape))
    return model


def export(bundle: Bundle, member: int, shape: tuple[int, ...], path: Path) -> None:
    """Write one member as OpenVINO's ``.xml`` and ``.bin``, its numbers unrounded."""
    ov.save_model(convert(member_network(bundle, member), shape), path, compress_to_fp16=False)
