"""The reference engine: torch, as the network was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from willis.errors import BundleError
from willis.infer.direct import direct, is_direct
from willis.infer.lowered import lower
from willis.infer.precision import Precision
from willis.infer.protocol import Float32, finite
from willis.nets.blocks.planar import in_fast_layout
from willis.nets.registry import build_network, misfit

if TYPE_CHECKING:
    from willis.models.store import Bundle

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def member_network(bundle: Bundle, member: int) -> nn.Module:
    """The network of one member with its weights as float32, in evaluation mode.

    Raises
    ------
    BundleError
        When the weights aren't those of the network that the manifest describes.
    """
    with torch.device("meta"):
        network = build_network(bundle.manifest.network.name, bundle.manifest.network.config)
    weights = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in bundle.member_weights(member).items()}
    if reason := misfit(network, weights):
        raise BundleError(
            f"the weights in {bundle.member_path(member)} are not of the network that its manifest describes: "
            f"{reason}. Fetch or import the bundle again."
        )
    network.load_state_dict(weights, assign=True)
    return network.eval()


class _Tally(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive together."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
                self._alive[reference.cdata] = (reference, tensor.untyped_storage().nbytes())
        expired = [key for key, (tensor, _) in self._alive.items() if tensor.expired()]  # type: ignore[no-untyped-call]
        for key in expired:
            del self._alive[key]
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return out


def activation_bytes(network: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> int:
    """Most bytes of maps alive together when a network in evaluation mode runs on an image of a shape."""
    state = {
        name: torch.empty_like(value, device="meta", dtype=dtype if value.is_floating_point() else None)
        for name, value in network.state_dict().items()
    }
    image = torch.empty(shape, device="meta", dtype=dtype)
    tally = _Tally()
    with torch.inference_mode(), tally:
        functional_call(network, state, (image,))
    return tally.peak


class TorchEngine:
    """Runs a torch module on the processor, or on a GPU when there is one."""

    name = "torch"

    def __init__(self, network: nn.Module, *, precision: Precision = "float32", threads: int | None = None) -> None:
        self.precision: str = precision
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.threads = threads
        self.network = lower(network).to(self.device)
        if is_direct(self.network):
            self.layout = torch.contiguous_format
            self.network = direct(self.network)
        else:
            self.layout = torch.channels_last_3d
            in_fast_layout(self.network)

    @classmethod
    def of_member(cls, bundle: Bundle, member: int, *, precision: Precision, threads: int | None) -> TorchEngine:
        """The engine of one member of a bundle."""
        return cls(member_network(bundle, member), precision=precision, threads=threads)

    def needed_bytes(self, shape: tuple[int, ...]) -> int:
        """Peak of the maps that are alive together, found by running the network on tensors without content."""
        return activation_bytes(self.network, shape, DTYPES[self.precision])

    def __call__(self, x: Float32) -> Float32:
        """Logits (N, L, I, J, K) of images (N, C, I, J, K), both float32."""
        before = torch.get_num_threads()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        half = self.precision != "float32"
        try:
            with torch.inference_mode(), torch.autocast(self.device.type, DTYPES[self.precision], enabled=half):
                image = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))
                logits = self.network(image.to(self.device, memory_format=self.layout))
        finally:
            torch.set_num_threads(before)
        return finite(np.asarray(logits.float().cpu().numpy(), dtype=np.float32), self)
