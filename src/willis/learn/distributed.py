"""Training in several processes started by torchrun: sums over processes, and one process that writes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from willis.nets.blocks.norm import BatchNorm

LONGEST_WAIT = timedelta(days=1)  # for a process that validates whole scans alone; torchrun ends those whose peer died


@dataclass(frozen=True)
class World:
    """Number of the process, and how many there are."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process makes cases, validates, logs and writes."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """Numbers of the patches of a step that this process takes."""
        each = batch // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def reduce(self, value: Tensor) -> Tensor:
        """Sum over processes; gradients flow through it."""
        return value if self.size == 1 else _Sum.apply(value)  # type: ignore[no-untyped-call]

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Mean of each number over processes."""
        if self.size == 1:
            return values
        total = torch.tensor(list(values.values()), dtype=torch.float64)
        distributed.all_reduce(total)
        return dict(zip(values, (total / self.size).tolist(), strict=True))

    def any(self, flag: bool) -> bool:
        """Whether any process says so."""
        return self.mean({"flag": float(flag)})["flag"] > 0

    def tell(self, values: dict[str, float]) -> dict[str, float]:
        """What the leading process has."""
        if self.size == 1:
            return values
        text = json.dumps(values).encode()
        size = torch.tensor(len(text))
        distributed.broadcast(size, 0)
        told = torch.zeros(int(size), dtype=torch.uint8)
        if self.leads:
            told = torch.tensor(list(text), dtype=torch.uint8)
        distributed.broadcast(told, 0)
        return dict(json.loads(bytes(told.tolist())))

    def average_gradients(self, network: nn.Module) -> None:
        """Replace each gradient by its mean over processes, in one exchange."""
        if self.size == 1:
            return
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        distributed.all_reduce(flat)
        flat /= self.size
        for gradient, piece in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(piece.view_as(gradient))

    def join_norms(self, network: nn.Module) -> None:
        """Let batch normalisation span all processes."""
        if self.size > 1:
            for module in network.modules():
                if isinstance(module, BatchNorm):
                    module.reduce = self.reduce

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            distributed.barrier()


class _Sum(torch.autograd.Function):
    """Sum over processes; the gradient of a sum that all hold is summed over all."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


@contextmanager
def join_world() -> Iterator[World]:
    """Join the processes that torchrun started; a single one otherwise."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    distributed.init_process_group(timeout=LONGEST_WAIT)
    try:
        yield World(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
