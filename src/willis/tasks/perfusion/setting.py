"""The publication's JSON settings as recipes: which keys are mapped, which are ignored, which can't be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from willis.errors import BadInputError
from willis.tasks.perfusion.labels import classes_of
from willis.units import counted

STEPS_PER_EPOCH = 100  # a recipe counts steps; the publication's epochs are passes over its own patients; assumed
EPOCHS_BETWEEN = 10  # of two validations; the publication validates after each, on patients that are there already
VALIDATION_PATIENTS = 9  # three of each group; the publication's 30 wouldn't fit into memory at 512 pixels
LOSSES = {"focal_tversky_loss": "focal_tversky", "tversky_loss": "tversky", "dice_coef_loss": "dice",
          "squared_dice_coef_loss": "squared_dice", "jaccard_distance": "jaccard", "jaccard_loss": "jaccard",
          "tanimoto_loss": "tanimoto", "tanimoto_with_dual_loss": "tanimoto_dual",
          "weighted_categorical_cross_entropy": "ce", "focal_loss": "focal"}  # fmt: skip
MOST_GAMMA = 10.0  # assumed
NON_LVO_WEIGHT = 6  # of a sample of a Non-LVO patient, in the publication's code and not in its settings
LOSS_KEYS = {"alpha": "beta, the weight of false negatives, and alpha, what it leaves of 1", "gamma": "gamma"}
OVERLAPS = ("tversky", "focal_tversky", "dice", "squared_dice", "jaccard", "tanimoto", "tanimoto_dual")
L1, L2, MAX_NORM = 1e-6, 1e-5, 2.0  # of the publication's own layers, in its code and not in its settings
STAGES: dict[str, dict[str, Any]] = {
    "frozen": {"frozen": ["encoders"]}, "half": {"frozen": ["encoders-first-half"]}, "free": {},
}  # fmt: skip
GRADUAL = {"half": ("frozen", "half", "free"), "full": ("frozen", "free")}  # by the publication's type
LOSS = "val_loss"
NETWORKS = ("PMs_segmentation", "PMs_segmentation_NOBatch", "PMs_segmentation_MoreInfo_NOBatch")

IGNORED = {
    "EXPERIMENT": "a run is named by its folder",
    "USE_SEQUENCE_TRAIN": "cases are always made as they are needed",
    "OVERRIDE_MODELS_ID_PATH": "a bundle is named with --bundle",
    "root_path": "a path of the authors' machine",
    "dataset_path": "a path of the authors' machine",
    "relative_paths": "paths of the authors' machine",
    "init": "settings of another framework",
    "test_steps": "the whole of every test patient is read",
    "save_images": "a run always writes its pictures",
    "use_hickle": "another way to store",
    "train_again": "a run resumes by itself",
    "supervised": "training is supervised",
    "save_activation_filter": "not offered",
}
CANNOT = {
    "PATIENTS_TO_TRAINVAL": "the authors' patients aren't public; give your own data",
    "PATIENTS_TO_TEST": "the authors' patients aren't public",
    "PATIENTS_TO_EXCLUDE": "the authors' patients aren't public",
    "metrics": "willis evaluate has its own table",
    "steps_per_epoch_ratio": "steps are counted, not epochs",
    "validation_steps_ratio": "steps are counted, not epochs",
    "val": "validation patients are chosen by [data]",
    "cross_validation": "folds are asked for with [folds]",
    "max_pool": "of another network",
}


@dataclass
class Mapped:
    """What became of every key of a setting, and the recipe's values by section; ``stages`` is a list of tables."""

    name: str
    recipe: dict[str, Any]
    mapped: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    impossible: list[str] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)


