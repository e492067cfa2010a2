"""From a series, or from maps however they come, to maps in their own units on one grid, with the tissue to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError, GeometryError
from willis.image.components import component_sizes, label_components
from willis.image.midline import Midline
from willis.image.mirror import find_midplane
from willis.io.nifti_series import HEADER_TIMES, read_times
from willis.io.pictures import BAR_UNIT, GAPS, UNPLACED, is_colour, range_by_metadata
from willis.study import Source, Study
from willis.tasks.axes import slices_last
from willis.tasks.brain.mask import own_brain_mask
from willis.tasks.perfusion.bar_range import bar_ranges, in_declared_values, in_values, notes_of_ends
from willis.tasks.perfusion.from_series import Curves, maps_from_series
from willis.tasks.perfusion.plausible import in_own_unit
from willis.tasks.perfusion.spec import MAPS, shown_name
from willis.units import counted
from willis.volume.grid import Grid
from willis.volume.series import Series
from willis.volume.volume import Volume

Mask = npt.NDArray[np.bool_]
LEAST_BRAIN_ML = 30.0
LEAST_DROPPED_ML = 1.0  # of the brain without flow that isn't read, from which a note says so
SHOWING = ("tmax", "cbv")  # maps that show tissue where there is no flow
USUAL_TURN_DEG = 15.0  # of heads on a scanner's table, about the vertical; assumed
USUAL_TILT_DEG = 8.0  # to a shoulder; assumed
LEAST_PART = 0.05  # of the largest part of coloured pixels: what is smaller and apart isn't brain; assumed
GREY_UNIT = "grey"  # of a MIP given as pictures: 0 to 255


@dataclass(frozen=True)
class PreparedMaps:
    """Maps that can be read.

    Parameters
    ----------
    maps
        By name, those of :data:`willis.tasks.perfusion.spec.MAPS` that there are, in their own units, and ``mip``.
    space
        Role of the input whose grid all lie on.
    brain, tissue
        (I, J, K) the brain, and the part of it that is read: neither fluid nor large vessel.
    midline
        Plane between the halves.
    curves
        Input functions of a series; None for maps.
    way
        ``series``, ``maps`` or ``colours``: how the maps came.
    notes
        Sentences that a reader must see.
    details
        How they were made, for the provenance.
    baseline
        The head before contrast, in HU, of a series; None for maps.
    bars
        Values at the lower or left and at the other end of the bar of each map that came in colours.
    """

    maps: Mapping[str, Volume]
    space: str
    brain: Mask
    tissue: Mask
    midline: Midline
    curves: Curves | None
    way: str
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    baseline: Volume | None = None
    bars: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def grid(self) -> Grid:
        """Of all maps."""
        return next(iter(self.maps.values())).grid


def prepare(study: Study, options: Mapping[str, Any]) -> PreparedMaps:
    """Make the maps of a study, with axial slices along their third voxel axis.

    Parameters
    ----------
    study
        With a series ``ctp``, or with maps.
    options
        The task's own, resolved.

    Raises
    ------
    BadInputError
        When the series or the maps can't be used; what was found and what is needed is said.
    """
    study = slices_last(study)
    return _from_series(study, options) if "ctp" in study.series else _from_maps(study, options)


def _from_series(study: Study, options: Mapping[str, Any]) -> PreparedMaps:
    series = study.series["ctp"]
    unused = [name for name in MAPS if name in study]
    if options["times"] is not None:
        series = _timed(series, options)
    given = _given_brain(study, series.frame(0))
    result = maps_from_series(series, options, given)
    midline = find_midplane(series.volume(result.brain.astype(np.uint8)), result.baseline)
    notes = [*result.notes, *_pose_notes(midline)]
    if unused:
        notes.append(f"The maps {', '.join(shown_name(n) for n in unused)} were given and not read: the series was.")
    return PreparedMaps(
        result.maps, "ctp", result.brain, result.tissue, midline, result.curves, "series", tuple(notes), result.details,
        result.baseline,
    )  # fmt: skip


def _pose_notes(midline: Midline) -> list[str]:
    """What is said of a head that lies unusually turned or tilted."""
    turn, tilt = abs(midline.turn_deg), abs(midline.tilt_deg)
    if turn <= USUAL_TURN_DEG and tilt <= USUAL_TILT_DEG:
        return []
    return [
        f"Oblique head: it is turned by {turn:.0f}° about the vertical and tilted by {tilt:.0f}° to a shoulder (usual "
        f"are up to {USUAL_TURN_DEG:g}° and {USUAL_TILT_DEG:g}°); left and right are divided along the brain's own "
        "middle plane, which is less certain then: check them in the pictures."
    ]


def _timed(series: Series, options: Mapping[str, Any]) -> Series:
    times = read_times(options["times"])
    if times.size != series.frames:
        raise BadInputError(
            f"--times gives {counted(times.size, 'time')}; the series has {counted(series.frames, 'frame')}."
        )
    notes = tuple(note for note in series.notes if not note.startswith(HEADER_TIMES))
    return replace(series, times_s=times, notes=notes)


def _from_maps(study: Study, options: Mapping[str, Any]) -> PreparedMaps:
    names = [name for name in MAPS if name in study]
    _check_ranges(study, options)
    space = "tmax" if "tmax" in names else names[0]
    grid = study[space].grid
    for name in (*names, *(["mip"] if "mip" in study else [])):
        if not study[name].grid.same_as(grid):
            raise GeometryError(
                f"{name.upper()} {study[name].grid.shape} doesn't lie on the grid of {space.upper()} {grid.shape}. "
                "Give all maps as one analysis wrote them."
            )
    every = (*names, *(["mip"] if "mip" in study else []))
    _refuse_other_slices([study[name] for name in every])
    valued = {name: _valued(study[name], options, study.sources.get(name)) for name in every}
    grid = valued[space].grid
    painted = any(study[name].unit == BAR_UNIT for name in names)
    given = _given_brain(study, valued[space])
    brain, marks = _brain_of_maps([valued[name] for name in names], given, painted)
    finite = {name: _finite(valued[name]) for name in names}
    maps = {name: in_own_unit(volume, brain) for name, volume in finite.items()}
    midline = find_midplane(Volume(brain.astype(np.uint8), grid))
    tissue, tissue_notes = _tissue_of_maps(maps, brain, midline)
    if "mip" in study:
        pictures = "mip" in study.sources and is_colour(study.sources["mip"].path)
        mip = _finite(valued["mip"])
        maps["mip"] = mip.with_data(mip.data, unit=GREY_UNIT if pictures else None)
    notes = [f"{name.upper()}: {note}" for name, volume in maps.items() for note in volume.notes] + tissue_notes
    bars = {name: _bar_of(maps[name], study[name]) for name in names if study[name].unit == BAR_UNIT}
    notes += [*marks, *notes_of_ends(bars, maps, tissue, float(options["tmax_above"])), *_pose_notes(midline)]
    way = "colours" if bars else "maps"
    return PreparedMaps(maps, space, brain, tissue, midline, None, way, tuple(notes), {}, bars=bars)


def _refuse_other_slices(maps: Sequence[Volume]) -> None:
    """Whether the pictures of all maps are of the same slices, as far as their numbers tell."""
    told = {v.role: tuple(note for note in v.notes if note.startswith(GAPS)) for v in maps if UNPLACED in v.notes}
    first = next(iter(told), "")
    if other := next((role for role in told if told[role] != told[first]), None):
        said = {role: " ".join(told[role]) or "They rise evenly." for role in (first, other)}
        raise BadInputError(
            f"the pictures of {first.upper()} and {other.upper()} aren't of the same slices. {first.upper()}: "
            f"{said[first]} {other.upper()}: {said[other]} Give the same slices of each map."
        )


def _bar_of(values: Volume, shares: Volume) -> tuple[float, float]:
    """Values at the two ends of a bar, in the map's own unit, from two of its places."""
    known = np.isfinite(shares.data)
    first, last = (int(f(np.where(known, shares.data, fill))) for f, fill in ((np.argmin, 2), (np.argmax, -1)))
    a, b = (float(shares.data.flat[at]) for at in (first, last))
    low, high = (float(values.data.flat[at]) for at in (first, last))
    slope = (high - low) / max(b - a, 1e-6)
    return low - a * slope, low + (1 - a) * slope


