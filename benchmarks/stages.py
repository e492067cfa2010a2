"""One run from the command to the report: what each stage takes, and whether torch was imported.

    python benchmarks/stages.py wmh --t1 t1.nii.gz --flair flair.nii.gz     the words of `willis run`, without -o
    python benchmarks/stages.py fvv                                         a phantom of the task
    python benchmarks/stages.py --threads 1 lvo

``willis run`` twice, each time in a process of its own, with an empty cache at first: the first run converts the
networks, the second doesn't. CPU seconds are of all threads and of the processes that a run starts. Stages are those of
provenance.json; ``start`` is all before them (python, imports, reading the images), ``report`` all after them (masks,
report, exit). What OpenVINO takes to compile the networks is within the stages.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLD = "TOLD "
COMMAND = f"""
import json, resource, sys, time
from willis.infer import openvino_engine
from willis.tasks import provenance
first, compiling = [], []
class Stopwatch(provenance.Stopwatch):
    def __init__(self):
        super().__init__()
        first.append((time.process_time(), time.time()))
class Core(openvino_engine.ov.Core):
    def compile_model(self, *given):
        begun = time.process_time()
        compiled = super().compile_model(*given)
        compiling.append(time.process_time() - begun)
        return compiled
provenance.Stopwatch, openvino_engine.ov.Core = Stopwatch, Core
from willis.app.cli.main import call
code = call(sys.argv[1:])
told = {{"cpu_s": first[0][0], "at": first[0][1], "torch": "torch" in sys.modules, "compiling": compiling,
         "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}} if first else {{}}
print({TOLD!r} + json.dumps(told))
sys.exit(code)
"""  # `willis`, telling when its first stage began; a small process starts it, so that the peak is its own
BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Run:
    """What one run took: stages are (name, CPU seconds, wall seconds)."""

    stages: list[tuple[str, float, float]]
    cpu_s: float
    wall_s: float
    peak_gb: float
    compiling: list[float]
    torch: bool
    provenance: dict[str, Any]


def phantom_words(task: str, folder: Path) -> list[str]:
    """Images of a made-up patient, as words of the command line."""
    from willis.phantom.kinds import get_kind
    from willis.tasks.registry import get_spec

    kind, spec = get_kind(task), get_spec(task)
    made = [sys.executable, "-m", "willis.app.cli.main", "phantom", task, "--seed", "7", "-o", str(folder)]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    words = []
    for role, end in kind.images.items():
        where, _, name = end.partition("/")
        (path,) = folder.glob(f"sub-*/{where}/sub-*_{name}.nii.gz")
        words += [spec.role(role).flag, str(path)]
    return words


def measured(words: list[str], out: Path, threads: int, cache: Path) -> Run:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "WILLIS_CACHE": str(cache)}
    begun, spent = time.time(), cpu_of_children()
    command = [sys.executable, "-c", COMMAND, "run", *words, "--threads", str(threads), "-o", str(out)]
    done = subprocess.run(command, text=True, capture_output=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr or done.stdout)
    wall, cpu = time.time() - begun, cpu_of_children() - spent
    told = json.loads(done.stdout.rpartition(TOLD)[2])
    provenance = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    rows = [("start", told["cpu_s"], told["at"] - begun)]
    rows += [(stage["stage"], stage["cpu_s"], stage["wall_s"]) for stage in provenance["timings"]]
    rows.append(("report", cpu - sum(row[1] for row in rows), wall - sum(row[2] for row in rows)))
    return Run(rows, cpu, wall, told["peak"] * BYTES_OF_MAXRSS / 1e9, told["compiling"], told["torch"], provenance)


def cpu_of_children() -> float:
    """CPU seconds of all processes started so far and ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def processor() -> str:
    """The processor's name, as far as the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def tell(task: str, first: Run, second: Run, threads: int, load: float) -> None:
    predictions = second.provenance["prediction"]
    found = predictions if "engine" in predictions else next(iter(predictions.values()))
    bundle = second.provenance["bundles"][0]["name"]
    print(f"{task}, bundle {bundle}, {found['engine']} {found['precision']}, {threads} thread(s), {processor()}, "
          f"load {load:.1f} before")  # fmt: skip
    print(f"{'':12}{'CPU s':>8}{'of all':>8}{'wall s':>8}")
    for name, cpu, wall in [*second.stages, ("in all", second.cpu_s, second.wall_s)]:
        print(f"{name:12}{cpu:8.2f}{100 * cpu / second.cpu_s:7.0f}%{wall:8.2f}")
    compiling = sum(second.compiling)
    print(f"of which compiling networks, {len(second.compiling)} times: {compiling:.2f} CPU s, "
          f"{100 * compiling / second.cpu_s:.0f} %")  # fmt: skip
    print(f"peak {second.peak_gb:.2f} GB; torch was {'' if second.torch else 'not '}imported")
    print(f"first run, which converts the networks: {first.cpu_s:.2f} CPU s, {first.wall_s:.2f} s, "
          f"torch was {'' if first.torch else 'not '}imported in its process")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("task")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="of `willis run TASK`; a phantom when there are none")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="willis-benchmark-") as made:
        folder = Path(made)
        words = [given.task, *(given.words or phantom_words(given.task, folder / "patients"))]
        first, second = (measured(words, folder / "out", given.threads, folder / "cache") for _ in range(2))
    tell(given.task, first, second, given.threads, load)


if __name__ == "__main__":
    main()
