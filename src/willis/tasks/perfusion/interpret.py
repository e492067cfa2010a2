"""What perfusion maps mean: hypoperfused tissue and core by thresholds, their volumes, and the trials' figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.findings import Lesion, Measurement
from willis.image.components import component_sizes, label_components
from willis.tasks.perfusion.bar_range import reaches_beyond
from willis.tasks.perfusion.prepare import PreparedMaps
from willis.tasks.perfusion.spec import CORE_RELATIVE_CBF, HYPOPERFUSED_TMAX_S, SEVERE_TMAX_S, shown_name
from willis.tasks.perfusion.trials import BOUNDS, told, value_of
from willis.units import rounded
from willis.volume.grid import Grid

Mask = npt.NDArray[np.bool_]

NORMAL_TMAX_S = 4.0  # tissue of the other side with a lower Tmax is the reference; assumed
LONG_RELATIVE_MTT = 1.45  # of the other side's; Wintermark 2006, doi:10.1161/01.STR.0000209238.61459.39
LOW_CBV = 2.0  # ml/100 g; Wintermark 2006, doi:10.1161/01.STR.0000209238.61459.39
MOST_RELATIVE_CBV = (
    2.5  # of tissue's median: more is a vessel, or bone that moved in; penumbra's is raised little; assumed
)
MEDIAN_MM = 3.0  # of the median in each slice that single noisy voxels are removed with; assumed
ROUNDING = 1e-6  # of a voxel's volume, which an affine of float32 is good for
ONE_SIDED = 0.6  # share of a side from which a lesion is called that side's


@dataclass(frozen=True)
class Thresholds:
    """From where tissue counts.

    Parameters
    ----------
    relative_cbf
        Core: part of the other side's CBF.
    tmax_s
        Hypoperfused: Tmax above it.
    min_ml
        Least volume of a connected part.
    """

    relative_cbf: float
    tmax_s: float
    min_ml: float

    @property
    def as_published(self) -> Thresholds:
        """Those that the trials and the hypoperfusion intensity ratio are defined by; the least volume is kept."""
        return Thresholds(CORE_RELATIVE_CBF, HYPOPERFUSED_TMAX_S, self.min_ml)


@dataclass(frozen=True)
class Reading:
    """What thresholds find, each mask (I, J, K); None where a map is missing.

    Parameters
    ----------
    hypoperfused, severe
        Tmax above the threshold and above 10 s.
    core, penumbra
        Of the hypoperfused tissue, that with low flow and the rest.
    low_flow_elsewhere_ml
        Volume with as low a flow without delay.
    reference_cbf
        Mean CBF of normally supplied tissue of the other side, ml/100 g/min.
    long_transit, low_volume
        By MTT and CBV, where Tmax is missing.
    right_is_sick
        Whether the right side is the one compared with the left.
    low_flow_untimed_ml
        The part of ``low_flow_elsewhere_ml`` where maps that were given hold a Tmax of 0.
    """

    hypoperfused: Mask | None
    severe: Mask | None
    core: Mask | None
    penumbra: Mask | None
    low_flow_elsewhere_ml: float | None
    reference_cbf: float | None
    long_transit: Mask | None
    low_volume: Mask | None
    right_is_sick: bool
    low_flow_untimed_ml: float = 0.0


def read_maps(prepared: PreparedMaps, thresholds: Thresholds) -> Reading:
    """Read the maps that there are by thresholds."""
    grid, tissue = prepared.grid, _bloodless(prepared)
    right = prepared.midline.right_of(grid)
    maps = {name: calmed(prepared.maps[name].data, tissue, grid) for name in ("tmax", "cbf", "mtt", "cbv")
            if name in prepared.maps}  # fmt: skip
    hypoperfused = severe = core = penumbra = long_transit = low_volume = None
    elsewhere = reference = None
    untimed = 0.0
    if "tmax" in maps:
        late = tissue & (maps["tmax"] > thresholds.tmax_s)
        hypoperfused = without_small(late, grid, thresholds.min_ml)
        shown = "tmax" not in prepared.bars or reaches_beyond(prepared.bars["tmax"], SEVERE_TMAX_S)
        severe = hypoperfused & (maps["tmax"] > SEVERE_TMAX_S) if shown else None
    by = maps.get("tmax", maps.get("mtt"))
    sick = _sick_side(by, hypoperfused, tissue, right)
    other = tissue & (right != sick)
    if "cbf" in maps:
        normal = other & (maps["tmax"] < NORMAL_TMAX_S) if "tmax" in maps else other
        normal &= maps["cbf"] > 0
        reference = float(maps["cbf"][normal if normal.any() else other].mean()) if other.any() else None
    lowest = min(prepared.bars["cbf"]) if "cbf" in prepared.bars else 0.0
    if "cbf" in maps and hypoperfused is not None and reference and lowest < thresholds.relative_cbf * reference:
        low = tissue & (maps["cbf"] < thresholds.relative_cbf * reference)
        core = without_small(low & hypoperfused, grid, thresholds.min_ml)
        penumbra = hypoperfused & ~core
        early = without_small(low & ~hypoperfused, grid, thresholds.min_ml)
        elsewhere = float(early.sum()) * grid.voxel_ml
        if prepared.way != "series":
            untimed = float((early & (prepared.maps["tmax"].data == 0)).sum()) * grid.voxel_ml
    if "tmax" not in maps and "mtt" in maps and other.any():
        usual = float(np.median(maps["mtt"][other]))
        longer = tissue & (right == sick) & (maps["mtt"] > LONG_RELATIVE_MTT * usual)
        long_transit = without_small(longer, grid, thresholds.min_ml)
        if "cbv" in maps:
            low_volume = without_small(long_transit & (maps["cbv"] < LOW_CBV), grid, thresholds.min_ml)
    return Reading(
        hypoperfused, severe, core, penumbra, elsewhere, reference, long_transit, low_volume, bool(sick), untimed
    )


def _bloodless(prepared: PreparedMaps) -> Mask:
    """Tissue without what holds more blood than tissue can: vessels, and the rim that bone of a moved head enters."""
    if "cbv" not in prepared.maps or not prepared.tissue.any():
        return prepared.tissue
    volume = calmed(prepared.maps["cbv"].data, prepared.tissue, prepared.grid)
    usual = float(np.median(volume[prepared.tissue]))
    return np.asarray(prepared.tissue & (volume <= MOST_RELATIVE_CBV * usual))


def calmed(data: npt.NDArray[np.floating], tissue: Mask, grid: Grid) -> npt.NDArray[np.float32]:
    """The map with a median in each slice; what isn't tissue doesn't take part."""
    sizes = [max(1, 2 * round(MEDIAN_MM / s / 2) + 1) for s in grid.spacing_mm[:2]]
    values = np.where(tissue, data, 0).astype(np.float32)
    if max(sizes) == 1:
        return values
    filled = values + _nearest(values, tissue) * ~tissue
    return np.asarray(ndimage.median_filter(filled, (*sizes, 1)) * tissue, dtype=np.float32)


def _nearest(values: npt.NDArray[np.float32], tissue: Mask) -> npt.NDArray[np.float32]:
    """(I, J, K) the value of the nearest tissue voxel of the same slice; 0 in slices without any."""
    out = np.zeros_like(values)
    for k in range(values.shape[2]):
        if tissue[:, :, k].any():
            place = ndimage.distance_transform_edt(~tissue[:, :, k], return_distances=False, return_indices=True)
            out[:, :, k] = values[:, :, k][tuple(place)]
    return out


def without_small(mask: Mask, grid: Grid, min_ml: float) -> Mask:
    """The mask without connected parts (26 neighbours) below a volume."""
    if min_ml <= 0 or not mask.any():
        return mask
    labels, count = label_components(mask)
    least = min_ml * (1 - ROUNDING)
    keep = np.concatenate([[False], component_sizes(labels, count) * grid.voxel_ml >= least])
    return np.asarray(keep[labels])


def _sick_side(late: npt.NDArray[np.float32] | None, hypoperfused: Mask | None, tissue: Mask, right: Mask) -> bool:
    """Whether the right side is the worse one: by hypoperfused volume, else by the mean of Tmax or MTT."""
    if hypoperfused is not None and hypoperfused.any():
        return bool((hypoperfused & right).sum() > (hypoperfused & ~right).sum())
    if late is None or not (tissue & right).any() or not (tissue & ~right).any():
        return True
    return bool(late[tissue & right].mean() > late[tissue & ~right].mean())


def measure(prepared: PreparedMaps, reading: Reading, published: Reading | None = None) -> dict[str, Measurement]:
    """Volumes and ratios of what could be read.

    Parameters
    ----------
    published
        By :attr:`Thresholds.as_published`, for the hypoperfusion intensity ratio; ``reading`` where None.
    """
    published = published or reading
    ml = prepared.grid.voxel_ml
    found: list[Measurement] = []

    def volume(name: str, mask: Mask | None, label: str) -> float | None:
        if mask is None:
            return None
        value = float(np.count_nonzero(mask)) * ml
        found.append(Measurement(name, value, "ml", None, label, BOUNDS.get(name, ())))
        return value

    core = volume("core_volume", reading.core, "Core")
    volume("penumbra_volume", reading.penumbra, "Penumbra (mismatch volume)")
    late = volume("hypoperfused_volume", reading.hypoperfused, "Hypoperfused")
    if core is not None and late is not None:
        ratio = late / core if core > 0 else None
        found.append(Measurement("mismatch_ratio", ratio, "1", None, "Mismatch ratio", BOUNDS["mismatch_ratio"]))
    severe = volume("severe_volume", published.severe, f"Tmax above {SEVERE_TMAX_S:g} s")
    if severe is not None and published.hypoperfused is not None:
        above = float(np.count_nonzero(published.hypoperfused)) * ml
        ratio = severe / above if above > 0 else None
        found.append(Measurement("hypoperfusion_intensity_ratio", ratio, "1", None, "Hypoperfusion intensity ratio"))
    if reading.hypoperfused is not None:
        left = _left_share(prepared, reading.hypoperfused)
        found.append(Measurement("left_share", left, "%", None, "Share of hypoperfused tissue on the left"))
    if reading.reference_cbf is not None:
        found.append(
            Measurement("reference_cbf", reading.reference_cbf, "ml/100g/min", None, "Mean CBF of the other side")
        )
    if reading.low_flow_elsewhere_ml is not None:
        found.append(
            Measurement(
                "low_flow_elsewhere_volume", reading.low_flow_elsewhere_ml, "ml", None, "Low flow without delay"
            )
        )
    volume("long_transit_volume", reading.long_transit, "MTT above 145 % of the other side")
    volume("low_volume_volume", reading.low_volume, "of it, CBV below 2 ml/100 g")
    volume("brain_volume", prepared.brain, "Brain")
    return {m.name: m for m in found}


def note_of_published(thresholds: Thresholds, published: Mapping[str, Measurement]) -> str:
    """That the trials' figures don't follow the thresholds asked for, with the volumes that they are taken from."""
    late, core = value_of(published, "hypoperfused_volume"), value_of(published, "core_volume")
    found = [f"hypoperfused {late:.1f} ml"] if late is not None else []
    found += [f"core {told('core_volume', core)} ml"] if core is not None else []
    return (
        f"Core and penumbra are by Tmax above {thresholds.tmax_s:g} s and CBF below "
        f"{100 * thresholds.relative_cbf:g} %, as asked for; the hypoperfusion intensity ratio and the trials' figures "
        f"stay by Tmax above {HYPOPERFUSED_TMAX_S:g} s and CBF below {100 * CORE_RELATIVE_CBF:g} %: {', '.join(found)}."
    )


def _left_share(prepared: PreparedMaps, mask: Mask | None) -> float | None:
    if mask is None or not mask.any():
        return None
    right = prepared.midline.right_of(prepared.grid)
    return 100.0 * float((mask & ~right).sum()) / float(mask.sum())


def side_of(measurements: Mapping[str, Measurement]) -> str:
    """``left``, ``right``, ``both sides`` of the hypoperfused tissue; empty when there is none."""
    share = measurements.get("left_share")
    if share is None or share.value is None:
        return ""
    part = share.value / 100
    return "left" if part >= ONE_SIDED else "right" if part <= 1 - ONE_SIDED else "both sides"


def core_parts(prepared: PreparedMaps, reading: Reading, region: Callable[[Mask, str], str]) -> list[Lesion]:
    """Connected parts of the core by falling volume; ``region`` names each from its mask and its side.

    Thresholds give no probability.
    """
    if reading.core is None or not reading.core.any():
        return []
    labels, count = label_components(reading.core)
    index = np.arange(1, count + 1)
    sizes = component_sizes(labels, count) * prepared.grid.voxel_ml
    centres = prepared.grid.to_mm(np.array(ndimage.center_of_mass(labels > 0, labels, index)))
    on_right = ndimage.mean(prepared.midline.right_of(prepared.grid), labels, index)
    return [
        Lesion(
            int(k + 1), float(sizes[k]), (float(centres[k, 0]), float(centres[k, 1]), float(centres[k, 2])),
            region(labels == k + 1, "right" if on_right[k] >= 0.5 else "left"), float("nan"),
        )
        for k in range(count)
    ]  # fmt: skip


def slice_table(prepared: PreparedMaps, reading: Reading) -> list[dict[str, Any]]:
    """One row a slice: area of core and penumbra in ml."""
    rows: list[dict[str, Any]] = []
    ml = prepared.grid.voxel_ml
    for k in range(prepared.grid.shape[2]):
        if not prepared.brain[:, :, k].any():
            continue
        row: dict[str, Any] = {"slice": k}
        for name, mask in (("core", reading.core), ("penumbra", reading.penumbra)):
            if mask is not None:
                row[f"{name}_volume_ml"] = round(float(mask[:, :, k].sum()) * ml, 3)
        rows.append(row)
    return rows


def summarise(measurements: Mapping[str, Measurement], missing: Sequence[str], thresholds: Thresholds) -> str:
    """The finding in words."""
    late, core = value_of(measurements, "hypoperfused_volume"), value_of(measurements, "core_volume")
    penumbra = value_of(measurements, "penumbra_volume")
    lacking = f" {_lacking(missing)}" if missing else ""
    if late is None:
        longer = value_of(measurements, "long_transit_volume")
        part = "" if longer is None else f" MTT is longer than 145 % of the other side's in {longer:.1f} ml."
        return f"Core and penumbra can't be told.{lacking}{part}"
    if late == 0:
        return f"No tissue with Tmax above {thresholds.tmax_s:g} s was found: neither core nor penumbra.{lacking}"
    side = side_of(measurements)
    where = f" ({side})" if side else ""
    if core is None or penumbra is None:
        words = f"{rounded(late, 1)} ml of tissue have a Tmax above {thresholds.tmax_s:g} s{where}"
        return f"{words}; the core can't be told.{lacking}"
    ratio = value_of(measurements, "mismatch_ratio")
    words = "no core, so no mismatch ratio" if ratio is None else f"mismatch ratio {told('mismatch_ratio', ratio)}"
    volumes = f"Core {told('core_volume', core)} ml and penumbra {told('penumbra_volume', penumbra)} ml"
    return f"{volumes} by thresholds{where}; {words}.{lacking}"


def _lacking(missing: Sequence[str]) -> str:
    names = [shown_name(name) for name in missing]
    return f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} missing for a full analysis."
