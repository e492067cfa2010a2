"""What b0, b1000 and ADC owe each other: a b0 made of an ADC, the ADC's unit, and whether two images can be a pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from willis.errors import BadInputError
from willis.volume.volume import Volume

ADC_UNITS = (  # largest usual value of brain, factor to mm²/s, name; parenchyma has 0.7e-3 to 1e-3 mm²/s
    (0.02, 1.0, "mm²/s"),
    (20.0, 1e-3, "1e-3 mm²/s"),
    (20_000.0, 1e-6, "1e-6 mm²/s"),
)
LARGEST_ADC = 4e-3  # mm²/s; above free water at body temperature, about 3e-3
PLAUSIBLE_ADC = (0.3e-3, 2.0e-3)  # mm²/s, of the median in the mask: brain with its CSF
AGREEING_ADC = 1.25  # factor between medians of the ADC given and computed; assumed: fits to more b differ less
CONTRADICTING_ADC = 2.0  # factor above which they can't be of one scan; assumed


def adc_in_mm2_s(adc: Volume) -> tuple[Volume, str]:
    """The ADC in mm²/s, 0 to 4e-3, and the unit that it came in, told by its usual value.

    That is the value below which half of the sum of the positive ones lies: a median that the many near 0 which
    resampling leaves outside the brain don't move.

    Raises
    ------
    BadInputError
        When no value is above 0, or the usual one fits no unit in use.
    """
    positive = adc.data[adc.data > 0]
    if not positive.size:
        raise BadInputError("the ADC map holds no value above 0.")
    ordered = np.sort(positive.astype(np.float64))
    sums = np.cumsum(ordered)
    usual = float(ordered[np.searchsorted(sums, sums[-1] / 2)])
    for largest, factor, unit in ADC_UNITS:
        if usual < largest:
            values = np.clip(adc.data.astype(np.float64) * factor, 0, LARGEST_ADC)
            return adc.with_data(values, unit="mm2/s"), unit
    raise BadInputError(
        f"the usual value of the ADC map is {usual:g}; about 0.0008 (mm²/s), 0.8 (1e-3 mm²/s) or 800 (1e-6 mm²/s) is "
        "expected. Give it in one of these units."
    )


def b0_of(b1000: Volume, adc_mm2_s: Volume, b: float) -> Volume:
    """The image without diffusion weighting: DWI · exp(b · ADC)."""
    values = b1000.data.astype(np.float64) * np.exp(b * adc_mm2_s.data)
    return b1000.with_data(values.astype(np.float32), role="b0")


def adc_of(b0: npt.NDArray[Any], b1000: npt.NDArray[Any], b: float) -> npt.NDArray[np.float32]:
    """(I, J, K) ln(b0 / b1000) / b in mm²/s, 0 to 4e-3; 0 where either is not above 0."""
    valid = (b0 > 0) & (b1000 > 0)
    ratio = np.divide(b0, b1000, out=np.ones(b0.shape, np.float64), where=valid)
    return np.asarray(np.clip(np.log(ratio) / b, 0, LARGEST_ADC), dtype=np.float32)


def check_pair(b0: npt.NDArray[Any], b1000: npt.NDArray[Any], mask: npt.NDArray[np.bool_], b: float) -> None:
    """Refuse a b1000 that no diffusion weighting of this b0 gives.

    Raises
    ------
    BadInputError
        When the median ADC in the mask is no brain's: the two were swapped, or another image was given for one.
    """
    valid = mask & (b0 > 0) & (b1000 > 0)
    if not valid.any():
        raise BadInputError("b0 and b1000 have no voxel above 0 in common within the head; are they of one scan?")
    median = float(np.median(np.log(b0[valid] / b1000[valid]))) / b
    low, high = PLAUSIBLE_ADC
    if low <= median <= high:
        return
    advice = (
        "Were b0 and b1000 swapped, or was another image, such as a FLAIR, given as b1000?"
        if median < low
        else "Is the b1000 really a trace image of b 800 to 1200 on the scale of the b0?"
    )
    raise BadInputError(
        f"b0 and b1000 would give a median ADC of {median * 1e3:.2f}e-3 mm²/s in the head; "
        f"{low * 1e3:g} to {high * 1e3:g}e-3 is a brain's. {advice}"
    )


def check_adc(
    adc: npt.NDArray[Any], b0: npt.NDArray[Any], b1000: npt.NDArray[Any], mask: npt.NDArray[np.bool_], b: float
) -> tuple[str, ...]:
    """Compare an ADC that was given with that of b0 and b1000, by their medians in the head.

    Parameters
    ----------
    adc
        mm²/s, (I, J, K); voxels at 0 don't count.
    b0, b1000, mask
        (I, J, K).
    b
        Of the b1000, s/mm².

    Returns
    -------
    tuple
        A note when they differ by a factor above 1.25.

    Raises
    ------
    BadInputError
        When they differ by a factor above 2.
    """
    valid = mask & (b0 > 0) & (b1000 > 0) & (adc > 0)
    if not valid.any():
        raise BadInputError(
            "the ADC map holds no value above 0 in the head; is it of this scan? Leave it out, or mend it."
        )
    given = float(np.median(adc[valid]))
    computed = float(np.median(np.log(b0[valid] / b1000[valid]))) / b
    factor = max(given / computed, computed / given)
    if factor <= AGREEING_ADC:
        return ()
    told = (
        f"The ADC map has a median of {given * 1e3:.2f}e-3 mm²/s in the head, and b0 and b1000 at b {b:g} give "
        f"{computed * 1e3:.2f}e-3"
    )
    if factor <= CONTRADICTING_ADC:
        return (f"{told}: they should agree. Is the b value right, and the map of this scan?",)
    raise BadInputError(
        f"{told}: more than a factor of {CONTRADICTING_ADC:g} lies between them. Give the ADC map of this scan, "
        "say the right b value with --b-value, or leave the ADC map out."
    )
