"""Stage 1, where are the vessels? A model with a plan, nnU-Net's or ours, on the scan's voxels in its orientation."""

from __future__ import annotations

import numpy as np

from willis.errors import BundleError
from willis.infer.planned import predict_planned
from willis.models.bundle import Bundle
from willis.models.nnunet_plan import label_names, plan_of
from willis.tasks.lvo.spec import SCAN_AXES, VESSELS
from willis.tasks.settings import RunSettings
from willis.volume.orient import reorient
from willis.volume.volume import Volume

ALSO = {
    **dict.fromkeys(("ica-t", "ica_t", "icat", "ica-terminus", "ica_terminus"), "c7"),
    **dict.fromkeys(("others", "othervessels", "other-vessels", "other_vessels", "vessels", "blood"), "other"),
}
"""Other names of :data:`VESSELS`, as an import writes them."""


def find_vessels(ct: Volume, bundle: Bundle, settings: RunSettings) -> Volume:
    """Vessel labels, codes as :data:`VESSELS`, on the CT's grid.

    Raises
    ------
    BadInputError
        When the memory limit can't be kept.
    BundleError
        When the bundle can't find vessels, see :func:`check_vessel_bundle`.
    """
    check_vessel_bundle(bundle)
    manifest = bundle.manifest
    codes = [_code(name) for name in label_names(manifest)]
    turned = reorient(ct, manifest.axes or SCAN_AXES)
    image = turned.data.astype(np.float32)[None]
    found = turned.with_data(predict_planned(bundle, image, turned.grid.spacing_mm, codes, **settings.running))
    return Volume(reorient(found, ct.grid.orientation).data, ct.grid, role="vessels")


def check_vessel_bundle(bundle: Bundle) -> tuple[str, ...]:
    """What a reader must know of the vessels that a bundle finds.

    Raises
    ------
    BundleError
        When the bundle is no model of nnU-Net, reads more than a CT, or names none of the vessels.
    """
    manifest = bundle.manifest
    if plan_of(manifest) is None:
        raise BundleError(
            f"{bundle.name} is no imported model of nnU-Net, nor one that recipes/lvo-vessels.toml trained; "
            "willis models import nnunet makes one."
        )
    if len(manifest.channels) != 1:
        raise BundleError(
            f"{bundle.name} reads {len(manifest.channels)} images ({', '.join(manifest.channels)}); a model that finds "
            "vessels reads the CT alone."
        )
    names = label_names(manifest)
    strange = [name for name in names if not _code(name)]
    if len(strange) == len(names):
        raise BundleError(f"{bundle.name} finds {', '.join(names)}; vessels are called {', '.join(VESSELS)}.")
    if strange:
        return (
            f"The bundle {bundle.name} finds {', '.join(strange)} too, which was left out; vessels are called "
            f"{', '.join(VESSELS)}.",
        )
    return ()


def _code(name: str) -> int:
    name = ALSO.get(name, name)
    return VESSELS.index(name) + 1 if name in VESSELS else 0
