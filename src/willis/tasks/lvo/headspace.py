"""Where a patient's head lies against the CT template: the affine fit, the brain, the deformation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from willis.errors import BadInputError
from willis.image.affine import AffineFit, register_affine
from willis.image.ct_brain import ct_brain_mask
from willis.image.deform import Deformation, fluid_and_tissue, warp_to
from willis.image.deformers import DEFORMERS, Deformer
from willis.image.mirror import midplane_grid
from willis.image.morphology import dilate_mm
from willis.study import Study
from willis.tasks.brain.mask import own_brain_mask
from willis.tasks.ct_template import LEAST_OVERLAP, SKULL_MM, WINDOW_HU, template
from willis.tasks.facing import facing_notes
from willis.volume.grid import Grid, Shape3
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

LEAST_CORRELATION = 0.55  # assumed: heads reach 0.8, other parts of the body stay below 0.5
MOST_TILT_DEG = 50.0  # assumed: of a head against the scan's vertical, gantry's and neck's tilt together
BARE_HU = (0.0, 150.0)  # where nothing is left about a bare brain, its values are 0
LEAST_LEAD = 0.05  # of a bare brain's correlation over that of another pose; see docs/decisions/0158
LEAST_BONE_ML = 30.0  # assumed: skulls have hundreds of ml, calcium and what masking leaves of bone some ml
MIDDLE_MM = (0.0, -18.0, 10.0)  # of the template's brain, on its middle plane
SHAPE: Shape3 = (112, 144, 112)
SPACING_MM = 1.5
SOFT_HU = (0.0, 80.0)  # shown: fluid to blood
MATCHED_HU = 20.0  # fluid lies below it; tissue, ischaemic or not, above, and looks alike to a deformation
AIR_HU = -1000.0


@dataclass(frozen=True)
class HeadSpace:
    """A patient's head against the template.

    Parameters
    ----------
    fit
        ``matrix`` takes mm of the template (MNI) to mm of the patient.
    brain
        Mask on the CT's own grid.
    grid
        Midplane grid: 1.5 mm, its first axis across the brain's middle plane.
    hu, inside
        CT and brain mask on it.
    deformation
        Of the midplane grid's space onto the template laid there by ``fit``.
    deformed_by
        What found it, and its version.
    notes
        What a reader must know.
    """

    fit: AffineFit
    brain: Volume
    grid: Grid
    hu: Volume
    inside: Volume
    deformation: Deformation
    deformed_by: str
    notes: tuple[str, ...]

    def from_template(self, volume: Volume, order: Literal[0, 1] = 1) -> Volume:
        """A map in MNI space on the midplane grid."""
        return warp_to(volume, self.grid, self.deformation, self.fit.inverse, order=order)


def find_head(study: Study, ct: Volume, deformation: str = "demons") -> HeadSpace:
    """Lay the template on a patient's CT.

    Parameters
    ----------
    study
        With ``brain`` when the user gave a mask.
    ct
        In HU.
    deformation
        What deforms the template onto the patient's brain, a name in ``DEFORMERS``.

    Raises
    ------
    BadInputError
        When the CT shows no head, or its brain can't be found.
    MissingExtraError, MissingProgramError
        When what is to deform isn't installed.
    """
    deformer = DEFORMERS[deformation]
    deformed_by = f"{deformer.called} {deformer.version()}"
    given = own_brain_mask(study, ct, "CT")
    bone_ml = float(np.count_nonzero(ct.data > WINDOW_HU[1])) * ct.grid.voxel_ml
    stripped = bone_ml < LEAST_BONE_ML
    fixed, window = template("ct"), WINDOW_HU
    if stripped:
        fixed, window = fixed.with_data(np.where(template("brain").data > 0, fixed.data, 0)), BARE_HU
    domain = dilate_mm(template("brain"), SKULL_MM)
    fit = register_affine(ct, fixed, domain, window, symmetric=True, any_way=stripped)
    _refuse_strange(fit, ct)
    brain = given or _found_brain(ct, fit)
    grid = midplane_grid(fit.matrix, MIDDLE_MM, SHAPE, SPACING_MM)
    hu = resample_to(ct, grid, antialias=True, fill=AIR_HU)
    inside = resample_to(brain.with_data(brain.data.astype(np.float32)), grid)
    inside = inside.with_data((inside.data >= 0.5).astype(np.uint8))
    notes = _notes(fit, bone_ml if stripped else None)
    return HeadSpace(fit, brain, grid, hu, inside, _deformation(hu, inside, fit, deformer), deformed_by, notes)


def _refuse_strange(fit: AffineFit, ct: Volume) -> None:
    if fit.correlation < LEAST_CORRELATION:
        raise BadInputError(
            f"the {ct.role} doesn't look like a head CT: its correlation with the CT template is "
            f"{fit.correlation:.2f}, at least {LEAST_CORRELATION:g} is expected. Give a non-contrast head CT in HU."
        )
    if fit.tilt_deg > MOST_TILT_DEG:
        raise BadInputError(
            f"the {ct.role} fits the CT template only when it is tilted by {fit.tilt_deg:.0f}°, at most "
            f"{MOST_TILT_DEG:g}° is expected: its affine is wrong, or too little of the head is left to tell up from "
            "front. Give a CT whose affine is right, with its skull."
        )
    if fit.lead < LEAST_LEAD:
        raise BadInputError(
            f"the {ct.role} fits the CT template turned over nearly as well: its correlation is better by "
            f"{max(fit.lead, 0):.2f}, at least {LEAST_LEAD:g} is expected. Up, front and sides can't be told; give the "
            "CT with its skull."
        )
    if fit.overlap < LEAST_OVERLAP:
        raise BadInputError(
            f"the {ct.role} shows only {fit.overlap:.0%} of the brain; at least {LEAST_OVERLAP:.0%} is needed."
        )


def _found_brain(ct: Volume, fit: AffineFit) -> Volume:
    prior = template("brain")
    laid = resample_to(prior.with_data(prior.data.astype(np.float32)), ct.grid, world_transform=fit.inverse)
    return ct_brain_mask(ct, laid.with_data((laid.data >= 0.5).astype(np.uint8)))


def _deformation(hu: Volume, inside: Volume, fit: AffineFit, deformer: Deformer) -> Deformation:
    """Of the template's brain onto the patient's, by outline, ventricles and sulci."""
    there = warp_to(template("ct"), hu.grid, None, fit.inverse)
    there_inside = warp_to(template("brain"), hu.grid, None, fit.inverse)
    there_inside = there_inside.with_data((there_inside.data >= 0.5).astype(np.uint8))
    laid, own = (fluid_and_tissue(*pair, MATCHED_HU) for pair in ((there, there_inside), (hu, inside)))
    return deformer.register(laid, own)


def _notes(fit: AffineFit, left_over_ml: float | None) -> tuple[str, ...]:
    """Of the fit, and of a CT whose brain was extracted, with what bone was left of the skull."""
    notes = list(facing_notes(fit))
    if left_over_ml is not None:
        found = f"no more than {left_over_ml:.2g} ml of bone" if left_over_ml else "no bone"
        notes.append(f"The CT has {found}: it was taken as brain-extracted already.")
    return tuple(notes)
