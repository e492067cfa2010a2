"""The kinds of phantoms that exist, as pure data: how a patient of each is made, and how its files are named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, cast

from willis.errors import invalid_option

if TYPE_CHECKING:
    from willis.phantom.patient import PatientMaker


@dataclass(frozen=True)
class PhantomKind:
    """One kind of simulated patient.

    Parameters
    ----------
    title
        What ``willis phantom KIND`` makes, one line.
    maker
        ``module:function`` of a :class:`willis.phantom.patient.PatientMaker`; imported only when called.
    stream
        Number that no other kind has: one seed draws other people for each.
    images
        By role, folder and end of an image's name: ``anat/T1w`` is ``sub-*/anat/sub-*_T1w.nii.gz``.
    truth
        By name, folder and end of the name in ``derivatives/truth``.
    about
        What the README of a folder of such patients says of its files.
    contrasts
        Ways to draw the tissues' values, the default first.
    takes_traced
        Whether the maker takes ``traced``, files of lesions traced on scans and warped to MNI space, as shapes.
    choices
        What else the maker takes, by name: what it is, and the values, the default first.
    """

    title: str
    maker: str
    stream: int
    images: Mapping[str, str]
    truth: Mapping[str, str]
    about: str
    contrasts: tuple[str, ...] = ("physics",)
    takes_traced: bool = False
    choices: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def make(self) -> PatientMaker:
        """The maker."""
        module, _, name = self.maker.partition(":")
        return cast("PatientMaker", getattr(import_module(module), name))


KINDS: dict[str, PhantomKind] = {
    "fvv": PhantomKind(
        title="patients with acute infarcts: b0 and b1000 as echo-planar imaging gives them, and a FLAIR",
        maker="willis.phantom.fvv:fvv_patient",
        stream=5,
        images={"b0": "dwi/acq-b0_dwi", "b1000": "dwi/acq-b1000_dwi", "flair": "anat/FLAIR"},
        truth={
            "lesion_fraction": "dwi/space-dwi_label-lesion_probseg",
            "lesion": "dwi/space-dwi_label-lesion_mask",
            "visible": "dwi/space-dwi_label-flairvisible_mask",
            "brain": "dwi/space-dwi_label-brain_mask",
            "visible_flair": "dwi/space-flair_label-flairvisible_mask",
        },
        about="""\
Images: sub-*/dwi (b0 and b1000 on one grid, distorted alike) and sub-*/anat (FLAIR). Truth: derivatives/truth, on the
DWI's grid as distorted as the images are (space-dwi), and on the FLAIR's (space-flair). True volumes: truth.tsv;
flair_visibility_volume_ml is the part of the infarct whose FLAIR signal is at least 1.15 times that of normal tissue,
mismatch whether it is below 0.5 ml (n/a without an infarct).
""",
        takes_traced=True,
    ),
    "wmh": PhantomKind(
        title="patients with white matter hyperintensities: T1 and FLAIR as a scanner gives them",
        maker="willis.phantom.wmh:wmh_patient",
        stream=3,
        images={"t1": "anat/T1w", "flair": "anat/FLAIR"},
        truth={
            "fraction_anatomy": "anat/space-anatomy_label-wmh_probseg",
            "wmh": "anat/space-flair_label-wmh_mask",
            "wmh_anatomy": "anat/space-anatomy_label-wmh_mask",
            "brain": "anat/space-flair_label-brain_mask",
            "brain_anatomy": "anat/space-anatomy_label-brain_mask",
            "ventricles": "anat/space-flair_label-ventricles_mask",
            "ventricles_anatomy": "anat/space-anatomy_label-ventricles_mask",
            "regions": "anat/space-flair_label-regions_dseg",
            "regions_anatomy": "anat/space-anatomy_label-regions_dseg",
        },
        about="""\
