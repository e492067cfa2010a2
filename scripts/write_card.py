"""Put measured figures into a bundle's manifest and write its card.

    .venv/bin/python scripts/write_card.py BUNDLE FIGURES.json [FIGURES.json ...]

The figures are what the benchmarks wrote with --json.
"""

import json
import sys
from pathlib import Path

from willis.models.cards import render_card
from willis.models.store import amend_bundle


def main(folder: Path, files: list[Path]) -> None:
    """Replace the figures and the card of the bundle in ``folder``."""
    figures = [figure for file in files for figure in json.loads(file.read_text())]
    bundle = amend_bundle(folder, measured=figures)
    amend_bundle(folder, card=render_card(bundle.manifest))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
