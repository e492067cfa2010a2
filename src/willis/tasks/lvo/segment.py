"""Stage 3, where? A 2D model on the projection of the vessels, and its answer laid back into the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError, BundleError
from willis.image.project import project, project_back
from willis.infer.planned import predict_planned
from willis.models.bundle import Bundle
from willis.models.nnunet_plan import label_names, plan_of
from willis.tasks.lvo.judge import Judged
from willis.tasks.lvo.prepare import PreparedHead
from willis.tasks.lvo.spec import SEGMENTS
from willis.tasks.settings import RunSettings
from willis.volume.orient import reorient
from willis.volume.volume import Volume

Float = npt.NDArray[np.float32]
PROJECTION_AXES = "RAS"  # of pictures, unless a bundle says that its were others
SHOWN_HU = (0.0, 100.0)  # of the vessels; fluid beside them to dense clot, no calcium


@dataclass(frozen=True)
class Projection:
    """Vessels of a scan seen from above.

    Parameters
    ----------
    picture
        (I, J) largest HU of the vessels on each ray, in the scan's axes turned to RAS; 0 beside them.
    spacing_mm
        Of the picture, and across it.
    vessels
        The labels that it shows, turned likewise.
    """

    picture: Float
    spacing_mm: tuple[float, float, float]
    vessels: Volume


def projected(ct: Volume, vessels: Volume) -> Projection:
    """Look at vessels from above: what stands in the scan on each ray, between 0 and 100 HU."""
    turned, labels = reorient(ct, PROJECTION_AXES), reorient(vessels, PROJECTION_AXES)
    picture = project(np.clip(turned.data, *SHOWN_HU).astype(np.float32), labels.data)
    return Projection(np.asarray(picture, dtype=np.float32), turned.grid.spacing_mm, labels)


def find_segment(prepared: PreparedHead, judged: Judged, bundle: Bundle, settings: RunSettings) -> Judged:
    """Name the occluded segment and its side by a 2D model; nothing changes where none is suspected or it finds none.

    Raises
    ------
    BadInputError
        When vessels aren't known, or the memory limit can't be kept.
    BundleError
        When the bundle is no 2D model of one image, or names other segments.
    """
    _codes(bundle)
    if prepared.vessels is None:
        raise BadInputError(f"the bundle {bundle.name} looks at vessels. Give --vessels or --vessel-bundle.")
    if judged.probability < judged.threshold:
        return judged
    seen = projected(prepared.ct, prepared.vessels)
    counts, found = counted(seen, bundle, settings)
    return _placed(prepared, judged, seen, found, counts) if any(counts.values()) else judged


def counted(seen: Projection, bundle: Bundle, settings: RunSettings) -> tuple[dict[str, int], npt.NDArray[np.uint8]]:
    """Pixels of the vessels that each answer of ``spec.SEGMENTS`` gets, and (I, J) its code on them, from 1."""
    codes = _codes(bundle)
    flat = Volume(seen.picture[:, :, None], seen.vessels.grid.shifted((0, 0, 0), (*seen.picture.shape, 1)))
    turned = reorient(flat, bundle.manifest.axes or PROJECTION_AXES)
    labels = turned.with_data(
        predict_planned(bundle, turned.data[None], turned.grid.spacing_mm, codes, **settings.running)
    )
    answers = reorient(labels, PROJECTION_AXES).data[:, :, 0]
    found = np.where(seen.picture > 0, answers, 0).astype(np.uint8)
    return {name: int(np.count_nonzero(found == code)) for code, name in enumerate(SEGMENTS, start=1)}, found


def _placed(
    prepared: PreparedHead, judged: Judged, seen: Projection, found: npt.NDArray[np.uint8], counts: Mapping[str, int]
) -> Judged:
    """The answer that most of the picture gives, on the side where most of it lies, back in the scan."""
    segment = max(counts, key=lambda name: counts[name])
    there = project_back(found == SEGMENTS.index(segment) + 1, seen.vessels.data)
    in_scan = reorient(seen.vessels.with_data(there.astype(np.uint8)), prepared.ct.grid.orientation).data > 0
    left = int(np.count_nonzero(in_scan & prepared.left))
    side = "left" if 2 * left >= np.count_nonzero(in_scan) else "right"
    own = in_scan & (prepared.left if side == "left" else ~prepared.left)
    total = sum(counts.values())
    shares = {name: count / total for name, count in counts.items()}
    place = Volume(own.astype(np.uint8), prepared.ct.grid, role="clot")
    record = {**judged.record, "segment_pixels": dict(counts)}
    return replace(judged, side=side, segment=segment, segments=shares, place=place, record=record)


def side_note(before: Judged, after: Judged, bundle: Bundle) -> str:
    """What a reader must know where a model names another side than the one found likelier; empty where it agrees."""
    if not before.side or after.side == before.side:
        return ""
    return (
        f"The bundle {bundle.name} names the {after.side} side; an occlusion was found likelier on the {before.side} "
        f"({before.sides[before.side]:.2f} against {before.sides[after.side]:.2f}). The sides contradict each other."
    )


def _check(bundle: Bundle) -> None:
    plan = plan_of(bundle.manifest)
    if plan is None or not plan.flat:
        raise BundleError(
            f"{bundle.name} is no 2D model with a plan; willis models import nnunet makes one of nnU-Net."
        )
    if len(bundle.manifest.channels) != 1:
        raise BundleError(
            f"{bundle.name} reads {len(bundle.manifest.channels)} images; a model that names the segment reads the "
            "projection alone."
        )


def _codes(bundle: Bundle) -> list[int]:
    """Code of ``spec.SEGMENTS``, from 1, of each label that the bundle finds."""
    _check(bundle)
    named = {name.replace("+", "-"): code for code, name in enumerate(SEGMENTS, start=1)}
    names = label_names(bundle.manifest)
    strange = [name for name in names if name not in named]
    if strange:
        raise BundleError(f"{bundle.name} finds {strange[0]}; segments are called {', '.join(named)}.")
    return [named[name] for name in names]