Images: sub-*/anat. Truth: derivatives/truth, on the FLAIR's own grid (space-flair) and on the 1 mm grid of the
simulated anatomy (space-anatomy), in which the T1's head lies. True volumes: truth.tsv; wmh_volume_ml sums each voxel's
share of lesion, the mask volumes count voxels that are at least half lesion. regions: 1 periventricular, 2 deep,
3 juxtacortical, 4 cerebellar, 5 brainstem, 6 grey matter and CSF; + 10 on the right.
""",
        contrasts=("physics", "random"),
    ),
    "perfusion": PhantomKind(
        title="patients with a CT perfusion series: large, small or no occlusion, with NIHSS, age and sex",
        maker="willis.phantom.perfusion:perfusion_patient",
        stream=50,
        images={"ctp": "perf/ctp"},
        truth={
            "core": "perf/space-ctp_label-core_mask",
            "penumbra": "perf/space-ctp_label-penumbra_mask",
            "brain": "perf/space-ctp_label-brain_mask",
            "old": "perf/space-ctp_label-oldinfarct_mask",
            "cbf": "perf/space-ctp_desc-true_cbf",
            "cbv": "perf/space-ctp_desc-true_cbv",
            "mtt": "perf/space-ctp_desc-true_mtt",
            "tmax": "perf/space-ctp_desc-true_tmax",
        },
        about="""\
Series: sub-*/perf, HU, with the times of its frames in s beside it. Truth: derivatives/truth, on the series' own grid:
core, penumbra (without the core), brain, old infarct, and the maps behind the curves (ml/100 g/min, ml/100 g, s; tmax
is the delay after the arteries). Groups, sites and true volumes: truth.tsv. NIHSS, age (years) and sex (0 male,
1 female): participants.tsv.
""",
        choices={
            "residue": (
                "The tissue's residue function, or one drawn for each patient.",
                ("exponential", "box", "gamma", "drawn"),
            )
        },
    ),
    "chronic": PhantomKind(
        title="patients with a chronic stroke: a T1 as a scanner gives it",
        maker="willis.phantom.chronic_patient:chronic_patient",
        stream=70,
        images={"t1": "anat/T1w"},
        truth={
            "lesion": "anat/space-t1_label-lesion_mask",
            "brain": "anat/space-t1_label-brain_mask",
            "lesion_anatomy": "anat/space-anatomy_label-lesion_mask",
        },
        about="""\
Images: sub-*/anat. Truth: derivatives/truth, on the T1's own grid (space-t1) and on the 1 mm grid of the simulated
anatomy (space-anatomy). The lesion is cavity and gliotic rim together; white matter hyperintensities beside it are not
part of it. True volumes: truth.tsv; lesion_volume_ml sums each voxel's share of lesion.
""",
        contrasts=("physics", "random"),
        takes_traced=True,
    ),
    "lvo": PhantomKind(
        title="patients with a non-contrast CT: an occluded ICA terminus, M1 or M2, or what mimics one",
        maker="willis.phantom.lvo:lvo_patient",
        stream=61,
        images={"ncct": "anat/ncct"},
        truth={
            "vessels": "anat/space-ncct_label-vessels_dseg",
            "clot": "anat/space-ncct_label-clot_mask",
            "ischaemia": "anat/space-ncct_label-ischaemia_mask",
            "brain": "anat/space-ncct_label-brain_mask",
        },
        about="""\
CT: sub-*/anat, HU, on the scanner's own slices (sheared where the gantry was tilted). Truth: derivatives/truth, on the
same grid: vessels (1 C7, 2 M1, 3 M2, 4 others), clot, ischaemia (1.5 HU darker than before, or more), brain. Occlusion,
segment, side, hours, densities and mimics: truth.tsv.
""",
    ),
}


def get_kind(name: str) -> PhantomKind:
    """The kind of that name.

    Raises
    ------
    BadInputError
        When there is none.
    """
    if name not in KINDS:
        raise invalid_option("task", name, KINDS)
    return KINDS[name]
