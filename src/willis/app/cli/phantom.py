"""``willis phantom``: simulated patients with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

app = App(name="phantom", help="Make simulated patients with known truth.")


@app.command
def wmh(
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))],
    count: int = 1,
    seed: int = 0,
    anatomies: Path | None = None,
    contrast: Literal["physics", "random"] = "physics",
) -> None:
    """Make patients with white matter hyperintensities: T1 and FLAIR as a scanner gives them.

    Parameters
    ----------
    output
        Folder to make; it must be absent or empty.
    count
        Number of patients.
    seed
        One seed always gives the same bytes.
    anatomies
        Folder of FreeSurfer-coded whole-head label maps to deform, instead of the head that comes with willis.
    contrast
        Tissue values by the signal equations (physics), or drawn beyond physics (random), for training.
    """
    from willis.app.cli.progress import ProgressReport
    from willis.phantom.anatomy import read_anatomies
    from willis.phantom.dataset import write_patients

    heads = read_anatomies(anatomies) if anatomies is not None else None
    with ProgressReport() as progress:
        write_patients("wmh", output, count=count, seed=seed, anatomies=heads, contrast=contrast, progress=progress)
    print(f"{count} patient{'s' if count > 1 else ''}: {output}\nTrue volumes: {output / 'truth.tsv'}")
