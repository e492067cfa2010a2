import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from willis.errors import BadInputError, WillisError
from willis.learn.augment import Params, apply, source_shape
from willis.learn.batches import make_batch
from willis.learn.pool import CasePool
from willis.learn.recipe import Recipe
from willis.learn.runlog import read_log, read_rows
from willis.learn.sampling import cut
from willis.learn.trainer import train


def recipe(**training: Any) -> Recipe:
    values = {
        "task": "wmh",
        "network": {"config": {"inputs": 1, "filters": [4, 8], "final": [4], "decoder": "slim", "dropout": [0.1]}},
        "sampling": {"patch": [12, 12, 12], "window": 6, "first": 3, "cases_per_step": 0.5, "workers": 0},
        "augmentation": {"affine": 0.5, "noise": 0.5, "gamma": 0.5},
        "optimiser": {"rate": 0.01},
        "training": {"steps": 8, "log_every": 1, "checkpoint_every": 4, "threads": 1, **training},
    }
    return Recipe.parse(values, "test")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_it_learns_and_leaves_a_run_folder(tmp_path: Path, sources: ModuleType) -> None:
    result = train(
        recipe(steps=25, ema=0.9, checkpoint_every=0).changed("optimiser", rate=0.03),
        sources.Balls(),
        out=tmp_path / "run",
    )
    losses = [row["loss"] for row in read_log(tmp_path / "run") if row["kind"] == "train"]
    assert len(losses) == 25
    assert np.mean(losses[-5:]) < 0.8 * losses[0]
    assert result.state.reason == "finished"
    for name in ("recipe.json", "log.jsonl", "log.csv", "curves.png", "last.safetensors"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert not list((tmp_path / "run").glob(".*"))


def test_interrupted_and_resumed_gives_the_same_bits(tmp_path: Path, sources: ModuleType) -> None:
    whole = train(recipe(), sources.Balls(), out=tmp_path / "whole")
    done: list[int] = []
    train(
        recipe(),
        sources.Balls(),
        out=tmp_path / "cut",
        progress=lambda s, _n, _v: done.append(s),
        stop=lambda: done[-1] == 5,
    )
    resumed = train(recipe(), sources.Balls(), out=tmp_path / "cut", resume=True)
    assert resumed.state.step == 8
    assert same(whole.members[0], resumed.members[0])
    rows = [row["step"] for row in read_log(tmp_path / "cut") if row["kind"] == "train"]
    assert rows == list(range(1, 9))


def test_a_finished_run_is_over_and_resuming_it_neither_reads_cases_nor_writes_rows(
    tmp_path: Path, sources: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = train(recipe(), sources.Balls(), out=tmp_path)
    rows = read_log(tmp_path)
    (tmp_path / "curves.png").unlink()

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a batch was made")

    monkeypatch.setattr("willis.learn.trainer.make_batch", refuse)
    again = train(recipe(), sources.Balls(), out=tmp_path, resume=True)
    assert (again.state.reason, again.state.step) == ("finished", 8)
    assert same(ended.members[0], again.members[0])
    assert read_log(tmp_path) == rows
    assert (tmp_path / "curves.png").stat().st_size > 0


def test_killed_between_checkpoints_gives_the_same_bits(tmp_path: Path, sources: ModuleType) -> None:
    whole = train(recipe(), sources.Balls(), out=tmp_path / "whole")

    def die(step: int, _steps: int, _values: Any) -> None:
        if step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), sources.Balls(), out=tmp_path / "cut", progress=die)
    resumed = train(recipe(), sources.Balls(), out=tmp_path / "cut", resume=True)
    assert same(whole.members[0], resumed.members[0])


