"""Stage 1, where are the vessels? A model with a plan, nnU-Net's or ours, on the scan's voxels in its orientation."""

from __future__ import annotations

import numpy as np

from willis.errors import BundleError
from willis.infer.engine import open_engine
from willis.infer.nnunet import predict_labels
from willis.models.bundle import Bundle
from willis.models.nnunet_plan import NnunetPlan
from willis.tasks.lvo.spec import SCAN_AXES, VESSELS
from willis.tasks.settings import RunSettings
from willis.volume.orient import reorient
from willis.volume.volume import Volume

NETWORK = "plainunet"
ALSO_OTHER = ("others", "othervessels", "other-vessels", "other_vessels", "vessels", "blood")


def find_vessels(ct: Volume, bundle: Bundle, settings: RunSettings) -> Volume:
    """Vessel labels, codes as :data:`VESSELS`, on the CT's grid.

    Raises
    ------
    BundleError
        When the bundle is no model of nnU-Net, or names none of the vessels.
    """
    manifest = bundle.manifest
    plan = manifest.network.config.get("plan")
    if manifest.network.name != NETWORK or not isinstance(plan, dict):
        raise BundleError(
            f"{bundle.name} is no imported model of nnU-Net, nor one that recipes/lvo-vessels.toml trained; "
            "willis models import nnunet makes one."
        )
    codes = [0, *(_code(name) for name in manifest.outputs[1:])]
    if not any(codes):
        raise BundleError(
            f"{bundle.name} finds {', '.join(manifest.outputs[1:])}; vessels are called {', '.join(VESSELS)}."
        )
    engines = [
        open_engine(bundle, member, engine=settings.engine, precision=settings.precision, threads=settings.threads)
        for member in range(len(manifest.members))
    ]
    turned = reorient(ct, manifest.axes or SCAN_AXES)
    image = turned.data.astype(np.float32)[None]
    labels = predict_labels(engines, image, turned.grid.spacing_mm, NnunetPlan.parse(plan, "the bundle's plan"))
    found = turned.with_data(np.array(codes, dtype=np.uint8)[labels])
    return Volume(reorient(found, ct.grid.orientation).data, ct.grid, role="vessels")


def _code(name: str) -> int:
    if name in VESSELS:
        return VESSELS.index(name) + 1
    return VESSELS.index("other") + 1 if name in ALSO_OTHER else 0
