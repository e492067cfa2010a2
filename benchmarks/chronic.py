"""Chronic stroke: RAX-NET in three planes against a plain loop over slices, and describing full-size masks.

    python benchmarks/chronic.py                 all slices of three planes, 100 masks: many minutes
    python benchmarks/chronic.py --every 40      each 40th slice alone, scaled to all of them

The plain loop is what a Keras-style script does: every slice by itself, in torch eager. CPU seconds, one thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from scipy import ndimage

from willis.infer.planes import SLICES_AT_ONCE, predict_planes, slices_of
from willis.io.labelled import LabelledImage
from willis.io.nifti import write_nifti
from willis.measure.labelled_sizes import describe_cases
from willis.models.manifest import make_manifest
from willis.models.publish import write_bundle
from willis.nets.raxnet import RaxNet
from willis.tasks.chronic.dataset import manifest_fields
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


def ours(bundle, images: dict, inside: np.ndarray, engine: str, every: int) -> float:
    """CPU seconds of willis for all slices of the brain; compiled or loaded before the clock starts.

    With ``every`` above 1, from runs of one and of two batches of each plane, a straight line to all of them.
    """

    def spent(mask: np.ndarray) -> float:
        start = time.process_time()
        predict_planes(bundle, images, mask=mask, engine=engine, precision="float32", threads=1)
        return time.process_time() - start

    spent(block(inside, SLICES_AT_ONCE))
    if every == 1:
        return spent(inside)
    one, two = spent(block(inside, SLICES_AT_ONCE)), spent(block(inside, 2 * SLICES_AT_ONCE))
    batches = np.mean([-(-len(line) // SLICES_AT_ONCE) for line in lines(inside)])
    return float(one + (two - one) * (batches - 1))


def lines(inside: np.ndarray) -> list[np.ndarray]:
    """Along each axis the slices that hold something of the brain."""
    return [np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]


def block(inside: np.ndarray, side: int) -> np.ndarray:
    """A cube in the middle of the brain: as many slices in every plane."""
    mask = np.zeros_like(inside)
    mask[np.ix_(*[line[len(line) // 2 :][:side] for line in lines(inside)])] = True
    return mask


def prediction(every: int, engines: list[str]) -> None:
    rng = np.random.default_rng(0)
    image, inside = brain_like(rng)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = RaxNet().eval()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["WILLIS_CACHE"] = scratch
        manifest = make_manifest({**manifest_fields({}), "network": {"name": "raxnet"}}, "the benchmark")
        bundle = write_bundle(Path(scratch) / "raxnet", manifest, [network.state_dict()], half=False)
        views = list(manifest.planes)
        images = {view.plane: image for view in views}
        seconds = plain_loop(network, images, views, every)
        slices = sum(SHAPE)
        print(f"plain loop, torch eager        {seconds:8.1f} CPU s for {slices} slices")
        for engine in engines:
            mine = ours(bundle, images, inside, engine, every)
            print(f"willis, {engine:<20} {mine:8.1f} CPU s, {seconds / mine:.1f} times less")


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
    given = parser.parse_args()
    description(given.masks)
    prediction(given.every, given.engines)
