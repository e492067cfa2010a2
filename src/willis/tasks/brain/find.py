"""Where the brain is, and its coarse parts, in a head image of any contrast."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from willis.errors import BadInputError
from willis.image.components import largest_component
from willis.image.morphology import distance_mm
from willis.infer.back import probability_to_grid
from willis.infer.ensemble import Prediction, predict
from willis.io.study import PLAUSIBLE_BRAIN_ML
from willis.models.manifest import Manifest
from willis.models.store import Bundle, open_bundle
from willis.tasks.brain.extracted import extracted_region
from willis.tasks.brain.prepare import prepare
from willis.tasks.brain.spec import SPEC
from willis.tasks.settings import RunSettings
from willis.volume.grid import FloatArray, Grid
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

NECK_MM = 4.0  # what hangs on the brain by less than twice this is no brain; docs/decisions/0027
MOST_LOOKS = 3  # a brain that the network's field of view cuts is looked for again about its own middle
EXTRACTED_NOTE = (
    "The image was brain-extracted before: what was kept of it is brain, and the network adds sulci that were cut out."
)


@dataclass(frozen=True)
class Brain:
    """What the brain network found, on its own 2 mm grid.

    Parameters
    ----------
    probability
        (L, I, J, K), L as ``bundle.manifest.outputs``: brain, ventricles, cortex, cerebellum, brainstem, left.
    grid
        Its lattice.
    bundle, prediction
        What found it.
    extracted
        Mask on the image's own grid, when the image had been brain-extracted before; it then is the brain mask.
    """

    probability: npt.NDArray[np.float32]
    grid: Grid
    bundle: Bundle
    prediction: Prediction
    extracted: Volume | None = None

    def has(self, name: str) -> bool:
        """Whether the bundle finds that part."""
        return name in self.bundle.manifest.outputs

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the result must know of the mask."""
        return () if self.extracted is None else (EXTRACTED_NOTE,)

    def probability_on(self, name: str, grid: Grid, world_transform: FloatArray | None = None) -> Volume:
        """Probability of one part on another grid; ``world_transform`` takes mm of ``grid`` to mm of the image."""
        part = self.probability[self.bundle.manifest.outputs.index(name)]
        return replace(probability_to_grid(part, self.grid, grid, world_transform=world_transform), role=name)

    def part_on(
        self, name: str, grid: Grid, world_transform: FloatArray | None = None, *, tight: bool = False
    ) -> Volume:
        """Mask of one part on another grid: ``uint8``, probability at least its threshold, or tight the bundle's."""
        found = self.probability_on(name, grid, world_transform)
        manifest = self.bundle.manifest
        least = manifest.threshold.value if tight else threshold_of(manifest, name)
        return found.with_data((found.data >= least).astype(np.uint8), unit="")

    def left_half_on(self, grid: Grid, world_transform: FloatArray | None = None) -> Volume:
        """``uint8``, 1 left of the middle of the brain: where ``left`` has more than half of what ``brain`` has.

        Where no brain was found, at its rim and about it, the side of the nearest voxel of the brain.
        """
        outputs = self.bundle.manifest.outputs
        brain, left = self.probability[outputs.index("brain")], self.probability[outputs.index("left")]
        unknown = brain < threshold_of(self.bundle.manifest, "brain")
        nearest = ndimage.distance_transform_edt(unknown, return_distances=False, return_indices=True)
        lead = Volume((left - brain / 2)[tuple(nearest)], self.grid, role="left")
        moved = resample_to(lead, grid, "linear", world_transform=world_transform)
        return moved.with_data((moved.data > 0).astype(np.uint8))

    def mask_on(self, grid: Grid, world_transform: FloatArray | None = None, *, tight: bool = False) -> Volume:
        """Brain mask on another grid: in one piece, without holes; of an extracted image, what was kept of it.

        ``tight`` takes the bundle's own threshold, for what lies in the depth, where a margin holds nothing but errors.
        """
        if self.extracted is not None:
            kept = self.extracted.with_data(self.extracted.data.astype(np.float32))
            moved = resample_to(kept, grid, "linear", world_transform=world_transform)
            return replace(moved, data=(moved.data >= 0.5).astype(np.uint8), role="brain")
        mask = self.part_on("brain", grid, world_transform, tight=tight)
        return mask.with_data(ndimage.binary_fill_holes(mask.data > 0).astype(np.uint8))


def threshold_of(manifest: Manifest, part: str) -> float:
    """Least probability of a part: that of the rule ``<part>_threshold`` where the bundle has one, else its own."""
    rule = manifest.rules.get(f"{part}_threshold")
    return manifest.threshold.value if rule is None else rule.value


