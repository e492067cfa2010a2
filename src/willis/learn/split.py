"""Split: patients shared out into parts that are alike in lesion size, in 3D and in the slices of every plane.

No patient lies in two parts. Within each bin of volume, of each kind of patient, the parts' counts differ from their
share by less than one patient; among all such splits, swaps of patients are taken as long as they bring the slices of
all planes closer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import stats

from willis.errors import BadInputError
from willis.measure.size_bins import SLICE_EDGES, VOLUME_EDGES, bin_of, count_in_bins
from willis.units import counted
from willis.volume.plane import PLANES, Plane

SWEEPS = 60  # most rounds of trying to swap every patient
RANK_WEIGHT = 4.0  # of the Mann-Whitney deviation against the bins' counts, in the cost that swaps lower

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SizedSubject:
    """One session as far as splitting goes.

    Parameters
    ----------
    name, group
        Session and patient.
    voxels
        Of lesion; where masks of any grid were measured, mm³.
    slices
        Lesion voxels of its slices by plane; none where they aren't known.
    kind
        Of patient, such as with an occlusion and without; empty where all are of one.
    """

    name: str
    group: str
    voxels: int
    slices: Mapping[Plane, Mapping[int, int]] = field(default_factory=dict)
    kind: str = ""


@dataclass(frozen=True)
class Part:
    """Sessions that belong together: a fold, or the training or test set; ``share`` is of all patients."""

    name: str
    share: float
    subjects: tuple[str, ...]


def split_subjects(
    subjects: Sequence[SizedSubject], shares: Mapping[str, float], seed: int, edges: Sequence[int] = VOLUME_EDGES
) -> list[Part]:
    """Share patients out.

    Parameters
    ----------
    subjects
        All sessions; the order makes no difference.
    shares
        Part of all patients by name of the part; they sum to 1.
    seed
        One seed always gives the same split.
    edges
        Of the bins of volume, see :func:`volume_edges`.

    Raises
    ------
    BadInputError
        When the seed is below 0, a session is listed twice, there are fewer patients than parts or so few that a part's
        share of them rounds to none, or none has a lesion and all are of a kind.
    """
    if seed < 0:
        raise BadInputError(f"the seed is {seed}; it is at least 0.")
    _check(subjects, shares)
    groups = sorted({subject.group for subject in subjects})
    members = {group: sorted((s for s in subjects if s.group == group), key=lambda s: s.name) for group in groups}
    sizes = [max(subject.voxels for subject in members[group]) for group in groups]
    kinds = ["+".join(sorted({subject.kind for subject in members[group]})) for group in groups]
    strata = np.unique(kinds, return_inverse=True)[1] * (len(edges) + 1) + bin_of(sizes, edges)
    rng = np.random.default_rng(seed)
    part_of = _dealt(strata, list(shares.values()), rng)
    if empty := [name for n, name in enumerate(shares) if not (part_of == n).any()]:
        raise BadInputError(
            f"{len(groups)} patients leave the part {empty[0]} empty: its share is {shares[empty[0]]:g}. Give it a "
            "larger one, or more patients."
        )
    part_of = _improved(part_of, strata, _features([members[g] for g in groups]), list(shares.values()), rng)
    return [
        Part(name, share, tuple(s.name for g, p in zip(groups, part_of, strict=True) if p == n for s in members[g]))
        for n, (name, share) in enumerate(shares.items())
    ]


def volume_edges(subjects: Sequence[SizedSubject], count: int) -> tuple[int, ...]:
    """Edges of bins of volume that hold alike many of the sessions with a lesion; the last bin is open.

    >>> volume_edges([SizedSubject(str(n), str(n), n) for n in (0, 10, 20, 30, 40)], 2)
    (0, 20)

    Raises
    ------
    BadInputError
        When there is no bin.
    """
    if count < 1:
        raise BadInputError(f"--bins is {count}; there is at least 1 bin of volume.")
    sizes = [subject.voxels for subject in subjects if subject.voxels]
    if not sizes:
        return (0,)
    inner = np.quantile(sizes, np.arange(1, count) / count, method="inverted_cdf")
    return (0, *sorted({int(edge) for edge in inner} - {max(sizes)}))


def _check(subjects: Sequence[SizedSubject], shares: Mapping[str, float]) -> None:
    names = [subject.name for subject in subjects]
    if twice := sorted({name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()):
        raise BadInputError(f"{twice[0]} is listed twice; each subject may stand once.")
    patients = len({subject.group for subject in subjects})
    if patients < len(shares):
        raise BadInputError(
            f"{counted(patients, 'patient')} can't be shared out into {len(shares)} parts; ask for fewer."
        )
    if not any(subject.voxels for subject in subjects) and len({subject.kind for subject in subjects}) < 2:
        raise BadInputError("no subject has a lesion; a split by lesion size needs at least one.")


def _dealt(strata: npt.NDArray[np.intp], shares: Sequence[float], rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Part of each patient: in every bin the whole of each part's share, what is left to the neediest parts."""
    part_of = np.empty(len(strata), dtype=np.intp)
    owed = np.zeros(len(shares))
    for stratum in np.unique(strata):
        where = rng.permutation(np.flatnonzero(strata == stratum))
        wanted = np.array(shares) * len(where)
        counts = np.floor(wanted + 1e-9).astype(int)
        owed += wanted - counts
        for _ in range(len(where) - int(counts.sum())):
            open_ = np.where(counts - np.floor(wanted + 1e-9) < 1, owed, -np.inf)
            neediest = int(open_.argmax())
            counts[neediest] += 1
            owed[neediest] -= 1
        part_of[where] = np.repeat(np.arange(len(shares)), counts)
    return part_of


