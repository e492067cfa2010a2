"""The pictures of a WMH report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from willis.findings import Figure, Mask, Measurement
from willis.study import Study
from willis.tasks.prepared import Prepared


def make(
    study: Study, prepared: Prepared, masks: Sequence[Mask], measurements: Mapping[str, Measurement]
) -> list[Figure]:
    """Lesion mosaic, regions chart, and the quality pages."""
    raise NotImplementedError
