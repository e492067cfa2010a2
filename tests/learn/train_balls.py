"""Trains on balls; run by a test as a process of its own: train_balls.py RECIPE.json FOLDER SOURCE [--resume]."""

import sys
from pathlib import Path

import made_up_sources

from willis.learn.recipe import Recipe
from willis.learn.trainer import train

if __name__ == "__main__":
    recipe = Recipe.model_validate_json(Path(sys.argv[1]).read_text(encoding="utf-8"))
    judged = (lambda _network: {"dice": 0.5}) if recipe.training.validate_every else None
    source = getattr(made_up_sources, sys.argv[3])()
    train(recipe, source, judged, sys.argv[2], resume="--resume" in sys.argv)
