"""Signal equations of MR sequences, magnitudes in units of full proton density."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]


def spin_echo(pd: Values, t1: Values, t2: Values, *, tr: float, te: float) -> Values:
    """Spin echo: PD (1 − e^(−TR/T1)) e^(−TE/T2); all times in ms."""
    return np.asarray(pd * (1 - np.exp(-tr / t1)) * np.exp(-te / t2))


def inversion_recovery(
    pd: Values, t1: Values, t2: Values, *, tr: float, te: float, ti: float, train_ms: float = 0.0
) -> Values:
    """Inversion-recovery turbo spin echo (FLAIR), magnitude.

    The echo train of length ``train_ms`` leaves no longitudinal magnetisation, so recovery lasts TR − train:
    PD |1 − 2 e^(−TI/T1) + e^(−(TR − train)/T1)| e^(−TE/T2). All times in ms.
    """
    recovered = 1 - 2 * np.exp(-ti / t1) + np.exp(-(tr - train_ms) / t1)
    return np.asarray(pd * np.abs(recovered) * np.exp(-te / t2))


def null_inversion_time(t1: float, *, tr: float, train_ms: float = 0.0) -> float:
    """TI (ms) at which ``inversion_recovery`` of this T1 vanishes: T1 ln(2 / (1 + e^(−(TR − train)/T1)))."""
    return float(t1 * np.log(2 / (1 + np.exp(-(tr - train_ms) / t1))))


def mprage(
    pd: Values, t1: Values, t2star: Values, *, tr: float, ti: float, te: float, flip_deg: float,
    echo_spacing: float, echoes: int, inversion: float = 0.96,
) -> Values:  # fmt: skip
    """Steady state of MPRAGE at the middle of its readout train.

    ``tr`` from inversion to inversion, ``ti`` from inversion to the middle echo, all times in ms; ``inversion`` is
    the efficiency of the pulse.

    References
    ----------
    Deichmann 2000, doi:10.1006/nimg.2000.0601 (T1* and the driven equilibrium of the train);
    Wang 2014, doi:10.1371/journal.pone.0096899.
    """
    cos, sin = np.cos(np.deg2rad(flip_deg)), np.sin(np.deg2rad(flip_deg))
    before = ti - echo_spacing * echoes / 2
    after = tr - before - echo_spacing * echoes
    e_before, e_after, e_echo = (np.exp(-t / t1) for t in (before, after, echo_spacing))
    driven = pd * (1 - e_echo) / (1 - cos * e_echo)
    decay = (cos * e_echo) ** echoes
    # the magnetisation at the train's start reproduces itself after one cycle: solve the linear equation
    constant = pd * (1 - e_before) - inversion * e_before * (pd * (1 - e_after) + e_after * driven * (1 - decay))
    start = constant / (1 + inversion * e_before * e_after * decay)
    middle = driven + (start - driven) * (cos * e_echo) ** (echoes // 2)
    return np.asarray(sin * np.abs(middle) * np.exp(-te / t2star))


def spoiled_gradient_echo(pd: Values, t1: Values, t2star: Values, *, tr: float, te: float, flip_deg: float) -> Values:
    """Spoiled gradient echo (Ernst): PD sin α (1 − E1) / (1 − cos α E1) e^(−TE/T2*); times in ms."""
    e1 = np.exp(-tr / t1)
    angle = np.deg2rad(flip_deg)
    return np.asarray(pd * np.sin(angle) * (1 - e1) / (1 - np.cos(angle) * e1) * np.exp(-te / t2star))


def diffusion_weighted(b0: Values, adc: Values, *, b: float) -> Values:
    """S = S0 e^(−b ADC); b in s/mm², ADC in 1e-3 mm²/s."""
    return np.asarray(b0 * np.exp(-b * adc * 1e-3))
