"""Cases to train and to validate a network over slices of one plane on: phantoms, or labelled T1s.

A case is one T1 on the standard grid, its axes turned so that the plane's slices lie along the last one, padded as
the network wants it: a patch one voxel deep is then a slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from willis.errors import BadInputError, GeometryError
from willis.infer.planes import slices_of
from willis.io.labelled import LabelledImage, find_labelled_images, read_lesion_mask
from willis.io.nifti import read_nifti
from willis.learn.batch_tables import lesion_slices, normal_slices
from willis.learn.case import Case, CasesInTurn, CaseSource
from willis.learn.description import read_subjects
from willis.learn.parts import LabelledFolder, TrainingPart, keep_cases
from willis.learn.recipe import FoldSettings
from willis.learn.slice_batches import distribution_batches
from willis.learn.split import SizedSubject
from willis.learn.split_file import read_split
from willis.models.manifest import Intensity, Manifest, PlaneView, make_manifest
from willis.models.plane_views import CROPPED_VIEWS, PUBLISHED_VIEWS
from willis.phantom.anatomy import Anatomy
from willis.phantom.chronic_patient import ChronicCase, chronic_case
from willis.phantom.traced import find_traced
from willis.study import Study
from willis.tasks.brain.find import find_brain
from willis.tasks.chronic.prepare import PreparedPlanes, network_images, prepare
from willis.tasks.chronic.space import SHAPE
from willis.tasks.chronic.spec import SPEC
from willis.tasks.phantoms import PhantomSettings, anatomies_of, held_out_cases
from willis.volume.plane import PLANES, Plane
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

PHANTOM_STREAM = 7  # of training phantoms, beside the seeds of other tasks


class ChronicData(LabelledFolder):
    """``[data]`` of a recipe for chronic stroke.

    Parameters
    ----------
    planes
        One plane, or several for one network that serves them all.
    folder
        Labelled T1s, as ``willis dataset describe`` reads them. Empty: phantoms are made as they are needed.
    split, part
        See :class:`willis.learn.parts.LabelledFolder`.
    tables, batch
        Folder that ``willis dataset describe`` wrote, and slices in a batch: slices then come in the published
        batches, half with lesion and half without, every bin of size in each. Needs ``split``, one plane, and T1s
        on the standard grid. Empty: slices are drawn as ``[sampling]`` says.
    shapes
        Folder of lesion masks in MNI space for half of the phantoms; empty: all are grown.
    phantom
        Which heads, which seed.
    view
        Slices padded as published, or ``cropped`` to the brain and a margin.
    intensity
        Scheme of the bundle that is to be trained: ``slice-max`` as published, or ``p99`` within the brain.
    stack
        Slices that the network is given for each: the slice and its neighbours, as channels
        (:func:`willis.infer.slices.neighbours_as_channels`); 4 for D-UNet.
    """

    planes: tuple[Plane, ...] = PLANES
    tables: str = ""
    batch: int = 32
    shapes: str = ""
    phantom: PhantomSettings = PhantomSettings()
    view: Literal["published", "cropped"] = "published"
    intensity: Intensity = Intensity(scheme="p99")
    stack: int = Field(1, ge=1)

    @property
    def views(self) -> dict[Plane, PlaneView]:
        """How the slices of each plane are laid."""
        laid = CROPPED_VIEWS if self.view == "cropped" else PUBLISHED_VIEWS
        return {plane: view.model_copy(update={"stack": self.stack}) for plane, view in laid.items()}


@dataclass(frozen=True)
class PhantomSource:
    """Endless prepared phantoms, the same for one seed; each serves one of the planes.

    ``whole`` lesions count where the brain mask leaves them out, too, as a patient's do: nothing is found there.
    """

    anatomies: tuple[Anatomy, ...]
    shapes: tuple[Path, ...]
    seed: int
    data: ChronicData
    whole: bool = False

    def case(self, index: int) -> Case:
        """Phantom ``index // planes`` as the network over plane ``index % planes`` sees it."""
        number, plane = divmod(index, len(self.data.planes))
        made = _phantom(self.seed, number, self.anatomies, self.shapes)
        brain, view = made.brain > 0, self.data.planes[plane]
        return sliced_case(made.t1, made.lesion, brain, self.data, view, f"{number:06d}", whole=self.whole)


@lru_cache(maxsize=1)
def _phantom(seed: int, number: int, anatomies: tuple[Anatomy, ...], shapes: tuple[Path, ...]) -> ChronicCase:
    """A phantom, kept until the next one is made: its planes are asked for one after another."""
    return chronic_case(np.random.default_rng([seed, number, PHANTOM_STREAM]), anatomies, shapes)