def read_setting(path: Path, *, repair: bool = False) -> tuple[dict[str, Any], list[str]]:
    """A setting as a mapping, and what was repaired to read it.

    Parameters
    ----------
    repair
        Whether a broken value may be replaced by an empty list.

    Raises
    ------
    BadInputError
        When the file can't be read or isn't JSON: line and column are said.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} can't be read: {error}.") from None
    repaired: list[str] = []
    for _ in range(8):
        try:
            found = json.loads(text)
        except json.JSONDecodeError as error:
            mended = _mended(text, error) if repair else None
            if mended is None:
                hint = "" if repair else " Run again with --repair to have it mended as far as that is possible."
                raise BadInputError(
                    f"{path.name} isn't valid JSON: {error.msg} at line {error.lineno}, column {error.colno}.{hint}"
                ) from None
            text, what = mended
            repaired.append(what)
            continue
        if not isinstance(found, dict):
            raise BadInputError(f"{path.name} holds a {type(found).__name__}; a setting is an object.")
        return found, repaired
    raise BadInputError(f"{path.name} has more faults than can be repaired.")


def _mended(text: str, error: json.JSONDecodeError) -> tuple[str, str] | None:
    """The text with the value at the fault replaced, and what was done; None when the fault isn't in a value."""
    lines = text.split("\n")
    for at in range(error.lineno - 1, max(error.lineno - 4, -1), -1):
        match = re.match(r'(\s*)"([A-Za-z_]+)"\s*:(.*)$', lines[at])
        if match is None:
            continue
        last = _end_of_value(lines, at)
        lost = " ".join(line.strip() for line in [match[3], *lines[at + 1 : last + 1]]).strip()
        comma = "," if last + 1 < len(lines) and not lines[last + 1].strip().startswith("}") else ""
        lines[at : last + 1] = [f'{match[1]}"{match[2]}": []{comma}']
        return "\n".join(lines), f"line {at + 1}: the value of {match[2]}, {lost[:60]!r}, was replaced by an empty list"
    return None


def _end_of_value(lines: list[str], at: int) -> int:
    """The line before the next key, or before the object's end."""
    for index in range(at + 1, len(lines)):
        if re.match(r'\s*("[A-Za-z_]+"\s*:|\})', lines[index]):
            return index - 1
    return len(lines) - 1


def map_setting(setting: Mapping[str, Any], name: str, *, classes: int = 4, size: int = 512) -> Mapped:
    """A setting as a recipe's values.

    Raises
    ------
    BadInputError
        When it names no model, or a network or loss of another publication.
    """
    models = setting.get("models")
    if not isinstance(models, list) or len(models) != 1 or not isinstance(models[0], dict):
        raise BadInputError(
            f"{name} describes {counted(len(models) if isinstance(models, list) else 0, 'model')}; one is needed."
        )
    model: dict[str, Any] = models[0]
    network = str(model.get("name", ""))
    if network not in NETWORKS:
        raise BadInputError(f"{name} asks for the network {network!r}; known are {', '.join(NETWORKS)}.")
    found = Mapped(name, {})
    more = model.get("moreinfo") or setting.get("moreinfo") or {}
    params = model.get("params") or {}
    maps = ["cbf", "cbv", "ttp", "tmax", *(["mip"] if int(more.get("mip", 0)) else [])]
    scalars = [key for key in ("nihss", "age") if int(more.get(key, 0))]
    scalars += ["sex"] if int(more.get("gender", 0)) else []
    _fill(found, model, maps, scalars, classes=classes, size=size)
    found.recipe["network.config"]["batch_norm"] = not network.endswith("NOBatch")
    found.mapped += [
        f"models[0].name {network}: [network.config] batch_norm {str(not network.endswith('NOBatch')).lower()}",
        f"models[0].moreinfo: [data] maps {', '.join(maps)}; scalars {', '.join(scalars) or 'none'}",
    ]
    _set_stages(found, params)
    _set_early_stopping(found, model.get("callbacks") or {})
    _sort_keys(found, setting, model, params)
    return found


def _set_stages(found: Mapped, params: Mapping[str, Any]) -> None:
    """Frozen encoders, free ones, or both after each other: stages of the run, each with the setting's epochs."""
    unfrozen = bool(int(params.get("trainable", 0)))
    gradual = str((params.get("gradual_finetuning_solution") or {}).get("type", ""))
    names = GRADUAL.get(gradual, () if unfrozen else ("frozen",))
    if names:
        found.recipe["stages"] = [{"name": name, **STAGES[name]} for name in names]
        found.recipe["training"]["steps"] *= len(names)
    how = f"[[stages]] {', '.join(names)}" if names else "no stage: nothing is frozen"
    found.mapped.append(f"models[0].params.trainable {int(unfrozen)}: {how}")
    if gradual in GRADUAL:
        found.mapped.append(
            f"models[0].params.gradual_finetuning_solution {gradual}: {how}, each from the best weights so far and "
            "with the setting's epochs"
        )
    elif gradual:
        found.impossible.append(
            f"models[0].params.gradual_finetuning_solution {gradual}: known are {', '.join(GRADUAL)}"
        )


