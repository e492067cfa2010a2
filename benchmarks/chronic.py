"""Chronic stroke: RAX-NET in three planes against a plain loop over slices, and describing full-size masks.

    python benchmarks/chronic.py                 all slices of three planes, 100 masks: many minutes
    python benchmarks/chronic.py --every 40      the plain loop over each 40th slice alone, scaled to all of them
    python benchmarks/chronic.py --bundle chronic --image t1.nii.gz --brain mask.nii.gz
                                                 a trained bundle on a T1 of the standard grid

The plain loop is what a Keras-style script does: every slice by itself, in torch eager. CPU seconds, one thread. Half
precision is compared with float32 by the Dice of the fused masks; random weights are its worst case. The last line says
what ``--engine auto --precision auto`` is on this machine.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy import ndimage

from willis.infer.engine import open_engine
from willis.infer.planes import predict_planes, slices_of
from willis.infer.torch_engine import member_network
from willis.io.labelled import LabelledImage
from willis.io.nifti import read_nifti, write_nifti
from willis.measure.labelled_sizes import describe_cases
from willis.measure.overlap import dice
from willis.models.bundle import Bundle
from willis.models.manifest import make_manifest
from willis.models.publish import write_bundle
from willis.models.store import open_bundle
from willis.nets.raxnet import RaxNet
from willis.tasks.chronic.dataset import manifest_fields
from willis.tasks.chronic.prepare import network_images
from willis.tasks.chronic.space import SHAPE, standard_grid
from willis.volume.volume import Volume


def brain_like(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A smooth image in an ellipsoid of a brain's size, and the ellipsoid."""
    i, j, k = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    inside = ((i - 98) / 70) ** 2 + ((j - 116) / 88) ** 2 + ((k - 82) / 72) ** 2 < 1
    image = 150 + 40 * ndimage.gaussian_filter(rng.standard_normal(SHAPE).astype(np.float32), 3) * 10
    return (np.clip(image, 1, 255) * inside).astype(np.float32)[None], inside


def plain_loop(network: RaxNet, images: dict, views: list, every: int) -> float:
    """CPU seconds of every slice by itself, scaled to all."""
    spent = 0.0
    for view in views:
        slices = torch.from_numpy(slices_of(images[view.plane], view))
        chosen = range(0, len(slices), every)
        start = time.process_time()
        with torch.no_grad():
            for n in chosen:
                torch.sigmoid(network(slices[n : n + 1])).numpy()
        spent += (time.process_time() - start) * len(slices) / len(chosen)
    return spent


def ours(bundle: Bundle, images: dict, inside: np.ndarray, engine: str, precision: str) -> tuple[float, np.ndarray]:
    """CPU seconds of willis for all slices of the brain, and the mask; converted before the clock starts."""

    def found(mask: np.ndarray) -> np.ndarray:
        seen = predict_planes(bundle, images, mask=mask, engine=engine, precision=precision, threads=1)
        return seen.probability[0] >= bundle.manifest.threshold.value

    middle = np.zeros_like(inside)
    middle[tuple(n // 2 for n in inside.shape)] = True
    found(middle)
    start = time.process_time()
    mask = found(inside)
    return time.process_time() - start, mask


def random_bundle(folder: Path) -> Bundle:
    """RAX-NET at its published size with random weights, for all planes."""
    torch.manual_seed(0)
    manifest = make_manifest({**manifest_fields({}), "network": {"name": "raxnet"}}, "the benchmark")
    return write_bundle(folder, manifest, [RaxNet().state_dict()], half=False)


def prediction(asked: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["WILLIS_CACHE"] = scratch
        if asked.bundle:
            bundle = open_bundle(asked.bundle, "chronic")
            inside = read_nifti(asked.brain, "brain").data > 0
            images = network_images(read_nifti(asked.image, "t1").data.astype(np.float32), inside, bundle.manifest)
        else:
            bundle = random_bundle(Path(scratch) / "raxnet")
            image, inside = brain_like(np.random.default_rng(0))
            images = {view.plane: image for view in bundle.manifest.planes}
        seconds = plain_loop(member_network(bundle, 0), images, list(bundle.manifest.planes), asked.every)
        print(f"plain loop, torch eager        {seconds:8.1f} CPU s for {sum(SHAPE)} slices", flush=True)
        own = open_engine(bundle, 0)
        ways = list(itertools.product(asked.engines, asked.precisions))
        exact = None
        spent = {}
        for engine, precision in dict.fromkeys([*ways, (own.name, own.precision)]):
            mine, mask = ours(bundle, images, inside, engine, precision)
            spent[engine, precision] = mine
            exact = mask if exact is None else exact
            print(
                f"willis, {engine + ' ' + precision:<20} {mine:8.1f} CPU s, {seconds / mine:.1f} times less; "
                f"Dice with the first {dice(mask, exact):.4f}",
                flush=True,
            )
        mine = spent[own.name, own.precision]
        print(f"unasked, willis takes {own.name} {own.precision}: {seconds / mine:.1f} times less CPU time", flush=True)


def description(count: int) -> None:
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as scratch:
        cases = []
        for n in range(count):
            data = np.zeros(SHAPE, np.uint8)
            low = rng.integers(40, 120, 3)
            side = rng.integers(5, 50, 3)
            data[tuple(slice(a, a + b) for a, b in zip(low, side, strict=True))] = 1
            path = write_nifti(Volume(data, standard_grid()), Path(scratch) / f"sub-{n:03d}_mask.nii.gz")
            cases.append(LabelledImage(f"sub-{n:03d}", f"sub-{n:03d}", path))
        start = time.process_time()
        describe_cases(cases)
        print(f"describing {count} masks of {' × '.join(map(str, SHAPE))}: {time.process_time() - start:.1f} CPU s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--masks", type=int, default=100)
    parser.add_argument("--engines", nargs="+", default=["torch", "openvino"])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--bundle", help="a trained bundle, with --image and --brain on the standard grid")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--brain", type=Path)
    given = parser.parse_args()
    if given.masks:
        description(given.masks)
    prediction(given)
