"""The published layout of scans with and without an occlusion: two folders of patients, and tables that share them out.

train_nii_close/0000001_A100000000/NCCT.nii.gz, blood.nii.gz, NCCT_Prob.nii.gz, difference_….nii.gz   occluded
train_nii_nc/0000002_A100000001/…                                                                    not
train_labels.csv, val_labels.csv, test_labels.csv                                       Patient ID,Label
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from willis.errors import BadInputError
from willis.io.bids import patient_of
from willis.io.size_tables import read_sizes
from willis.learn.parts import LabelledFolder, TrainingPart, keep_cases
from willis.learn.recipe import FoldSettings

POSITIVES, NEGATIVES = "train_nii_close", "train_nii_nc"
TABLES = {"training": "train_labels.csv", "validation": "val_labels.csv", "test": "test_labels.csv"}
PATIENT, LABEL = "Patient ID", "Label"
FILES = {
    "ncct": "NCCT.nii.gz",
    "vessels": "blood.nii.gz",
    "prior": "NCCT_Prob.nii.gz",
    "difference": "difference_left_registered_right.nii.gz",
}
"""File of each channel of the published network."""


@dataclass(frozen=True)
class LabelledScan:
    """One patient's folder, and whether a large vessel is occluded."""

    subject: str
    folder: Path
    occluded: bool

    def file(self, channel: str) -> Path:
        """Where a channel is expected."""
        return self.folder / FILES[channel]


def find_scans(data: LabelledFolder, folds: FoldSettings | None, part: TrainingPart) -> tuple[LabelledScan, ...]:
    """Patients of one part: of the split, else of a table where there are tables and no folds, else of the folds.

    Patients of the table for the test are left out.

    Raises
    ------
    BadInputError
        When folders, tables or split disagree with each other, or there is no patient of one kind.
    """
    root = Path(data.folder)
    scans = scans_of(root)
    tables = {name: read_labels(root / file) for name, file in TABLES.items() if (root / file).is_file()}
    check_labels(scans, tables, root)
    if tables and folds is None and not data.split:
        kept = [scan for subject, scan in scans.items() if subject in tables.get(part, {})]
    else:
        tested = tables.get("test", {})
        free = [scan for subject, scan in scans.items() if subject not in tested]
        names = [scan.subject for scan in free]
        patients = [patient_of(name) for name in names]
        kept = [free[index] for index in keep_cases(names, patients, data, folds, part, tested=tuple(tested))]
    kinds = {scan.occluded for scan in kept}
    if part == "training" and len(kinds) < 2:
        lacking = "with" if True not in kinds else "without"
        raise BadInputError(f"the training set of {root} has no patient {lacking} an occlusion; both are needed.")
    return tuple(kept)


def scans_of(root: Path) -> dict[str, LabelledScan]:
    """Every patient of both folders by name.

    Raises
    ------
    BadInputError
        When a folder is absent, or a patient lies in both.
    """
    found: dict[str, LabelledScan] = {}
    for name, occluded in ((POSITIVES, True), (NEGATIVES, False)):
        if not (root / name).is_dir():
            raise BadInputError(
                f"{root} has no folder {name}; {POSITIVES} holds patients with an occlusion, {NEGATIVES} those without."
            )
        for folder in sorted(path for path in (root / name).iterdir() if path.is_dir()):
            if folder.name in found:
                raise BadInputError(f"{folder.name} lies in {POSITIVES} and in {NEGATIVES}; it can be in one of them.")
            found[folder.name] = LabelledScan(folder.name, folder, occluded)
    return found


def read_labels(path: Path) -> dict[str, bool]:
    """Patients of a table, and whether it calls them occluded.

    Raises
    ------
    BadInputError
        When it lacks a column, names a patient twice, or has another label than 0 and 1.
    """
    rows = read_sizes(path, (PATIENT, LABEL))
    names = Counter(row[PATIENT].strip() for row in rows)
    if twice := [name for name, count in names.items() if count > 1]:
        raise BadInputError(f"{twice[0]} is listed twice in {path}; each patient may stand once.")
    labels = {row[PATIENT].strip(): str(row[LABEL]).strip() for row in rows}
    if wrong := [name for name, label in labels.items() if label not in ("0", "1")]:
        raise BadInputError(
            f"{path} labels {wrong[0]} {labels[wrong[0]]!r}; allowed are 1 (occluded) and 0 (not occluded)."
        )
    return {name: label == "1" for name, label in labels.items()}


def check_labels(scans: Mapping[str, LabelledScan], tables: Mapping[str, Mapping[str, bool]], root: Path) -> None:
    """Refuse tables that disagree with the folders, leave patients out or share them.

    A table of test patients alone leaves the others to the folds.

    Raises
    ------
    BadInputError
        With the first patient that they disagree on.
    """
    for part, labels in tables.items():
        for subject, occluded in labels.items():
            if subject not in scans:
                raise BadInputError(
                    f"{TABLES[part]} lists {subject}, which is neither in {POSITIVES} nor in {NEGATIVES} of {root}."
                )
            if scans[subject].occluded != occluded:
                folder = POSITIVES if scans[subject].occluded else NEGATIVES
                raise BadInputError(
                    f"{TABLES[part]} labels {subject} {int(occluded)}, but it lies in {folder}. Mend the table or move "
                    "the folder; neither is believed before the other."
                )
    listed = Counter(subject for labels in tables.values() for subject in labels)
    if shared := [subject for subject, count in listed.items() if count > 1]:
        where = _joined([TABLES[part] for part, labels in tables.items() if shared[0] in labels])
        raise BadInputError(f"{shared[0]} is listed in {where}; training, validation and test share no patient.")
    parted: dict[str, str] = {}
    for subject in scans if tables else ():
        where = next((TABLES[part] for part, labels in tables.items() if subject in labels), "no table")
        if (other := parted.setdefault(patient_of(subject), where)) != where:
            raise BadInputError(
                f"sessions of {patient_of(subject)} are listed in {other} and in {where}; those of one patient belong "
                "into one table."
            )
    unlisted = [subject for subject in scans if subject not in listed]
    if unlisted and tables.keys() - {"test"}:
        where = _joined([TABLES[part] for part in tables])
        raise BadInputError(
            f"{unlisted[0]} of {root} is listed in no table ({where}); add it to one, or move its folder."
        )


def _joined(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
