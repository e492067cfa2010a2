"""PyTorch checkpoints of others: tensors by name, nothing in the file executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from willis.errors import BadInputError

WRAPPERS = ("state_dict", "model_state_dict", "model", "network_weights", "net")  # keys that hold the weights
DATA_PARALLEL = "module."  # start of every name that torch's DataParallel saves
COUNTER = "num_batches_tracked"
_SCALAR = np.float64(0).__reduce__()[0]  # NumPy's maker of single numbers, under both of its names
PLAIN_NUMBERS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    *(np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType),
]


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """All that a checkpoint holds, tensors and plain values alone.

    Raises
    ------
    BadInputError
        When the file is absent, damaged, or holds anything else (which would be code to run).
    """
    try:
        with torch.serialization.safe_globals(PLAIN_NUMBERS):
            held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadInputError(f"{path} can't be read: {error.strerror}.") from None
    except Exception as error:  # torch's reader raises what its parts do, an unpickling error of the library among them
        raise BadInputError(
            f"{path} holds more than tensors and plain values, or is damaged: {str(error).splitlines()[0]} It was not "
            "loaded, as that could run code. Save its state_dict alone: torch.save(model.state_dict(), …)."
        ) from None
    if not isinstance(held, Mapping):
        raise BadInputError(f"{path} holds a {type(held).__name__}; a state_dict is expected.")
    return held


def state_of(held: Mapping[str, Any], path: Path) -> dict[str, torch.Tensor]:
    """Weights by name, in the file's order, without ``module.`` and without batch counters.

    Raises
    ------
    BadInputError
        When the checkpoint holds none.
    """
    inner = next((held[key] for key in WRAPPERS if isinstance(held.get(key), Mapping)), held)
    tensors = {str(name): value for name, value in inner.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise BadInputError(f"{path} holds no weights; found the keys {', '.join(map(str, list(held)[:5]))}.")
    prefix = DATA_PARALLEL if all(name.startswith(DATA_PARALLEL) for name in tensors) else ""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if not name.endswith(COUNTER)}
