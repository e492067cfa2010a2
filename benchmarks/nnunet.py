"""A model of nnU-Net by its own predictor and by willis: CPU time, peak memory and labels, at equal tiles.

Each side has a process of its own, so that its peak memory is its own; nnU-Net's runs in an environment of its own.
The models have random weights, which is the worst case for the labels: near every border a rounding decides.

    python benchmarks/nnunet.py --judge PYTHON                         a 3D full-resolution and a 2D plan on a real CT
    python benchmarks/nnunet.py --judge PYTHON --quick                 small networks on a small crop
    python benchmarks/nnunet.py --judge PYTHON --model FOLDER          a trained one, by benchmarks/nnunet_train.py
    python benchmarks/nnunet.py --judge PYTHON --image CT --crop 0     another CT, all of it
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

import numpy as np

ROOT = Path(__file__).parents[1]
CT = ROOT.parent / "shared" / "data" / "ct_cranium" / "cranium_ct.nii.gz"
GOLDEN = ROOT / "tests" / "golden" / "lvo"
BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024
SIZES = {
    "full": {"features": [32, 64, 128, 256], "patch": [32, 96, 96], "crop": 128},
    "quick": {"features": [16, 32, 48], "patch": [16, 48, 48], "crop": 64},
}
THEIRS = {"nnU-Net": "half", "nnU-Net, summing in float32": "exact"}
OURS = {
    "willis, torch float32": ("torch", "float32"),
    "willis, OpenVINO float32": ("openvino", "float32"),
    "willis, OpenVINO float16": ("openvino", "float16"),
    "willis, OpenVINO bfloat16": ("openvino", "bfloat16"),
}
DIMS = {"3d_fullres": 3, "2d": 2}


def make_models(work: Path, size: dict) -> None:
    """Two model folders with random weights, of plans as nnU-Net writes them; in the judge's environment."""
    sys.path.insert(0, str(GOLDEN))
    import make_nnunet_golden as golden

    image = np.load(work / "image.npy")
    for name, dims in DIMS.items():
        about = golden.configuration(dims)
        pick = slice(3 - dims, None)
        stages = len(size["features"])
        about["patch_size"] = size["patch"][pick]
        about["spacing"] = list(np.load(work / "spacing.npy"))[pick]
        about["architecture"]["arch_kwargs"] |= {
            "n_stages": stages,
            "features_per_stage": size["features"],
            "kernel_sizes": [[3] * dims] * stages,
            "strides": [[1] * dims, *[[2] * dims] * (stages - 1)],
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
        }
        golden.model_folder(name, dims, image, about, work, tuple(size["patch"]))


