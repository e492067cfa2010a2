"""What is known of the published RAX-NET, as a manifest."""

from __future__ import annotations

from collections.abc import Sequence

from willis.models.manifest import Manifest, make_manifest
from willis.models.plane_views import PUBLISHED_VIEWS
from willis.nets.raxnet import RaxNetConfig
from willis.volume.plane import Plane

PUBLISHED_SHAPE = (197, 233, 189)  # voxels of 1 mm, ATLAS 2.0
_PECULIARITIES = (
    "Each slice is scaled so that its largest value is 255, not 1; an empty slice becomes zeros here and NaN in the "
    "published code.",
    "Strided convolutions and pooling pad as Keras's 'same' does: the odd voxel comes after the end.",
    "Slices are padded to the published sizes, larger than needed: the borders that the network sees depend on them.",
    "Trained on whole heads in MNI space; the mean of three planes from 0.5 is lesion.",
)


def raxnet_manifest(planes: Sequence[Plane], files: Sequence[str], config: RaxNetConfig) -> Manifest:
    """Describe the imported model."""
    return make_manifest(
        {
            "name": "raxnet" if len(planes) > 1 else f"raxnet-{planes[0]}",
            "title": f"RAX-NET, {', '.join(planes)}",
            "task": "chronic",
            "description": "Chronic stroke lesions on T1 by 2D networks over the slices of each plane; their mean.",
            "network": {"name": "raxnet", "config": config.model_dump(mode="json")},
            "channels": ["t1"],
            "outputs": ["lesion"],
            "spacing_mm": (1.0, 1.0, 1.0),
            "shape": PUBLISHED_SHAPE,
            "planes": [PUBLISHED_VIEWS[plane].model_dump() for plane in planes],
            "multiple_of": 1 << len(config.filters),
            "intensity": {"scheme": "slice-max"},
            "threshold": {"value": 0.5, "origin": "the published code; not chosen by willis"},
            "clusters": {"connectivity": 26, "min_voxels": 1, "origin": "the published method drops no cluster"},
            "licence": "not stated with the weights; ask their authors",
            "citation": [
                "Mousavi A. RAX-NET: residual attention Xception network for chronic stroke on T1. medRxiv 2025. "
                "doi:10.1101/2025.09.26.25336733",
            ],
            "intended_use": "Research. Not a medical device.",
            "source": f"imported from {', '.join(files)}",
            "peculiarities": list(_PECULIARITIES),
        },
        where="the manifest of the imported model",
    )
