"""``willis import-setting``: a published JSON setting as a recipe, with a word on every key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def import_setting(
    file: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    repair: Annotated[bool, Parameter(negative=())] = False,
    classes: Literal[2, 3, 4] = 4,
    size: int = 512,
) -> None:
    """Turn a JSON setting of the published perfusion network into a recipe.

    Every key is named: what it became, why it is ignored, or that it can't be had. Gradual fine-tuning becomes stages
    of one recipe.

    Parameters
    ----------
    file
        As Model_G(PMs,M,N).json.
    output
        The recipe to write (.toml).
    repair
        Mend values that aren't JSON, and say what was mended.
    classes
        Background, brain, penumbra and core (4), without brain (3), or core alone (2).
    size
        Pixels of a side of the slices.
    """
    from willis.io.tables import write_text
    from willis.tasks.perfusion.setting import map_setting, read_setting, recipe_text

    setting, repaired = read_setting(file, repair=repair)
    found = map_setting(setting, file.stem, classes=classes, size=size)
    for title, lines in (("Repaired", repaired), ("Mapped", found.mapped), ("Ignored", found.ignored),
                         ("Not possible", found.impossible)):  # fmt: skip
        if lines:
            print(f"{title}:\n" + "\n".join(f"  {line}" for line in lines))
    print(f"Recipe: {write_text(recipe_text(found), output.with_name(f'{output.stem}.toml'))}")
