"""Study: one patient's session, as a task is given it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from willis.errors import BadInputError
from willis.volume.series import Series
from willis.volume.stack import SliceStack
from willis.volume.volume import Volume


@dataclass(frozen=True)
class Source:
    """What a volume was read from.

    Parameters
    ----------
    path
        A file, or the folder of a DICOM series.
    sha256
        Of the file's bytes, or of all of the folder's.
    slices
        Where the scanner's own slices lie, of a DICOM series; outputs can be brought back to them.
    """

    path: Path
    sha256: str
    slices: SliceStack | None = None


@dataclass(frozen=True)
class Study:
    """Volumes by role, clinical scalars and identifiers.

    Parameters
    ----------
    volumes
        By role: ``{"t1": Volume, "flair": Volume}``. ``brain`` holds a brain mask that the user gave.
    scalars
        Clinical numbers by name: ``nihss``, ``age`` (years); absent when unknown, never 0 for unknown.
    subject, session
        BIDS labels without ``sub-`` / ``ses-``.
    sources
        The file of each role, when it came from one.
    series
        Images taken many times, by role: ``{"ctp": Series}``.
    """

    volumes: Mapping[str, Volume]
    scalars: Mapping[str, float] = field(default_factory=dict)
    subject: str = "01"
    session: str | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)

    def __getitem__(self, role: str) -> Volume:
        try:
            return self.volumes[role]
        except KeyError:
            have = ", ".join(self.volumes) or "none"
            raise BadInputError(f"the study has no {role} image; it has: {have}. Give one with --{role}.") from None

    def __contains__(self, role: str) -> bool:
        return role in self.volumes or role in self.series

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that something was given for."""
        return (*self.volumes, *self.series)

    @property
    def prefix(self) -> str:
        """Start of every output's name: ``sub-01`` or ``sub-01_ses-02``."""
        return f"sub-{self.subject}" + (f"_ses-{self.session}" if self.session else "")
