"""Make the golden files of nnU-Net's own predictor: tiny models with random weights, an image, logits and labels.

Plain U-Nets and residual encoders (``ResEnc``) in 3D and 2D, regions in 3D, and cascades of labels and of regions.

Run in an environment of its own with nnunetv2 (made with 2.8.1), from this folder:

    python make_nnunet_golden.py
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(name, "unused")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from nnunetv2.inference import predict_from_raw_data as prediction  # noqa: E402
from nnunetv2.inference.data_iterators import PreprocessAdapterFromNpy  # noqa: E402
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: E402

HERE = Path(__file__).parent
LABELS = {"background": 0, "c7": 1, "m1": 2}
REGIONS = {"labels": {"background": 0, "other": [1, 2, 3], "m1": [2], "c7": [3, 1]}, "regions_class_order": [3, 1, 2]}
SPACING_MM = (0.8, 0.9, 3.5)  # along i, j, k of the file
CT = {"mean": 34.0, "std": 16.0, "percentile_00_5": -20.0, "percentile_99_5": 90.0, "min": 0, "max": 0, "median": 0}


def architecture(dims: int, residual: bool = False) -> dict:
    """A U-Net of three stages."""
    pick = slice(3 - dims, None)
    kind = "ResidualEncoderUNet" if residual else "PlainConvUNet"
    encoder = {"n_blocks_per_stage": [1, 2, 1]} if residual else {"n_conv_per_stage": [2, 2, 2]}
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{kind}",
        "arch_kwargs": {
            "n_stages": 3,
            "features_per_stage": [4, 6, 8],
            "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
            "kernel_sizes": [[1, 3, 3][pick], [3, 3, 3][pick], [3, 3, 3][pick]],
            "strides": [[1, 1, 1][pick], [1, 2, 2][pick], [2, 2, 2][pick]],
            **encoder,
            "n_conv_per_stage_decoder": [2, 2],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def configuration(dims: int, residual: bool = False) -> dict:
    """Of the plans."""
    image = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    result = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": "x",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8, 16, 16][3 - dims :],
        "median_image_size_in_voxels": [10.0, 24.0, 26.0][3 - dims :],
        "spacing": [3.0, 1.0, 1.1][3 - dims :],
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": image,
        "resampling_fn_seg_kwargs": {**image, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": result,
        "batch_dice": False,
        "architecture": architecture(dims, residual),
    }


def model_folder(
    name: str, dims: int, image: np.ndarray, about: dict | None = None, root: Path = HERE, tile: tuple = (8, 24, 28),
    *, planner: str = "nnUNetPlans", told: dict | None = None,
) -> Path:  # fmt: skip
    """A trained model folder whose weights are drawn at random, its last biases such that all labels appear.

    Of the configuration ``about``, or the tiny one of the golden files; ``tile`` is the part of the image that says so.
    ``told`` stands in dataset.json in place of the labels.
    """
    told = told or {"labels": LABELS}
    about = about or configuration(dims)
    codes = {code for value in told["labels"].values() for code in np.atleast_1d(value)} - {0}
    shown = len(codes) if "previous_stage" in about else 0
    plans = {
        "dataset_name": "Dataset001_made",
        "plans_name": planner,
        "original_median_spacing_after_transp": [3.5, 0.9, 0.8],
        "original_median_shape_after_transp": [10, 26, 30],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {name: about},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": CT},
    }
    dataset = {"channel_names": {"0": "CT"}, **told, "numTraining": 1, "file_ending": ".nii.gz"}
    folder = root / f"nnUNetTrainer__{planner}__{name}"
    (folder / "fold_0").mkdir(parents=True, exist_ok=True)
    (folder / "plans.json").write_text(json.dumps(plans, indent=1))
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1))
    size = about["architecture"]
    torch.manual_seed(dims)
    network = get_network_from_plans(
        size["network_class_name"], size["arch_kwargs"], size["_kw_requires_import"], 1 + shown,
        len(told["labels"]) - ("regions_class_order" in told), deep_supervision=True,
    )  # fmt: skip
    for value in network.parameters():
        torch.nn.init.normal_(value, std=0.4)
    scaled = (np.clip(image, CT["percentile_00_5"], CT["percentile_99_5"]) - CT["mean"]) / CT["std"]
    corner = scaled[: tile[0], : tile[1], : tile[2]] if dims == 3 else scaled[5, : tile[1], : tile[2]]
    network.decoder.deep_supervision = False
    seen = torch.from_numpy(np.stack([corner, *np.zeros((shown, *corner.shape))])).float()
    with torch.no_grad():
        logits = network(seen[None])[0].flatten(1)
        network.decoder.seg_layers[-1].bias -= logits.median(dim=1).values
    checkpoint = {
        "network_weights": network.state_dict(),
        "trainer_name": "nnUNetTrainer",
        "init_args": {"configuration": name, "fold": 0},
        "inference_allowed_mirroring_axes": tuple(range(dims)),
        "_best_ema": np.float64(0.5),
        "current_epoch": 1,
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    return folder


@contextmanager
def exact_sums() -> Iterator[None]:
    """Let nnU-Net sum its tiles in float32 instead of half precision."""
    half, weights = torch.half, prediction.compute_gaussian
    torch.half, prediction.compute_gaussian = torch.float32, partial(weights, dtype=torch.float32)
    try:
        yield
    finally:
        torch.half, prediction.compute_gaussian = half, weights


def opened(folder: Path, mirror: bool) -> prediction.nnUNetPredictor:
    """nnU-Net's own predictor with a model folder."""
    predictor = prediction.nnUNetPredictor(
        tile_step_size=0.5, use_gaussian=True, use_mirroring=mirror, device=torch.device("cpu"), verbose=False,
        perform_everything_on_device=False, allow_tqdm=False,
    )  # fmt: skip
    predictor.initialize_from_trained_model_folder(str(folder), (0,), "checkpoint_final.pth")
    return predictor


