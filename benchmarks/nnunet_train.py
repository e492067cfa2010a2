"""A small nnU-Net trained for a few minutes by its own trainer, for benchmarks/nnunet.py to compare both predictors on.

    .venv/bin/willis phantom lvo --count 6 --seed 77 -o phantoms
    .venv/bin/willis export nnunet-dataset phantoms --label brain --names brain --folds 3 -o raw/Dataset501_Brain
    JUDGE benchmarks/nnunet_train.py raw/Dataset501_Brain models
    .venv/bin/python benchmarks/nnunet.py --judge JUDGE \\
        --model models/Dataset501_Brain/nnUNetTrainer__nnUNetPlans__3d_fullres

``JUDGE`` is the python of an environment with nnunetv2. Fingerprint, plans, preprocessing, augmentation and training
are nnU-Net's own; of its plans patch, batch and widths are made smaller, and the trainer is given fewer steps. Brains
are learned in minutes, vessels aren't.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

SMALLER = {
    "3d_fullres": {"patch_size": [32, 96, 96], "batch_size": 2},
    "2d": {"patch_size": [192, 192], "batch_size": 8},
}
PLANS = "nnUNetPlans.json"
WIDTHS = [16, 32, 64, 128]


def prepare(dataset: Path, prepared: Path) -> None:
    """Take the fingerprint, plan smaller than nnU-Net would, preprocess."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

    number = int(dataset.name[7:10])
    extract_fingerprints([number], num_processes=1, check_dataset_integrity=True)
    plan_experiments([number])
    plans = json.loads((prepared / PLANS).read_text())
    for configuration, smaller in SMALLER.items():
        plans["configurations"][configuration].update(smaller, batch_dice=True)
        network = plans["configurations"][configuration]["architecture"]["arch_kwargs"]
        count = len(WIDTHS)
        network.update(
            n_stages=count,
            features_per_stage=WIDTHS,
            kernel_sizes=network["kernel_sizes"][:count],
            strides=network["strides"][:count],
            n_conv_per_stage=[2] * count,
            n_conv_per_stage_decoder=[2] * (count - 1),
        )
    (prepared / PLANS).write_text(json.dumps(plans))
    preprocess([number], configurations=list(SMALLER), num_processes=[1] * len(SMALLER))
    shutil.copyfile(dataset / "splits_final.json", prepared / "splits_final.json")


def train(prepared: Path, steps: int, epochs: int) -> None:
    """Train fold 0 of both configurations."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    os.environ.update(nnUNet_n_proc_DA="0")  # augmentation in this process; planning wants one at least
    about = json.loads((prepared / "dataset.json").read_text())
    for configuration in SMALLER:
        torch.manual_seed(0)
        plans = json.loads((prepared / PLANS).read_text()) | {"continue_training": False}
        trainer = nnUNetTrainer(plans, configuration, 0, about, torch.device("cpu"))
        trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = epochs, steps, 2
        trainer.run_training()


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="DatasetNNN_Name as willis export nnunet-dataset writes it")
    parser.add_argument("models", type=Path, help="folder for the trained models")
    parser.add_argument("--steps", type=int, default=25, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    asked.models.mkdir(parents=True, exist_ok=True)
    os.environ.update(
        nnUNet_raw=str(asked.dataset.absolute().parent),
        nnUNet_preprocessed=str(asked.models.absolute() / "preprocessed"),
        nnUNet_results=str(asked.models.absolute()),
        nnUNet_n_proc_DA="1",
        nnUNet_compile="f",
    )
    prepared = asked.models.absolute() / "preprocessed" / asked.dataset.name
    prepare(asked.dataset.absolute(), prepared)
    train(prepared, asked.steps, asked.epochs)


if __name__ == "__main__":
    main()
