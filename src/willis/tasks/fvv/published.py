"""The files of the published software, for those who switch over: predictions, heat map, synthesis.

As published (Benzakoun 2025, doi:10.1177/23969873251362712), but for what was wrong there: the grey of the heat map
ends at 255 and doesn't wrap to 0, and outlines and the synthesis are drawn on axial slices whatever the file's axes,
the synthesis in true proportions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from willis.draw.tiles import Caption, tiled_png
from willis.findings import Attachment
from willis.io.nifti_stack import colour_bytes, stack_bytes
from willis.tasks.fvv.decision import told_ml
from willis.tasks.fvv.prepare import PUBLISHED_AXES
from willis.tasks.fvv.votes import Votes
from willis.tasks.provenance import Stopwatch
from willis.units import rounded
from willis.volume.grid import Grid
from willis.volume.orient import reorient, reorient_grid
from willis.volume.volume import Volume

FULL_VOTES = 10  # masks are stored as 0 or 10, votes as 0 to 10, whatever the number of members
OUTLINE_SHARE = {"brain": 0.33, "lesion": 0.66}
FILL_SHARE = 0.66
LEAST_LESION_VOXELS = 5  # in a slice; with more it is shown
LEAST_PANEL_PX = 450  # longer side of a slice in the synthesis, so that letters on it can be read
LETTER_PX, INSET_PX = 44, 24
TIMES: dict[str, tuple[str, ...]] = {  # published key, and the stages of a run that it stands for
    "1-Load": ("load",),
    "2-ScanningDir": ("pair",),
    "3-Normalization": ("prepare",),
    "4-Stacking": (),  # stacks are cut while the network runs, and counted there
    "5-Inference": ("predict",),
    "6-BackRescaling": ("votes", "interpret"),
    "7-Heatmap": ("heatmap",),
    "8-Figure": ("synthesis",),
}
UInt8 = npt.NDArray[np.uint8]


def published_files(votes: Votes, native: Mapping[str, UInt8], b1000: Volume, watch: Stopwatch) -> list[Attachment]:
    """``predictions.nii.gz``, ``heatmap.nii.gz``, ``synthesis.png`` and ``synthesis.txt``.

    Parameters
    ----------
    votes
        Counted where the network looked, for the volumes.
    native
        ``brain``, ``lesion`` (0, 1) and ``visible`` (0 to 10) on the b1000's grid, each (I, J, K).
    watch
        Has the stages of the run so far; "heatmap" and "synthesis" are added.
    """
    grid = b1000.grid
    with watch.stage("heatmap"):
        upright = {name: reorient(Volume(data, grid), PUBLISHED_AXES).data for name, data in native.items()}
        colours = heatmap(reorient(b1000, PUBLISHED_AXES).data, upright)
        predictions = np.stack(
            [FULL_VOTES * native["brain"], FULL_VOTES * native["lesion"], native["visible"]], axis=-1
        )
        files = [
            Attachment("predictions.nii.gz", stack_bytes(predictions, grid)),
            Attachment("heatmap.nii.gz", colour_bytes(_turned_back(colours, grid), grid)),
        ]
    across, along, _ = reorient_grid(grid, PUBLISHED_AXES).spacing_mm
    with watch.stage("synthesis"):
        files.append(Attachment("synthesis.png", synthesis_png(votes, colours, upright["lesion"], (along, across))))
    return [*files, Attachment("synthesis.txt", synthesis_text(votes, watch.stages).encode("ascii"))]


def _turned_back(colours: UInt8, grid: Grid) -> UInt8:
    """(I, J, K, 3) colours with the published axes on a grid that they were turned from."""
    upright = reorient_grid(grid, PUBLISHED_AXES)
    channels = (Volume(colours[..., c], upright) for c in range(3))
    return np.stack([reorient(channel, grid.orientation).data for channel in channels], axis=-1)


def votes_of_ten(votes: Votes) -> UInt8:
    """(I, J, K) votes for "visible" scaled to 0 to 10; of ten members their number.

    From 5 on they are those of at least half of the members, however many these are.
    """
    shares = np.rint(votes.visible.astype(np.float32) * FULL_VOTES / votes.members).astype(np.uint8)
    fewer = 2 * votes.visible.astype(int) < votes.members
    return np.asarray(np.where(fewer, np.minimum(shares, FULL_VOTES // 2 - 1), shares), dtype=np.uint8)


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


def synthesis_png(votes: Votes, colours: UInt8, lesion: UInt8, pixel_mm: tuple[float, float]) -> bytes:
    """The published picture: volumes on top, then five slices a row, those with more than five voxels of infarct.

    Parameters
    ----------
    colours, lesion
        (I, J, K, 3) and (I, J, K), axes as published.
    pixel_mm
        Height and width of a voxel in these slices.
    """
    voxel_ml = votes.grid.voxel_ml
    captions = [
        Caption("For research", "use only", "red", "red"),
        Caption("Brain size", f"{np.count_nonzero(votes.brain) * voxel_ml:.2f}mL", "green"),
        Caption("Blob size", f"{rounded(np.count_nonzero(votes.lesion) * voxel_ml, 2)}mL", "blue"),
        Caption("Flair Visibility Area", f"{told_ml(votes.fvv_ml)}mL", "red"),
    ]
    return tiled_png([lettered(picture, pixel_mm) for picture in synthesis_slices(colours, lesion)], captions)


def synthesis_slices(colours: UInt8, lesion: UInt8) -> list[UInt8]:
    """The slices to show, from the feet up: (rows, columns, 3), anterior on top, the patient's right on the left."""
    shown = [k for k in range(lesion.shape[2]) if np.count_nonzero(lesion[:, :, k]) > LEAST_LESION_VOXELS]
    return [colours[:, ::-1, k].swapaxes(0, 1) for k in shown]


def lettered(picture: UInt8, pixel_mm: tuple[float, float] = (1.0, 1.0)) -> UInt8:
    """A slice (rows, columns, 3) drawn large, each voxel as several pixels, R in its left upper corner, L right.

    ``pixel_mm`` is a voxel's height and width: one that isn't square keeps its proportions.
    """
    tall, wide = (side / min(pixel_mm) for side in pixel_mm)
    factor = int(-(-LEAST_PANEL_PX // max(picture.shape[0] * tall, picture.shape[1] * wide)))
    large = picture.repeat(round(factor * tall), axis=0).repeat(round(factor * wide), axis=1)
    image = Image.fromarray(np.ascontiguousarray(large))
    font, draw = ImageFont.load_default(LETTER_PX), ImageDraw.Draw(image)
    for letter, x, anchor in (("R", INSET_PX, "la"), ("L", image.width - INSET_PX, "ra")):
        draw.text((x, INSET_PX), letter, "white", font, anchor, stroke_width=2, stroke_fill="black")
    return np.asarray(image)


def synthesis_text(votes: Votes, stages: Sequence[Mapping[str, Any]]) -> str:
    """``KEY=value`` lines under the published keys; times in s.

    Parameters
    ----------
    stages
        Of the run, with their ``wall_s``; a key's time is the sum over the stages that it stands for.
    """
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
    for key, names in TIMES.items():
        values[f"Time-{key}"] = sum(float(stage["wall_s"]) for stage in stages if stage["stage"] in names)
    return "".join(f"{key}={value:.10g}\n" for key, value in values.items())
