"""Prediction side by side: the network by each engine, the way back to the native grid, NIfTI reading and writing.

Each run of the network has a process of its own, so that its peak memory is its own.

    python benchmarks/inference.py                  the published size, random weights: minutes
    python benchmarks/inference.py --quick          a small network
    python benchmarks/inference.py --bundle wmh     a bundle of the store, or the path of one
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PUBLISHED = {"network": {}, "shape": (160, 214, 176)}
QUICK = {"network": {"levels": 5}, "shape": (80, 107, 88)}
NATIVE = (180, 256, 256)
CONTENDERS = {
    "torch eager": ("eager", "float32"),
    "willis, torch": ("torch", "float32"),
    "willis, OpenVINO float32": ("openvino", "float32"),
    "willis, OpenVINO bfloat16": ("openvino", "bfloat16"),
    "willis, OpenVINO float16": ("openvino", "float16"),
}
REPEATS = 3  # of the short measurements; the least is shown
BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


def head(shape: tuple[int, int, int], channels: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth blobs in an ellipsoid, 0 around it, values about 1: (C, I, J, K) float32."""
    from scipy.ndimage import gaussian_filter

    ends = [np.linspace(-1, 1, n) for n in shape]
    radius = sum(np.square(g) for g in np.meshgrid(*ends, indexing="ij", sparse=True))
    fields = [gaussian_filter(rng.standard_normal(shape).astype(np.float32), 2.0) for _ in range(channels)]
    return np.stack([np.where(radius < 0.8, 0.6 + 4 * field, 0) for field in fields]).astype(np.float32)


def make_random_bundle(folder: Path, size: dict) -> None:
    """A bundle with random weights whose batch statistics fit them and whose mask covers about 2 %."""
    import torch

    from willis.models.manifest import make_manifest
    from willis.models.store import write_bundle
    from willis.nets.registry import build_network

    torch.manual_seed(0)
    network = build_network("unet3d", size["network"]).train()
    for module in network.modules():
        if hasattr(module, "momentum"):
            module.momentum = 1.0
        if isinstance(module, torch.nn.Conv3d):
            torch.nn.init.kaiming_normal_(module.weight)
    side = 128 if size is PUBLISHED else 64
    sample = torch.from_numpy(head((side,) * 3, 2, np.random.default_rng(1))[None])
    with torch.no_grad():
        network(sample)
        logits = network.eval()(sample)
        network.head.weight.mul_(3 / logits.std())
        network.head.bias.sub_(torch.quantile(network(sample).flatten()[::7], 0.98))
    values = {
        "name": "random",
        "title": "Random weights",
        "task": "wmh",
        "network": {"name": "unet3d", "config": size["network"]},
        "channels": ["t1", "flair"],
        "outputs": ["wmh"],
        "spacing_mm": [1, 1, 1],
        "shape": size["shape"],
        "intensity": {"scheme": "p99"},
        "threshold": {"value": 0.5, "origin": "2 % of the voxels"},
        "licence": "Apache-2.0",
        "intended_use": "Benchmarks.",
    }
    write_bundle(folder, make_manifest(values, "the benchmark"), [network.state_dict()], half=False)


