"""Splits by patient: nobody in two parts, bins within one subject, planes alike, the same bytes for one seed."""

from pathlib import Path

import numpy as np
import pytest

from willis.errors import BadInputError
from willis.io.size_tables import SLICE_COLUMNS, VOLUME_COLUMNS, write_csv, write_sizes
from willis.learn.description import read_subjects, slice_table
from willis.learn.slice_batches import SliceOf, distribution_batches
from willis.learn.split import SizedSubject, split_subjects
from willis.learn.split_file import (
    balance_rows,
    check_balance,
    check_parts,
    draw_normals,
    make_split_file,
    read_published_folds,
    read_split,
    write_split,
)
from willis.measure.size_bins import SLICE_EDGES, VOLUME_EDGES, bin_of
from willis.volume.plane import PLANES

PUBLISHED_COUNTS = (319, 154, 64, 49, 44, 25)  # 655 subjects by bin; doi:10.1101/2025.09.26.25336733
FOLDS = {f"fold_{n}": 0.2 for n in range(1, 6)}


def _cohort(counts: tuple[int, ...] = PUBLISHED_COUNTS, seed: int = 0) -> list[SizedSubject]:
    rng = np.random.default_rng(seed)
    ends = (30, *VOLUME_EDGES[1:], 400_000)
    subjects = []
    for bin_, count in enumerate(counts):
        for _ in range(count):
            voxels = int(np.exp(rng.uniform(np.log(ends[bin_] + 1), np.log(ends[bin_ + 1]))))
            name = f"sub-{len(subjects):03d}"
            subjects.append(SizedSubject(name, name, voxels, {plane: _slices(rng, voxels) for plane in PLANES}))
    return subjects


def _slices(rng: np.random.Generator, voxels: int) -> dict[int, int]:
    """Areas of the slices of a rough ball."""
    count = max(1, int(2 * (voxels * 3 / (4 * np.pi)) ** (1 / 3)))
    profile = (1 - np.linspace(-1, 1, count + 2)[1:-1] ** 2) * rng.normal(1, 0.2, count).clip(0.1)
    first = int(rng.integers(40, 90))
    return {first + k: max(1, int(part)) for k, part in enumerate(profile / profile.sum() * voxels)}


@pytest.fixture(scope="module")
def cohort() -> list[SizedSubject]:
    return _cohort()


def test_folds_of_the_published_cohort_are_alike(cohort: list[SizedSubject]) -> None:
    parts = split_subjects(cohort, FOLDS, 42)
    assert sorted(name for part in parts for name in part.subjects) == sorted(s.name for s in cohort)
    check_parts(parts, {s.name: s.group for s in cohort})
    rows = balance_rows(parts, cohort)
    assert [r["worst_bin_deviation"] < 1 for r in rows if r["of"] == "subjects"] == [True] * 5
    tested = [r["mann_whitney_p"] for r in rows if r["of"] != "subjects"]
    assert len(tested) == 15
    assert min(tested) > 0.5


def test_the_test_part_holds_its_share_of_every_bin(cohort: list[SizedSubject]) -> None:
    test = split_subjects(cohort, {"train": 0.8, "test": 0.2}, 1)[1]
    voxels = {s.name: s.voxels for s in cohort}
    counts = np.bincount(bin_of([voxels[name] for name in test.subjects], VOLUME_EDGES), minlength=6)
    assert (np.abs(counts - 0.2 * np.array(PUBLISHED_COUNTS)) < 1).all()


def test_one_seed_gives_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    cohort = _cohort((20, 10, 5, 5, 5, 5), seed=3)
    extents = {s.name: dict.fromkeys(PLANES, (0, 180)) for s in cohort}

    def written(subjects: list[SizedSubject], seed: int, name: str) -> bytes:
        parts = split_subjects(subjects, FOLDS, seed)
        made = make_split_file("folds", seed, parts, subjects, draw_normals(subjects, extents, seed))
        return write_split(made, tmp_path / name).read_bytes()

    first = written(cohort, 7, "a.json")
    assert first == written(cohort[::-1], 7, "b.json")
    assert first != written(cohort, 8, "c.json")
    assert read_split(tmp_path / "a.json").seed == 7


def test_sessions_of_one_patient_stay_together() -> None:
    cohort = [
        SizedSubject(f"sub-{p}_ses-{s}", f"sub-{p}", 100 * (p + 1) + s, {key: {50: 10 * p + s + 1} for key in PLANES})
        for p in range(12)
        for s in range(1 + p % 3)
    ]
    parts = split_subjects(cohort, {"a": 0.5, "b": 0.5}, 0)
    patients = [{name.split("_")[0] for name in part.subjects} for part in parts]
    assert not patients[0] & patients[1]
    assert len(patients[0] | patients[1]) == 12


def test_what_can_t_be_split_is_refused(cohort: list[SizedSubject]) -> None:
    with pytest.raises(BadInputError, match="4 patients can't be shared out into 5 parts"):
        split_subjects(cohort[:4], FOLDS, 0)
    few = [SizedSubject(str(n), str(n), size) for n, size in enumerate((100, 6000, 40_000, 70_000, 150_000))]
    with pytest.raises(BadInputError, match=r"5 patients leave the part test empty: its share is 0\.1"):
        split_subjects(few, {"train": 0.9, "test": 0.1}, 0)
    assert [len(part.subjects) for part in split_subjects(few, {"train": 0.8, "test": 0.2}, 0)] == [4, 1]
    with pytest.raises(BadInputError, match="sub-000 is listed twice"):
        split_subjects([*cohort, cohort[0]], FOLDS, 0)
    empty = [SizedSubject(f"s{n}", f"s{n}", 0, {key: {} for key in PLANES}) for n in range(6)]
    with pytest.raises(BadInputError, match="no subject has a lesion"):
        split_subjects(empty, FOLDS, 0)