def _valued(volume: Volume, options: Mapping[str, Any], source: Source | None) -> Volume:
    """A map with places on a bar turned into values by its range, and pictures placed by ``spacing``."""
    if UNPLACED in volume.notes:
        volume = _placed(volume, options["spacing"])
    if volume.unit != BAR_UNIT:
        return volume
    ranges = bar_ranges(options["range"])
    if volume.role not in ranges:
        if source is not None and (declared := range_by_metadata(source.path)) is not None:
            return in_declared_values(volume, *declared)
        raise BadInputError(
            f"the {volume.role.upper()} map is colour-coded, and what the ends of its bar stand for isn't known; give "
            f"it as --range {volume.role}=LOW:HIGH."
        )
    return in_values(volume, ranges[volume.role])


def _check_ranges(study: Study, options: Mapping[str, Any]) -> None:
    """Whether every map that ``range`` calls colour-coded is one."""
    for name in bar_ranges(options["range"]):
        if name not in study:
            raise BadInputError(f"--range speaks of {name}, but no {name.upper()} map was given.")
        if study[name].unit != BAR_UNIT:
            raise BadInputError(
                f"--range says that the {name.upper()} map is colour-coded, but it is grey or holds values. Give the "
                "coloured map with its bar, or leave --range out to have its values read."
            )


