import json
import subprocess
import sys

import numpy as np
import pytest

from willis.app.cli.main import call
from willis.models import store
from willis.models.manifest import make_manifest

VALUES = {
    "name": "tiny",
    "title": "A tiny bundle",
    "task": "wmh",
    "network": {"name": "unet3d", "config": {"inputs": 1, "filters": [2], "final": [2]}},
    "channels": ["flair"],
    "outputs": ["wmh"],
    "spacing_mm": [1, 1, 1],
    "intensity": {"scheme": "p99"},
    "threshold": {"value": 0.42, "origin": "best Dice on 20 phantoms"},
    "licence": "Apache-2.0",
    "citation": ["Willis 1664"],
    "intended_use": "Research alone.",
}


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setenv(store.BUNDLES_VARIABLE, str(tmp_path / "store"))
    weights = {"head.weight": np.ones((2, 2), np.float32)}
    return store.write_bundle(tmp_path / "store" / "tiny", make_manifest(VALUES, "a test"), [weights], card="# By hand")


def test_list_names_the_models(bundle, capsys):
    assert call(["models", "list"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0][0] == "name"
    assert ["tiny", "wmh", "1", "flair", "1", "0.0", "environment", "Apache-2.0"] in rows


def test_list_goes_on_past_a_broken_model(bundle, capsys):
    (bundle.folder.parent / "broken").mkdir()
    (bundle.folder.parent / "broken" / "bundle.json").write_text('{"schema_version": 99}')
    assert call(["models", "list"]) == 0
    out = capsys.readouterr().out
    assert "tiny" in out
    assert "can't be used" in out
    assert "schema version 99" in out


def test_list_as_json(bundle, capsys):
    assert call(["models", "list", "--json"]) == 0
    listed = {entry["manifest"]["name"]: entry for entry in json.loads(capsys.readouterr().out) if entry["manifest"]}
    assert listed["tiny"]["manifest"]["threshold"]["value"] == 0.42


def test_listing_does_not_import_torch(bundle):
    code = (
        "import sys; from willis.app.cli.main import call; call(['models', 'list']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_show_tells_use_licence_citation_and_threshold(bundle, capsys):
    assert call(["models", "show", "tiny"]) == 0
    out = capsys.readouterr().out
    for text in ("Research alone.", "Apache-2.0", "Willis 1664", "0.42: best Dice on 20 phantoms", "# By hand"):
        assert text in out
    assert call(["models", "show", str(bundle.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "tiny"


def test_verify_finds_a_changed_byte(bundle, capsys):
    assert call(["models", "verify"]) == 0
    assert "tiny: 2 files as their manifest says" in capsys.readouterr().out
    bundle.member_path(0).write_bytes(b"other")
    assert call(["models", "verify", "tiny"]) == 2
    assert "member_0.safetensors was altered" in capsys.readouterr().err


def test_an_unknown_model_is_bad_input(bundle, capsys):
    assert call(["models", "show", "huge"]) == 2
    assert "no bundle 'huge'" in capsys.readouterr().err


def test_import_says_what_was_made(golden_folder, tmp_path, capsys):
    assert call(["models", "import", "shiva", str(golden_folder), "-o", str(tmp_path / "shiva")]) == 0
    out = capsys.readouterr().out
    assert "1 member, t1 + flair" in out
    assert "CC-BY-NC-SA" in out
    assert store.open_bundle(tmp_path / "shiva").manifest.channels == ("t1", "flair")
    assert call(["models", "import", "shiva", str(golden_folder), "-o", str(tmp_path / "shiva")]) == 2
    assert "exists already" in capsys.readouterr().err
    arguments = ["--modalities", "flair,t1", "--intensity", "p99-capped", "--half", "--replace"]
    assert call(["models", "import", "shiva", str(golden_folder), "-o", str(tmp_path / "shiva"), *arguments]) == 0
    assert store.open_bundle(tmp_path / "shiva").manifest.channels == ("flair", "t1")


def test_export_and_import_of_onnx(golden_folder, tmp_path, capsys):
    assert call(["models", "import", "shiva", str(golden_folder), "-o", str(tmp_path / "shiva")]) == 0
    assert call(["models", "export", str(tmp_path / "shiva"), "-o", str(tmp_path / "onnx"), "--format", "onnx"]) == 0
    graph, manifest = tmp_path / "onnx" / "member_0.onnx", tmp_path / "onnx" / "bundle.json"
    assert call(["models", "import", "onnx", str(manifest), str(graph), "-o", str(tmp_path / "again")]) == 0
    assert store.open_bundle(tmp_path / "again").member_bytes(0) == graph.read_bytes()
    assert call(["models", "export", str(tmp_path / "again"), "-o", str(tmp_path / "more")]) == 2
    assert "already" in capsys.readouterr().err


@pytest.fixture
def golden_folder(tmp_path):
    import gzip
    from pathlib import Path

    golden = Path(__file__).parents[1] / "golden" / "models" / "t1_flair_keras3.h5.gz"
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / "T1_FLAIR.WMH_fold_0_model.h5").write_bytes(gzip.decompress(golden.read_bytes()))
    return folder


def test_a_measured_precision_is_told_and_written(bundle, tmp_path, capsys, monkeypatch):
    from pathlib import Path

    from willis.infer.equivalence import PrecisionLikeness
    from willis.tasks import equivalence

    found = PrecisionLikeness("bfloat16", "openvino", {"wmh": 0.9984}, {"wmh": 0.9997}, 0.02, 3)
    asked = {}

    def measured(given, recipe, *, tell, **how):
        asked.update(how, name=given.name, task=recipe.task)
        tell(1, {"wmh": 0.9984})
        return found

    monkeypatch.setattr(equivalence, "measure_precision", measured)
    recipe = Path(__file__).parents[2] / "recipes" / "wmh.toml"
    command = ["models", "measure-precision", "tiny", "--recipe", str(recipe), "--precision", "bfloat16"]
    out = tmp_path / "measured"
    assert call([*command, "--count", "3", "-o", str(out)]) == 0
    assert asked == {
        "name": "tiny", "task": "wmh", "precision": "bfloat16", "engine": "auto", "count": 3, "threads": None,
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "case 1: wmh 0.9984" in said
    assert "--precision auto doesn't take it" in said
    (entry,) = store.open_bundle(out).manifest.precision
    assert (entry.dice, entry.pooled, entry.cases) == (0.9984, 0.9997, 3)
    assert entry.on == "phantoms that wmh.toml leaves out"
    assert call([*command, "-o", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
