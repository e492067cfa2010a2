"""The description of labelled patients on disk: published tables, tidy tables, counts in bins, pictures; read back."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from willis.draw.distributions import bin_chart, raincloud
from willis.errors import BadInputError
from willis.io.bids import patient_of
from willis.io.size_tables import SLICE_COLUMNS, VOLUME_COLUMNS, read_sizes, whole_number, write_sizes
from willis.io.tables import read_table, write_table
from willis.io.whole_folder import whole_folder
from willis.learn.split import SizedSubject
from willis.measure.labelled_sizes import CaseSizes
from willis.measure.size_bins import SLICE_EDGES, VOLUME_EDGES, bin_names, count_in_bins
from willis.units import counted
from willis.volume.plane import PLANES, Plane

VOLUME_TABLE = "lesions_3d.csv"
SUBJECTS_TABLE = "subjects.tsv"
LESIONS_TABLE = "lesions.tsv"
SAME_EDGE_MM = 0.01  # by which a voxel of 1 mm may differ from it


def slice_table(plane: Plane) -> str:
    """File name of a plane's table."""
    return f"lesions_{plane}.csv"


def write_description(cases: Sequence[CaseSizes], folder: Path) -> str:
    """Write all tables and pictures; what to tell a person comes back.

    ``lesions_3d.csv`` and ``lesions_<plane>.csv`` have the published columns, ``lesions.tsv`` one row a lesion,
    ``subjects.tsv`` one row a session with its patient and the slices that show something.
    """
    with whole_folder(folder) as place:
        _write_all(cases, place)
    return _told(cases)


def _write_all(cases: Sequence[CaseSizes], folder: Path) -> None:
    volumes = ({"subject_name": c.name, **_columns(c.volume), "sizes": c.volume.sizes} for c in cases)
    write_sizes(volumes, folder / VOLUME_TABLE, VOLUME_COLUMNS)
    for plane in PLANES:
        rows = (
            {"subject_name": case.name, "slide": index, **_columns(sizes), "sizes": sizes.sizes}
            for case in cases
            for index, sizes in sorted(case.slices[plane].items())
        )
        write_sizes(rows, folder / slice_table(plane), SLICE_COLUMNS)
    write_table(_lesion_rows(cases), folder / LESIONS_TABLE, LESION_COLUMNS)
    write_table(map(_subject_row, cases), folder / SUBJECTS_TABLE)
    _draw(cases, folder)


LESION_COLUMNS = (
    "subject", "group", "lesion", "voxels", "volume_ml", "x_mm", "y_mm", "z_mm", "side", "place", "territory",
    "region", "region_share",
)  # fmt: skip


def _columns(sizes: object) -> dict[str, int]:
    return {
        "number_of_lesion": sizes.count,  # type: ignore[attr-defined]
        "sum_voxel": sizes.total,  # type: ignore[attr-defined]
        "max_size": sizes.largest,  # type: ignore[attr-defined]
    }


def _lesion_rows(cases: Iterable[CaseSizes]) -> Iterable[dict[str, object]]:
    for case in cases:
        for number, lesion in enumerate(case.lesions, start=1):
            x, y, z = lesion.centroid_mm
            yield {
                "subject": case.name,
                "group": case.group,
                "lesion": number,
                "voxels": lesion.voxels,
                "volume_ml": lesion.volume_ml,
                "x_mm": x,
                "y_mm": y,
                "z_mm": z,
                "side": ("left" if x < 0 else "right") if lesion.place else None,
                "place": lesion.place or None,
                "territory": lesion.territory or None,
                "region": lesion.region or None,
                "region_share": lesion.region_share if lesion.region else None,
            }


def _subject_row(case: CaseSizes) -> dict[str, object]:
    row: dict[str, object] = {"subject": case.name, "group": case.group}
    row |= {"lesions": case.volume.count, "voxels": case.volume.total, "largest": case.volume.largest}
    row["volume_ml"] = sum(lesion.volume_ml for lesion in case.lesions)
    for plane in PLANES:
        first, stop = case.extent[plane]
        row |= {f"{plane}_lesion_slices": len(case.slices[plane]), f"{plane}_first": first, f"{plane}_stop": stop}
    return row


def _draw(cases: Sequence[CaseSizes], folder: Path) -> None:
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    panels = {
        "Lesion voxels of a subject": dict(
            zip(bin_names(VOLUME_EDGES), count_in_bins([c.volume.total for c in cases], VOLUME_EDGES), strict=True)
        )
    }
    clouds = {"subjects": [float(c.volume.total) for c in cases if c.volume.total]}
    for plane in PLANES:
        sizes = [s.total for c in cases for s in c.slices[plane].values()]
        counts = count_in_bins(sizes, SLICE_EDGES[plane])
        panels[f"Lesion voxels of a slice, {plane}"] = dict(zip(bin_names(SLICE_EDGES[plane]), counts, strict=True))
        clouds[f"{plane} slices"] = [float(n) for n in sizes]
    numbers = {title: {name: int(n) for name, n in counts.items()} for title, counts in panels.items()}
    (figures / "bins.png").write_bytes(bin_chart(numbers, unit="count"))
    (figures / "sizes.png").write_bytes(raincloud(clouds, label="lesion voxels", log=True))


