"""Which number format a network is run in: asked for, allowed by the processor, backed by a measurement."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Set
from pathlib import Path
from typing import Literal, Protocol, get_args

from willis.errors import BadInputError, invalid_option

Precision = Literal["float32", "float16", "bfloat16"]
PrecisionChoice = Literal["auto", "float32", "float16", "bfloat16"]

LEAST_DICE = 0.999  # of masks against float32 on validation cases, for half precision to be chosen unasked
UNASKED: tuple[Precision, ...] = ("float16", "bfloat16")  # what auto may take, the more exact first

X86_FLOAT16_FLAGS = frozenset({"avx512_fp16", "amx_fp16"})  # names of /proc/cpuinfo
X86_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "avx_ne_convert"})
ARM_FLOAT16_FLAGS = frozenset({"asimdhp"})
ARM_BFLOAT16_FLAGS = frozenset({"bf16"})
CPUINFO = Path("/proc/cpuinfo")


class Equivalence(Protocol):
    """A measured likeness of a precision to float32, as a bundle's manifest holds it."""

    @property
    def precision(self) -> str:
        """The precision that was measured."""

    @property
    def dice(self) -> float:
        """Dice of its masks with those of float32."""


def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Features that this processor names, lower case; empty where the system doesn't say.

    Parameters
    ----------
    cpuinfo
        Linux' description of the processors; its first ``flags`` or ``Features`` line is read.
    """
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return ARM_FLOAT16_FLAGS  # every Apple arm64 processor has ARMv8.2 half precision
    try:
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() in {"flags", "features"}:
            return frozenset(value.lower().split())
    return frozenset()


def multiplies_natively(precision: Precision, flags: Set[str] | None = None) -> bool:
    """Whether the processor multiplies numbers of this precision itself, rather than turning them into float32.

    >>> multiplies_natively("float16", {"avx512f", "avx512_bf16"})
    False
    """
    found = cpu_flags() if flags is None else flags
    if precision == "float32":
        return True
    if precision == "float16":
        return bool(found & (X86_FLOAT16_FLAGS | ARM_FLOAT16_FLAGS))
    return bool(found & (X86_BFLOAT16_FLAGS | ARM_BFLOAT16_FLAGS))


def choose_precision(
    asked: PrecisionChoice, measured: Iterable[Equivalence] = (), flags: Set[str] | None = None
) -> Precision:
    """Settle the precision of a run.

    ``auto`` is float16, else bfloat16, where the processor multiplies it natively and the manifest holds a measurement
    of it with a Dice of at least 0.999; else float32. A precision asked for by name is taken as it is.

    Parameters
    ----------
    measured
        Those of the engine that will run.
    flags
        Features of the processor; this one's when None.

    Raises
    ------
    BadInputError
        When the name is unknown, or float16 or bfloat16 is asked for where the processor has none.
    """
    if asked not in get_args(PrecisionChoice):
        raise invalid_option("precision", asked, get_args(PrecisionChoice))
    if asked == "auto":
        proven = {m.precision for m in measured if m.dice >= LEAST_DICE}
        return next((half for half in UNASKED if half in proven and multiplies_natively(half, flags)), "float32")
    if not multiplies_natively(asked, flags):
        raise BadInputError(f"{asked} was asked for, but this processor doesn't multiply it; use auto or float32.")
    return asked
