"""Cases to train the perfusion network on: phantoms or a folder of labelled patients, prepared as a patient is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from willis.errors import BadInputError
from willis.io.bids import patient_of
from willis.learn.case import Case, CasesInTurn, CaseSource
from willis.learn.parts import LabelledFolder, TrainingPart, keep_cases
from willis.learn.recipe import FoldSettings
from willis.learn.split import SizedSubject
from willis.measure.labelled_sizes import labelled_mm3
from willis.phantom.anatomy import Anatomy
from willis.phantom.patient import make_patient
from willis.phantom.perfusion_scene import GROUPS
from willis.study import Study
from willis.tasks.perfusion.by_group import GroupMeasures
from willis.tasks.perfusion.labelled import LabelledPatient, find_patients
from willis.tasks.perfusion.labels import channel_names, classes_of, one_hot, snapped
from willis.tasks.perfusion.network import network_image, slice_grid, value_image
from willis.tasks.perfusion.prepare import prepare
from willis.tasks.perfusion.spec import SPEC
from willis.tasks.phantoms import PhantomSettings, anatomies_of, held_out_cases
from willis.volume.orient import reorient
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

MapName = Literal["cbf", "cbv", "mtt", "ttp", "tmax", "mip"]
ScalarName = Literal["nihss", "age", "sex"]
DRAWS = 501  # apart from the stream that draws the patient
ABSENT = "absent"
TILE_OVERLAP = 0.75  # a stride of a quarter tile; Tomasetti 2022, doi:10.7557/18.6223


class PerfusionData(LabelledFolder):
    """``[data]`` of a perfusion recipe.

    Parameters
    ----------
    folder
        BIDS folder of labelled patients, see :func:`willis.tasks.perfusion.labelled.find_patients`. Empty: phantoms.
    split, part
        See :class:`willis.learn.parts.LabelledFolder`.
    maps
        In the order of the network's encoders.
    scalars
        Clinical numbers, in the order of its further channels.
    classes
        2, 3 or 4.
    size, field_mm
        Pixels and mm of a side of a slice.
    tile
        Pixels of a side of the tiles that the network sees, each a quarter of it from the next, as published; 0: whole
        slices. The recipe's patch and the network's size are to be the same.
    side
        Pixels of a side of the phantoms' own slices.
    coding
        ``colours``: three channels a map, painted as published; ``values``: one channel a map.
    colour_table
        In which maps are painted, one of :data:`willis.io.colour_tables.COLOUR_TABLES`; the bundle's channels name it.
    missing_share
        Share of the cases that lack the MIP, and of those that lack each scalar; of values alone, where 0 is unknown.
    smoothing_mm
        Widths of the smoothing of series, drawn for each case beside that chosen by the noise; analyses differ in it.
    residue
        Of the phantoms' tissue, see :func:`willis.phantom.perfusion.perfusion_patient`.
    phantom
        Which heads, which seed.
    """

    maps: tuple[MapName, ...] = ("cbf", "cbv", "ttp", "tmax")
    scalars: tuple[ScalarName, ...] = ()
    classes: Literal[2, 3, 4] = 4
    size: int = Field(512, ge=32)
    field_mm: float = Field(220.0, gt=0)
    tile: int = Field(0, ge=0)
    side: int = Field(192, ge=32)
    coding: Literal["colours", "values"] = "colours"
    colour_table: Literal["jet", "hot", "inferno", "nipy_spectral", "rainbow", "turbo", "viridis"] = "jet"
    missing_share: float = Field(0.0, ge=0, le=1)
    smoothing_mm: tuple[float, ...] = ()
    residue: Literal["exponential", "box", "gamma", "drawn"] = "exponential"
    phantom: PhantomSettings = PhantomSettings()


@dataclass(frozen=True)
class PhantomSource:
    """Endless prepared phantoms, the same for one seed.

    Parameters
    ----------
    in_turn
        Whether the groups take turns, so that few patients hold all of them; else they are drawn.
    """

    anatomies: tuple[Anatomy, ...]
    seed: int
    settings: PerfusionData
    in_turn: bool = False

    def case(self, index: int) -> Case:
        """Phantom ``index`` as the network sees it."""
        group = GROUPS[index % len(GROUPS)] if self.in_turn else None
        patient = make_patient(
            "perfusion", self.seed, index, self.anatomies, side=self.settings.side, group=group,
            residue=self.settings.residue,
        )  # fmt: skip
        rng = np.random.default_rng([self.seed, index, DRAWS])
        who = Labelled(patient.study, patient.truth, f"{index:06d}", str(patient.row["group"]))
        return prepared_case(who, self.settings, rng)


@dataclass(frozen=True)
class FolderSource:
    """Labelled patients of a folder."""

    patients: tuple[LabelledPatient, ...]
    settings: PerfusionData

    @property
    def names(self) -> tuple[str, ...]:
        """Patients, in the order of the cases."""
        return tuple(patient.subject for patient in self.patients)

    def __len__(self) -> int:
        return len(self.patients)

    def case(self, index: int) -> Case:
        """Patient ``index`` as the network sees it."""
        patient = self.patients[index]
        study, masks = patient.read()
        rng = np.random.default_rng([self.settings.phantom.seed, index, DRAWS])
        return prepared_case(Labelled(study, masks, patient.subject, patient.group), self.settings, rng)


@dataclass(frozen=True)
class Labelled:
    """A study with masks on the grid of its maps: core, penumbra, and brain where it is known."""

    study: Study
    masks: Mapping[str, Volume]
    subject: str
    group: str


def prepared_case(who: Labelled, settings: PerfusionData, rng: np.random.Generator) -> Case:
    """A patient's series or maps as the network sees them, with the truth as classes.

    Raises
    ------
    BadInputError
        When a painted map's scalar is unknown: only networks of values know what is missing.
    """
    widths = (None, *settings.smoothing_mm)
    prepared = prepare(who.study, SPEC.resolve_options({"smoothing": widths[int(rng.integers(len(widths)))]}))
    grid = slice_grid(prepared.grid, settings.size, settings.field_mm, prepared.brain)
    scalars: dict[str, float | None] = {name: who.study.scalars.get(name) for name in settings.scalars}
    if settings.coding == "values":
        kept = {name: rng.random() >= settings.missing_share for name in ("mip", *settings.scalars)}
        maps = [name if kept.get(name, True) else ABSENT for name in settings.maps]
        known = {name: value if kept[name] else None for name, value in scalars.items()}
        image = value_image(prepared, maps, known, grid)
    else:
        unknown = [name for name, value in scalars.items() if value is None]
        if unknown:
            raise BadInputError(f"{who.subject} has no {unknown[0]}, which the recipe's [data] scalars ask for.")
        image = network_image(
            prepared, settings.maps, [value or 0.0 for value in scalars.values()], grid, settings.colour_table
        )
    masks = {name: reorient(mask, prepared.grid.orientation).data > 0 for name, mask in who.masks.items()}
    picture = np.zeros(prepared.grid.shape, dtype=np.uint8)
    picture[masks.get("brain", prepared.brain)] = 85
    for name, value in (("penumbra", 170), ("core", 255)):
        picture[masks[name]] = value
    on_slices = resample_to(Volume(picture, prepared.grid), grid, "nearest").data
    shown = _slices_of(on_slices > 0)
    target = one_hot(snapped(on_slices[..., shown], settings.classes), settings.classes)
    everywhere = np.ones(target.shape[1:], dtype=bool)
    return Case(image[..., shown], target, everywhere, who.subject, grid.spacing_mm, who.group)


def _slices_of(brain: npt.NDArray[np.bool_]) -> slice:
    """From the first slice with brain to the last: a slice of nothing has no variance to divide by."""
    held = np.flatnonzero(brain.any(axis=(0, 1)))
    return slice(int(held[0]), int(held[-1]) + 1)


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CaseSource:
    """The source that a recipe's ``[data]`` names; of a folder, the patients that the split or ``folds`` leave in."""
    settings = PerfusionData.parse(data, "[data] of the recipe")
    if settings.folder:
        return _folder_source(settings, folds, "training")
    return PhantomSource(anatomies_of(settings.phantom), settings.phantom.seed, settings)


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """The part left out, or phantoms of another seed, of every group in turn."""
    settings = PerfusionData.parse(data, "[data] of the recipe")
    if settings.folder:
        left_out = _folder_source(settings, folds, "validation")
        return CasesInTurn(left_out, len(left_out))
    return held_out_cases(settings.phantom, lambda heads, seed: PhantomSource(heads, seed, settings, in_turn=True))