def _set_early_stopping(found: Mapped, callbacks: Mapping[str, Any]) -> None:
    """The run, or the stage, ends after validations without progress of the loss."""
    stopping = callbacks.get("EarlyStopping")
    if not isinstance(stopping, dict):
        return
    epochs = stopping.get("patience", 0)
    if stopping.get("monitor", LOSS) != LOSS or isinstance(epochs, bool) or not isinstance(epochs, int) or epochs < 1:
        found.impossible.append(f"models[0].callbacks.EarlyStopping: only {LOSS} with a patience of epochs is offered")
        return
    training = found.recipe["training"]
    training |= {"monitor": "loss", "monitor_mode": "min", "patience": math.ceil(epochs / EPOCHS_BETWEEN)}
    found.mapped.append(
        f"models[0].callbacks.EarlyStopping patience {epochs}: [training] monitor loss, patience "
        f"{training['patience']} validations, {EPOCHS_BETWEEN} epochs apart; ends a stage, or the run; its min_delta "
        "isn't carried over"
    )


def _fill(
    found: Mapped, model: Mapping[str, Any], maps: list[str], scalars: list[str], *, classes: int, size: int
) -> None:
    optimiser = model.get("optimizer") or {}
    loss = model.get("loss") or "focal_tversky_loss"
    given = loss if isinstance(loss, dict) else {"name": loss}
    kind = str(given.get("name", "focal_tversky_loss"))
    if kind not in LOSSES:
        raise BadInputError(f"{found.name} asks for the loss {kind!r}; known are {', '.join(LOSSES)}.")
    beside = model.get(kind)
    given = {**(beside if isinstance(beside, dict) else {}), **given}
    batch, epochs = int(model.get("batch_size", 32)), int(model.get("epochs", 1))
    miss = _within(found.name, f"{kind}.alpha", given.get("alpha", 0.7), 1.0)
    gamma = _within(found.name, f"{kind}.gamma", given.get("gamma", 1.33), MOST_GAMMA)
    term: dict[str, Any] = {"name": LOSSES[kind]}
    if LOSSES[kind] in OVERLAPS:
        term |= {"alpha": round(1 - miss, 6), "beta": miss, "gamma": gamma, "pooled": True}
    rate = float(optimiser.get("lr", 1e-5))
    found.recipe = {
        "network": {"name": "vgg_fusion"},
        "network.config": {
            "maps": len(maps), "scalars": len(scalars), "outputs": classes, "size": size,
        },
        "data": {"maps": maps, "scalars": scalars, "classes": classes, "size": size},
        "data.phantom": {"validation_count": VALIDATION_PATIENTS},
        "sampling": {"patch": [size, size, 1], "foreground_share": 0.5, "workers": 1},
        "augmentation": {"flip": 0.5 if int(model.get("data_augmentation", 0)) else 0.0, "flip_axes": [0, 1],
                         "keep_zero": False},
        "loss": {"activation": "softmax", "labels": list(classes_of(classes).weights), "terms": [term]},
        "optimiser": {"name": "adamw", "rate": rate, "weight_decay": 0.0,
                      "betas": [float(optimiser.get("beta_1", 0.9)), float(optimiser.get("beta_2", 0.999))],
                      "l1": L1, "l2": L2, "max_norm": MAX_NORM},
        "schedule": {"name": "constant"},
        "training": {"steps": epochs * STEPS_PER_EPOCH, "batch": batch, "clip": 0.0,
                     "clip_value": float(optimiser.get("clipvalue", 0.0)), "ema": 0.0,
                     "validate_every": EPOCHS_BETWEEN * STEPS_PER_EPOCH, "monitor": "dice_lesions"},
        "bundle": {"members": "best"},
    }  # fmt: skip
    found.mapped += [
        f"models[0].loss {kind}: [loss] with alpha {1 - miss:g} (false positives), beta {miss:g} (false negatives)",
        f"models[0].optimizer: [optimiser] rate {rate:g}, without weight decay, which is Adam; [training] clip_value",
        f"models[0].epochs {epochs}: [training] steps {epochs * STEPS_PER_EPOCH}, {STEPS_PER_EPOCH} for an epoch",
        f"models[0].batch_size: [training] batch {batch}",
        "models[0].data_augmentation: [augmentation] flips, image and labels always together; quarter turns aren't",
        "models[0].to_categ: [loss] activation softmax",
    ]
    found.impossible.append(
        f"sample weight of {NON_LVO_WEIGHT} for Non-LVO patients: in the publication's code, not in its settings; it "
        "isn't carried over, and every patient counts the same"
    )
    if isinstance(beside, dict):
        used = [key for key in LOSS_KEYS if key in beside and LOSSES[kind] in OVERLAPS]
        found.mapped += [f"models[0].{kind}.{key} {given[key]:g}: [loss] {LOSS_KEYS[key]}" for key in used]
        found.impossible += [f"models[0].{kind}.{key}: not carried over" for key in beside if key not in used]