def _placed(volume: Volume, spacing: Any) -> Volume:
    """Pictures on a grid with true distances, about the origin."""
    words = str(spacing or "").replace("x", ",").split(",")
    try:
        sizes = [float(word) for word in words]
    except ValueError:
        sizes = []
    if len(sizes) != 3 or min(sizes) <= 0:
        raise BadInputError(
            f"the {volume.role.upper()} pictures don't say how large their pixels are; give width, height and distance "
            "of slices in mm as --spacing 0.45,0.45,5."
        )
    affine = np.diag([-sizes[0], -sizes[1], sizes[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(volume.grid.shape) - 1) / 2)
    notes = tuple(note for note in volume.notes if note != UNPLACED)
    placed = replace(volume, grid=Grid(volume.grid.shape, affine), notes=notes)
    return placed.noted("Slices are taken to rise with their numbers, the patient's right to be on the left.")


def _given_brain(study: Study, image: Volume) -> Mask | None:
    own = own_brain_mask(study, image, "images")
    return None if own is None else np.asarray(own.data > 0)


def _finite(volume: Volume) -> Volume:
    return volume.with_data(np.nan_to_num(volume.data.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0))


def _brain_of_maps(maps: Sequence[Volume], given: Mask | None, painted: bool) -> tuple[Mask, list[str]]:
    """Where the maps hold something, since analyses put 0 or NaN outside the brain, and what is said of marks.

    Coloured letters on ``painted`` maps hold something too: they lie apart, and are small.
    """
    brain, notes = given, []
    if brain is None:
        brain = np.logical_or.reduce([_shown(volume.data) for volume in maps])
        if painted:
            labels, count = label_components(brain)
            sizes = component_sizes(labels, count)
            whole = np.concatenate([[False], sizes >= LEAST_PART * sizes.max(initial=0)])[labels]
            if marks := int(np.count_nonzero(brain & ~whole)):
                notes.append(
                    f"Coloured pixels apart from the brain, {marks * maps[0].grid.voxel_ml:.1f} ml, as letters are, "
                    "aren't read."
                )
            brain = whole
    found_ml = float(brain.sum()) * maps[0].grid.voxel_ml
    if found_ml < LEAST_BRAIN_ML:
        raise BadInputError(
            f"the maps hold values in {found_ml:.0f} ml only; at least {LEAST_BRAIN_ML:.0f} ml of brain are expected."
        )
    return np.asarray(brain), notes


def _shown(data: npt.NDArray[Any]) -> Mask:
    """Where a map (I, J, K) holds something: neither no number nor what most of its slices' rims hold."""
    rim = np.concatenate([data[0].ravel(), data[-1].ravel(), data[:, 0].ravel(), data[:, -1].ravel()])
    known = rim[np.isfinite(rim)]
    shown = np.isfinite(data)
    if 2 * known.size > rim.size:
        values, counts = np.unique(known, return_counts=True)
        shown &= data != values[counts.argmax()]
    return np.asarray(shown)


def _tissue_of_maps(maps: Mapping[str, Volume], brain: Mask, midline: Midline) -> tuple[Mask, list[str]]:
    """The brain without fluid and without large vessels, where the maps tell, and notes on what has no flow."""
    tissue = brain.copy()
    notes = []
    if "cbf" in maps:
        flowing = brain & (maps["cbf"].data > 0)
        shown = np.logical_or.reduce([np.zeros_like(brain), *(maps[n].data > 0 for n in SHOWING if n in maps)])
        still = _within(brain & ~flowing & shown, flowing, midline, maps["cbf"].grid)
        tissue = flowing | still
        notes = _flow_notes(still, brain & ~tissue, maps["cbf"].grid.voxel_ml)
    if "cbv" in maps:
        volume = maps["cbv"].data
        usual = float(np.median(volume[brain]))
        tissue &= volume < 4 * max(usual, 1e-6)
    return tissue, notes


def _within(asked: Mask, tissue: Mask, midline: Midline, grid: Grid) -> Mask:
    """(I, J, K) what of ``asked`` tissue encloses in an axial slice, or lies opposite to tissue on the other side."""
    if not asked.any():
        return asked
    slices = [ndimage.binary_fill_holes(tissue[:, :, k]) for k in range(tissue.shape[2])]
    inside = asked & np.stack(slices, axis=2)
    open_ = np.argwhere(asked & ~inside)
    across = np.array(midline.normal)
    places = grid.to_mm(open_)
    opposite = places - 2 * (places @ across - midline.offset_mm)[:, None] * across
    inverse = np.linalg.inv(grid.affine)
    found = np.rint(opposite @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
    there = ((found >= 0) & (found < np.array(grid.shape))).all(axis=1)
    inside[tuple(open_[there].T)] = tissue[tuple(found[there].T)]
    return np.asarray(inside)


def _flow_notes(still: Mask, dropped: Mask, voxel_ml: float) -> list[str]:
    """What became of the brain whose CBF is 0 or no number."""
    notes = []
    if still.any():
        notes.append(
            f"CBF is 0 or no number in {float(still.sum()) * voxel_ml:.1f} ml where Tmax or CBV shows tissue: they are "
            "read as tissue without flow. Where they are fluid or lie outside the brain, give a mask with --brain-mask."
        )
    dropped_ml = float(dropped.sum()) * voxel_ml
    if dropped_ml >= LEAST_DROPPED_ML:
        notes.append(
            f"CBF is 0 or no number in another {dropped_ml:.1f} ml of the brain, where no other map shows tissue or "
            "none lies around: they are taken as fluid and not read."
        )
    return notes
