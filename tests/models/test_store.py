import os
import subprocess
import sys

import numpy as np
import pytest

from willis.errors import BundleError
from willis.models import publish, store
from willis.models.manifest import make_manifest

WEIGHTS = {
    "conv.weight": np.linspace(-1, 1, 54, dtype=np.float32).reshape(2, 1, 3, 3, 3),
    "norm.running_var": np.array([1e-7, 3e6], np.float32),
    "norm.num_batches_tracked": np.array(7),
}


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def manifest_of(name="tiny", task="wmh", network="unet3d"):
    return make_manifest(
        {
            "name": name,
            "title": "A tiny bundle",
            "task": task,
            "network": {"name": network},
            "channels": ["flair"],
            "outputs": ["wmh"],
            "spacing_mm": [1, 1, 1],
            "intensity": {"scheme": "p99"},
            "threshold": {"value": 0.5, "origin": "a test"},
            "licence": "Apache-2.0",
            "intended_use": "Tests.",
        },
        "a test",
    )


@pytest.fixture
def user_store(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(store.BUNDLES_VARIABLE, raising=False)
    return store.user_folder()


def test_write_and_open_round_trip(tmp_path):
    written = store.write_bundle(tmp_path / "tiny", manifest_of(), [WEIGHTS, WEIGHTS], half=False, card="# Tiny")
    opened = store.open_bundle(tmp_path / "tiny", task="wmh")
    assert opened.manifest == written.manifest
    assert opened.manifest.members == ("member_0.safetensors", "member_1.safetensors")
    assert opened.card == "# Tiny"
    for name, value in opened.member_weights(1).items():
        np.testing.assert_array_equal(value, WEIGHTS[name])
    assert names_in(tmp_path) == ["tiny"]


def test_same_content_gives_the_same_bytes(tmp_path):
    turned = dict(reversed(WEIGHTS.items()))
    first = store.write_bundle(tmp_path / "a", manifest_of(), [WEIGHTS])
    second = store.write_bundle(tmp_path / "b", manifest_of(), [turned])
    assert first.digest == second.digest
    for name in ("bundle.json", "member_0.safetensors"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()


@pytest.mark.parametrize("name", ["member_0.safetensors", "README.md"])
def test_one_changed_byte_is_found_and_both_sums_named(tmp_path, name):
    bundle = store.write_bundle(tmp_path / "tiny", manifest_of(), [WEIGHTS], card="# Tiny")
    content = bytearray((bundle.folder / name).read_bytes())
    content[-1] ^= 1
    (bundle.folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} was altered.*[0-9a-f]{{64}}.*{bundle.manifest.files[name]}"):
        store.open_bundle(bundle.folder)
    if name.startswith("member"):
        with pytest.raises(BundleError, match="altered"):
            bundle.member_weights(0)


def test_an_absent_file_is_named(tmp_path):
    bundle = store.write_bundle(tmp_path / "tiny", manifest_of(), [WEIGHTS])
    bundle.member_path(0).unlink()
    with pytest.raises(BundleError, match=r"member_0\.safetensors can't be read"):
        store.open_bundle(bundle.folder)


def test_another_task_is_refused(tmp_path):
    store.write_bundle(tmp_path / "tiny", manifest_of(), [WEIGHTS])
    with pytest.raises(BundleError, match=r"'wmh'.*'brain'"):
        store.open_bundle(tmp_path / "tiny", task="brain")


def test_a_manifest_without_sums_is_incomplete(tmp_path):
    (tmp_path / "bundle.json").write_text(manifest_of().to_json())
    with pytest.raises(BundleError, match="incomplete"):
        store.open_bundle(tmp_path)


def test_names_are_searched_in_order(user_store, tmp_path, monkeypatch):
    other, third = tmp_path / "other", tmp_path / "third"
    monkeypatch.setenv(store.BUNDLES_VARIABLE, f"{other}{os.pathsep}{third}")
    store.write_bundle(user_store / "tiny", manifest_of(), [WEIGHTS])
    assert store.open_bundle("tiny").folder == user_store / "tiny"
    store.write_bundle(third / "tiny", manifest_of(), [WEIGHTS])
    assert store.open_bundle("tiny").folder == third / "tiny"
    store.write_bundle(other / "tiny", manifest_of(), [WEIGHTS])
    assert store.open_bundle("tiny").folder == other / "tiny"
    found = [shelf.place for shelf in store.list_bundles() if shelf.folder.name == "tiny"]
    assert found == ["environment", "environment", "user"]


def test_the_environment_may_name_a_bundle_itself(tmp_path, monkeypatch):
    bundle = store.write_bundle(tmp_path / "tiny", manifest_of(), [WEIGHTS])
    monkeypatch.setenv(store.BUNDLES_VARIABLE, str(bundle.folder))
    assert store.open_bundle("tiny") == bundle


def test_an_unknown_name_lists_the_known(user_store):
    store.write_bundle(user_store / "tiny", manifest_of(), [WEIGHTS])
    with pytest.raises(BundleError, match=r"no bundle 'huge'; known are:.*tiny"):
        store.open_bundle("huge")


def test_a_broken_bundle_is_listed_with_its_problem(user_store):
    store.write_bundle(user_store / "tiny", manifest_of(), [WEIGHTS])
    (user_store / "broken").mkdir()
    (user_store / "broken" / "bundle.json").write_text("{")
    shelves = {shelf.folder.name: shelf for shelf in store.list_bundles() if shelf.place == "user"}
    assert shelves["tiny"].manifest is not None
    assert shelves["broken"].manifest is None
    assert "not JSON" in (shelves["broken"].problem or "")


def test_listing_reads_no_weights(user_store):
    bundle = store.write_bundle(user_store / "tiny", manifest_of(), [WEIGHTS])
    bundle.member_path(0).unlink()
    assert "tiny" in [shelf.manifest.name for shelf in store.list_bundles() if shelf.manifest]


def test_the_store_does_not_import_torch():
    code = "import sys, willis.models.store as s; s.list_bundles(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_no_default_for_an_unknown_task():
    with pytest.raises(BundleError, match="'gout'"):
        store.default_bundle("gout")


def test_a_default_gives_way_to_the_environment_alone(user_store, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_SHIPPED", tmp_path / "shipped")
    for folder in (user_store, tmp_path / "shipped", tmp_path / "named"):
        store.write_bundle(folder / "wmh", manifest_of("wmh"), [WEIGHTS])
    assert store.default_bundle("wmh").folder == tmp_path / "shipped" / "wmh"
    monkeypatch.setenv(store.BUNDLES_VARIABLE, str(tmp_path / "named"))
    assert store.default_bundle("wmh").folder == tmp_path / "named" / "wmh"


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(BundleError, match="not finite"):
        store.write_bundle(tmp_path / "a", manifest_of(), [WEIGHTS, {"w": np.full((2, 2), np.nan, np.float32)}])
    monkeypatch.setattr(publish, "_swap", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        store.write_bundle(tmp_path / "b", manifest_of(), [WEIGHTS])
    assert names_in(tmp_path) == []


def test_replacing_is_asked_for_and_a_failed_one_keeps_the_old(tmp_path, monkeypatch):
    store.write_bundle(tmp_path / "a", manifest_of(), [WEIGHTS], card="old")
    with pytest.raises(BundleError, match="exists already"):
        store.write_bundle(tmp_path / "a", manifest_of(), [WEIGHTS])
    store.write_bundle(tmp_path / "a", manifest_of(), [WEIGHTS], card="new", replace=True)
    assert store.open_bundle(tmp_path / "a").card == "new"
    rename = type(tmp_path).rename

    def fail_for_the_draft(self, target):
        if self.name == "new":
            raise OSError("disk full")
        return rename(self, target)

    monkeypatch.setattr(type(tmp_path), "rename", fail_for_the_draft)
    with pytest.raises(OSError, match="disk full"):
        store.write_bundle(tmp_path / "a", manifest_of(), [WEIGHTS], card="newer", replace=True)
    assert store.open_bundle(tmp_path / "a").card == "new"
    assert names_in(tmp_path) == ["a"]


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    with pytest.raises(BundleError, match="no bundle"):
        store.write_bundle(tmp_path / "thesis", manifest_of(), [WEIGHTS], replace=True)
    assert (tmp_path / "thesis").is_dir()


def test_amending_keeps_the_members(tmp_path):
    before = store.write_bundle(tmp_path / "a", manifest_of(), [WEIGHTS], card="old")
    after = store.amend_bundle(tmp_path / "a", card="new", threshold={"value": 0.3, "origin": "phantoms"})
    assert after.manifest.threshold.value == 0.3
    assert store.open_bundle(tmp_path / "a").card == "new"
    assert after.manifest.files["member_0.safetensors"] == before.manifest.files["member_0.safetensors"]


def test_onnx_members_are_bytes(tmp_path):
    bundle = store.write_bundle(tmp_path / "a", manifest_of(network="onnx"), [b"graph"])
    assert store.open_bundle(tmp_path / "a").member_bytes(0) == b"graph"
    assert bundle.manifest.members == ("member_0.onnx",)
    with pytest.raises(BundleError, match="ONNX"):
        bundle.member_weights(0)
    with pytest.raises(BundleError, match="bytes of an ONNX graph"):
        store.write_bundle(tmp_path / "b", manifest_of(network="onnx"), [WEIGHTS])
