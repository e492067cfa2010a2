"""What an infarct's age does to its water: ADC falls within minutes, T2 rises over hours, and FLAIR follows.

The course follows Lansberg et al. 2001, AJNR 22:637: ADC low through the first week and normal again in the second,
T2 rising from the start. Rates and spreads are assumed, so that FLAIR turns positive at about 3 to 6 hours in most
infarcts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from willis.phantom.acute import Acute
from willis.phantom.deform import Field, smooth_noise
from willis.phantom.mr import inversion_recovery

VISIBLE_RATIO = 1.15  # FLAIR signal over that of the mirrored side from which FLAIR shows an infarct; assumed
NORMAL_T1_MS, NORMAL_T2_MS = 1000.0, 80.0  # of parenchyma, rounded; ratios hardly depend on them
ADC_FALL_H = 0.3  # time constant of the fall
ADC_BACK_H = (130.0, 260.0)  # pseudonormalisation: the ADC rises again, to normal
T1_SHARE = 0.25  # of the relative rise of T2 that T1 takes part in


@dataclass(frozen=True)
class InfarctWater:
    """Ratios to normal tissue, (I, J, K), 1 where there is no infarct, and what was drawn."""

    adc: Field
    t2: Field
    parameters: dict[str, Any]


def draw_water(rng: np.random.Generator, acute: Acute) -> InfarctWater:
    """ADC and T2 of infarcted voxels by their hours, with the spread between and within infarcts."""
    shape = (acute.hours.shape[0], acute.hours.shape[1], acute.hours.shape[2])
    lowest = float(rng.uniform(0.42, 0.72))
    gain, time_h = float(rng.uniform(0.35, 0.95)), float(rng.uniform(6.0, 18.0))
    h = acute.hours
    depth = np.clip(lowest * (1 + 0.12 * smooth_noise(rng, shape, 5)), 0.3, 0.9)
    back = np.clip((h - ADC_BACK_H[0]) / (ADC_BACK_H[1] - ADC_BACK_H[0]), 0, 1)
    adc = 1 - (1 - depth) * (1 - np.exp(-h / ADC_FALL_H)) * (1 - back)
    pace = np.clip(1 + 0.35 * smooth_noise(rng, shape, 8) + 0.15 * smooth_noise(rng, shape, 3), 0.2, 2.5)
    t2 = 1 + gain * (1 - np.exp(-h * pace / time_h))
    parameters = {"adc_ratio": lowest, "t2_gain": gain, "t2_hours": time_h}
    return InfarctWater(adc.astype(np.float32), t2.astype(np.float32), parameters)


def spin_echo_ratio(t2_ratio: Field, te_ms: float) -> Field:
    """b0 signal of an infarct over that of normal tissue."""
    return np.asarray(np.exp(-te_ms / NORMAL_T2_MS * (1 / t2_ratio - 1)), dtype=np.float32)


def flair_ratio(t2_ratio: Field, *, tr_ms: float, te_ms: float, ti_ms: float) -> Field:
    """FLAIR signal of an infarct over that of normal tissue: its T2 and, less, its T1 are longer."""
    one = np.ones(1)

    def signal(t1: Any, t2: Any) -> Any:
        return inversion_recovery(one, t1, t2, tr=tr_ms, te=te_ms, ti=ti_ms)

    t1 = NORMAL_T1_MS * (1 + T1_SHARE * (t2_ratio - 1))
    normal = float(signal(NORMAL_T1_MS * one, NORMAL_T2_MS * one)[0])
    return np.asarray(signal(t1, NORMAL_T2_MS * t2_ratio) / normal, dtype=np.float32)
