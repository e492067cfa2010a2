"""RunSettings: how a task is to be run, apart from what is asked of the study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

from willis.errors import BadInputError, invalid_option

EngineName = Literal["auto", "torch", "openvino", "onnx"]
Precision = Literal["auto", "float32", "float16", "bfloat16"]

Progress = Callable[[float, str], None]
"""Told the fraction of the work that is done, 0 to 1, and in words what is being done now."""


class Running(TypedDict):
    """How a network is run, as keyword arguments of a prediction."""

    engine: EngineName
    precision: Precision
    memory_limit_gb: float | None
    threads: int | None


@dataclass(frozen=True)
class RunSettings:
    """How the work is done; never what its answer means.

    Parameters
    ----------
    bundle
        Name or folder of a bundle; None for the task's default.
    engine
        What runs the network.
    precision
        Of the network's arithmetic; ``auto`` as measured in the manifest.
    memory_limit_gb
        Most memory that the prediction may take, 10⁹ bytes; None for no limit but the machine's own.
    threads
        Processor threads; None for all that this process may use.

    Raises
    ------
    BadInputError
        When a value is outside its list or range.
    """

    bundle: str | None = None
    engine: EngineName = "auto"
    precision: Precision = "auto"
    memory_limit_gb: float | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("--engine", self.engine, get_args(EngineName)),
            ("--precision", self.precision, get_args(Precision)),
        ):
            if value not in allowed:
                raise invalid_option(name, value, allowed)
        if self.memory_limit_gb is not None and not self.memory_limit_gb > 0:
            raise BadInputError(f"--memory-limit is {self.memory_limit_gb} GB; it must be above 0.")
        if self.threads is not None and self.threads < 1:
            raise BadInputError(f"--threads is {self.threads}; at least 1 is needed.")

    @property
    def running(self) -> Running:
        """All but the bundle."""
        return {
            "engine": self.engine,
            "precision": self.precision,
            "memory_limit_gb": self.memory_limit_gb,
            "threads": self.threads,
        }


def silent(fraction: float, stage: str) -> None:
    """Progress for when nobody listens."""


def part_of(whole: Progress, start: float, end: float, step: str) -> Progress:
    """Progress of one step, told as progress of the whole between two fractions of it.

    >>> part_of(lambda fraction, stage: print(fraction, stage), 0.5, 0.75, "predicting")(0.5, "member 2 of 4")
    0.625 predicting: member 2 of 4
    """

    def tell(fraction: float, stage: str) -> None:
        whole(start + fraction * (end - start), f"{step}: {stage}")

    return tell