def test_published_folds_that_share_subjects_fail(tmp_path: Path) -> None:
    for name, subjects in (("fold_1", ("a", "b", "b")), ("fold_2", ("b", "c")), ("fold_3", ("d",))):
        write_csv([("subject_name", "slice"), *((s, 3) for s in subjects)], tmp_path / f"{name}.csv")
    parts = read_published_folds(sorted(tmp_path.glob("*.csv")))
    with pytest.raises(BadInputError, match="fold_1 and fold_2: 1"):
        check_parts(parts, {})


def test_parts_that_differ_in_size_fail() -> None:
    cohort = _cohort((30, 30, 0, 0, 0, 0))
    parts = split_subjects(cohort, {"a": 0.5, "b": 0.5}, 0)
    large = tuple(s.name for s in cohort if s.voxels > 5000)
    small = tuple(s.name for s in cohort if s.voxels <= 5000)
    check_balance(make_split_file("folds", 0, parts, cohort, {}), 0.05)
    unlike = [type(parts[0])("a", 0.5, large), type(parts[0])("b", 0.5, small)]
    with pytest.raises(BadInputError, match="Mann-Whitney p is"):
        check_balance(make_split_file("folds", 0, unlike, cohort, {}), 0.05)


def test_lesion_free_slices_lie_near_the_lesion_and_hold_none() -> None:
    lesion = dict.fromkeys(range(80, 100), 100)
    subject = SizedSubject("s", "s", 2000, dict.fromkeys(PLANES, lesion))
    drawn = draw_normals([subject], {"s": dict.fromkeys(PLANES, (10, 170))}, 5)["axial"]["s"]
    assert len(drawn) == 20
    assert not set(drawn) & set(lesion)
    assert all(10 <= index < 170 for index in drawn)
    distance = np.abs(np.array(drawn)[:, None] - np.array(list(lesion))[None]).min(axis=1)
    assert np.median(distance) < 25  # of up to 70; a uniform draw has a median of 35


def test_batches_deal_out_every_slice_and_keep_the_bins() -> None:
    rng = np.random.default_rng(0)
    sizes = np.exp(rng.uniform(0, 9, 331)).astype(int) + 1
    lesion = [SliceOf("s", n, int(size)) for n, size in enumerate(sizes)]
    normal = [SliceOf("s", 1000 + n) for n in range(331)]
    made = distribution_batches(lesion, normal, "axial", seed=1)
    held = [item for batch in made for item in batch]
    assert sorted(item.index for item in held) == sorted(item.index for item in [*lesion, *normal])
    counts = np.array(
        [
            np.bincount(bin_of([i.voxels for i in batch if i.voxels], SLICE_EDGES["axial"]), minlength=6)
            for batch in made
        ]
    )
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert all(len(batch) <= 32 for batch in made)
    assert all(abs(2 * sum(i.voxels > 0 for i in batch) - len(batch)) <= 1 for batch in made)
    assert made == distribution_batches(lesion, normal, "axial", seed=1)
    with pytest.raises(BadInputError, match="no slice without lesion"):
        distribution_batches(lesion, [], "axial")
    with pytest.raises(BadInputError, match="no two halves"):
        distribution_batches(lesion, normal, "axial", batch=31)


@pytest.mark.parametrize(("lesions", "normals"), [(10, 100), (100, 10), (7, 8), (33, 5)])
def test_no_slice_is_left_out_and_none_is_preferred_where_there_are_more_of_a_kind(lesions: int, normals: int) -> None:
    lesion = [SliceOf("s", n, 50 * n + 1) for n in range(lesions)]
    normal = [SliceOf("s", 1000 + n) for n in range(normals)]
    made = distribution_batches(lesion, normal, "axial", batch=8)
    served = np.unique([item.index for batch in made for item in batch], return_counts=True)
    assert served[0].tolist() == [item.index for item in (*lesion, *normal)]
    assert np.ptp(served[1][:lesions]) == 0 and np.ptp(served[1][lesions:]) <= 1
    assert all(len(batch) <= 8 for batch in made)
    free = [sum(not item.voxels for item in batch) for batch in made]
    assert np.ptp(free) <= 1


def test_a_table_that_misses_columns_is_refused(tmp_path: Path) -> None:
    row = {"subject_name": "s", "number_of_lesion": 1, "sum_voxel": 9, "max_size": 9, "sizes": (9,)}
    write_sizes([row], tmp_path / "lesions_3d.csv", VOLUME_COLUMNS)
    for plane in PLANES:
        write_sizes([{**row, "slide": 4}], tmp_path / slice_table(plane), SLICE_COLUMNS)
    (subject,) = read_subjects(tmp_path)
    assert subject.slices["axial"] == {4: 9}
    write_csv([("subject_name", "number_of_lesion"), ("s", 1)], tmp_path / slice_table("coronal"))
    with pytest.raises(BadInputError, match="lacks the columns slide, sum_voxel"):
        read_subjects(tmp_path)
