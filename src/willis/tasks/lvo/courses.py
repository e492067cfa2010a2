"""How much of the vessels' usual courses a scan shows: of what lies outside it, nothing can be told."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from willis.errors import BadInputError
from willis.tasks.lvo.halves import half, prior, willis_grid
from willis.tasks.lvo.spec import SHUT, VESSELS
from willis.volume.grid import FloatArray
from willis.volume.resample import resample_to
from willis.volume.volume import Volume

COURSE = 0.3  # of the highest prior, from which a place lies on a vessel's usual course
AIR_HU = -1000.0
SHOWN_HU = -500.0  # above it a place is seen: no air, no padding, not beyond the slices
LEAST_SEEN = 0.5  # mean of the vessels of both sides: less leaves nothing to judge; assumed
ALL_SEEN = 0.9  # of each vessel; a fit errs by some mm, and the sphenoid's air lies near; assumed
NAMES = {"c7": "ICA terminus", "m1": "M1", "m2": "M2"}


def seen_shares(ct: Volume, matrix: FloatArray) -> dict[tuple[str, str], float]:
    """Share of the usual course of each of ``spec.SHUT`` on each side that a scan shows.

    Parameters
    ----------
    ct
        In HU.
    matrix
        (4, 4) mm of MNI space to mm of the CT.
    """
    there = resample_to(ct, willis_grid(), world_transform=matrix, fill=AIR_HU).data > SHOWN_HU
    shares = {}
    for name in SHUT:
        course = prior()[VESSELS.index(name)] > COURSE
        shares[name, "left"] = float(half(there, "left")[course].mean())
        shares[name, "right"] = float(half(there, "right")[course].mean())
    return shares


def unseen_vessels(shares: Mapping[tuple[str, str], float], role: str) -> str:
    """What a reader must know of vessels that a scan doesn't show whole; empty where it does.

    Raises
    ------
    BadInputError
        When less than half of them is seen.
    """
    mean = float(np.mean(list(shares.values())))
    if mean < LEAST_SEEN:
        raise BadInputError(
            f"the {role} shows only {mean:.0%} of where C7, M1 and M2 usually run; at least {LEAST_SEEN:.0%} is needed "
            "to look for an occlusion. Give a scan of the whole head."
        )
    cut = [f"{side} {NAMES[name]} {share:.0%}" for (name, side), share in shares.items() if share < ALL_SEEN]
    if not cut:
        return ""
    return (
        f"The {role} doesn't show the whole of the vessels' usual courses ({', '.join(cut)}): an occlusion outside it "
        "can't be seen."
    )
