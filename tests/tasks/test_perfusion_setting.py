"""The publication's settings as recipes: keys told, faults placed and mended, shipped recipes as generated."""

import importlib.util
import json
from pathlib import Path

import pytest

from willis.app.cli.main import call
from willis.errors import BadInputError
from willis.learn.recipe import read_recipe
from willis.tasks.perfusion.setting import map_setting, read_setting, recipe_text

ROOT = Path(__file__).parents[2]
BROKEN = """{
  "EXPERIMENT": 100.897,
  "PATIENTS_TO_TRAINVAL": ["ALL"],
  "PATIENTS_TO_TEST": "+", ".join(ids) ,
  "models": [
    {"name": "PMs_segmentation_NOBatch", "loss": "focal_tversky_loss", "epochs": 10, "batch_size": 2,
     "params": {"trainable": 0, "gradual_finetuning_solution": {"type": "half"}},
     "moreinfo": {"mip": 1, "nihss": 1}, "something_new": 1}
  ]
}"""


def setting(**model):
    return {"models": [{"name": "PMs_segmentation_NOBatch", "epochs": 2, "batch_size": 3, **model}]}


def test_a_broken_file_is_placed_and_mended_only_when_asked(tmp_path):
    path = tmp_path / "Model_G(PMs,M,N).json"
    path.write_text(BROKEN)
    with pytest.raises(BadInputError, match=r"at line 4, column \d+\. Run again with --repair"):
        read_setting(path)
    found, repaired = read_setting(path, repair=True)
    assert found["PATIENTS_TO_TEST"] == [] and found["models"][0]["epochs"] == 10
    assert len(repaired) == 1 and "PATIENTS_TO_TEST" in repaired[0]


def test_what_cannot_be_mended_is_refused(tmp_path):
    path = tmp_path / "x.json"
    path.write_text("{]")
    with pytest.raises(BadInputError, match="line 1, column 2"):
        read_setting(path, repair=True)


def test_every_key_is_told_of(tmp_path):
    found, _ = read_setting_of(tmp_path)
    mapped = map_setting(found, "x")
    told = "\n".join([*mapped.mapped, *mapped.ignored, *mapped.impossible])
    for key in (*found, *(f"models[0].{name}" for name in found["models"][0])):
        assert key in told or key == "models"
    assert any("something_new: not known" in line for line in mapped.impossible)


def read_setting_of(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(BROKEN)
    return read_setting(path, repair=True)


def recipe_of(tmp_path, found):
    path = tmp_path / "r.toml"
    path.write_text(recipe_text(found))
    return read_recipe(path)


def test_gradual_tuning_becomes_stages_of_one_recipe(tmp_path):
    found, _ = read_setting_of(tmp_path)
    recipe = recipe_of(tmp_path, map_setting(found, "x"))
    assert recipe.data["maps"] == ["cbf", "cbv", "ttp", "tmax", "mip"] and recipe.data["scalars"] == ["nihss"]
    assert recipe.loss.labels == (0.0, 0.1, 50.0, 440.0)
    assert [stage.frozen for stage in recipe.stages] == [("encoders",), ("encoders-first-half",), ()]
    assert recipe.training.steps == 3 * 10 * 100


@pytest.mark.parametrize(
    ("params", "frozen"),
    [
        ({"trainable": 1}, []),
        ({"trainable": 0}, [("encoders",)]),
        ({"trainable": 0, "gradual_finetuning_solution": {"type": "full"}}, [("encoders",), ()]),
    ],
)
def test_other_ways_of_fine_tuning(tmp_path, params, frozen):
    recipe = recipe_of(tmp_path, map_setting(setting(params=params), "x"))
    assert [stage.frozen for stage in recipe.stages] == frozen
    assert recipe.training.steps == max(len(frozen), 1) * 200


def test_early_stopping_on_the_loss_is_carried_over_and_other_kinds_are_told(tmp_path):
    stopping = {"monitor": "val_loss", "min_delta": 1e-5, "patience": 25}
    training = recipe_of(tmp_path, map_setting(setting(callbacks={"EarlyStopping": stopping}), "x")).training
    assert (training.monitor, training.monitor_mode, training.patience) == ("loss", "min", 3)
    for other in ({"monitor": "val_dice", "patience": 5}, {"patience": 0}, {"patience": "many"}):
        mapped = map_setting(setting(callbacks={"EarlyStopping": other}), "x")
        assert mapped.recipe["training"]["monitor"] == "dice_lesions"
        assert any("EarlyStopping: only val_loss" in line for line in mapped.impossible)


def test_an_unknown_way_of_gradual_tuning_is_told():
    mapped = map_setting(setting(params={"trainable": 0, "gradual_finetuning_solution": {"type": "thirds"}}), "x")
    assert any("thirds: known are half, full" in line for line in mapped.impossible)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "unet"}, "asks for the network 'unet'"),
        ({"loss": "hinge"}, "asks for the loss 'hinge'"),
    ],
)
def test_another_publication_is_refused(change, message):
    with pytest.raises(BadInputError, match=message):
        map_setting(setting(**change), "x")