def _features(groups: Sequence[Sequence[SizedSubject]]) -> Float:
    """(G, F) numbers of each patient whose sums over a part should be the part's share of the total.

    For each plane the counts of slices in each bin, over the root of the bin's total; the sum of the slices' centred
    ranks over its standard deviation, so that a part's sum is close to the z of Mann and Whitney's test; and the
    same ranks of whole volumes.
    """
    columns: list[Float] = []
    for plane in PLANES:
        sizes = [[v for s in group for v in s.slices.get(plane, {}).values()] for group in groups]
        bins = np.array([count_in_bins(found, SLICE_EDGES[plane]) for found in sizes], dtype=float)
        columns += [bins / np.sqrt(np.maximum(bins.sum(axis=0), 1)), _ranks(sizes)[:, None]]
    columns.append(_ranks([[s.voxels for s in group if s.voxels] for group in groups])[:, None])
    return np.concatenate(columns, axis=1)


def _ranks(sizes: Sequence[Sequence[int]]) -> Float:
    """(G,) sum of each patient's centred ranks, scaled."""
    flat = np.array([size for found in sizes for size in found], dtype=float)
    if flat.size < 2:
        return np.zeros(len(sizes))
    ranks = stats.rankdata(flat) - (flat.size + 1) / 2
    owner = np.repeat(np.arange(len(sizes)), [len(found) for found in sizes])
    sums = np.bincount(owner, weights=ranks, minlength=len(sizes))
    return np.asarray(RANK_WEIGHT * sums / max(float(np.sqrt(flat.size) * ranks.std()), 1e-9), dtype=np.float64)


def _improved(
    part_of: npt.NDArray[np.intp],
    strata: npt.NDArray[np.intp],
    features: Float,
    shares: Sequence[float],
    rng: np.random.Generator,
) -> npt.NDArray[np.intp]:
    """Swap patients of one bin between parts while that lowers the squared deviation of the parts' sums."""
    part_of = part_of.copy()
    weight = 1 / np.maximum(np.array(shares), 1e-9)
    goal = np.outer(shares, features.sum(axis=0))
    off = np.stack([features[part_of == n].sum(axis=0) for n in range(len(shares))]) - goal
    for _ in range(SWEEPS):
        swapped = False
        for one in rng.permutation(len(part_of)):
            others = np.flatnonzero((strata == strata[one]) & (part_of != part_of[one]))
            if not others.size:
                continue
            move = features[others] - features[one]  # what this patient's part would gain
            mine, theirs = off[part_of[one]], off[part_of[others]]
            gain = weight[part_of[one]] * (2 * move @ mine + (move**2).sum(axis=1))
            gain += weight[part_of[others]] * ((move**2).sum(axis=1) - 2 * (move * theirs).sum(axis=1))
            best = int(gain.argmin())
            if gain[best] < -1e-9:
                other = int(others[best])
                off[part_of[one]] += move[best]
                off[part_of[other]] -= move[best]
                part_of[one], part_of[other] = part_of[other], part_of[one]
                swapped = True
        if not swapped:
            break
    return part_of
