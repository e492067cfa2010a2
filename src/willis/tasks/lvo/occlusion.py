"""Stage 2, is a vessel occluded? McResNet's four channels as published, and its calibrated probability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.image.deform import warp_to
from willis.infer.engine import open_engine
from willis.infer.memory import BYTES_FLOAT32, keep_engine_limit
from willis.models.bundle import Bundle
from willis.models.manifest import Manifest
from willis.tasks.lvo.prepare import PreparedHead
from willis.tasks.lvo.spec import PUBLISHED_AXES
from willis.tasks.settings import RunSettings
from willis.tasks.territories import RIGHT, TERRITORIES
from willis.volume.crop import centred_box, crop_or_pad
from willis.volume.grid import Grid, Shape3
from willis.volume.orient import reorient
from willis.volume.volume import Volume

Float = npt.NDArray[np.float32]
CHANNELS = ("ncct", "vessels", "prior", "difference")
PUBLISHED_SHAPE: Shape3 = (512, 512, 200)
INPUT_COPIES = 2  # of all channels: one by one, and stacked
MOST_HU = 70.0  # published: denser voxels become 0, they aren't cut at it
VESSEL_SHARE = 0.25  # of a voxel of the midplane grid, from which it is vessel
PRIOR_SMOOTHING_MM = 4.0  # sigma, of the border of the territory


@dataclass(frozen=True)
class Occlusion:
    """What a bundle says of a scan.

    Parameters
    ----------
    probability
        Calibrated where the bundle is, mean of the members' logits.
    members
        That of each member alone.
    threshold
        From which an occlusion is suspected.
    """

    probability: float
    members: tuple[float, ...]
    threshold: float

    @property
    def interval(self) -> tuple[float, float] | None:
        """Least and largest of the members; None for one member."""
        return (min(self.members), max(self.members)) if len(self.members) > 1 else None


def judge_occlusion(prepared: PreparedHead, bundle: Bundle, settings: RunSettings) -> Occlusion:
    """Run a bundle on a prepared head.

    Raises
    ------
    BadInputError
        When the bundle needs vessels that aren't known, the scan is larger than the published input, or the memory
        limit can't be kept.
    """
    manifest = bundle.manifest
    logits = member_logits(prepared, bundle, settings)
    said = [_calibrated(logit, manifest) for logit in logits]
    return Occlusion(_calibrated(float(np.mean(logits)), manifest), tuple(said), manifest.threshold.value)


def member_logits(prepared: PreparedHead, bundle: Bundle, settings: RunSettings) -> tuple[float, ...]:
    """What each member says of a prepared head, not calibrated; raises what :func:`judge_occlusion` does."""
    manifest = bundle.manifest
    sides = PUBLISHED_SHAPE if manifest.shape == PUBLISHED_SHAPE else prepared.head.grid.shape
    shape = (1, len(manifest.channels), *sides)
    engine = open_engine(bundle, 0, engine="torch", precision="float32", threads=settings.threads)
    inputs = INPUT_COPIES * BYTES_FLOAT32 * math.prod(shape)
    keep_engine_limit(engine, shape, settings.memory_limit_gb, bundle.name, beside=inputs)
    x = network_input(prepared, manifest)[None]
    logits = []
    for member in range(len(manifest.members)):
        if member:
            engine = open_engine(bundle, member, engine="torch", precision="float32", threads=settings.threads)
        logits.append(float(engine(x).reshape(-1)[0]))
    return tuple(logits)


def network_input(prepared: PreparedHead, manifest: Manifest) -> Float:
    """(C, I, J, K) the manifest's channels, on the scan's own voxels (published) or on the midplane grid.

    The scan's own voxels are turned to the manifest's axes, so that it doesn't matter how a file lies.
    """
    strange = sorted(set(manifest.channels) - set(CHANNELS))
    if strange:
        raise BadInputError(f"the bundle {manifest.name} wants {strange[0]}; known are {', '.join(CHANNELS)}.")
    if "vessels" in manifest.channels and prepared.vessels is None and manifest.missing_channels == "error":
        raise BadInputError(
            f"the bundle {manifest.name} needs vessels. Give --vessels, or a bundle that finds them with "
            "--vessel-bundle; they are never replaced by the CT."
        )
    published = manifest.shape == PUBLISHED_SHAPE
    maps = as_channels(published_maps(prepared) if published else _midplane_maps(prepared))
    channels = [maps[name] for name in manifest.channels]
    if published:
        axes = manifest.axes or PUBLISHED_AXES
        channels = [padded(reorient(Volume(channel, prepared.ct.grid), axes)) for channel in channels]
    return np.stack(channels)


def published_maps(prepared: PreparedHead) -> dict[str, Float]:
    """(I, J, K) each of ``CHANNELS`` on the scan's own voxels, as the published layout has its files.

    The brain in HU, vessel labels, the prior, the difference in HU; vessels are absent where they aren't known.
    """
    grid = prepared.ct.grid
    difference = prepared.difference.absolute.copy()
    difference[: difference.shape[0] // 2] = 0  # label 1 of the published half mask, on the right by its affine
    vessels = {} if prepared.vessels is None else {"vessels": prepared.vessels.data.astype(np.float32)}
    return {
        "ncct": np.where(prepared.head.brain.data > 0, prepared.ct.data, 0).astype(np.float32),
        **vessels,
        "prior": warp_to(_prior(prepared), grid).data,
        "difference": warp_to(Volume(difference, prepared.head.grid), grid).data,
    }


def _midplane_maps(prepared: PreparedHead) -> dict[str, Float]:
    """The same on the midplane grid, of both halves."""
    grid = prepared.head.grid
    vessels = {}
    if prepared.vessels is not None:
        share = prepared.vessels.with_data((prepared.vessels.data > 0).astype(np.float32))
        vessels["vessels"] = (warp_to(share, grid).data >= VESSEL_SHARE).astype(np.float32)
    return {
        "ncct": np.where(prepared.head.inside.data > 0, prepared.head.hu.data, 0).astype(np.float32),
        **vessels,
        "prior": _prior(prepared).data,
        "difference": prepared.difference.absolute,
    }


def as_channels(maps: Mapping[str, Float]) -> dict[str, Float]:
    """Maps of a scan, of :func:`published_maps` or of files, scaled as published; 0 throughout where one is absent."""
    ncct = scaled_ct(maps["ncct"])
    none = np.zeros_like(ncct)
    return {
        "ncct": ncct,
        "vessels": ((maps["vessels"] > 0) * ncct).astype(np.float32) if "vessels" in maps else none,
        "prior": maps.get("prior", none),
        "difference": scaled_difference(maps["difference"]) if "difference" in maps else none,
    }


def scaled_ct(hu: Float) -> Float:
    """Skull-stripped CT as published: values below 0 and above 70 HU become 0, the others run from 0 to 1."""
    kept = np.where((hu < 0) | (hu > MOST_HU), 0, hu).astype(np.float32)
    return _scaled(kept, kept != 0)


def scaled_difference(difference: Float) -> Float:
    """Values above 0 run from 0 to 1; nothing where the halves don't differ at all."""
    return _scaled(difference, difference > 0)


