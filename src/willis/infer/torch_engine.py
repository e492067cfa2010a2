"""The reference engine: torch, as the network was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from willis.infer.engine import Float32
from willis.infer.lowered import lower
from willis.infer.precision import Precision
from willis.nets.registry import build_network

if TYPE_CHECKING:
    from willis.models.store import Bundle

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def member_network(bundle: Bundle, member: int) -> nn.Module:
    """The network of one member with its weights as float32, in evaluation mode."""
    network = build_network(bundle.manifest.network.name, bundle.manifest.network.config)
    weights = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in bundle.member_weights(member).items()}
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
    return network.eval()


class TorchEngine:
    """Runs a torch module on the processor, or on a GPU when there is one."""

    name = "torch"

    def __init__(self, network: nn.Module, *, precision: Precision = "float32", threads: int | None = None) -> None:
        self.precision: str = precision
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.threads = threads
        self.network = lower(network).to(self.device, memory_format=torch.channels_last_3d)

    @classmethod
    def of_member(cls, bundle: Bundle, member: int, *, precision: Precision, threads: int | None) -> TorchEngine:
        """The engine of one member of a bundle."""
        return cls(member_network(bundle, member), precision=precision, threads=threads)

    def __call__(self, x: Float32) -> Float32:
        """Logits (N, L, I, J, K) of images (N, C, I, J, K), both float32."""
        before = torch.get_num_threads()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        half = self.precision != "float32"
        try:
            with torch.inference_mode(), torch.autocast(self.device.type, DTYPES[self.precision], enabled=half):
                image = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
                logits = self.network(image.to(self.device, memory_format=torch.channels_last_3d))
        finally:
            torch.set_num_threads(before)
        return np.asarray(logits.float().cpu().numpy(), dtype=np.float32)
