"""Patient: a simulated person as a scanner would show them, with the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from willis.errors import invalid_option
from willis.phantom.anatomy import Anatomy, builtin_anatomy
from willis.phantom.kinds import get_kind
from willis.study import Study
from willis.volume.volume import Volume


@dataclass(frozen=True)
class Patient:
    """One simulated patient.

    Parameters
    ----------
    study
        The images, each on its own grid, as a scanner stores them; clinical scalars where the kind has them.
    truth
        What is known, by the names of :attr:`PhantomKind.truth`.
    row
        True volumes (ml) and counts, for ``truth.tsv``.
    parameters
        Everything drawn.
    sidecars
        By role, what BIDS says of an image in JSON.
    texts
        Further small files by the end of their name, as :attr:`PhantomKind.images` gives them: ``dwi/dwi.bval``.
    """

    study: Study
    truth: Mapping[str, Volume]
    row: Mapping[str, Any]
    parameters: Mapping[str, Any]
    sidecars: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


class PatientMaker(Protocol):
    """The function that a kind of phantom names in :attr:`PhantomKind.maker`."""

    def __call__(
        self, rng: np.random.Generator, anatomy: Anatomy, subject: str, *, contrast: str, **options: Any
    ) -> Patient:
        """Draw one patient of that anatomy; ``subject`` is the BIDS label, options are the kind's own."""
        ...


def make_patient(
    task: str, seed: int, index: int, anatomies: Sequence[Anatomy] | None = None, *,
    contrast: str = "physics", **options: Any,
) -> Patient:  # fmt: skip
    """Simulate one patient; the same arguments give the same arrays.

    Parameters
    ----------
    task
        Whose images and truth are wanted; one of :data:`willis.phantom.kinds.KINDS`.
    seed, index
        Of the cohort, and of the patient in it.
    anatomies
        Heads to choose from; the built-in one when None.
    contrast
        ``physics``: values by the signal equations; ``random``: tissue values drawn beyond physics.
    options
        The kind's own, see its maker: ``load_ml`` of ``wmh`` is the volume of lesions to aim at.

    Raises
    ------
    BadInputError
        When ``task`` or ``contrast`` isn't one of those allowed.
    """
    kind = get_kind(task)
    if contrast not in kind.contrasts:
        raise invalid_option("contrast", contrast, kind.contrasts)
    rng = np.random.default_rng([seed, index, kind.stream])
    heads = list(anatomies) if anatomies else [builtin_anatomy()]
    anatomy = heads[int(rng.integers(len(heads)))]
    patient = kind.make()(rng, anatomy, f"{index + 1:04d}", contrast=contrast, **options)
    return replace(
        patient,
        row={"participant_id": patient.study.prefix, **patient.row},
        parameters={"seed": seed, "index": index, **patient.parameters},
    )