def _within(name: str, key: str, value: Any, most: float) -> float:
    """A loss's number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
        raise BadInputError(f"{name} gives {key} as {value!r}; allowed is a number above 0 and at most {most:g}.")
    return float(value)


def _sort_keys(found: Mapped, setting: Mapping[str, Any], model: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    done = {"models", "moreinfo", "models[0].name", "models[0].moreinfo", "models[0].loss", "models[0].optimizer",
            "models[0].epochs", "models[0].batch_size", "models[0].data_augmentation", "models[0].to_categ",
            "models[0].params.trainable", "models[0].params.gradual_finetuning_solution"}  # fmt: skip
    loss = model.get("loss") or "focal_tversky_loss"
    used = str(loss.get("name", "focal_tversky_loss")) if isinstance(loss, dict) else str(loss)
    for key in _keys(setting, model, params):
        last = key.rsplit(".", 1)[-1]
        if key in done or key == "models[0].params":
            continue
        if key == f"models[0].{used}" and isinstance(model[last], dict):
            continue
        if key.startswith("models[0].") and last in LOSSES and last != used:
            found.ignored.append(f"{key}: the loss is {used}")
            continue
        if key == "models[0].params.dropout":
            value = params["dropout"]
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
                found.recipe["network.config"]["dropout"] = float(value)
                found.mapped.append(f"{key}: [network.config] dropout {float(value):g}")
            else:
                found.ignored.append(f"{key}: the network's own 0.25 is used")
        elif key == "models[0].callbacks":
            _sort_callbacks(found, model.get("callbacks") or {})
        elif last in IGNORED:
            found.ignored.append(f"{key}: {IGNORED[last]}")
        else:
            found.impossible.append(f"{key}: {CANNOT.get(last, 'not known')}")


def _sort_callbacks(found: Mapped, callbacks: Mapping[str, Any]) -> None:
    for name in callbacks:
        if name == "EarlyStopping":
            continue
        if name in ("ModelCheckpoint", "CSVLogger", "TensorBoard", "TerminateOnNaN"):
            found.ignored.append(f"models[0].callbacks.{name}: every run does it in its own way")
        else:
            found.impossible.append(f"models[0].callbacks.{name}: not offered in this form")


def _keys(setting: Mapping[str, Any], model: Mapping[str, Any], params: Mapping[str, Any]) -> Iterator[str]:
    yield from setting
    yield from (f"models[0].{key}" for key in model)
    yield from (f"models[0].params.{key}" for key in params)


def recipe_text(found: Mapped) -> str:
    """The recipe as TOML."""
    training = found.recipe["training"]
    kept = "loss" if training["monitor"] == "loss" else "Dice of core and penumbra"
    lines = [f"# {found.name}: the publication's setting on phantoms (Tomasetti 2022, doi:10.7557/18.6223).",
             f"# The weights kept are the best by {kept} of the validation.",
             "# ImageNet weights: willis train --imagenet FILE.",
             'task = "perfusion"']  # fmt: skip
    for section, values in found.recipe.items():
        tables, head = (values, f"[[{section}]]") if isinstance(values, list) else ([values], f"[{section}]")
        for table in tables:
            lines += ["", head, *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value)