def find_brain(image: Volume, settings: RunSettings | None = None, bundle: Bundle | None = None) -> Brain:
    """Find the brain in an image of any contrast, whole head or already extracted.

    Parameters
    ----------
    image
        A head scan in any orientation.
    settings
        Engine, precision, memory and threads; its bundle is not used here.
    bundle
        A bundle of the task ``brain``; the default one when None.

    Raises
    ------
    BadInputError
        When what is found isn't of a brain's size.
    """
    settings = settings or RunSettings()
    bundle = bundle or open_bundle(str(SPEC.default_bundle), "brain")
    look = _look(image, bundle, settings)
    for _ in range(MOST_LOOKS - 1):
        if not is_cut(look.core, look.grid, image.grid):
            break
        look = _look(image, bundle, settings, look.grid.to_mm(np.argwhere(look.core).mean(axis=0)))
    found_ml = float(np.count_nonzero(look.core)) * look.grid.voxel_ml
    low, high = PLAUSIBLE_BRAIN_ML
    if not low <= found_ml <= high:
        remedy = "cut off what shows none, or give a mask with --brain-mask"
        if image.role == SPEC.roles[0].name:  # of the task that finds the brain, and takes no mask of it
            remedy = "that its voxels have their true size, and cut off what shows none"
        raise BadInputError(
            f"no brain was found in the {image.role or 'image'}: {found_ml:.0f} ml, {low:.0f} to "
            f"{high:.0f} ml are expected. Check that it shows a head, {remedy}."
        )
    probability = look.prediction.probability.copy()
    probability[bundle.manifest.outputs.index("brain")] *= ndimage.binary_dilation(look.core)
    brain = Brain(probability, look.grid, bundle, look.prediction)
    return replace(brain, extracted=extracted_region(image, brain.mask_on(image.grid)))


@dataclass(frozen=True)
class _Look:
    """What the network sees about one point: its brain, ``core``, is a mask on ``grid`` in one piece."""

    prediction: Prediction
    grid: Grid
    core: npt.NDArray[np.bool_]


def _look(image: Volume, bundle: Bundle, settings: RunSettings, *centre_mm: FloatArray) -> _Look:
    x, grid = prepare(image, *centre_mm)
    prediction = predict_both_ways(bundle, x, settings)
    brain = prediction.probability[bundle.manifest.outputs.index("brain")]
    in_view = field_of_view(image.grid, grid)
    found = (brain >= threshold_of(bundle.manifest, "brain")) & in_view
    return _Look(prediction, grid, without_leaks(found, in_view, grid.spacing_mm))


def is_cut(found: npt.NDArray[np.bool_], grid: Grid, shown: Grid) -> bool:
    """Whether a mask (I, J, K) on ``grid`` reaches a face of it beyond which an image on the grid ``shown`` goes on."""
    for axis in range(3):
        for end, step in ((0, -1), (grid.shape[axis] - 1, 1)):
            beyond = np.argwhere(found.take([end], axis))
            beyond[:, axis] = end + step
            there = shown.to_index(grid.to_mm(beyond))
            if ((there >= -0.5) & (there <= np.array(shown.shape) - 0.5)).all(axis=1).any():
                return True
    return False


def without_leaks(
    found: npt.NDArray[np.bool_], in_view: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> npt.NDArray[np.bool_]:
    """The largest part of a mask, without what hangs on it by a neck thinner than twice ``NECK_MM``.

    The mask is eroded by ``NECK_MM``, its largest part kept and grown back within the mask.

    Parameters
    ----------
    found
        (I, J, K) mask.
    in_view
        (I, J, K) what the image shows. A brain that its border cuts isn't thin there.
    spacing_mm
        Of both.
    """
    depth = distance_mm(in_view & ~found, spacing_mm)
    kernel = largest_component(found & (depth > NECK_MM), connectivity=6)
    near = distance_mm(kernel, spacing_mm) <= NECK_MM + max(spacing_mm)
    return largest_component(found & near, connectivity=6)


def field_of_view(shown: Grid, grid: Grid) -> npt.NDArray[np.bool_]:
    """Mask on ``grid`` of what an image on the grid ``shown`` covers."""
    everywhere = np.broadcast_to(np.uint8(1), shown.shape)
    return np.asarray(resample_to(Volume(everywhere, shown), grid, "nearest").data > 0)


def predict_both_ways(bundle: Bundle, x: npt.NDArray[np.float32], settings: RunSettings) -> Prediction:
    """Mean of what is found in the head (1, I, J, K) and in its mirror image: neither side is favoured."""

    def found_in(image: npt.NDArray[np.float32]) -> Prediction:
        return predict(bundle, image, **settings.running)

    seen = found_in(x)
    mirrored = found_in(np.ascontiguousarray(x[:, ::-1])).probability[:, ::-1].copy()
    outputs = bundle.manifest.outputs
    if "left" in outputs:
        brain, left = mirrored[outputs.index("brain")], mirrored[outputs.index("left")]
        np.clip(brain - left, 0, 1, out=left)
    return replace(seen, probability=np.asarray((seen.probability + mirrored) / 2, dtype=np.float32))