def _told(cases: Sequence[CaseSizes]) -> str:
    counts = count_in_bins([c.volume.total for c in cases], VOLUME_EDGES)
    lines = [
        f"{counted(len(cases), 'session')} of {counted(len({c.group for c in cases}), 'patient')}, "
        f"{counted(sum(c.volume.count for c in cases), 'lesion')}; "
        f"{counted(sum(not c.volume.count for c in cases), 'session')} without lesion.",
        "Sessions by lesion voxels: "
        + ", ".join(f"{name}: {n}" for name, n in zip(bin_names(VOLUME_EDGES), counts, strict=True)),
    ]
    lines += [
        f"{plane.capitalize()} slices with lesion: {sum(len(c.slices[plane]) for c in cases)}, of "
        f"{sum(c.extent[plane][1] - c.extent[plane][0] for c in cases)}"
        for plane in PLANES
    ]
    if others := sum(max(abs(edge - 1) for edge in case.spacing_mm) > SAME_EDGE_MM for case in cases):
        lines.append(
            f"{counted(others, 'session')} of voxels that aren't of 1 mm: the published bins, and splits by these "
            "tables, count voxels. Resample the masks to 1 mm, or split the folder with --task."
        )
    for title, names in (
        ("place", [lesion.place for case in cases for lesion in case.lesions]),
        ("territory", [lesion.territory for case in cases for lesion in case.lesions]),
    ):
        lesions = Counter(name for name in names if name)
        if lesions:
            shown = ", ".join(f"{name}: {n}" for name, n in lesions.most_common())
            lines.append(f"Lesions by {title}: {shown}")
    return "\n".join(lines)


def read_subjects(folder: Path) -> list[SizedSubject]:
    """Sessions with their sizes, from a description's tables or the published ones.

    Raises
    ------
    BadInputError
        When a table is absent or lacks a column or a subject, a number isn't one, a subject or slice stands twice, or
        the slices of a subject are not those of its lesions.
    """
    path = folder / VOLUME_TABLE
    rows = read_sizes(path, ("subject_name", "sum_voxel"))
    own = _own_rows(folder)
    slices = {plane: _slices(folder / slice_table(plane)) for plane in PLANES}
    names = [row["subject_name"] for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInputError(f"{twice} is listed twice in {path}; each subject may stand once.")
    if own and (absent := next((name for name in names if name not in own), "")):
        raise BadInputError(f"{folder / SUBJECTS_TABLE} lacks {absent}, which {path} lists; describe the folder anew.")
    subjects = [
        SizedSubject(
            name,
            str(own[name]["group"]) if own else patient_of(name),
            whole_number(row, "sum_voxel", path),
            {plane: slices[plane].get(name, {}) for plane in PLANES},
        )
        for name, row in zip(names, rows, strict=True)
    ]
    for subject in subjects:
        _check_slices(subject, folder, whole=bool(own))
    return subjects


def _slices(path: Path) -> dict[str, dict[int, int]]:
    """By subject and slice the voxels of lesion."""
    found: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for row in read_sizes(path, ("subject_name", "slide", "sum_voxel")):
        slices, index = found[row["subject_name"]], whole_number(row, "slide", path)
        if index in slices:
            raise BadInputError(f"slice {index} of {row['subject_name']} is listed twice in {path}; it may stand once.")
        slices[index] = whole_number(row, "sum_voxel", path)
    return dict(found)


def _check_slices(subject: SizedSubject, folder: Path, *, whole: bool) -> None:
    """Refuse a subject whose lesion no slice of a plane shows, or, of ``whole`` tables, shows in part."""
    for plane, slices in subject.slices.items():
        shown = sum(slices.values())
        if bool(shown) != bool(subject.voxels) or (whole and shown != subject.voxels):
            raise BadInputError(
                f"{subject.name} has {counted(subject.voxels, 'lesion voxel')} in {folder / VOLUME_TABLE} and {shown} "
                f"in {slice_table(plane)}; both tables must be of the same masks. Describe the folder anew."
            )


def _own_rows(folder: Path) -> dict[str, dict[str, str | None]]:
    """Rows of the sessions' table by session; none where only the published tables are there.

    Raises
    ------
    BadInputError
        When it lacks a column, or a session its patient.
    """
    path = folder / SUBJECTS_TABLE
    if not path.is_file():
        return {}
    rows = read_table(path)
    columns = ("subject", "group", *(f"{plane}_{end}" for plane in PLANES for end in ("first", "stop")))
    for row in rows:
        if missing := [name for name in columns if row.get(name) is None]:
            raise BadInputError(f"{path} lacks {missing[0]} of {row.get('subject')}; describe the folder anew.")
    return {str(row["subject"]): row for row in rows}


def read_extents(folder: Path) -> Mapping[str, Mapping[Plane, tuple[int, int]]]:
    """By session and plane the slices that show something; nothing where only the published tables are there.

    Raises
    ------
    BadInputError
        When the table lacks a column, or a number isn't one.
    """
    path = folder / SUBJECTS_TABLE

    def ends(row: Mapping[str, str | None], plane: Plane) -> tuple[int, int]:
        return whole_number(row, f"{plane}_first", path), whole_number(row, f"{plane}_stop", path)

    return {name: {plane: ends(row, plane) for plane in PLANES} for name, row in _own_rows(folder).items()}
