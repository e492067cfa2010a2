"""A bundle calibrated on labelled CTs that go through the very road of a patient's scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from willis import __version__
from willis.errors import BadInputError
from willis.io.study import read_study
from willis.learn.folds import keep
from willis.learn.parts import LabelledFolder
from willis.learn.recipe import FoldSettings
from willis.models.bundle import Bundle
from willis.models.manifest import Calibration, Threshold
from willis.models.publish import copy_with_card
from willis.tasks.lvo.find_vessels import find_vessels
from willis.tasks.lvo.judge import uncalibrated_logit
from willis.tasks.lvo.labelled_scans import NEGATIVES, POSITIVES, TABLES, find_scans, scans_of
from willis.tasks.lvo.prepare import PreparedHead, prepare
from willis.tasks.lvo.segment_cases import told_patients
from willis.tasks.lvo.spec import SPEC
from willis.tasks.lvo.validated import JudgedScan, calibration_of, threshold_of
from willis.tasks.settings import Progress, RunSettings, silent

LEAST_OF_A_KIND = 5  # patients with and without an occlusion each: fewer don't tell a slope; assumed
RESTATED = ("sensitivity", "specificity")  # figures that hang on the threshold, and end with it


@dataclass(frozen=True)
class LabelledHead:
    """A patient's CT, vessel labels where there are some, and whether a large vessel is occluded."""

    subject: str
    ct: Path
    vessels: Path | None
    occluded: bool


@dataclass(frozen=True)
class Road:
    """How heads come to a bundle: what a run would be asked for.

    Parameters
    ----------
    vessel_bundle
        What finds the vessels; the labels of the heads when None.
    deformation
        The task's option.
    settings
        Of the run.
    """

    vessel_bundle: Bundle | None = None
    deformation: str = "demons"
    settings: RunSettings = field(default_factory=RunSettings)

    def walk(self, head: LabelledHead) -> PreparedHead:
        """A head as a run has it when it asks its bundle."""
        labels = head.vessels if self.vessel_bundle is None else None
        options = SPEC.resolve_options({"vessels": labels, "deformation": self.deformation})
        prepared = prepare(read_study(ncct=head.ct), options)
        if self.vessel_bundle is None:
            return prepared
        return replace(prepared, vessels=find_vessels(prepared.ct, self.vessel_bundle, self.settings))

    def told(self, heads: Sequence[LabelledHead]) -> str:
        """In words."""
        labelled = any(head.vessels for head in heads)
        vessels = "labelled vessels" if labelled else "no vessels given"
        if self.vessel_bundle is not None:
            vessels = f"vessels by {self.vessel_bundle.name}"
        return f"through the road of a run ({vessels}, {self.deformation}, willis {__version__})"


def find_heads(root: Path, folds: FoldSettings | None = None) -> tuple[LabelledHead, ...]:
    """Labelled CTs of a folder in the published layout, or of a BIDS folder as ``willis phantom lvo`` makes it.

    Of the published layout those of ``val_labels.csv``, where there are tables; else all. With folds the one that is
    left out.

    Raises
    ------
    BadInputError
        When the folder can't be used, or there are too few patients of a kind.
    """
    if any((root / name).is_dir() for name in (POSITIVES, NEGATIVES)):
        tabled = any((root / name).is_file() for name in TABLES.values())
        scans = (
            find_scans(LabelledFolder(folder=str(root)), folds, "validation")
            if tabled or folds
            else tuple(scans_of(root).values())
        )
        heads = [LabelledHead(s.subject, s.file("ncct"), _there(s.file("vessels")), s.occluded) for s in scans]
    else:
        heads = [
            LabelledHead(files.subject, files.image, files.labels, segment != "none")
            for files, (segment, _) in told_patients(root)
        ]
        if folds is not None:
            heads = [heads[index] for index in keep([head.subject for head in heads], folds, "validation")]
    ups = sum(head.occluded for head in heads)
    if min(ups, len(heads) - ups) < LEAST_OF_A_KIND:
        raise BadInputError(
            f"{root} has {ups} patients with and {len(heads) - ups} without an occlusion to calibrate on; at least "
            f"{LEAST_OF_A_KIND} of each are needed. Patients of val_labels.csv, of the fold left out, or all count."
        )
    return tuple(heads)


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None


def judge_heads(
    bundle: Bundle, heads: Sequence[LabelledHead], road: Road, progress: Progress | None = None
) -> list[JudgedScan]:
    """What a bundle says of heads, not calibrated.

    Raises
    ------
    BadInputError
        When a head can't be judged; its subject is named.
    """
    tell = progress or silent
    judged = []
    for number, head in enumerate(heads):
        tell(number / len(heads), f"patient {number + 1} of {len(heads)}")
        try:
            logit = uncalibrated_logit(road.walk(head), bundle, road.settings)
        except BadInputError as error:
            raise BadInputError(f"{head.subject} can't be judged: {error}") from None
        judged.append(JudgedScan(head.subject, head.occluded, logit))
    return judged


def write_calibrated(
    bundle: Bundle, judged: Sequence[JudgedScan], origin: str, folder: Path, *, anew: bool = False
) -> tuple[Calibration, Threshold]:
    """Write the bundle to a folder, with slope, intercept and threshold of judged heads, and where they come from.

    The threshold is where the sum of sensitivity and specificity is largest. Figures measured at the old one are left
    out.

    Parameters
    ----------
    origin
        Of the heads: whose they are and how they came to the bundle.
    anew
        Take the place of a bundle that stands there.

    Raises
    ------
    BadInputError
        When the heads are of one kind, or the answers don't rise with an occlusion.
    BundleError
        When the folder exists and isn't to be replaced.
    """
    calibration = calibration_of(judged, origin)
    threshold = threshold_of(judged, calibration)
    measured = tuple(m for m in bundle.manifest.measured if not m.figure.startswith(RESTATED))
    copy_with_card(bundle, folder, replace=anew, calibration=calibration, threshold=threshold, measured=measured)
    return calibration, threshold
