"""The files of the published software, for those who switch over: predictions, heat map, synthesis.

As published (Benzakoun 2025, doi:10.1177/23969873251362712), but for what was wrong there: the grey of the heat map
ends at 255 and doesn't wrap to 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.draw.tiles import Caption, tiled_png
from willis.findings import Attachment
from willis.io.nifti_stack import colour_bytes, stack_bytes
from willis.tasks.fvv.interpret import Votes
from willis.volume.volume import Volume

FULL_VOTES = 10  # masks are stored as 0 or 10, votes as 0 to 10, whatever the number of members
OUTLINE_SHARE = {"brain": 0.33, "lesion": 0.66}
FILL_SHARE = 0.66
LEAST_LESION_VOXELS = 5  # in a slice; with more it is shown
STAGES = {"prepare": "3-Normalization", "predict": "5-Inference", "interpret": "6-BackRescaling"}
UInt8 = npt.NDArray[np.uint8]


def published_files(
    votes: Votes, native: Mapping[str, UInt8], b1000: Volume, timings: Sequence[Mapping[str, Any]]
) -> list[Attachment]:
    """``predictions.nii.gz``, ``heatmap.nii.gz``, ``synthesis.png`` and ``synthesis.txt``.

    Parameters
    ----------
    votes
        Counted where the network looked, for the volumes.
    native
        ``brain``, ``lesion`` (0, 1) and ``visible`` (0 to 10) on the b1000's grid, each (I, J, K).
    timings
        Stages of the run with their ``wall_s``.
    """
    predictions = np.stack([FULL_VOTES * native["brain"], FULL_VOTES * native["lesion"], native["visible"]], axis=-1)
    colours = heatmap(b1000.data, native)
    return [
        Attachment("predictions.nii.gz", stack_bytes(predictions, b1000.grid)),
        Attachment("heatmap.nii.gz", colour_bytes(colours, b1000.grid)),
        Attachment("synthesis.png", synthesis_png(votes, colours, native["lesion"])),
        Attachment("synthesis.txt", synthesis_text(votes, timings).encode("ascii")),
    ]


def votes_of_ten(votes: Votes) -> UInt8:
    """(I, J, K) votes for "visible" scaled to 0 to 10; of ten members their number."""
    return np.rint(votes.visible.astype(np.float32) * FULL_VOTES / votes.members).astype(np.uint8)


def heatmap(b1000: npt.NDArray[Any], native: Mapping[str, UInt8]) -> UInt8:
    """(I, J, K, 3) the b1000 in grey with the brain's outline in green, the infarct's in blue, votes in red."""
    low, high = float(b1000.min()), float(b1000.max())
    grey = (b1000.astype(np.float32) - low) * (255 / max(high - low, 1e-6))
    colours = np.repeat(grey[..., None], 3, axis=-1)
    for name, colour in (("brain", 1), ("lesion", 2)):
        _blend(colours, outline(native[name] > 0) * np.float32(OUTLINE_SHARE[name]), colour)
    _blend(colours, native["visible"] * np.float32(FILL_SHARE / FULL_VOTES), 0)
    return np.asarray(np.clip(np.rint(colours), 0, 255), dtype=np.uint8)


def _blend(colours: npt.NDArray[np.float32], share: npt.NDArray[np.floating], colour: int) -> None:
    """Raise one colour towards its full by a share; ``colours`` is changed."""
    colours[..., colour] += (255 - colours[..., colour]) * share


def outline(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(I, J, K) what two dilations of 3 × 3 in the plane of the slices add to a mask."""
    square = np.ones((3, 3, 1), dtype=bool)
    return np.asarray(ndimage.binary_dilation(mask, square, iterations=2) ^ mask)


def synthesis_png(votes: Votes, colours: UInt8, lesion: UInt8) -> bytes:
    """The published picture: volumes on top, then five slices a row, those with more than five voxels of infarct."""
    voxel_ml = votes.grid.voxel_ml
    captions = [
        Caption("For research", "use only", "red", "red"),
        Caption("Brain size", f"{np.count_nonzero(votes.brain) * voxel_ml:.2f}mL", "green"),
        Caption("Blob size", f"{np.count_nonzero(votes.lesion) * voxel_ml:.2f}mL", "blue"),
        Caption("Flair Visibility Area", f"{votes.fvv_ml:.2f}mL", "red"),
    ]
    shown = [k for k in range(lesion.shape[2]) if np.count_nonzero(lesion[:, :, k]) > LEAST_LESION_VOXELS]
    return tiled_png([colours[:, ::-1, k].swapaxes(0, 1) for k in shown], captions)


def synthesis_text(votes: Votes, timings: Sequence[Mapping[str, Any]]) -> str:
    """``KEY=value`` lines under the published keys; of the times those that have a stage here, in s."""
    voxel_ml = votes.grid.voxel_ml
    brain, lesion = int(np.count_nonzero(votes.brain)), int(np.count_nonzero(votes.lesion))
    values: dict[str, float] = {
        "BrainMaskVoxels": brain,
        "StrokeBlobVoxels": lesion,
        "FlairVizVoxels": round(votes.fvv_ml / voxel_ml, 4),
        "VoxVolume": voxel_ml,
        "BrainMaskVolume": brain * voxel_ml,
        "StrokeBlobVolume": lesion * voxel_ml,
        "FlairVizArea": votes.fvv_ml,
    }
    for stage in timings:
        if stage["stage"] in STAGES:
            values[f"Time-{STAGES[stage['stage']]}"] = stage["wall_s"]
    return "".join(f"{key}={value:.10g}\n" for key, value in values.items())