def run_contender(engine: str, precision: str, bundle_path: str, work: Path, threads: int) -> None:
    """Run one member on the image and write its logits and what it took."""
    from willis.models.store import open_bundle

    bundle = open_bundle(bundle_path)
    x = np.load(work / "image.npy")[None]
    estimate = None
    if engine == "eager":
        import torch

        from willis.infer.torch_engine import member_network

        torch.set_num_threads(threads)
        network = member_network(bundle, 0)

        def run(image: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return network(torch.from_numpy(image)).numpy()
    else:
        from willis.infer.engine import open_engine
        from willis.infer.memory import resident_bytes

        opened = run = open_engine(bundle, 0, engine=engine, precision=precision, threads=threads)
        estimate = (resident_bytes() + opened.needed_bytes(x.shape)) / 1e9
    cpu, wall = time.process_time(), time.perf_counter()
    logits = run(x)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_OF_MAXRSS / 1e9
    np.save(work / f"{engine}-{precision}.npy", logits[0])
    taken = {"cpu_s": cpu, "wall_s": wall, "peak_gb": peak, "estimate_gb": estimate}
    (work / f"{engine}-{precision}.json").write_text(json.dumps(taken))


def compare_engines(arguments: argparse.Namespace, work: Path) -> None:
    from willis.infer.precision import multiplies_natively
    from willis.models.store import open_bundle

    size = QUICK if arguments.quick else PUBLISHED
    if arguments.bundle is None:
        arguments.bundle = str(work / "random")
        _child("--make-bundle", arguments.bundle, *(["--quick"] if arguments.quick else []))
    manifest = open_bundle(arguments.bundle).manifest
    shape = manifest.window.shape or manifest.shape or size["shape"]
    np.save(work / "image.npy", head(shape, len(manifest.channels), np.random.default_rng(2)))
    print(f"One member of {manifest.name} on {' × '.join(map(str, shape))} × {len(manifest.channels)}, "
          f"{arguments.threads} threads. CPU includes compilation; peak is of the whole process.")  # fmt: skip
    print(f"{'':28}{'CPU s':>8}{'ratio':>7}{'wall s':>8}{'peak GB':>9}{'estimate':>9}{'max diff':>10}{'Dice':>9}")
    reference: tuple[float, np.ndarray] | None = None
    for label, (engine, precision) in CONTENDERS.items():
        if not multiplies_natively(precision):
            print(f"{label:28}skipped: this processor doesn't multiply {precision}")
            continue
        if engine == "openvino":  # the first run of a bundle converts it, in a process of its own
            _child("--convert", "--bundle", arguments.bundle, "--work", str(work))
        _child("--contender", engine, precision, "--bundle", arguments.bundle, "--work", str(work),
               "--threads", str(arguments.threads))  # fmt: skip
        taken = json.loads((work / f"{engine}-{precision}.json").read_text())
        p = 1 / (1 + np.exp(-np.load(work / f"{engine}-{precision}.npy").astype(np.float64)))
        reference = reference or (taken["cpu_s"], p)
        ours, theirs = p >= manifest.threshold.value, reference[1] >= manifest.threshold.value
        dice = 2 * np.count_nonzero(ours & theirs) / max(1, np.count_nonzero(ours) + np.count_nonzero(theirs))
        estimate = f"{taken['estimate_gb']:9.2f}" if taken["estimate_gb"] else f"{'':9}"
        print(f"{label:28}{taken['cpu_s']:8.2f}{taken['cpu_s'] / reference[0]:7.2f}{taken['wall_s']:8.2f}"
              f"{taken['peak_gb']:9.2f}{estimate}{np.abs(p - reference[1]).max():10.1e}{dice:9.5f}")  # fmt: skip


def _child(*arguments: str) -> None:
    subprocess.run([sys.executable, __file__, *arguments], check=True)


def convert(bundle_path: str, work: Path) -> None:
    from willis.infer.engine import open_engine
    from willis.models.store import open_bundle

    shape = np.load(work / "image.npy", mmap_mode="r").shape
    open_engine(open_bundle(bundle_path), 0, engine="openvino").needed_bytes((1, *shape))


def least_cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Least CPU seconds of a few tries, and what the last one gave."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return min(times), result


def row(label: str, ours: float, theirs: float, remark: str = "") -> None:
    print(f"{label:44}{ours:9.3f}{theirs:9.3f}{ours / theirs:8.3f}  {remark}")


def compare_way_back(quick: bool) -> None:
    from skimage.transform import resize

    from willis.infer.back import mask_to_grid
    from willis.volume.grid import Grid

    source = QUICK["shape"] if quick else PUBLISHED["shape"]
    target = tuple(n // 2 for n in NATIVE) if quick else NATIVE
    everywhere = head(source, 1, np.random.default_rng(3))[0]
    everywhere = (everywhere - everywhere.min()) / np.ptp(everywhere)
    brain = head(source, 1, np.random.default_rng(4))[0] != 0
    scale = np.array(source) / target
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = (scale - 1) / 2
    prepared, native = Grid(source, np.eye(4)), Grid(target, affine)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]

    def theirs(p: np.ndarray) -> np.ndarray:
        classes = [resize(c, target, order=1, mode="edge", anti_aliasing=False) for c in (1 - p, p)]
        return np.argmax(classes, axis=0)

    print(
        f"\nA probability map back to {' × '.join(map(str, target))}, CPU s: willis, scikit-image (two classes), ratio"
    )
    for label, p in (("as it comes, 0 outside the brain", everywhere * brain), ("filling the volume", everywhere)):
        a, mask = least_cpu(lambda p=p: mask_to_grid(p, prepared, native, 0.5).data)
        b, labels = least_cpu(lambda p=p: theirs(p))
        row(label, a, b, f"{np.mean(mask != labels):.1e} of the labels differ")
    a, _ = least_cpu(lambda: mask_to_grid(everywhere * brain, prepared, native, 0.5, world_transform=turn))
    row("turned by a registration", a, b)


def compare_nifti(work: Path, quick: bool) -> None:
    from nibabel.nifti1 import Nifti1Image

    from willis.io.nifti import read_nifti, write_nifti
    from willis.volume.grid import Grid
    from willis.volume.volume import Volume

    shape = tuple(n // 2 for n in NATIVE) if quick else NATIVE
    rng = np.random.default_rng(5)
    smooth = head(shape, 1, rng)[0] + 0.02 * rng.standard_normal(shape).astype(np.float32)
    grid = Grid(shape, np.diag([0.9, 0.9, 0.9, 1.0]))
    images = {
        "int16 image": (np.maximum(smooth, 0) * 800).astype(np.int16),
        "float32 probabilities": np.clip(smooth - 0.9, 0, 1).astype(np.float32),
        "uint8 mask": (smooth > 0.9).astype(np.uint8),
    }
    print(f"\nNIfTI (.nii.gz) of {' × '.join(map(str, shape))}, CPU s: willis, nibabel, ratio")
    for label, data in images.items():
        ours, theirs = work / "ours.nii.gz", work / "theirs.nii.gz"
        a, _ = least_cpu(lambda data=data, path=ours: write_nifti(Volume(data, grid), path))
        b, _ = least_cpu(lambda data=data, path=theirs: Nifti1Image(data, grid.affine).to_filename(path))
        row(f"write {label}", a, b, f"size {ours.stat().st_size / theirs.stat().st_size:.2f} of nibabel's")
        for order, theirs_laid in (("file", np.asanyarray), ("C", np.ascontiguousarray)):
            a, volume = least_cpu(lambda path=theirs, order=order: read_nifti(path, order=order))
            b, array = least_cpu(lambda path=theirs, laid=theirs_laid: laid(Nifti1Image.from_filename(path).dataobj))
            said = "the same values" if np.array_equal(volume.data, array) else "VALUES DIFFER"
            row(f"read {label}, {'as stored' if order == 'file' else 'in C order'}", a, b, said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="name or path; random weights of the published network when absent")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--only", choices=("engines", "back", "nifti"), help="one of the three parts")
    parser.add_argument("--make-bundle", help=argparse.SUPPRESS)
    parser.add_argument("--convert", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--contender", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make_bundle:
        make_random_bundle(Path(arguments.make_bundle), QUICK if arguments.quick else PUBLISHED)
    elif arguments.convert:
        convert(arguments.bundle, arguments.work)
    elif arguments.contender:
        engine, precision = arguments.contender
        run_contender(engine, precision, arguments.bundle, arguments.work, arguments.threads)
    else:
        with tempfile.TemporaryDirectory(prefix="willis-benchmark-") as folder:
            work = Path(folder)
            os.environ["WILLIS_CACHE"] = str(work / "cache")
            if arguments.only in (None, "engines"):
                compare_engines(arguments, work)
            if arguments.only in (None, "back"):
                compare_way_back(arguments.quick)
            if arguments.only in (None, "nifti"):
                compare_nifti(work, arguments.quick)


if __name__ == "__main__":
    main()
