"""Stages of a run: what is frozen stays to the bit, resuming over a change of stage too."""

from types import ModuleType
from typing import Any

import pytest
import torch

from willis.errors import BadInputError
from willis.learn.checkpoint import load_state
from willis.learn.recipe import Recipe
from willis.learn.runlog import read_log
from willis.learn.stages import freeze, stages_of, steps_of_stages
from willis.learn.trainer import train
from willis.nets.registry import build_network

NETWORK = {"inputs": 1, "filters": [4, 8], "final": [4], "decoder": "slim", "dropout": [0.1]}
STAGES = [{"name": "head", "share": 3, "frozen": ["encoder.*"]}, {"name": "all", "share": 5, "rate": 0.002}]


def recipe(stages: Any = STAGES, **training: Any) -> Recipe:
    values = {
        "task": "wmh",
        "network": {"config": NETWORK},
        "sampling": {"patch": [12, 12, 12], "window": 6, "first": 3, "cases_per_step": 0.5, "workers": 0},
        "augmentation": {"noise": 0.5},
        "optimiser": {"rate": 0.01, "max_norm": 0.5},
        "stages": stages,
        "bundle": {"members": "last"},
        "training": {"steps": 8, "log_every": 1, "checkpoint_every": 4, "validate_every": 2, "threads": 1, **training},
    }
    return Recipe.parse(values, "test")


def validation(network: torch.nn.Module) -> dict[str, float]:
    """A figure that depends on the weights, and isn't the highest for the last ones."""
    total = sum(float(p.double().abs().sum()) for p in network.parameters())
    return {"dice": total * 1e4 % 1}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def started() -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    return {name: value.clone() for name, value in build_network("unet3d", NETWORK).state_dict().items()}


def names_like(weights: dict[str, torch.Tensor], start: str) -> list[str]:
    return [name for name in weights if name.startswith(start)]


def test_what_a_stage_freezes_stays_to_the_bit_statistics_too_and_then_moves(tmp_path, sources: ModuleType) -> None:
    start, kept = started(), {}

    def keep(step: int, _steps: int, _values: Any) -> None:
        kept[step] = load_state(tmp_path / "run" / "last.safetensors")[0] if step > 1 else {}

    asked = recipe(ema=0.5, checkpoint_every=1, refresh_batches=1)
    train(asked, sources.Balls(), validation, tmp_path / "run", start=start, progress=keep)
    for step in (2, 3):
        weights = {n.removeprefix("network."): t for n, t in kept[step].items() if n.startswith("network.")}
        assert all(torch.equal(weights[name], start[name]) for name in names_like(start, "encoder."))
        assert any(not torch.equal(weights[name], start[name]) for name in names_like(start, "decoder."))
    weights = {n.removeprefix("network."): t for n, t in kept[8].items() if n.startswith("network.")}
    assert all(not torch.equal(weights[n], start[n]) for n in names_like(start, "encoder.") if n.endswith("weight"))
    rates = [row["rate"] for row in read_log(tmp_path / "run") if row["kind"] == "train"]
    assert rates[0] == rates[2] * 0 + 0.01 and max(rates[3:]) == rates[3] == 0.002


@pytest.mark.parametrize("begin", ["best", "last"])
@pytest.mark.parametrize("cut", [2, 3, 4, 6])
def test_killed_or_stopped_about_a_change_of_stage_gives_the_same_bits(
    tmp_path, sources: ModuleType, cut: int, begin: str
) -> None:
    asked = recipe([STAGES[0], {**STAGES[1], "start": begin}])
    whole = train(asked, sources.Balls(), validation, tmp_path / "whole")

    def die(step: int, _steps: int, _values: Any) -> None:
        if step == cut:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(asked, sources.Balls(), validation, tmp_path / "killed", progress=die)
    done: list[int] = []
    train(asked, sources.Balls(), validation, tmp_path / "stopped", progress=lambda s, *_: done.append(s),
          stop=lambda: done[-1] == cut)  # fmt: skip
    for name in ("killed", "stopped"):
        again = train(asked, sources.Balls(), validation, tmp_path / name, resume=True)
        assert (again.state.step, again.state.stage) == (8, 1)
        assert same(whole.members[0], again.members[0])


