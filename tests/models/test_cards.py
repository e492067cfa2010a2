from willis.models.cards import render_card
from willis.models.manifest import make_manifest

VALUES = {
    "name": "tiny",
    "title": "A tiny bundle",
    "task": "wmh",
    "network": {"name": "unet3d"},
    "channels": ["t1", "flair"],
    "missing_channels": "zero",
    "outputs": ["wmh"],
    "spacing_mm": [1.0, 1.0, 3.5],
    "shape": [160, 214, 176],
    "intensity": {"scheme": "p99-capped", "cap": 1.3},
    "threshold": {"value": 0.42, "origin": "best Dice on 20 phantoms"},
    "clusters": {"min_voxels": 3, "max_outside_brain": 0.25, "origin": "the same phantoms"},
    "licence": "Apache-2.0",
    "citation": ["Willis T. Cerebri anatome. 1664."],
    "intended_use": "Research alone.",
    "authors": ["T. Willis"],
    "source": "https://example.org/weights",
    "peculiarities": ["Pads unevenly."],
}


def test_all_that_a_user_must_know_stands_in_the_card():
    card = render_card(make_manifest(VALUES, "a test"))
    for text in ("Research alone.", "Apache-2.0", "Cerebri anatome", "T. Willis", "example.org", "Pads unevenly."):
        assert text in card
    assert "0.42: best Dice on 20 phantoms" in card
    assert "from 3 voxels, at most 25% of them outside the brain: the same phantoms" in card
    assert "160 × 214 × 176 voxels" in card
    assert "cut at 1.3" in card
    assert "replaced by zeros" in card


def test_that_members_must_agree_stands_in_the_card():
    clusters = VALUES["clusters"] | {"agreed_voxels": 10}
    card = render_card(make_manifest(VALUES | {"clusters": clusters}, "a test"))
    assert "outside the brain, in which each member alone finds 10 or more: the same phantoms" in card


def test_how_sure_the_network_must_be_of_a_cluster_stands_in_the_card():
    clusters = VALUES["clusters"] | {"least_mean": 0.55}
    card = render_card(make_manifest(VALUES | {"clusters": clusters}, "a test"))
    assert "outside the brain, of a mean probability of at least 0.55: the same phantoms" in card
    spared = render_card(make_manifest(VALUES | {"clusters": clusters | {"spared_voxels": 3000}}, "a test"))
    assert "of a mean probability of at least 0.55 or of 3000 voxels or more: the same phantoms" in spared


def test_measured_figures_and_training_are_shown_when_there_are_any():
    plain = render_card(make_manifest(VALUES, "a test"))
    assert "## Measured" not in plain
    assert "## Training" not in plain
    more = {
        "measured": [{"figure": "Dice", "value": 0.71234, "on": "20 phantoms"}],
        "precision": [
            {"precision": "float16", "engine": "openvino", "dice": 0.9995, "max_difference": 0.004, "cases": 8}
        ],
        "calibration": {"slope": 0.5, "intercept": -0.25, "origin": "8 phantoms"},
        "training": {
            "recipe": "recipes/wmh.toml",
            "command": "willis train recipes/wmh.toml",
            "data": "phantoms",
            "date": "2024-01-01",
            "seed": 7,
            "steps": 1000,
        },
    }
    card = render_card(make_manifest(VALUES | more, "a test"))
    assert "Dice: 0.7123 (20 phantoms)." in card
    assert "float16 on openvino against float32: Dice 0.9995" in card
    assert "sigmoid(0.5 × logit + -0.25): 8 phantoms" in card
    assert "`willis train recipes/wmh.toml`" in card
    assert "seed 7, 1000 steps" in card