def measured(run: Callable[[], np.ndarray], path: Path) -> None:
    """Run, and write labels and what they took."""
    cpu, wall = time.process_time(), time.perf_counter()
    labels = run()
    taken = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    taken["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_OF_MAXRSS / 1e9
    np.save(path.with_suffix(".npy"), labels.astype(np.uint8))
    path.with_suffix(".json").write_text(json.dumps(taken))


def theirs(sums: str, model: Path, work: Path, mirror: bool, threads: int) -> None:
    """nnU-Net's own predictor; ``exact`` lets it sum its tiles in float32."""
    sys.path.insert(0, str(GOLDEN))
    import make_nnunet_golden as golden
    import torch

    torch.set_num_threads(threads)
    image, spacing = np.load(work / "image.npy"), np.load(work / "spacing.npy")
    predictor = golden.prediction.nnUNetPredictor(
        tile_step_size=0.5, use_gaussian=True, use_mirroring=mirror, device=torch.device("cpu"), verbose=False,
        perform_everything_on_device=False, allow_tqdm=False,
    )  # fmt: skip
    folds = tuple(path.name.removeprefix("fold_") for path in sorted(model.glob("fold_*")))
    predictor.initialize_from_trained_model_folder(str(model), folds, "checkpoint_final.pth")

    def run() -> np.ndarray:
        return predictor.predict_single_npy_array(image[None], {"spacing": list(spacing)}, None, None, False)

    if sums == "exact":
        with golden.exact_sums():
            measured(run, work / sums)
    else:
        measured(run, work / sums)


def ours(engine: str, precision: str, model: Path, work: Path, mirror: bool, threads: int) -> None:
    """The same model as a bundle of willis, by one of its engines."""
    from willis.infer.engine import open_engine
    from willis.infer.nnunet import predict_labels
    from willis.models.nnunet_plan import NnunetPlan
    from willis.models.store import open_bundle

    bundle = open_bundle(str(work / f"bundle-{model.name}"))
    plan = NnunetPlan.parse(bundle.manifest.network.config["plan"], "the bundle's plan")
    engines = [
        open_engine(bundle, member, engine=engine, precision=precision, threads=threads)
        for member in range(len(bundle.manifest.members))
    ]
    image, spacing = np.load(work / "image.npy").transpose(2, 1, 0), np.load(work / "spacing.npy")[::-1]
    measured(
        lambda: predict_labels(engines, image[None], spacing, plan, mirror=mirror).transpose(2, 1, 0),
        work / f"{engine}-{precision}",
    )


def convert(model: Path, work: Path) -> None:
    """Import a model folder, and let OpenVINO convert it, so that no run pays for that."""
    from willis.infer.engine import open_engine
    from willis.models.importers.nnunet import import_nnunet

    bundle = import_nnunet(model, work / f"bundle-{model.name}", name="judged")
    plan = bundle.manifest.network.config["plan"]
    x = np.zeros((1, len(bundle.manifest.channels), *plan["patch"]), np.float32)
    for member in range(len(bundle.manifest.members)):
        open_engine(bundle, member, engine="openvino", threads=1)(x)


def compare(model: Path, work: Path, asked: argparse.Namespace) -> None:
    """Both sides on one model, with and without mirroring."""
    from willis.infer.precision import multiplies_natively

    _child(sys.executable, "--convert", "--one", str(model), "--work", str(work))
    for mirror in (False, True) if asked.mirror else (False,):
        print(f"\n{model.name.split('__')[-1]}, {'with' if mirror else 'without'} mirroring, {asked.threads} threads")
        heads = ("CPU s", "ratio", "peak GB", "ratio", "equal to nnU-Net", "to its exact sums")
        print(" " * 30 + "".join(f"{h:>{n}}" for h, n in zip(heads, (8, 7, 9, 7, 18, 19), strict=True)))
        rows = []
        shared = ("--one", str(model), "--work", str(work), "--threads", str(asked.threads))
        shared += ("--mirrored",) if mirror else ()
        for label, sums in THEIRS.items():
            _child(asked.judge, "--theirs", sums, *shared)
            rows.append((label, sums))
        for label, (engine, precision) in OURS.items():
            if not multiplies_natively(precision):
                print(f"{label:30}skipped: this processor doesn't multiply {precision}")
                continue
            _child(sys.executable, "--ours", engine, precision, *shared)
            rows.append((label, f"{engine}-{precision}"))
        _tell(rows, work)


def _tell(rows: list[tuple[str, str]], work: Path) -> None:
    taken = {name: json.loads((work / f"{name}.json").read_text()) for _, name in rows}
    labels = {name: np.load(work / f"{name}.npy") for _, name in rows}
    first = rows[0][1]
    for label, name in rows:
        cpu, peak = (taken[name][key] for key in ("cpu_s", "peak_gb"))
        like = [np.mean(labels[name] == labels[other]) for other in ("half", "exact")]
        print(f"{label:30}{cpu:8.2f}{cpu / taken[first]['cpu_s']:7.2f}{peak:9.2f}{peak / taken[first]['peak_gb']:7.2f}"
              f"{like[0]:18.5f}{like[1]:19.5f}")  # fmt: skip


def write_image(path: Path, crop: int, work: Path) -> None:
    """The middle of a CT, its slowest axis first as nnU-Net reads it, and its spacing."""
    from willis.io.nifti import read_nifti

    ct = read_nifti(path, "ncct")
    box = [slice(max(n - crop, 0) // 2, max(n - crop, 0) // 2 + crop) if crop else slice(None) for n in ct.grid.shape]
    image = ct.data[tuple(box)].astype(np.float32).transpose(2, 1, 0)
    np.save(work / "image.npy", np.ascontiguousarray(image))
    np.save(work / "spacing.npy", np.array(ct.grid.spacing_mm[::-1]))
    print(f"{path.name}: {' × '.join(map(str, image.shape))} voxels (z, y, x)")


def _child(python: str, *arguments: str) -> None:
    environment = {**os.environ, **dict.fromkeys(("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"), "unused")}
    subprocess.run([python, __file__, *arguments], check=True, env=environment, stdout=subprocess.DEVNULL)


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", help="python of an environment that has nnunetv2")
    parser.add_argument("--model", type=Path, help="trained model folder TRAINER__PLANS__CONFIGURATION")
    parser.add_argument("--image", type=Path, default=CT, help="NIfTI")
    parser.add_argument("--crop", type=int, help="side of the middle that is taken, voxels; 0: all")
    parser.add_argument("--quick", action="store_true", help="small networks on a small crop")
    parser.add_argument("--mirror", action="store_true", help="with mirroring too")
    parser.add_argument("--threads", type=int, default=1)
    for hidden in ("--make", "--convert", "--mirrored"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--theirs", help=argparse.SUPPRESS)
    parser.add_argument("--ours", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    size = SIZES["quick" if asked.quick else "full"]
    if asked.make:
        make_models(asked.work, size)
    elif asked.convert:
        convert(asked.one, asked.work)
    elif asked.theirs:
        theirs(asked.theirs, asked.one, asked.work, asked.mirrored, asked.threads)
    elif asked.ours:
        engine, precision = asked.ours
        ours(engine, precision, asked.one, asked.work, asked.mirrored, asked.threads)
    elif not asked.judge:
        parser.error("--judge is needed: the python of an environment with nnunetv2")
    else:
        with tempfile.TemporaryDirectory(prefix="willis-benchmark-") as folder:
            work = Path(folder)
            os.environ["WILLIS_CACHE"] = str(work / "cache")
            write_image(asked.image, size["crop"] if asked.crop is None else asked.crop, work)
            if asked.model is None:
                _child(asked.judge, "--make", "--work", str(work), *(["--quick"] if asked.quick else []))
            models = [asked.model] if asked.model else [work / f"nnUNetTrainer__nnUNetPlans__{name}" for name in DIMS]
            for model in models:
                compare(model, work, asked)


if __name__ == "__main__":
    main()
