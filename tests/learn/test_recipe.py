from pathlib import Path

import pytest

from willis.errors import BadInputError
from willis.learn.recipe import Recipe, read_recipe

SMALLEST = 'task = "wmh"\n[training]\nsteps = 10\n'


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "some.toml"
    path.write_text(text, encoding="utf-8")
    return read_recipe(path)


def test_a_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    recipe = read(tmp_path, SMALLEST + '[folds]\nindex = 2\n[loss]\nterms = [{name = "tversky", beta = 0.6}]\n')
    assert recipe.folds is not None and recipe.folds.count == 5
    assert recipe.loss.terms[0].beta == 0.6
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
    assert Recipe.parse(recipe.model_dump(), "again") == recipe


def test_changes_are_checked(tmp_path: Path) -> None:
    recipe = read(tmp_path, SMALLEST)
    assert recipe.changed("training", steps=3).training.steps == 3
    assert recipe.changed("folds", count=3).folds is not None
    with pytest.raises(BadInputError, match="steps is 0"):
        recipe.changed("training", steps=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALLEST + "stepz = 1\n", "training.stepz is not a setting; allowed are accumulate, batch, checkpoint_every"),
        (SMALLEST + "[optimizer]\n", "optimizer is not a setting; allowed are augmentation, bundle, data, folds"),
        ('task = "wmh"\n', "training is missing"),
        (SMALLEST + '[loss]\nterms = [{name = "iou"}]\n', "loss.terms.0.name is 'iou'"),
        (
            SMALLEST + '[loss]\nterms = [{name = "dice", eps = 1}]\n',
            "loss.terms.0.eps is not a setting; allowed are alpha",
        ),
        (SMALLEST + '[loss]\nactivation = "softmax"\n', "a softmax output has no 'bce' loss; use 'ce'"),
        (SMALLEST + "[folds]\ncount = 3\nindex = 3\n", "fold 3 of 3 does not exist"),
        (SMALLEST + "[schedule]\nfactor = 1.5\n", "schedule.factor is 1.5"),
        ("task = \n", "isn't TOML"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("augmentation", {"gamma_range": (0, 1)}, "greater than 0"),
        ("augmentation", {"gamma_range": (1.4, 0.7)}, "1.4 is above 0.7"),
        ("augmentation", {"scale": (-1.1, -0.9)}, "greater than 0"),
        ("augmentation", {"offset_range": (1, -1)}, "1 is above -1"),
        ("augmentation", {"flip_axes": (0, 0)}, "names an axis twice"),
        ("augmentation", {"droppable": (-1,)}, "greater than or equal to 0"),
        ("sampling", {"patch": (0, 4, 4)}, "greater than or equal to 1"),
        ("optimiser", {"betas": (0.9, 1.5)}, "less than 1"),
        ("optimiser", {"rate": float("inf")}, "finite number"),
        ("loss", {"terms": ()}, "at least 1 item"),
    ],
)
def test_what_would_fail_or_mirror_heads_unsaid_later_is_refused_at_once(
    section: str, values: dict[str, object], said: str
) -> None:
    recipe = Recipe.parse({"task": "wmh", "training": {"steps": 1}}, "test")
    with pytest.raises(BadInputError, match=said):
        recipe.changed(section, **values)


def test_an_absent_recipe(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="can't be read: No such file"):
        read_recipe(tmp_path / "none.toml")
