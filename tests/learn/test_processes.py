import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest
import torch

from willis.learn.checkpoint import load_state, without_prefix
from willis.learn.distributed import World, join_world
from willis.learn.recipe import Recipe
from willis.learn.runlog import read_log
from willis.learn.trainer import train
from willis.nets.registry import build_network

SCRIPT = Path(__file__).with_name("train_balls.py")
SEEN = os.pathsep.join(filter(None, (str(SCRIPT.parent), os.environ.get("PYTHONPATH"))))
ENVIRONMENT = {**os.environ, "PYTHONPATH": SEEN, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def recipe(**training: object) -> Recipe:
    config = {"inputs": 1, "filters": [4, 8], "final": [4], "decoder": "slim", "dropout": [0.0], "decoder_dropout": 0.0}
    values = {
        "task": "wmh",
        "network": {"config": config},
        "sampling": {"patch": [12, 12, 12], "window": 6, "first": 3, "cases_per_step": 0.5, "workers": 1},
        "loss": {"terms": [{"name": "dice", "per_batch": True}, {"name": "bce"}]},
        "training": {"steps": 6, "batch": 4, "log_every": 1, "threads": 1, "precision": "float32", **training},
    }
    return Recipe.parse(values, "test")


def over_slices(asked: Recipe) -> Recipe:
    """The same over slices, with the network of chronic stroke."""
    config = {"filters": [4, 6], "down_units": [2], "up_units": [1, 1]}
    values = asked.model_dump(mode="json")
    values["network"] = {"name": "raxnet", "config": config}
    values["sampling"]["patch"] = [12, 12, 1]
    values["loss"]["terms"] = [{"name": "dice", "per_batch": True}, {"name": "bce"}, {"name": "focal"}]
    return Recipe.parse({**values, "task": "chronic"}, "test")


def test_processes_wait_longer_than_a_validation_by_one_of_them_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, timedelta] = {}
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda **settings: given.update(settings))
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    with join_world() as world:
        assert world == World(1, 2)
    assert given["timeout"] >= timedelta(hours=12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slices", "source"),
    [(False, "Balls"), (True, "Balls"), (False, "PlannedBalls")],
    ids=["volumes", "slices", "planned"],
)
def test_two_processes_train_as_one_does(tmp_path: Path, sources: ModuleType, slices: bool, source: str) -> None:
    asked = recipe(validate_every=3)
    asked = over_slices(asked) if slices else asked
    (tmp_path / "recipe.json").write_text(asked.model_dump_json(), encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*torchrun, SCRIPT, tmp_path / "recipe.json", tmp_path / "two", source], env=ENVIRONMENT, check=True)
    train(asked, getattr(sources, source)(), lambda _network: {"dice": 0.5}, tmp_path / "one")
    one, two = (read_log(tmp_path / name) for name in ("one", "two"))
    assert [row["kind"] for row in one] == [row["kind"] for row in two]
    for name in ("loss", "dice_loss", "bce_loss", "gradient"):
        a, b = ([row[name] for row in rows if row["kind"] == "train"] for rows in (one, two))
        assert a == pytest.approx(b, rel=2e-4), name
    a, b = (load_state(tmp_path / name / "last.safetensors")[0] for name in ("one", "two"))
    assert a.keys() == b.keys()
    kind = "running_var" if slices else "running"  # a bias before a norm drifts with rounding, and the mean with it
    statistics = [name for name in a if name.startswith("average") and kind in name]
    assert statistics and all(torch.allclose(a[name], b[name], rtol=1e-3, atol=1e-5) for name in statistics)
    one, two = (answers_of(asked, state) for state in (a, b))
    assert one.std() > 1e-4
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4)


def answers_of(asked: Recipe, state: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the averaged network says to a batch, by the batch's own statistics: the drift of biases falls out."""
    network = build_network(asked.network.name, asked.network.config)
    network.load_state_dict(without_prefix("average", state))
    patch = [side for side in asked.sampling.patch if side > 1]
    with torch.inference_mode():
        return network.train()(torch.randn(4, 1, *patch, generator=torch.Generator().manual_seed(0)))


@pytest.mark.slow
@pytest.mark.parametrize("slices", [False, True], ids=["volumes", "slices"])
def test_a_killed_process_resumes_to_the_same_bits(tmp_path: Path, sources: ModuleType, slices: bool) -> None:
    asked = recipe(steps=400, checkpoint_every=5, log_every=100)
    asked = over_slices(asked) if slices else asked
    (tmp_path / "recipe.json").write_text(asked.model_dump_json(), encoding="utf-8")
    order = [sys.executable, str(SCRIPT), str(tmp_path / "recipe.json"), str(tmp_path / "cut"), "Balls"]
    last = tmp_path / "cut" / "last.safetensors"
    with subprocess.Popen(order, env=ENVIRONMENT, start_new_session=True) as process:
        while not last.exists() and process.poll() is None:
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    reached = load_state(last)[1]["step"]
    assert 5 <= reached < 400
    upto = asked.changed("training", steps=400)
    stop = iter(range(1, 1000))
    train(upto, sources.Balls(), out=tmp_path / "cut", resume=True, stop=lambda: next(stop) >= 7)
    again = iter(range(1, 1000))
    train(upto, sources.Balls(), out=tmp_path / "whole", stop=lambda: next(again) >= reached + 7)
    a, b = (load_state(tmp_path / name / "last.safetensors") for name in ("cut", "whole"))
    assert a[1]["step"] == b[1]["step"] == reached + 7
    assert a[0].keys() == b[0].keys() and all(torch.equal(a[0][name], b[0][name]) for name in a[0])
