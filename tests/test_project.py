"""The project itself: its version, its pins, its start-up, its licence."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest

import willis

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$")


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    found = [PIN.match(line) for line in lines if line.strip() and not line.startswith("#")]
    assert all(found), f"requirements/{name} holds a line that isn't name==version"
    return {canonical(m[1]): m[2] for m in found if m}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirement: str) -> str:
    return canonical(re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0])


def test_every_public_name_can_be_reached() -> None:
    for name in willis.__all__:
        assert getattr(willis, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = willis.nonsense


def test_lazy_names_and_typed_names_are_the_same() -> None:
    """What a type checker sees of the public API is what a running program gets."""
    tree = ast.parse((ROOT / "src/willis/__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == willis._PLACES
    assert set(willis.__all__) == {*typed, "__version__"}


def test_version_is_written_once() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert f"## {willis.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert re.search(rf"^version: {re.escape(willis.__version__)}$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)


def test_every_dependency_is_pinned() -> None:
    run = pins("run.txt") | pins("torch.txt")
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["openvino"]
    wanted += PROJECT["optional-dependencies"]["h5"]
    assert {named(requirement) for requirement in wanted} <= set(run)
    everything = run | pins("dev.txt")
    assert {named(requirement) for requirement in PROJECT["optional-dependencies"]["onnx"]} <= set(everything)


def test_pins_are_closed() -> None:
    """Nothing that a pinned package needs here is left to chance."""
    from packaging.requirements import Requirement

    everything = pins("run.txt") | pins("torch.txt") | pins("dev.txt")
    for name in everything:
        try:
            needed = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        for requirement in needed:
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert canonical(requirement.name) in everything, f"{name} needs {requirement.name}: not pinned"


def test_pins_of_run_and_dev_do_not_overlap() -> None:
    assert not set(pins("run.txt")) & set(pins("dev.txt"))


def test_torch_is_the_pinned_one_and_nothing_replaces_it() -> None:
    assert version("torch").split("+")[0] == pins("torch.txt")["torch"]
    for intruder in ("torchvision", "torchaudio", "nnunetv2", "timm"):
        assert intruder not in pins("run.txt") | pins("dev.txt")
        with pytest.raises(PackageNotFoundError):
            version(intruder)


def test_licence_is_apache() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


HEAVY = ("torch", "SimpleITK", "matplotlib", "openvino", "nibabel", "scipy", "numpy", "onnxruntime")
CALLS = ["--help", "--version", "info", "info --json", "run --help", "run wmh --help", "models list"]


def modules_after(*arguments: str) -> tuple[int, set[str]]:
    """Exit code of a call of the command line in a process of its own, and the packages that it imported."""
    code = (
        "import sys, json, io, contextlib\n"
        "from willis.app.cli.main import call\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    code = call({list(arguments)!r})\n"
        "print(json.dumps([code, sorted({name.split('.')[0] for name in sys.modules})]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    exit_code, names = json.loads(done.stdout)
    return exit_code, set(names)


@pytest.mark.parametrize("line", CALLS)
def test_light_calls_import_nothing_heavy(line: str) -> None:
    code, names = modules_after(*line.split())
    assert code == 0
    assert not names & set(HEAVY)


def test_importing_willis_imports_nothing_else() -> None:
    code = "import sys, willis; print(sorted({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(ast.literal_eval(done.stdout)) & {*HEAVY, "pydantic", "cyclopts", "rich"}


@pytest.mark.parametrize("room", ["volume", "io", "image", "measure", "draw", "report", "tasks", "app", "phantom"])
def test_rooms_without_networks_do_not_import_torch(room: str) -> None:
    """No module of these rooms names torch at its top, so that a second run needs none."""
    for path in (ROOT / "src/willis" / room).rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            assert "torch" not in imported(node), f"{path} imports torch at its top"


def test_nothing_executes_text() -> None:
    """No pickle, marshal, eval, exec, shell or unsafe loading anywhere in the package."""
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (imported(node) & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}), path
            if isinstance(node, ast.Call):
                assert not (isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec", "compile"}), path
                assert ast.unparse(node.func) not in {"os.system", "os.popen"}, path
                for keyword in node.keywords:
                    value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
                    assert (keyword.arg, value) not in {("shell", True), ("weights_only", False)}, path


def imported(node: ast.AST) -> set[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return {name.split(".")[0] for name in names}


def test_openvino_reports_nothing(tmp_path: Path) -> None:
    """Converting and running a network opens no connection and leaves no identity in the user's home."""
    code = (
        "import socket, urllib.request\n"
        "def refuse(*_, **__): raise SystemExit('a connection was opened')\n"
        "socket.create_connection = socket.socket.connect = urllib.request.urlopen = refuse\n"
        "from willis.infer import openvino_engine\n"
        "import openvino as ov, sys\n"
        "from openvino import opset13 as ops\n"
        "x = ops.parameter([1, 2], ov.Type.f32)\n"
        "ov.Core().compile_model(ov.Model([ops.relu(x)], [x]), 'CPU')\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "WILLIS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()
