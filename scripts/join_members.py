"""Put the members of several bundles of one network into one ensemble.

    .venv/bin/python scripts/join_members.py OUT BUNDLE BUNDLE ...
    .venv/bin/python scripts/join_members.py OUT BUNDLE BUNDLE ... --agreed-voxels 10

Everything but the members comes from the last bundle's manifest. Where the bundles are calibrated differently, each
member's slope and intercept go into its last convolution, and the ensemble is to be calibrated anew.
"""

import argparse
from pathlib import Path

import numpy as np

from willis.models.bundle import Bundle
from willis.models.publish import write_bundle
from willis.models.store import open_bundle


def calibrated(bundle: Bundle, index: int) -> dict[str, np.ndarray]:
    """Weights of a member whose logits need no calibration."""
    weights = dict(bundle.member_weights(index))
    known = bundle.manifest.calibration
    if known:
        weights["head.weight"] = weights["head.weight"] * np.float32(known.slope)
        weights["head.bias"] = weights["head.bias"] * np.float32(known.slope) + np.float32(known.intercept)
    return weights


def main() -> None:
    """Read the command line and write the ensemble."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("bundles", nargs="+")
    parser.add_argument("--agreed-voxels", type=int, help="each member must find so many of a cluster")
    asked = parser.parse_args()
    bundles = [open_bundle(name) for name in asked.bundles]
    if len({bundle.manifest.network.model_dump_json() for bundle in bundles}) > 1:
        raise SystemExit("the bundles hold different networks; an ensemble has one.")
    manifest = bundles[-1].manifest
    apart = any(bundle.manifest.calibration != manifest.calibration for bundle in bundles)
    if apart:
        manifest = manifest.model_copy(update={"calibration": None})
    if asked.agreed_voxels is not None:
        clusters = manifest.clusters.model_copy(update={"agreed_voxels": asked.agreed_voxels})
        manifest = manifest.model_copy(update={"clusters": clusters})
    members = (
        calibrated(bundle, n) if apart else bundle.member_weights(n)
        for bundle in bundles
        for n in range(len(bundle.manifest.members))
    )
    write_bundle(asked.out, manifest, members, replace=True)


if __name__ == "__main__":
    main()
