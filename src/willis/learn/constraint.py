"""Penalties on weights and the limit of their norm, as Keras has them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from willis.learn.recipe import OptimiserSettings


class Constraint:
    """L1 and L2 penalties on kernels, and a largest norm of each filter and of each bias.

    They hold for the layers that the network names by a method ``regularised``, else for all that have a kernel.

    Parameters
    ----------
    network
        Whose weights are held.
    settings
        ``l1``, ``l2`` and ``max_norm`` of the recipe's ``[optimiser]``.
    """

    def __init__(self, network: nn.Module, settings: OptimiserSettings) -> None:
        self.settings = settings
        named = getattr(network, "regularised", None)
        layers: Iterable[nn.Module] = named() if named is not None else network.modules()
        self._kernels: list[tuple[Tensor, int]] = []
        self._biases: list[Tensor] = []
        for layer in layers:
            weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
            if isinstance(weight, Tensor) and weight.ndim > 1:
                self._kernels.append((weight, _outputs_axis(layer)))
                self._biases += [bias] if isinstance(bias, Tensor) else []

    @torch.no_grad()
    def penalise(self) -> None:
        """Add to the gradients those of l1 · Σ|w| + l2 · Σw² over the kernels."""
        l1, l2 = self.settings.l1, self.settings.l2
        if not l1 and not l2:
            return
        for weight, _ in self._kernels:
            if weight.grad is not None:
                weight.grad += l1 * weight.sign() + 2 * l2 * weight

    @torch.no_grad()
    def project(self) -> None:
        """Shorten filters and biases whose norm is above the limit; frozen ones stay as they are."""
        most = self.settings.max_norm
        if not most:
            return
        for weight, axis in self._kernels:
            if not weight.requires_grad:
                continue
            others = [a for a in range(weight.ndim) if a != axis]
            norms = weight.pow(2).sum(others, keepdim=True).sqrt()
            weight *= norms.clamp_max(most) / norms.clamp_min(1e-12)
        for bias in self._biases:
            if not bias.requires_grad:
                continue
            bias *= most / bias.norm().clamp_min(most)


def _outputs_axis(layer: nn.Module) -> int:
    """Along which axis a kernel's filters lie: transposed convolutions have their inputs first."""
    return 1 if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d) else 0