def test_statistics_are_refreshed_before_validation_and_weights_are_not(tmp_path: Path, sources: ModuleType) -> None:
    """Refreshing changes running means and variances alone, and a resumed run still gives the same bits."""
    seen: list[dict[str, torch.Tensor]] = []

    def validate(network: torch.nn.Module) -> dict[str, float]:
        assert not network.training
        seen.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return {"dice": float(len(seen))}

    for refresh in (0, 3):
        train(recipe(steps=1, ema=0, validate_every=1, refresh_batches=refresh), sources.Balls(),
              out=tmp_path / f"{refresh}", validate=validate)  # fmt: skip
    plain, fresh = seen
    changed = {name for name in plain if not torch.equal(plain[name], fresh[name])}
    assert changed == {name for name in plain if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    asked = recipe(ema=0, validate_every=2, refresh_batches=2)
    whole = train(asked, sources.Balls(), out=tmp_path / "whole", validate=validate)
    done: list[int] = []
    train(asked, sources.Balls(), out=tmp_path / "cut", validate=validate, progress=lambda s, _n, _v: done.append(s),
          stop=lambda: done[-1] == 5)  # fmt: skip
    assert same(
        whole.members[0], train(asked, sources.Balls(), out=tmp_path / "cut", validate=validate, resume=True).members[0]
    )


def test_a_run_is_not_overwritten(tmp_path: Path, sources: ModuleType) -> None:
    train(recipe(steps=1), sources.Balls(), out=tmp_path)
    with pytest.raises(BadInputError, match="already holds a run"):
        train(recipe(steps=1), sources.Balls(), out=tmp_path)


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("training", {"seed": 5}, "begun with training.seed 0, and the recipe has 5"),
        ("data", {"large_share": 0.5}, r"begun with data \{\}, and the recipe has"),
        ("data", {"folder": "cohort-b"}, r"begun with data \{\}, and the recipe has"),
        ("folds", {"index": 1}, "begun with folds null, and the recipe has"),
        ("network", {"config": {"inputs": 1, "filters": [6, 8], "final": [4]}}, "is of another network"),
    ],
)
def test_what_a_run_was_begun_with_stays(
    tmp_path: Path, sources: ModuleType, section: str, values: dict[str, Any], said: str
) -> None:
    train(recipe(steps=1), sources.Balls(), out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(BadInputError, match=said):
        train(recipe(steps=2).changed(section, **values), sources.Balls(), out=tmp_path, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_folder_of_patients_may_move(tmp_path: Path, sources: ModuleType) -> None:
    here, there = (recipe(steps=1).changed("data", folder=f"{place}/cohort") for place in ("/here", "/there"))
    train(here, sources.Balls(), out=tmp_path)
    assert train(there, sources.Balls(), out=tmp_path, resume=True).state.step == 1
    with pytest.raises(BadInputError, match="cohort-b"):
        train(here.changed("data", folder="/here/cohort-b"), sources.Balls(), out=tmp_path, resume=True)


def test_a_run_does_not_go_on_with_other_patients_of_the_folder(tmp_path: Path, sources: ModuleType) -> None:
    three = sources.NamedBalls()
    train(recipe(steps=1), three, out=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for names, words in (
        (("sub-1", "sub-2"), "begun with 3 sessions, and the folder of patients now gives 2, .* only one has sub-3"),
        (("sub-1", "sub-2", "sub-4"), "now gives 3, among which only one has sub-3"),
        (("sub-1", "sub-3", "sub-2"), "now gives 3 in another order"),
    ):
        with pytest.raises(BadInputError, match=words):
            train(recipe(steps=2), sources.NamedBalls(names=names), out=tmp_path, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert train(recipe(steps=2), three, out=tmp_path, resume=True).state.step == 2


def test_a_run_without_a_checkpoint_begins_with_the_cases_as_they_are_now(tmp_path: Path, sources: ModuleType) -> None:
    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), sources.NamedBalls(labelled=False), out=tmp_path / "begun", progress=fail)
    again = train(recipe(), sources.NamedBalls(), out=tmp_path / "begun", resume=True)
    assert same(again.members[0], train(recipe(), sources.NamedBalls(), out=tmp_path / "whole").members[0])


@pytest.mark.parametrize(
    ("first", "second", "word"), [("adamw", "sgd", "exp_avg"), ("sgd", "adamw", "momentum_buffer")]
)
def test_the_state_of_another_optimiser_is_refused(
    tmp_path: Path, sources: ModuleType, first: str, second: str, word: str
) -> None:
    train(recipe(steps=1).changed("optimiser", name=first), sources.Balls(), out=tmp_path)
    with pytest.raises(BadInputError, match=f"of another network or optimiser than the recipe's: it holds {word}"):
        train(recipe(steps=2).changed("optimiser", name=second), sources.Balls(), out=tmp_path, resume=True)


def test_weights_to_start_from_that_do_not_fit_are_refused(tmp_path: Path, sources: ModuleType) -> None:
    weights = train(recipe(steps=1), sources.Balls(), out=tmp_path / "one").members[0]
    other = {name: value for name, value in weights.items() if name != "head.bias"}
    with pytest.raises(
        BadInputError, match=r"not of the recipe's network unet3d: 1 array missing, the first head.bias"
    ):
        train(recipe(steps=1), sources.Balls(), out=tmp_path / "two", start=other)
    assert not (tmp_path / "two").exists()


def figures(*values: float) -> tuple[list[int], Any]:
    """A validation that gives these figures one after the other, and the list of when it was asked."""
    left, seen = list(values), []

    def validate(network: torch.nn.Module) -> dict[str, float]:
        assert not network.training
        seen.append(1)
        return {"dice": left.pop(0)}

    return seen, validate


def test_early_stopping_is_honoured_and_the_best_weights_are_the_bundle_s(tmp_path: Path, sources: ModuleType) -> None:
    seen, validate = figures(0.1, 0.5, 0.4, 0.3, 0.9)
    early = recipe(steps=20, validate_every=2, patience=2).changed("bundle", members="best")
    result = train(early, sources.Balls(), validate, tmp_path / "early")
    assert (result.state.reason, result.state.step, result.state.best_step, len(seen)) == ("patience", 8, 4, 4)
    _, again = figures(0.1, 0.5)
    upto = early.changed("training", steps=20, patience=0)
    short = train(upto, sources.Balls(), again, tmp_path / "short", stop=stop_after(4))
    assert same(result.members[0], short.members[0])


def stop_after(step: int) -> Any:
    calls = iter(range(1, 1000))
    return lambda: next(calls) >= step


def test_a_run_out_of_patience_is_over_however_often_it_is_resumed(tmp_path: Path, sources: ModuleType) -> None:
    asked = recipe(steps=20, validate_every=2, patience=2)

    def validate(_network: torch.nn.Module) -> dict[str, float]:
        return {"dice": 0.5}

    ended = train(asked, sources.Balls(), validate, tmp_path)
    assert (ended.state.reason, ended.state.step) == ("patience", 6)
    again = train(asked, sources.Balls(), validate, tmp_path, resume=True)
    assert (again.state.reason, again.state.step) == ("patience", 6)
    assert same(ended.members[0], again.members[0])
    patient = asked.changed("training", patience=3)
    assert train(patient, sources.Balls(), validate, tmp_path, resume=True).state.step == 8


def test_a_figure_that_is_undefined_is_no_best_one(tmp_path: Path, sources: ModuleType) -> None:
    asked = recipe(validate_every=2).changed("schedule", name="plateau", patience=3)
    nan = float("nan")
    _, validate = figures(nan, 0.2, 0.9, nan)
    state = train(asked, sources.Balls(), validate, tmp_path / "some").state
    assert (state.best, state.best_step, state.stale) == (0.9, 6, 1)
    assert (state.plateau_best, state.plateau_stale) == (0.9, 1)
    _, validate = figures(nan, nan, nan, nan)
    state = train(asked, sources.Balls(), validate, tmp_path / "none").state
    assert (state.best, state.stale) == (None, 4)
    assert not (tmp_path / "none" / "best.safetensors").exists()


def test_less_can_be_better_and_an_unknown_figure_is_refused(tmp_path: Path, sources: ModuleType) -> None:
    _, validate = figures(0.3, 0.2, 0.4)
    less = recipe(steps=3, validate_every=1, monitor_mode="min")
    assert train(less, sources.Balls(), validate, tmp_path / "less").state.best_step == 2
    _, validate = figures(0.3)
    with pytest.raises(BadInputError, match="monitor is 'f1', which the validation doesn't measure; it measures dice"):
        train(recipe(steps=1, validate_every=1, monitor="f1"), sources.Balls(), validate, tmp_path / "f1")


def test_plateau_lowers_the_rate_and_survives_resuming(tmp_path: Path, sources: ModuleType) -> None:
    plateau = recipe(steps=6, validate_every=1, checkpoint_every=1).changed(
        "schedule", name="plateau", patience=2, factor=0.1
    )
    _, validate = figures(0.5, 0.4, 0.4, 0.4)
    train(plateau, sources.Balls(), validate, tmp_path, stop=stop_after(4))
    _, validate = figures(0.4, 0.4)
    train(plateau, sources.Balls(), validate, tmp_path, resume=True)
    rates = [row["rate"] for row in read_log(tmp_path) if row["kind"] == "train"]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.001, 0.001, 0.0001])