def _scaled(data: Float, counted: npt.NDArray[np.bool_]) -> Float:
    if not counted.any():
        return np.zeros_like(data)
    low, high = float(data[counted].min()), float(data[counted].max())
    span = high - low if high > low else 1.0
    return np.where(counted, (data - low) / span, 0).astype(np.float32)


def _prior(prepared: PreparedHead) -> Volume:
    """On the midplane grid, the user's own prior, or nearness to the middle cerebral artery's territory, 0 to 1."""
    if prepared.prior is not None:
        return prepared.prior
    inside = prepared.territories % RIGHT == TERRITORIES.index("mca") + 1
    sigma = PRIOR_SMOOTHING_MM / prepared.head.grid.spacing_mm[0]
    return Volume(ndimage.gaussian_filter(inside.astype(np.float32), sigma), prepared.head.grid)


def fits(grid: Grid) -> bool:
    """Whether the published input holds a grid that is turned as the network wants it."""
    return all(n <= side for n, side in zip(grid.shape, PUBLISHED_SHAPE, strict=True))


def padded(channel: Volume) -> Float:
    """(512, 512, 200) of a map on a scan's own voxels, with zeros about it.

    Raises
    ------
    BadInputError
        When the scan is larger.
    """
    if not fits(channel.grid):
        raise BadInputError(
            f"the scan has {' × '.join(map(str, channel.grid.shape))} voxels; the published input holds "
            f"{' × '.join(map(str, PUBLISHED_SHAPE))}. Take a bundle that reads the midplane grid."
        )
    middle = [(n - 1) / 2 for n in channel.grid.shape]
    return np.asarray(crop_or_pad(channel, centred_box(middle, PUBLISHED_SHAPE)).data)


def _calibrated(logit: float, manifest: Manifest) -> float:
    if manifest.calibration is not None:
        logit = manifest.calibration.slope * logit + manifest.calibration.intercept
    return float(1 / (1 + np.exp(-logit)))


def describe(occlusion: Occlusion, manifest: Manifest) -> dict[str, Any]:
    """For the provenance."""
    return {
        "engine": "torch",
        "precision": "float32",
        "probability": occlusion.probability,
        "members": list(occlusion.members),
        "calibrated": manifest.calibration is not None,
    }
