"""``willis train``: from a recipe to a run folder with a bundle."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from torch import Tensor

    from willis.learn.recipe import Recipe

LINE_INTERVAL_S = 30.0  # time between two lines about the steps


def train(
    recipe: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    data: Path | None = None,
    split: Path | None = None,
    part: str | None = None,
    resume: Annotated[bool, Parameter(negative=())] = False,
    steps: int | None = None,
    seed: int | None = None,
    folds: int | None = None,
    fold: int | None = None,
    start: str | None = None,
    imagenet: Path | None = None,
    bundle: Annotated[bool, Parameter(negative="--no-bundle")] = True,
) -> None:
    """Train a model by a recipe.

    Ctrl-C or SIGTERM ends the run after the step at hand, with a checkpoint; --resume goes on from there.

    Parameters
    ----------
    recipe
        The TOML file that says what to train and how.
    output
        Run folder: resolved recipe, logs, curves, checkpoints, bundle.
    data
        Folder of labelled patients, instead of what the recipe names.
    split
        Split file that shares them out (``willis dataset split`` or ``folds``), instead of what the recipe names.
    part
        The part of it that validates; of a split with a part ``validation``, that one when not given.
    resume
        Go on with the run in the folder.
    steps
        Number of steps, instead of the recipe's.
    seed
        Of weights, patches, augmentation and phantoms, instead of the recipe's: members of an ensemble differ by it.
    folds
        Share the patients out into this many folds and train on all but one.
    fold
        The fold that is left out, from 0.
    start
        Name or folder of a bundle whose last member's weights to start from, to refine or to adapt it.
    imagenet
        File of VGG-16's ImageNet weights (Keras' H5 without top, or torchvision's) for the encoders of vgg_fusion.
    bundle
        Whether to write a bundle at the end.
    """
    from willis.learn.recipe import read_recipe
    from willis.learn.trainer import train as run
    from willis.tasks.training import bundle_from, cases_and_validation

    chosen = with_flags(
        read_recipe(recipe), data, split=split, part=part, steps=steps, seed=seed, folds=folds, fold=fold
    )
    cases, validate = cases_and_validation(chosen, output)
    weights = _weights_of(start, chosen.task) if imagenet is None else _imagenet(imagenet, start, chosen)
    if weights is None and not resume and chosen.network.name == "vgg_fusion":
        print("The encoders start from random weights; give ImageNet's with --imagenet.", file=sys.stderr)
    lines = _Lines()
    with _stopped_by_signals() as stopped:
        result = run(
            chosen,
            cases,
            validate,
            output,
            resume=resume,
            start=weights,
            progress=lines,
            stop=lambda: bool(stopped),
        )
    if not result.leads:
        return
    state = result.state
    print(f"{state.reason} after step {state.step}; weights and logs are in {output}.")
    if bundle:
        flags = {
            "--data": data.name if data else None,
            "--split": split.name if split else None,
            "--part": part,
            "--steps": steps,
            "--seed": seed,
            "--folds": folds,
            "--fold": fold,
            "--start": start,
            "--imagenet": imagenet.name if imagenet else None,
        }
        command = f"willis train {recipe.name} -o {output.name}"
        command += "".join(f" {flag} {value}" for flag, value in flags.items() if value is not None)
        print(f"Bundle: {bundle_from(chosen, result, output / 'bundle', recipe.name, command).folder}")


def with_flags(
    recipe: Recipe,
    data: Path | None,
    *,
    split: Path | None = None,
    part: str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    folds: int | None = None,
    fold: int | None = None,
) -> Recipe:
    """A recipe with what the command line says in its place; None leaves the recipe's own.

    Raises
    ------
    BadInputError
        When a fold is asked for without their number, or beside a split.
    """
    from willis.errors import BadInputError

    if data is not None:
        recipe = recipe.changed("data", folder=str(data))
    named = {"split": str(split) if split else None, "part": part}
    recipe = recipe.changed("data", **{name: value for name, value in named.items() if value is not None})
    if recipe.data.get("split") and (folds, fold) != (None, None):
        raise BadInputError(
            "a split and --folds both say which patients are left out; give one of them (of a split of folds, --part)."
        )
    if steps is not None:
        recipe = recipe.changed("training", steps=steps)
    if seed is not None:
        recipe = recipe.changed("training", seed=seed)
        if "phantom" in recipe.data:
            recipe = recipe.changed("data", phantom={**recipe.data["phantom"], "seed": seed})
    if folds is not None:
        recipe = recipe.changed("folds", count=folds)
    if fold is not None:
        if recipe.folds is None:
            raise BadInputError("--fold needs --folds, the number of folds.")
        recipe = recipe.changed("folds", index=fold)
    return recipe


def _weights_of(bundle: str | None, task: str) -> dict[str, Tensor] | None:
    import torch

    from willis.models.store import open_bundle

    if bundle is None:
        return None
    opened = open_bundle(bundle, task)
    weights = opened.member_weights(len(opened.manifest.members) - 1)
    return {name: torch.from_numpy(value) for name, value in weights.items()}


def _imagenet(path: Path, start: str | None, recipe: Recipe) -> dict[str, Tensor]:
    import torch

    from willis.errors import BadInputError
    from willis.models.importers.vgg16 import imagenet_start

    if start is not None:
        raise BadInputError("--start and --imagenet both say which weights to start from; give one of them.")
    if recipe.network.name != "vgg_fusion":
        raise BadInputError(f"--imagenet is for the network vgg_fusion; the recipe's is {recipe.network.name}.")
    torch.manual_seed(recipe.training.seed)
    return imagenet_start(path, recipe.network.config)


@contextmanager
def _stopped_by_signals() -> Iterator[list[int]]:
    """A list that is filled when SIGINT or SIGTERM comes."""
    caught: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Lines:
    """One line on stderr now and then: step, loss, rate, time left."""

    def __init__(self) -> None:
        self._said = -LINE_INTERVAL_S
        self._first: tuple[int, float] | None = None

    def __call__(self, step: int, steps: int, values: Mapping[str, Any]) -> None:
        now = time.monotonic()
        self._first = self._first or (step, now)
        if now - self._said < LINE_INTERVAL_S and step < steps:
            return
        self._said = now
        done, since = step - self._first[0], now - self._first[1]
        left = f", {(steps - step) * since / done / 60:.0f} min left" if done else ""
        print(
            f"step {step}/{steps}: loss {values['loss']:.4f}, rate {values['rate']:.2g}, "
            f"{values['seconds']:.2f} s a step{left}",
            file=sys.stderr,
            flush=True,
        )
