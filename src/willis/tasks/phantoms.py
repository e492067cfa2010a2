"""Which phantoms a recipe trains and validates on, for every task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from willis.learn.case import CasesInTurn, CaseSource
from willis.phantom.anatomy import Anatomy, builtin_anatomy, read_anatomies
from willis.settings import Settings


class PhantomSettings(Settings):
    """``[data.phantom]`` of a recipe.

    Parameters
    ----------
    anatomies
        Folder of FreeSurfer-coded head label maps; the built-in head when empty.
    only
        Names of the anatomies that are read; none: all of the folder. Reading one takes seconds.
    held_out
        Names of anatomies that are kept for validation alone; none: validation deforms the same heads with other seeds.
    seed, validation_seed
        Of training and of validation phantoms; they must differ.
    validation_count
        Number of validation phantoms.
    """

    anatomies: str = ""
    only: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    seed: int = 0
    validation_seed: int = 1_000_003
    validation_count: int = Field(default=8, ge=0)


def anatomies_of(settings: PhantomSettings, *, validation: bool = False) -> tuple[Anatomy, ...]:
    """The heads to train on, or those to validate on.

    Raises
    ------
    BadInputError
        When the folder holds no label maps, or lacks one that is named.
    """
    if not settings.anatomies:
        return (builtin_anatomy(),)
    heads = read_anatomies(Path(settings.anatomies), settings.only)
    if not settings.held_out:
        return tuple(heads)
    return tuple(head for head in heads if (head.name in settings.held_out) == validation)


def held_out_cases(settings: PhantomSettings, source: Callable[[tuple[Anatomy, ...], int], CaseSource]) -> CasesInTurn:
    """Phantoms of the validation seed, and of held-out heads where some are named, from a source of heads and seed."""
    made = source(anatomies_of(settings, validation=True), settings.validation_seed)
    return CasesInTurn(made, settings.validation_count)
