"""Take the mean of the weights of bundles of one member each, that were trained one from the other.

    .venv/bin/python scripts/average_weights.py OUT BUNDLE BUNDLE ...

Fine-tuned weights and those that they began from lie in one basin, and their mean often keeps what either has learned
(Wortsman et al. 2022, robust fine-tuning of zero-shot models, doi:10.1109/CVPR52688.2022.00780). A bundle that is named
twice counts twice. All but the weights comes from the last bundle's manifest.
"""

import sys
from pathlib import Path

import numpy as np

from willis.models.publish import write_bundle
from willis.models.store import open_bundle


def main(out: Path, names: list[str]) -> None:
    """Write the bundle."""
    bundles = [open_bundle(name) for name in names]
    networks = {bundle.manifest.network.model_dump_json() for bundle in bundles}
    if len(networks) > 1 or any(len(bundle.manifest.members) != 1 for bundle in bundles):
        raise SystemExit("bundles of one network and one member each are needed.")
    states = [bundle.member_weights(0) for bundle in bundles]
    mean = {name: np.mean([state[name].astype(np.float32) for state in states], axis=0) for name in states[-1]}
    write_bundle(out, bundles[-1].manifest, [mean], replace=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