@dataclass(frozen=True)
class FolderSource:
    """Labelled T1s through the same ``prepare`` as a patient to be analysed; each serves one of the planes.

    ``whole`` as in :class:`PhantomSource`.
    """

    images: tuple[LabelledImage, ...]
    data: ChronicData
    plan: tuple[tuple[tuple[int, int], ...], ...] = ()
    whole: bool = False

    @property
    def batch(self) -> int | None:
        """Slices of a planned batch."""
        return self.data.batch if self.plan else None

    def planned(self, step: int, number: int) -> tuple[int, tuple[int, int, int]] | None:
        """Session and slice of patch ``number`` of a step, where batches are planned."""
        if not self.plan:
            return None
        held = self.plan[step % len(self.plan)]
        session, index = held[number % len(held)]
        rows, columns = self.data.views[self.data.planes[0]].shape
        return session, (rows // 2, columns // 2, index)

    @property
    def names(self) -> tuple[str, ...]:
        """Sessions, in the order of the cases."""
        return tuple(image.name for image in self.images for _ in self.data.planes)

    def __len__(self) -> int:
        return len(self.images) * len(self.data.planes)

    def case(self, index: int) -> Case:
        """Session ``index // planes`` as the network over plane ``index % planes`` sees it."""
        number, plane = divmod(index, len(self.data.planes))
        files = self.images[number]
        path = _t1_path(files)
        t1 = read_nifti(path, "t1")
        truth = read_lesion_mask(files.mask)
        if not truth.grid.same_as(t1.grid):
            raise GeometryError(f"{files.mask.name} does not lie on the grid of {path.name}.")
        view = self.data.planes[plane]
        prepared = _prepared(t1, _manifest(self.data))
        if self.plan and prepared.fit is not None:
            raise GeometryError(
                f"{path.name} does not lie on the standard grid of 197 × 233 × 189 voxels of 1 mm; planned "
                "batches count slices there. Leave tables out of [data], or resample it."
            )
        back = np.linalg.inv(prepared.to_prepared)
        lesion = truth.with_data(truth.data.astype(np.float32))
        moved = resample_to(lesion, prepared.grid, "linear", world_transform=back).data >= 0.5
        target = moved if self.whole else moved & prepared.mask
        return _case(prepared.images[view], target, prepared.mask, self.data.views[view], files.group)


def _t1_path(files: LabelledImage) -> Path:
    if files.image is None:
        raise BadInputError(f"{files.name} has no T1 beside its mask; both are needed.")
    return files.image


def _prepared(t1: Volume, manifest: Manifest) -> PreparedPlanes:
    """A T1 through the same road as a patient's that is to be analysed."""
    options = SPEC.resolve_options({})
    return prepare(Study({"t1": t1}), manifest, options, lambda image: find_brain(image).mask_on(image.grid))


def sliced_case(
    t1: npt.NDArray[np.float32],
    lesion: npt.NDArray[np.uint8],
    brain: npt.NDArray[np.bool_],
    data: ChronicData,
    plane: Plane,
    subject: str,
    *,
    whole: bool = False,
) -> Case:
    """A T1 (I, J, K) on the standard grid through the same scaling as a patient's, as a case of one plane."""
    image = network_images(t1, brain, _manifest(data))[plane]
    target = lesion > 0 if whole else (lesion > 0) & brain
    return _case(image, target, brain, data.views[plane], subject)


def _case(
    image: npt.NDArray[np.float32],
    lesion: npt.NDArray[np.bool_],
    brain: npt.NDArray[np.bool_],
    view: PlaneView,
    subject: str,
) -> Case:
    """(1, I, J, K) and masks (I, J, K) turned so that slices lie along the last axis, each of them in one piece."""

    def turned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asfortranarray(np.moveaxis(slices_of(array, view), 0, -1))

    inside = turned(brain[None].astype(np.float32))[0] > 0
    target = turned(lesion[None].astype(np.float32)).astype(np.uint8)
    return Case(turned(image), target, inside, subject, (1.0, 1.0, 1.0), stack=view.stack)


def training_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CaseSource:
    """The source that a recipe's ``[data]`` names; of a folder, the patients that the split or folds leave in."""
    settings = ChronicData.parse(data, "[data] of the recipe")
    if settings.folder:
        source = _folder_source(settings, folds, "training")
        _refuse_lesion_free(source)
        return replace(source, plan=_plan(settings, source.images)) if settings.tables else source
    return PhantomSource(anatomies_of(settings.phantom), _shapes(settings), settings.phantom.seed, settings)


def validation_cases(data: Mapping[str, Any], folds: FoldSettings | None = None) -> CasesInTurn:
    """Cases that training never sees, with their whole lesions: the part left out, or phantoms of another seed."""
    settings = ChronicData.parse(data, "[data] of the recipe")
    if settings.folder:
        left_out = replace(_folder_source(settings, folds, "validation"), whole=True)
        return CasesInTurn(left_out, len(left_out))
    shapes = _shapes(settings)
    return held_out_cases(
        settings.phantom, lambda heads, seed: PhantomSource(heads, shapes, seed, settings, whole=True)
    )


def validation_images(
    data: Mapping[str, Any], folds: FoldSettings | None, manifest: Manifest
) -> Iterator[tuple[Mapping[Plane, npt.NDArray[np.float32]], npt.NDArray[np.bool_]]]:
    """Of each subject that training never sees, the image (1, I, J, K) by plane and the brain mask (I, J, K).

    Parameters
    ----------
    data, folds
        Of the recipe.
    manifest
        Of the bundle that is to be run: its planes and intensity scheme.
    """
    settings = ChronicData.parse(data, "[data] of the recipe")
    if settings.folder:
        for files in _folder_source(settings, folds, "validation").images:
            prepared = _prepared(read_nifti(_t1_path(files), "t1"), manifest)
            yield prepared.images, prepared.mask
        return
    heads = anatomies_of(settings.phantom, validation=True)
    for number in range(settings.phantom.validation_count):
        made = _phantom(settings.phantom.validation_seed, number, heads, _shapes(settings))
        yield network_images(made.t1, made.brain > 0, manifest), made.brain > 0


def _shapes(settings: ChronicData) -> tuple[Path, ...]:
    return find_traced(Path(settings.shapes)) if settings.shapes else ()


def _folder_source(settings: ChronicData, folds: FoldSettings | None, part: TrainingPart) -> FolderSource:
    images = find_labelled_images(Path(settings.folder))
    names, patients = [image.name for image in images], [image.group for image in images]
    kept = keep_cases(names, patients, settings, folds, part)
    return FolderSource(tuple(images[index] for index in kept), settings)


def sized_subjects(folder: Path) -> list[SizedSubject]:
    """Labelled sessions of a folder with the volumes of their lesions in mm³."""
    found = []
    for image in find_labelled_images(folder):
        mask = read_lesion_mask(image.mask)
        found.append(
            SizedSubject(image.name, image.group, round(np.count_nonzero(mask.data) * mask.grid.voxel_ml * 1000))
        )
    return found


def _plan(settings: ChronicData, images: Sequence[LabelledImage]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """(session, slice) of every slice of every batch."""
    if not settings.split or len(settings.planes) != 1:
        raise BadInputError("tables of [data] need a split with its lesion-free slices, and one plane.")
    plane, split = settings.planes[0], read_split(Path(settings.split))
    subjects = {subject.name: subject for subject in read_subjects(Path(settings.tables))}
    number = {image.name: n for n, image in enumerate(images)}
    if absent := [name for name in number if name not in subjects]:
        raise BadInputError(f"{absent[0]} is not in the tables of {settings.tables}; describe the same folder.")
    batches = distribution_batches(
        lesion_slices(subjects, number, plane),
        normal_slices(split, number, plane),
        plane,
        batch=settings.batch,
        seed=split.seed,
    )
    return tuple(tuple((number[item.subject], item.index) for item in batch) for batch in batches)


def _refuse_lesion_free(source: FolderSource) -> None:
    if not any(read_lesion_mask(image.mask).data.any() for image in source.images):
        raise BadInputError("no mask of the training set holds a lesion; a network can't learn from none.")


def manifest_fields(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle trained on ``[data]`` says of its input and output."""
    settings = ChronicData.parse(data, "[data] of the recipe")
    return {
        "name": "chronic" if len(settings.planes) > 1 else f"chronic-{settings.planes[0]}",
        "task": "chronic",
        "title": SPEC.title,
        "network": {"name": "raxnet"},
        "channels": ("t1",),
        "outputs": ("lesion",),
        "spacing_mm": (1.0, 1.0, 1.0),
        "shape": SHAPE,
        "planes": [settings.views[plane].model_dump() for plane in settings.planes],
        "multiple_of": 16,
        "intensity": settings.intensity.model_dump(),
        "threshold": {"value": 0.5, "origin": "as published; not tuned"},
        "clusters": {"connectivity": 26, "min_voxels": 1, "origin": "the published method drops no cluster"},
        "licence": "Apache-2.0",
        "citation": tuple(f"{c.text} doi:{c.doi}" for c in SPEC.citations),
        "intended_use": SPEC.intended_use,
    }


def _manifest(data: ChronicData) -> Manifest:
    return make_manifest(manifest_fields(data.model_dump()), "the chronic stroke data")