def test_alpha_and_gamma_beside_the_loss_are_taken():
    mapped = map_setting(
        setting(loss="focal_tversky_loss", focal_tversky_loss={"alpha": 0.6, "gamma": 2.0, "x": 1}), "x"
    )
    (term,) = mapped.recipe["loss"]["terms"]
    assert (term["alpha"], term["beta"], term["gamma"]) == (0.4, 0.6, 2.0)
    assert any(line.startswith("models[0].focal_tversky_loss.alpha 0.6: [loss]") for line in mapped.mapped)
    assert not any("focal_tversky_loss: not known" in line for line in mapped.impossible)
    assert "models[0].focal_tversky_loss.x: not carried over" in mapped.impossible
    other = map_setting(setting(loss="tversky_loss", focal_tversky_loss={"alpha": 0.6}), "x")
    assert other.recipe["loss"]["terms"][0]["beta"] == 0.7
    assert "models[0].focal_tversky_loss: the loss is tversky_loss" in other.ignored


@pytest.mark.parametrize("alpha", ["a", 0, 1.5, None])
def test_an_impossible_alpha_is_refused(alpha):
    with pytest.raises(BadInputError, match=r"focal_tversky_loss.alpha as .*; allowed is a number above 0"):
        map_setting(setting(focal_tversky_loss={"alpha": alpha}), "x")


def test_the_weight_of_non_lvo_samples_is_named_as_left_out():
    assert any("sample weight of 6 for Non-LVO" in line for line in map_setting(setting(), "x").impossible)


def test_classes_change_outputs_and_weights():
    two = map_setting(setting(), "x", classes=2)
    assert two.recipe["network.config"]["outputs"] == 2 and two.recipe["loss"]["labels"] == [0.1, 1.0]


def test_shipped_recipes_are_those_of_the_script():
    spec = importlib.util.spec_from_file_location("make", ROOT / "scripts" / "make_perfusion_recipes.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    texts = make.texts()
    assert len(make.settings()) == 12
    assert set(texts) == {p.name for p in (ROOT / "recipes").glob("perfusion-[FUG]-*.toml")}
    for name, text in texts.items():
        assert (ROOT / "recipes" / name).read_text() == text
        read_recipe(ROOT / "recipes" / name)


def test_the_command_writes_the_recipe_and_says_what_it_did(tmp_path, capsys):
    path = tmp_path / "s.json"
    path.write_text(json.dumps(setting(loss={"focal": 1, "name": "tversky_loss", "alpha": 0.6})))
    assert call(["import-setting", str(path), "-o", str(tmp_path / "r.toml")]) == 0
    term = read_recipe(tmp_path / "r.toml").loss.terms[0]
    assert (term.name, term.alpha, term.beta) == ("tversky", 0.4, 0.6)
    assert "Mapped:" in capsys.readouterr().out