def test_the_rate_may_follow_another_figure_than_the_weights(tmp_path: Path, sources: ModuleType) -> None:
    """Dice rises all the time, the loss stands still from the second validation on."""
    watching = recipe(steps=5, validate_every=1).changed(
        "schedule", name="plateau", monitor="loss", patience=2, factor=0.1
    )
    dice, loss = iter([0.1, 0.2, 0.3, 0.4, 0.5]), iter([0.9, 0.5, 0.5, 0.6, 0.5])
    result = train(watching, sources.Balls(), lambda _: {"dice": next(dice), "loss": next(loss)}, tmp_path / "both")
    rates = [row["rate"] for row in read_log(tmp_path / "both") if row["kind"] == "train"]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.01, 0.001])
    assert result.state.best_step == 5
    _, validate = figures(0.3)
    with pytest.raises(BadInputError, match=r"schedule\.monitor is 'loss', which the validation doesn't measure"):
        train(watching, sources.Balls(), validate, tmp_path / "none")


def test_snapshots_become_members(tmp_path: Path, sources: ModuleType) -> None:
    cyclic = recipe(steps=6).changed("schedule", name="cyclic", cycles=3).changed("bundle", members="snapshots")
    result = train(cyclic, sources.Balls(), out=tmp_path)
    assert result.state.snapshots == [2, 4, 6] and len(result.members) == 3
    assert not same(result.members[0], result.members[1])
    assert same(result.members[2], train(cyclic, sources.Balls(), out=tmp_path, resume=True).members[2])


