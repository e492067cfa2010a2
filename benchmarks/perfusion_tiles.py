"""The published perfusion network on whole slices against tile by tile, M × M pixels every M/4, in CPU time.

    .venv/bin/python benchmarks/perfusion_tiles.py
    .venv/bin/python benchmarks/perfusion_tiles.py --divide 8 --tile 64

The network has random weights. All tiles of a slice would take long: some are timed one after the other, as the
published code predicts them, and their mean is multiplied by the number of tiles. ``--divide`` makes every width that
much smaller, for a look on a small machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from willis.nets.registry import build_network

WIDTHS = {"vgg": (64, 128, 256, 512, 512), "up": (128, 64, 32, 16)}


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--divide", type=int, default=1, help="of every width")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--tile", type=int, default=32)
    parser.add_argument("--timed", type=int, default=32, help="tiles that are timed")
    arguments = parser.parse_args()
    config = {
        "size": arguments.size,
        **{name: [max(1, w // arguments.divide) for w in widths] for name, widths in WIDTHS.items()},
    }
    network = build_network("vgg_fusion", config).eval()
    whole = 255 * torch.rand(1, 12, arguments.size, arguments.size)
    piece = whole[..., : arguments.tile, : arguments.tile].contiguous()
    with torch.inference_mode():
        network(piece)
        at_once = cpu_seconds(lambda: network(whole))
        some = cpu_seconds(lambda: [network(piece) for _ in range(arguments.timed)])
    steps = (arguments.size - arguments.tile) // (arguments.tile // 4) + 1
    by_tiles = some / arguments.timed * steps**2
    size, tile = arguments.size, arguments.tile
    print(f"{size} × {size} at once: {at_once:.2f} s of CPU")
    print(f"{steps**2} tiles of {tile} × {tile}: {by_tiles:.1f} s of CPU, {by_tiles / at_once:.1f} times as much")


if __name__ == "__main__":
    main()
