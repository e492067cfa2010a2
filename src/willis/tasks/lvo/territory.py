"""Arterial territories: the built-in map, or the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from willis.errors import BadInputError
from willis.io.nifti import read_nifti
from willis.tasks.lvo.headspace import template
from willis.tasks.lvo.spec import TERRITORIES
from willis.volume.volume import Volume

RIGHT = 10  # added to the code of a territory on the patient's right


def read_territories(path: Path | None) -> Volume:
    """Codes 1 to 4 on the left and 11 to 14 on the right, in MNI space, on the map's own grid.

    Parameters
    ----------
    path
        The user's map, placed by its affine; the built-in one when None. A map that uses no code above 4 gets its
        sides from where its voxels lie.

    Raises
    ------
    BadInputError
        When it holds other codes.
    """
    if path is None:
        return template("territories")
    given = read_nifti(path, "territories", allow_empty=True)
    codes = np.rint(given.data).astype(np.int64)
    known = [n + side for side in (0, RIGHT) for n in range(len(TERRITORIES) + 1)]
    strange = sorted(set(np.unique(codes).tolist()) - set(known))
    if strange:
        raise BadInputError(
            f"the map of territories {path.name} holds code {strange[0]}; allowed are 1 to {len(TERRITORIES)} "
            f"({', '.join(TERRITORIES)}), + {RIGHT} on the right."
        )
    if codes.max(initial=0) <= len(TERRITORIES):
        x = given.grid.to_mm(np.moveaxis(np.indices(given.grid.shape), 0, -1))[..., 0]
        codes = codes + RIGHT * ((x > 0) & (codes > 0))
    return given.with_data(codes.astype(np.uint8))
