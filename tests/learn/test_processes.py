import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch

from willis.learn.checkpoint import load_state
from willis.learn.recipe import Recipe
from willis.learn.runlog import read_log
from willis.learn.trainer import train

SCRIPT = Path(__file__).with_name("train_balls.py")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SCRIPT.parent), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


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


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path, sources: ModuleType) -> None:
    asked = recipe(validate_every=3)
    (tmp_path / "recipe.json").write_text(asked.model_dump_json(), encoding="utf-8")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*torchrun, SCRIPT, tmp_path / "recipe.json", tmp_path / "two"], env=ENVIRONMENT, check=True)
    train(asked, sources.Balls(), lambda _network: {"dice": 0.5}, tmp_path / "one")
    one, two = (read_log(tmp_path / name) for name in ("one", "two"))
    assert [row["kind"] for row in one] == [row["kind"] for row in two]
    for name in ("loss", "dice_loss", "bce_loss", "gradient"):
        a, b = ([row[name] for row in rows if row["kind"] == "train"] for rows in (one, two))
        assert a == pytest.approx(b, rel=2e-4), name
    a, b = (load_state(tmp_path / name / "last.safetensors")[0] for name in ("one", "two"))
    assert a.keys() == b.keys()
    statistics = [name for name in a if name.startswith("average") and "running" in name]
    assert all(torch.allclose(a[name], b[name], rtol=1e-3, atol=1e-5) for name in statistics)


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_bits(tmp_path: Path, sources: ModuleType) -> None:
    asked = recipe(steps=400, checkpoint_every=5, log_every=100)
    (tmp_path / "recipe.json").write_text(asked.model_dump_json(), encoding="utf-8")
    order = [sys.executable, str(SCRIPT), str(tmp_path / "recipe.json"), str(tmp_path / "cut")]
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
