"""Case: one labelled patient, ready for the network; CaseSource: where cases come from."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Protocol, overload, runtime_checkable

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError


@dataclass(frozen=True)
class Case:
    """One labelled patient as the task's ``prepare`` gives it to the network.

    Parameters
    ----------
    image
        (C, I, J, K) float32, scaled as the bundle's manifest says.
    target
        (L, I, J, K) uint8, one 0/1 map for each output.
    mask
        (I, J, K) bool: where patches are drawn from, and where the loss counts when the recipe says so.
    subject
        Identifier of the patient; folds never separate cases of one subject.
    spacing_mm
        Voxel edges along I, J, K.
    group
        Kind of patient that a task's tables keep apart; empty where it keeps none.
    stack
        Slices along K that stand as channels for each channel of the image, see
        :func:`willis.infer.slices.neighbours_as_channels`; the image itself holds each slice once.

    Raises
    ------
    BadInputError
        When shapes don't belong together or the image holds NaN or infinity.
    """

    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.bool_]
    subject: str
    spacing_mm: tuple[float, float, float]
    group: str = ""
    stack: int = 1

    def __post_init__(self) -> None:
        shapes = (self.image.shape, self.target.shape, self.mask.shape)
        if self.image.ndim != 4 or self.target.ndim != 4 or not shapes[0][1:] == shapes[1][1:] == shapes[2]:
            raise BadInputError(
                f"case {self.subject}: image (C, I, J, K), target (L, I, J, K) and mask (I, J, K) must share I, J, K; "
                f"found {shapes[0]}, {shapes[1]} and {shapes[2]}."
            )
        if not np.isfinite(self.image).all():
            raise BadInputError(f"case {self.subject}: the image holds NaN or infinity.")


class CaseSource(Protocol):
    """Makes cases by number. Picklable, since worker processes make the cases.

    A source with ``__len__`` has that many cases; one without is endless (phantoms on the fly).
    """

    def case(self, index: int) -> Case:
        """Case ``index``, the same on every call."""


@runtime_checkable
class PlannedSource(Protocol):
    """A source that may say itself which patch stands where in which batch, instead of having them drawn."""

    @property
    def batch(self) -> int | None:
        """Patches of a planned batch; None: as many as are asked for."""

    def planned(self, step: int, number: int) -> tuple[int, tuple[int, int, int]] | None:
        """Case and centre voxel of patch ``number`` of a step; None to have it drawn."""


@runtime_checkable
class NamedSource(Protocol):
    """A source of patients in a folder, which may hold others when a run goes on."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sessions that cases are made of, in the order of their numbers."""


@dataclass(frozen=True)
class CaseList:
    """A source of cases in memory."""

    cases: tuple[Case, ...]

    def __len__(self) -> int:
        return len(self.cases)

    def case(self, index: int) -> Case:
        """Case ``index``."""
        return self.cases[index]


class CasesInTurn(Sequence[Case]):
    """The first cases of a source as a sequence that makes each when it is asked for, and keeps none."""

    def __init__(self, source: CaseSource, count: int) -> None:
        self._source, self._count = source, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Case: ...

    @overload
    def __getitem__(self, index: slice) -> list[Case]: ...

    def __getitem__(self, index: int | slice) -> Case | list[Case]:
        chosen = range(self._count)[index]
        return self._source.case(chosen) if isinstance(chosen, int) else [self._source.case(n) for n in chosen]


def source_count(source: CaseSource) -> int | None:
    """Number of cases of a source, None when endless.

    Raises
    ------
    BadInputError
        When it is empty.
    """
    if not isinstance(source, Sized):
        return None
    if len(source) < 1:
        raise BadInputError("there are no training cases; give a folder with at least one, or a phantom source.")
    return len(source)
