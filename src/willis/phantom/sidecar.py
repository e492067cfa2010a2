"""What BIDS says of a simulated image in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from willis.phantom.relaxation import FieldStrength
from willis.volume.grid import Grid

SIDECAR_MS = {"tr": "RepetitionTime", "te": "EchoTime", "ti": "InversionTime"}  # ms here, s in BIDS


def mr_sidecar(drawn: Mapping[str, Any], grid: Grid, field: FieldStrength) -> dict[str, Any]:
    """Of an MR image: ``drawn`` holds its sequence and :meth:`Protocol.record`."""
    sliced = drawn["slice_axis"] is not None
    sidecar: dict[str, Any] = {
        "Manufacturer": "willis phantom",
        "MagneticFieldStrength": 3.0 if field == "3T" else 1.5,
        "MRAcquisitionType": "2D" if sliced else "3D",
        "PulseSequenceDetails": drawn["sequence"],
        "SliceThickness": round(float(drawn["slice_mm"]), 4),
    }
    if sliced:
        sidecar["SpacingBetweenSlices"] = round(grid.spacing_mm[drawn["slice_axis"]], 4)
    sidecar |= {bids: round(drawn[name] / 1000, 6) for name, bids in SIDECAR_MS.items() if name in drawn}
    if "flip_deg" in drawn:
        sidecar["FlipAngle"] = round(drawn["flip_deg"], 3)
    return sidecar
