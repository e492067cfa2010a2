"""Full-state checkpoints: one safetensors file each, with the plain values as JSON in its header. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from willis.errors import BadInputError

OPTIMISER_STATE: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.SGD: ("momentum_buffer",),
}
"""What each optimiser of :func:`willis.learn.learner.make_optimiser` remembers of a parameter."""


def save_state(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write tensors and JSON-ready values; the file appears under its name only when complete."""
    hidden = path.with_name(f".{path.name}.part")
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    hidden.write_bytes(save(plain, metadata={"state": json.dumps(dict(values))}))
    hidden.replace(path)


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_state` wrote.

    Raises
    ------
    BadInputError
        When the file is absent or isn't such a checkpoint.
    """
    if not path.exists():
        raise BadInputError(f"there is no checkpoint {path}; start the run without --resume.")
    try:
        with safe_open(path, framework="pt") as file:
            values = json.loads((file.metadata() or {})["state"])
            return {name: file.get_tensor(name) for name in file.keys()}, values  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise BadInputError(f"{path} isn't a checkpoint of willis: {error}.") from None


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under ``prefix.name``."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those under ``prefix.``, by the rest of their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state of each parameter, as ``index.name``."""
    state = optimiser.state_dict()["state"]
    return {
        f"{index}.{name}": value
        for index, entry in state.items()
        for name, value in entry.items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what :func:`optimiser_tensors` took; rates and decays stay those of the optimiser as it was made.

    Raises
    ------
    ValueError
        When they are of an optimiser of another kind.
    """
    plain = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    kept = OPTIMISER_STATE[type(optimiser)]
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        if name not in kept:
            raise ValueError(f"it holds {name} of its parameters; {type(optimiser).__name__} keeps {', '.join(kept)}.")
        state.setdefault(int(index), {})[name] = tensor
    plain["state"] = state
    optimiser.load_state_dict(plain)