def predict(
    folder: Path, image: np.ndarray, mirror: bool, before: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities by nnU-Net's own predictor, slowest axis first; of a cascade with the labels before."""
    predictor = opened(folder, mirror)
    return predictor.predict_single_npy_array(image[None], {"spacing": list(SPACING_MM[::-1])}, before, None, True)


def network_input(folder: Path, image: np.ndarray, before: np.ndarray) -> np.ndarray:
    """What nnU-Net shows the network of a cascade (C, ...), in the network's axes and spacing."""
    it = opened(folder, mirror=False)
    made = PreprocessAdapterFromNpy(
        [image[None]], [before], [{"spacing": list(SPACING_MM[::-1])}], [None], it.plans_manager, it.dataset_json,
        it.configuration_manager, num_threads_in_multithreaded=1,
    )  # fmt: skip
    return next(made)["data"].numpy()


def stage(previous: bool, separate: bool | None, scheme: str) -> dict:
    """One stage of a cascade: a network of two stages, the first in a coarser spacing."""
    about = configuration(3)
    about["architecture"]["arch_kwargs"] |= {
        "n_stages": 2,
        "features_per_stage": [4, 6],
        "kernel_sizes": [[3, 3, 3]] * 2,
        "strides": [[1, 1, 1], [2, 2, 2]],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
    }
    for kind in ("data", "seg", "probabilities"):
        about[f"resampling_fn_{kind}_kwargs"]["force_separate_z"] = separate
    masked = scheme == "ZScoreNormalization"
    stages = {"previous_stage": "3d_lowres"} if previous else {"next_stage": "3d_cascade_fullres"}
    spacing = [3.0, 1.0, 1.1] if previous else [3.2, 1.7, 1.9]
    return {**about, "spacing": spacing, "normalization_schemes": [scheme], "use_mask_for_norm": [masked], **stages}


def make_cascades(image: np.ndarray) -> None:
    """Predict an image whose corner is 0 by two cascades, each stage by nnU-Net's own predictor."""
    image = image * (np.indices(image.shape).sum(axis=0) > 24)
    made = {"image": image.transpose(2, 1, 0)}
    for planner, told, *how in (
        ("nnUNetCascade", {"labels": LABELS}, None, "CTNormalization"),
        ("nnUNetCascadeRegions", REGIONS, False, "ZScoreNormalization"),
    ):
        first, second = (
            model_folder(name, 3, image, stage(previous, *how), tile=(8, 24, 28), planner=planner, told=told)
            for name, previous in (("3d_lowres", False), ("3d_cascade_fullres", True))
        )
        with exact_sums():
            before, _ = predict(first, image, mirror=True)
            labels, _ = predict(second, image, True, before[None].astype(np.float32))
        assert len(np.unique(before)) == len(np.unique(labels)) == len(told["labels"])
        made[f"{planner}_before"] = before.astype(np.uint8).transpose(2, 1, 0)
        made[f"{planner}_input"] = network_input(second, image, before[None].astype(np.float32))
        made[f"{planner}_labels"] = labels.astype(np.uint8).transpose(2, 1, 0)
    np.savez_compressed(HERE / "nnunet_cascades.npz", **made)


def network_logits(folder: Path, tile: np.ndarray) -> np.ndarray:
    """Logits (L, ...) of the network alone, of a tile (Z, Y, X) or (Y, X)."""
    predictor = opened(folder, mirror=False)
    predictor.network.load_state_dict(predictor.list_of_parameters[0])
    with torch.inference_mode():
        return predictor.network.eval()(torch.from_numpy(tile)[None, None])[0].numpy()


def main() -> None:
    """Predict one made-up CT with the plain models, with and without mirroring, and with the others."""
    rng = np.random.default_rng(11)
    zyx = np.indices((10, 26, 30))
    image = 30 + 25 * np.sin(zyx[2] / 4) * np.cos(zyx[1] / 5) + 4 * zyx[0] + rng.normal(0, 6, zyx.shape[1:])
    image[:, :3] = 0
    image[:, :, -2:] = 0
    image = image.astype(np.float32)
    golden = {"image": image.transpose(2, 1, 0), "spacing_mm": np.array(SPACING_MM)}
    for name, dims in (("3d_fullres", 3), ("2d", 2)):
        folder = model_folder(name, dims, image)
        for mirror in (False, True):
            key = f"{name}_{'mirrored' if mirror else 'plain'}"
            labels, probabilities = predict(folder, image, mirror)
            golden[f"{key}_labels"] = labels.astype(np.uint8).transpose(2, 1, 0)
            golden[f"{key}_probabilities"] = probabilities.astype(np.float16).transpose(0, 3, 2, 1)
            with exact_sums():
                labels, _ = predict(folder, image, mirror)
            golden[f"{key}_exact_labels"] = labels.astype(np.uint8).transpose(2, 1, 0)
    np.savez_compressed(HERE / "nnunet.npz", **golden)
    others = {"regions": model_folder("3d_fullres", 3, image, planner="nnUNetRegions", told=REGIONS)}
    for name, dims in (("3d_fullres", 3), ("2d", 2)):
        others[f"resenc_{name}"] = model_folder(
            name, dims, image, configuration(dims, residual=True), planner="nnUNetResEncUNetMPlans"
        )
    with exact_sums():
        labels = {key: predict(folder, image, mirror=True)[0] for key, folder in others.items()}
    made = {key: one.astype(np.uint8).transpose(2, 1, 0) for key, one in labels.items()}
    made["tile"] = image[:8, 8:24, 8:24] / 30
    for name, tile in (("3d_fullres", made["tile"]), ("2d", made["tile"][0])):
        made[f"resenc_{name}_logits"] = network_logits(others[f"resenc_{name}"], np.ascontiguousarray(tile))
    np.savez_compressed(HERE / "nnunet_others.npz", **made)
    make_cascades(image)


if __name__ == "__main__":
    main()
