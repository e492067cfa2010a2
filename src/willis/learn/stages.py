"""Stages of a run: how long each is, and what each leaves frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import accumulate

from torch import nn

from willis.errors import BadInputError
from willis.learn.recipe import Recipe, StageSettings

Parts = Mapping[str, Sequence[nn.Module]]


def stages_of(recipe: Recipe) -> tuple[StageSettings, ...]:
    """The recipe's stages, each with its own rate and patience; one where it names none."""
    stages = recipe.stages or (StageSettings(),)  # type: ignore[call-arg]
    usual = {"rate": recipe.optimiser.rate, "patience": recipe.training.patience}
    return tuple(
        stage.model_copy(update={"rate": stage.rate or usual["rate"],
                                 "patience": usual["patience"] if stage.patience < 0 else stage.patience})
        for stage in stages
    )  # fmt: skip


def steps_of_stages(recipe: Recipe) -> list[int]:
    """Steps of each stage; they add up to ``training.steps``.

    Raises
    ------
    BadInputError
        When there are fewer steps than a stage needs to have one.

    Examples
    --------
    >>> stages = [{"share": 1}, {"share": 2}]
    >>> steps_of_stages(Recipe.parse({"task": "wmh", "training": {"steps": 10}, "stages": stages}, "doctest"))
    [3, 7]
    """
    steps, shares = recipe.training.steps, [stage.share for stage in stages_of(recipe)]
    ends = [round(steps * done / sum(shares)) for done in accumulate(shares)]
    lengths = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    if min(lengths) < 1:
        raise BadInputError(
            f"{steps} steps shared out over stages of {', '.join(f'{share:g}' for share in shares)} leave stage "
            f"{lengths.index(min(lengths)) + 1} without a step; set training.steps (--steps) higher."
        )
    return lengths


def freeze(network: nn.Module, frozen: Sequence[str]) -> set[str]:
    """Train all of a network but the frozen parts; gives the names of layers whose statistics stay.

    Parameters
    ----------
    network
        Which may name parts of itself by a method ``parts``: layers by the part's name.
    frozen
        Names of parts, or patterns of parameters' names.

    Raises
    ------
    BadInputError
        When one is neither, or nothing is left to train.
    """
    named = getattr(network, "parts", None)
    parts: Parts = named() if named is not None else {}
    still: set[int] = set()
    for wanted in frozen:
        if wanted in parts:
            still |= {id(parameter) for layer in parts[wanted] for parameter in layer.parameters()}
            continue
        found = {id(parameter) for name, parameter in network.named_parameters() if fnmatchcase(name, wanted)}
        if not found:
            known = [*parts, *(f"{name}.*" for name, child in network.named_children() if list(child.parameters()))]
            raise BadInputError(f"stages: nothing of the network is called {wanted!r}; it has {', '.join(known)}.")
        still |= found
    for parameter in network.parameters():
        parameter.requires_grad_(id(parameter) not in still)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise BadInputError(f"stages: with {', '.join(frozen)} frozen nothing is left to train.")
    return {
        name
        for name, layer in network.named_modules()
        if getattr(layer, "running_mean", None) is not None
        and (own := list(layer.parameters(recurse=False)))
        and all(id(parameter) in still for parameter in own)
    }


def set_training(network: nn.Module, still: set[str]) -> nn.Module:
    """The network in training, but for the layers whose statistics stay."""
    network.train()
    for name, layer in network.named_modules():
        if name in still:
            layer.eval()
    return network
