import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from willis.errors import BundleError
from willis.models.manifest import SCHEMA_VERSION, make_manifest, parse_manifest
from willis.volume.orient import ORIENTATIONS

VALUES = {
    "name": "tiny",
    "title": "A tiny bundle",
    "task": "wmh",
    "network": {"name": "unet3d", "config": {"widths": [2, 3], "activation": "swish"}},
    "channels": ["t1", "flair"],
    "outputs": ["wmh"],
    "spacing_mm": [1.0, 1.0, 1.0],
    "intensity": {"scheme": "p99-capped", "cap": 1.3},
    "threshold": {"value": 0.5, "origin": "chosen on 20 phantoms"},
    "licence": "Apache-2.0",
    "intended_use": "Research.",
}


def test_json_round_trip_is_exact_and_stable():
    manifest = make_manifest(VALUES, "a test")
    text = manifest.to_json()
    again = parse_manifest(text, "a test")
    assert again == manifest
    assert again.to_json() == text
    assert '"spacing_mm": [1.0, 1.0, 1.0]' in text
    assert '"axes"' not in text  # the identity of bundles that say none stays
    assert '"agreed_voxels"' not in text
    assert '"least_mean"' not in text
    assert '"spared_voxels"' not in text
    sure = make_manifest(VALUES | {"clusters": {"least_mean": 0.55, "spared_voxels": 3000}}, "a test")
    assert parse_manifest(sure.to_json(), "a test").clusters == sure.clusters
    assert (sure.clusters.least_mean, sure.clusters.spared_voxels) == (0.55, 3000)
    turned = manifest.changed(axes="LAS")
    assert parse_manifest(turned.to_json(), "a test") == turned


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_a_number_that_is_none_is_refused(number):
    text = json.dumps(VALUES | {"calibration": {"slope": 1.0, "intercept": 0.25, "origin": "a test"}})
    with pytest.raises(BundleError, match=r"calibration\.intercept: Input should be a finite number"):
        parse_manifest(text.replace("0.25", number), "a test")


def test_members_may_be_asked_to_agree_and_planes_may_not():
    asked = VALUES | {"clusters": {"agreed_voxels": 10}}
    manifest = make_manifest(asked, "a test")
    assert parse_manifest(manifest.to_json(), "a test").clusters.agreed_voxels == 10
    planes = {"planes": [{"plane": "axial", "shape": [192, 192], "start": [0, 0]}]}
    with pytest.raises(BundleError, match="agreed_voxels asks members of volumes"):
        make_manifest(asked | planes, "a test")
    with pytest.raises(BundleError, match="least_mean asks a volume's probability"):
        make_manifest(VALUES | {"clusters": {"least_mean": 0.5}} | planes, "a test")


def test_axes_are_an_orientation():
    letters = "RLAPSIX"
    codes = ["", "LA", "LASI", "las", *("".join(three) for three in product(letters, repeat=3))]
    for code in codes:
        if code in ORIENTATIONS:
            assert make_manifest(VALUES | {"axes": code}, "a").axes == code
        else:
            with pytest.raises(BundleError, match="is no orientation"):
                make_manifest(VALUES | {"axes": code}, "a")


def test_order_of_mappings_does_not_change_the_text():
    turned = VALUES | {"network": {"config": {"activation": "swish", "widths": [2, 3]}, "name": "unet3d"}}
    assert make_manifest(turned, "a").to_json() == make_manifest(VALUES, "a").to_json()


@given(
    st.text(min_size=1).filter(lambda t: t.strip()), st.lists(st.text(alphabet='[]",\\ \nab1', min_size=1), max_size=4)
)
def test_any_text_survives_json(title, peculiarities):
    peculiarities = [p for p in peculiarities if p.strip()]
    manifest = make_manifest(VALUES | {"title": title, "peculiarities": peculiarities}, "a test")
    assert parse_manifest(manifest.to_json(), "a test") == manifest


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"colour": "red"}, "colour"),
        ({"threshold": {"value": 0.5}}, "threshold.origin"),
        ({"threshold": {"value": 1.0, "origin": "x"}}, "threshold.value"),
        ({"intensity": {"scheme": "p99", "cap": 1.3}}, "cap"),
        ({"intensity": {"scheme": "p99-capped"}}, "cap"),
        ({"window": {"mode": "sliding"}}, "window"),
        ({"channels": []}, "channels"),
        ({"members": ["../../etc/passwd.safetensors"]}, "members"),
        ({"members": ["a.pkl"]}, "members|safetensors"),
        ({"members": ["a.safetensors"], "files": {"b.safetensors": "0" * 64}}, "a.safetensors"),
        ({"files": {"a": "beef"}}, "files"),
        ({"licence": " "}, "licence"),
        ({"name": "A B"}, "name"),
        ({"spacing_mm": [1, 0, 1]}, "spacing_mm"),
    ],
)
def test_bad_values_are_named(change, word):
    with pytest.raises(BundleError, match=word):
        make_manifest(VALUES | change, "a test")


@pytest.mark.parametrize("absent", sorted(VALUES))
def test_every_required_field_is_missed(absent):
    with pytest.raises(BundleError, match=absent):
        make_manifest({k: v for k, v in VALUES.items() if k != absent}, "a test")


def test_a_newer_schema_is_refused_before_its_unknown_fields():
    text = json.dumps({"schema_version": SCHEMA_VERSION + 1, "unheard_of": 1})
    with pytest.raises(BundleError, match=f"schema version {SCHEMA_VERSION + 1}.*up to {SCHEMA_VERSION}"):
        parse_manifest(text, "new.json")


@pytest.mark.parametrize("text", ["", "{", "[1]", "3"])
def test_no_manifest_at_all(text):
    with pytest.raises(BundleError, match=r"x\.json"):
        parse_manifest(text, "x.json")


def test_onnx_networks_have_onnx_members():
    values = VALUES | {"network": {"name": "onnx"}, "members": ["member_0.onnx"]}
    assert make_manifest(values, "a").members == ("member_0.onnx",)
    with pytest.raises(BundleError, match=r"\.onnx"):
        make_manifest(values | {"members": ["member_0.safetensors"]}, "a")


def test_changed_is_checked():
    manifest = make_manifest(VALUES, "a")
    assert manifest.changed(threshold={"value": 0.4, "origin": "elsewhere"}).threshold.value == 0.4
    with pytest.raises(BundleError, match=r"threshold\.value"):
        manifest.changed(threshold={"value": 4, "origin": "elsewhere"})