def sized_subjects(folder: Path) -> list[SizedSubject]:
    """Labelled patients of a folder with the volumes of core and penumbra together in mm³, and their groups."""
    patients = find_patients(folder)
    return [
        SizedSubject(p.subject, patient_of(p.subject), labelled_mm3(*p.masks.values()), kind=p.group) for p in patients
    ]


def _folder_source(settings: PerfusionData, folds: FoldSettings | None, part: TrainingPart) -> FolderSource:
    patients = find_patients(Path(settings.folder))
    names = [patient.subject for patient in patients]
    kept = keep_cases(names, [patient_of(name) for name in names], settings, folds, part)
    return FolderSource(tuple(patients[index] for index in kept), settings)


def validation_measures() -> GroupMeasures:
    """The publication's kind of table over groups, and its figures for the log."""
    return GroupMeasures()


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    settings = PerfusionData.parse(data, "[data] of the recipe")
    step = settings.field_mm / settings.size
    values = settings.coding == "values"
    return {
        "name": "perfusion",
        "task": "perfusion",
        "network": {"name": "vgg_fusion"},
        "title": SPEC.title,
        "channels": channel_names(settings.maps, settings.scalars, colours=not values, table=settings.colour_table),
        "missing_channels": "zero" if values else "error",
        "outputs": classes_of(settings.classes).names,
        "activation": "softmax",
        "spacing_mm": (step, step, 5.0),
        "window": {
            "mode": "sliding",
            "shape": (settings.tile or settings.size, settings.tile or settings.size, 1),
            "overlap": TILE_OVERLAP if settings.tile else 0.0,
        },
        "intensity": {"scheme": "none"},
        "threshold": {"value": 0.5, "origin": "not used: the class of highest probability is taken"},
        "licence": "Apache-2.0",
        "citation": tuple(f"{c.text} doi:{c.doi}" for c in SPEC.citations),
        "intended_use": SPEC.intended_use,
    }
