"""``willis doctor``: right on a sound installation, and not silent about a damaged one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from willis.app.cli import doctor, main
from willis.models.store import BUNDLES_VARIABLE

Captured = pytest.CaptureFixture[str]


def examined(capsys: Captured) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main.call(["doctor", "--json"])
    return code, json.loads(capsys.readouterr().out)


def entry(found: dict[str, Any], name: str, place: str = "environment") -> dict[str, Any]:
    (bundle,) = [b for b in found["bundles"] if (b["name"], b["place"]) == (name, place)]
    return dict(bundle)


def test_sound_installation_has_no_trouble(bundles: Path, capsys: Captured) -> None:
    code, found = examined(capsys)
    assert code == 0
    assert found["troubles"] == []
    assert entry(found, "wmh")["problem"] is None
    assert found["packages"]["numpy"]
    assert found["extras"]["openvino"] is True
    assert found["processor"]["usable_cores"] >= 1


def test_altered_bundle_is_found(bundle_folder: Path, tmp_path: Path, capsys: Captured, monkeypatch: Any) -> None:
    place = tmp_path / "bundles"
    shutil.copytree(bundle_folder, place)
    member = place / "wmh" / "member_0.safetensors"
    raw = bytearray(member.read_bytes())
    raw[-1] ^= 1
    member.write_bytes(bytes(raw))
    monkeypatch.setenv(BUNDLES_VARIABLE, str(place))
    code, found = examined(capsys)
    assert code == 2
    assert "member_0.safetensors" in entry(found, "wmh")["problem"]
    assert entry(found, "brain")["problem"] is None
    assert main.call(["doctor"]) == 2
    assert "Trouble: bundle wmh" in capsys.readouterr().out


def test_absent_package_is_found(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    true_version = doctor._version_of
    monkeypatch.setattr(doctor, "_version_of", lambda name: None if name == "isal" else true_version(name))
    code, found = examined(capsys)
    assert code == 2
    assert "isal is needed and not installed." in found["troubles"]


def test_intruder_is_found(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    true_version = doctor._version_of
    monkeypatch.setattr(doctor, "_version_of", lambda name: "1" if name == "torchvision" else true_version(name))
    code, found = examined(capsys)
    assert code == 2
    assert any("torchvision" in trouble for trouble in found["troubles"])


@pytest.mark.parametrize(
    ("native", "precision", "choice", "reason"),
    [
        (False, "float32", "float32", "doesn't multiply float16 or bfloat16"),
        (True, "float32", "float32", "no bundle was measured"),
        (True, "float16", "float16", "float16 for wmh"),
        (True, "bfloat16", "bfloat16", "bfloat16 for wmh"),
    ],
)
def test_precision_is_explained(
    native: bool, precision: str, choice: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "multiplies_natively", lambda *_: native)
    told = doctor._precision([{"name": "wmh", "precision": precision}])
    assert told["choice"] == choice
    assert reason in told["reason"]
