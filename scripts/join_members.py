"""Put the members of several bundles of one network into one ensemble.

    .venv/bin/python scripts/join_members.py OUT BUNDLE BUNDLE ...

Everything but the members comes from the last bundle's manifest.
"""

import sys
from pathlib import Path

from willis.models.publish import write_bundle
from willis.models.store import open_bundle


def main(out: Path, names: list[str]) -> None:
    """Write the ensemble."""
    bundles = [open_bundle(name) for name in names]
    networks = {bundle.manifest.network.model_dump_json() for bundle in bundles}
    if len(networks) > 1:
        raise SystemExit("the bundles hold different networks; an ensemble has one.")
    members = (bundle.member_weights(n) for bundle in bundles for n in range(len(bundle.manifest.members)))
    write_bundle(out, bundles[-1].manifest, members, replace=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