def test_the_next_stage_starts_from_the_best_weights_so_far_or_from_the_last(tmp_path, sources: ModuleType) -> None:
    seen = {}
    for begin in ("best", "last"):
        figures = iter([0.9, 0.1, 0.2, 0.3, 0.4])
        taken: list[dict[str, torch.Tensor]] = []

        def judge(network: torch.nn.Module, figures: Any = figures, taken: Any = taken) -> dict[str, float]:
            taken.append({name: value.clone() for name, value in network.state_dict().items()})
            return {"dice": next(figures)}

        asked = recipe([{"share": 1}, {"share": 1, "start": begin, "rate": 1e-9}], validate_every=2, ema=0)
        asked = asked.changed("optimiser", max_norm=0.0, weight_decay=0.0).changed("schedule", name="constant")
        result = train(asked, sources.Balls(), judge, tmp_path / begin)
        weights = [name for name in taken[0] if name.endswith("weight")]
        first, last = taken[0], taken[1]
        near = [all(torch.allclose(result.members[0][n], of[n], atol=1e-6) for n in weights) for of in (first, last)]
        seen[begin] = near
    assert seen == {"best": [True, False], "last": [False, True]}


def test_patience_ends_a_stage_and_only_the_last_one_ends_the_run(tmp_path, sources: ModuleType) -> None:
    figures = iter([0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    asked = recipe([{"share": 9, "patience": 1}, {"share": 9, "patience": 2}], steps=18, validate_every=1)
    result = train(asked, sources.Balls(), lambda _: {"dice": next(figures)}, tmp_path / "run")
    assert (result.state.reason, result.state.stage_start, result.state.step) == ("patience", 2, 4)


def test_a_checkpoint_of_a_stage_that_the_recipe_lacks_is_refused(tmp_path, sources: ModuleType) -> None:
    train(recipe(STAGES), sources.Balls(), validation, tmp_path)
    with pytest.raises(BadInputError, match="is of stage 2, and the recipe has 1"):
        train(recipe([]), sources.Balls(), validation, tmp_path, resume=True)


def test_steps_are_shared_out_and_settings_are_the_recipes_where_a_stage_has_none() -> None:
    asked = recipe([{"share": 1}, {"share": 1, "patience": 0, "rate": 0.5}, {"share": 2}], steps=10, patience=7)
    assert steps_of_stages(asked) == [2, 3, 5] and sum(steps_of_stages(asked)) == 10
    assert [stage.patience for stage in stages_of(asked)] == [7, 0, 7]
    assert [stage.rate for stage in stages_of(asked)] == [0.01, 0.5, 0.01]
    assert steps_of_stages(recipe([])) == [8]


def test_stages_that_cannot_be_are_refused_before_anything_is_written(tmp_path, sources: ModuleType) -> None:
    for stages, steps, said in (
        ([{}, {}, {}], 2, "2 steps shared out over stages of 1, 1, 1 leave stage"),
        ([{"frozen": ["encoders"]}], 8, "nothing of the network is called 'encoders'; it has encoder"),
        ([{}, {"frozen": ["*"]}], 8, "nothing is left to train"),
    ):
        with pytest.raises(BadInputError, match=said):
            train(recipe(stages, steps=steps), sources.Balls(), out=tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_a_layer_half_of_which_is_frozen_keeps_its_statistics_moving() -> None:
    network = build_network("unet3d", NETWORK)
    norms = [name for name, layer in network.named_modules() if getattr(layer, "running_mean", None) is not None]
    assert freeze(network, [f"{norms[0]}.weight"]) == set()
    assert freeze(network, [f"{norms[0]}.*"]) == {norms[0]}
    assert freeze(network, []) == set() and all(p.requires_grad for p in network.parameters())