def test_time_limit_stops_cleanly(tmp_path: Path, sources: ModuleType) -> None:
    result = train(recipe(time_limit_minutes=1e-9), sources.Balls(), out=tmp_path)
    assert (result.state.reason, result.state.step) == ("time limit", 1)
    assert train(recipe(), sources.Balls(), out=tmp_path, resume=True).state.step == 8


def test_accumulation_is_the_whole_batch(tmp_path: Path, sources: ModuleType) -> None:
    """Without batch statistics in play (they are of each part), the mean of the parts' gradients is the batch's."""
    losses = {}
    for parts in (1, 2):
        exact = recipe(steps=1, batch=4, accumulate=parts, precision="float32", ema=0)
        frozen = exact.changed("network", config={**exact.network.config, "norm_eps": 1e6, "dropout": [0.0]})
        train(frozen, sources.Balls(), out=tmp_path / f"{parts}")
        losses[parts] = read_log(tmp_path / f"{parts}")[0]
    assert losses[1]["loss"] == pytest.approx(losses[2]["loss"], rel=1e-4)
    assert losses[1]["gradient"] == pytest.approx(losses[2]["gradient"], rel=1e-2)


def test_workers_or_none_make_no_difference(tmp_path: Path, sources: ModuleType) -> None:
    alone = train(recipe(steps=4), sources.Balls(), out=tmp_path / "alone")
    helped = train(recipe(steps=4).changed("sampling", workers=2), sources.Balls(), out=tmp_path / "helped")
    assert same(alone.members[0], helped.members[0])


def test_batch_must_be_a_multiple_of_the_parts(tmp_path: Path, sources: ModuleType) -> None:
    with pytest.raises(BadInputError, match=r"training.batch is 2 and must be a multiple of .* here 4"):
        train(recipe(batch=2, accumulate=4), sources.Balls(), out=tmp_path)


def test_a_diverging_run_ends_with_an_error(tmp_path: Path, sources: ModuleType) -> None:
    wild = recipe(steps=30, clip=0, precision="float32").changed("optimiser", name="sgd", rate=1e30)
    with pytest.raises(WillisError, match=r"training can't go on. Lower optimiser.rate"):
        train(wild, sources.Balls(), out=tmp_path)


def test_starting_weights_are_used(tmp_path: Path, sources: ModuleType) -> None:
    first = train(recipe(steps=3, ema=0), sources.Balls(), out=tmp_path / "first")
    start = {name: tensor.clone() for name, tensor in first.members[0].items()}
    still = recipe(steps=1, ema=0).changed("optimiser", name="sgd", rate=1e-30, weight_decay=0.0)
    second = train(still, sources.Balls(), out=tmp_path / "second", start=start)
    assert torch.equal(second.members[0]["head.weight"], start["head.weight"])


def test_recorded_patches_can_be_made_again(tmp_path: Path, sources: ModuleType) -> None:
    recorded = recipe(steps=4, record_patches=True, checkpoint_every=2).changed("sampling", window=20)
    train(recorded, sources.Balls(), out=tmp_path, stop=stop_after(3))
    train(recorded, sources.Balls(), out=tmp_path, resume=True)
    rows = read_rows(tmp_path / "patches.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    pool = CasePool(sources.Balls(), tmp_path / "again", window=20, first=3, per_step=0.5, workers=0)
    for row in rows:
        again = make_batch(recorded, pool, row["step"] - 1, range(2))
        assert json.loads(json.dumps(again.drawn)) == row["patches"]
    drawn = rows[0]["patches"][0]
    params = Params(**{name: value for name, value in drawn.items() if name not in ("case", "start")})
    first = make_batch(recorded, pool, 0, range(1))
    shape = source_shape(params, (12, 12, 12))
    start = tuple(a - (s - 12) // 2 for a, s in zip(drawn["start"], shape, strict=True))
    piece = cut(pool.get(drawn["case"]), start, shape)
    image, labels = apply(params, torch.from_numpy(piece.image), torch.from_numpy(piece.target), (12, 12, 12))
    assert torch.equal(image, first.image[0]) and torch.equal(labels, first.target[0])
