"""Write the recipes of the published variants of the perfusion network: F frozen, U unfrozen, G gradual.

    python scripts/make_perfusion_recipes.py recipes

PMs are the four maps, M adds the MIP, N adds NIHSS, as the publication's settings name them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from willis.io.tables import write_text
from willis.tasks.perfusion.setting import map_setting, recipe_text

INPUTS = {"PMs": (0, 0), "PMs-M": (1, 0), "PMs-N": (0, 1), "PMs-M-N": (1, 1)}
COMMON: dict[str, Any] = {
    "loss": "focal_tversky_loss",
    "epochs": 1000,
    "batch_size": 2,
    "optimizer": {"name": "Adam", "lr": 1e-5, "beta_1": 0.9, "beta_2": 0.999, "clipvalue": 0.5},
    "to_categ": 1,
    "data_augmentation": 1,
    "callbacks": {"EarlyStopping": {"monitor": "val_loss", "patience": 25}},
}


def settings() -> dict[str, dict[str, Any]]:
    """The twelve settings by name."""
    found = {}
    for way in "FUG":
        for inputs, (mip, nihss) in INPUTS.items():
            more = way == "U" and inputs != "PMs"
            params: dict[str, Any] = {"trainable": int(way == "U")}
            if way == "G":
                params["gradual_finetuning_solution"] = {"type": "full" if inputs == "PMs-N" else "half"}
            model = {
                **COMMON,
                "name": "PMs_segmentation_MoreInfo_NOBatch" if more else "PMs_segmentation_NOBatch",
                "params": params,
                "moreinfo": {"mip": mip, "nihss": nihss},
            }
            found[f"perfusion-{way}-{inputs}"] = {"models": [model]}
    return found


def texts() -> dict[str, str]:
    """The recipes by file name."""
    return {f"{name}.toml": recipe_text(map_setting(setting, name)) for name, setting in settings().items()}


if __name__ == "__main__":
    for file, text in texts().items():
        write_text(text, Path(sys.argv[1]) / file)
        print(file)
