"""Batch normalisation that can be made to span several processes, and instance normalisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

Reduce = Callable[[Tensor], Tensor]  # sum of a tensor over all processes, differentiable


class BatchNorm(nn.Module):
    """Batch normalisation over all but the channel axis, with learnt scale and shift.

    Parameters
    ----------
    channels
        Size of axis 1.
    eps
        Added to the variance.
    momentum
        Weight of the newest batch in the running statistics (Keras' momentum 0.99 is 0.01 here).

    Attributes
    ----------
    reduce
        When set, statistics in training are those of all processes' batches together.

    Notes
    -----
    State: ``weight``, ``bias``, ``running_mean``, ``running_var``, each (channels,), and no counter. The running
    variance is the biased one, as in Keras on volumes.

    References
    ----------
    .. [1] Ioffe and Szegedy 2015, arXiv:1502.03167
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-3, momentum: float = 0.01) -> None:
        super().__init__()
        self.eps = eps
        self.momentum = momentum
        self.reduce: Reduce | None = None
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, *spatial) to the same shape and type."""
        if not self.training:
            return self._scaled(x, self.running_mean, self.running_var)
        if self.reduce is not None:
            return self._spanning(x, self.reduce)
        return self._own(x)

    def _scaled(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        return functional.batch_norm(x, mean, variance, self.weight, self.bias, False, 0.0, self.eps)

    def _own(self, x: Tensor) -> Tensor:
        count = x.numel() // x.shape[1]
        mean, variance = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        if count == 1:
            return self._scaled(x, self.running_mean, self.running_var)
        out = functional.batch_norm(x, mean, variance, self.weight, self.bias, True, 1.0, self.eps)
        self._remember(mean, variance * ((count - 1) / count))
        return out

    def _spanning(self, x: Tensor, reduce: Reduce) -> Tensor:
        wide = x.float()
        axes = [0, *range(2, x.ndim)]
        shape = (1, -1) + (1,) * (x.ndim - 2)
        size = torch.full((1,), float(x.numel() // x.shape[1]), device=x.device)
        total = reduce(torch.cat([wide.sum(axes), size]))
        mean = total[:-1] / total[-1]
        centred = wide - mean.view(shape)
        variance = reduce((centred * centred).sum(axes)) / total[-1]
        self._remember(mean.detach(), variance.detach())
        scale = self.weight / torch.sqrt(variance + self.eps)
        return (centred * scale.view(shape) + self.bias.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)

    def extra_repr(self) -> str:
        """Channels, eps and momentum."""
        return f"{self.weight.numel()}, eps={self.eps}, momentum={self.momentum}"


class InstanceNorm(nn.Module):
    """Normalisation of each channel of each sample by its own mean and variance, with learnt scale and shift.

    Parameters
    ----------
    channels
        Size of axis 1.
    eps
        Added to the variance.

    Notes
    -----
    State: ``weight`` and ``bias``, each (channels,). A network that has it sees another statistic when its window
    grows, so that it is run on windows of the size that it was trained on.

    References
    ----------
    .. [1] Ulyanov et al. 2016, arXiv:1607.08022
    """

    def __init__(self, channels: int, eps: float = 1e-3) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, *spatial) to the same shape and type."""
        if not torch.is_grad_enabled() and x.dtype == self.weight.dtype:
            return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        normed = [
            functional.batch_norm(sample, None, None, self.weight, self.bias, True, 0.0, self.eps)
            for sample in torch.split(x, 1)
        ]
        return normed[0] if len(normed) == 1 else torch.cat(normed)
