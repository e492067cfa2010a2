"""Agreement of two series of numbers over a cohort, and bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from willis.errors import BadInputError

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]
NORMAL_95 = float(stats.norm.ppf(0.975))  # limits of agreement hold 95 % of the differences of a normal population

ROUNDING = 1e-12  # of the largest: two sums of the same numbers in another order lie closer


@dataclass(frozen=True)
class BlandAltman:
    """Bias and limits of agreement of two methods, each with its confidence interval.

    Parameters
    ----------
    count
        Pairs.
    bias, spread
        Mean and standard deviation (n − 1) of the differences.
    lower, upper
        Limits of agreement, bias ± 1.96 spread.
    """

    count: int
    bias: float
    spread: float
    lower: float
    upper: float
    bias_interval: Interval
    lower_interval: Interval
    upper_interval: Interval


@dataclass(frozen=True)
class Icc:
    """An intraclass correlation and its confidence interval; NaN where no value differs from any other."""

    value: float
    interval: Interval


def bland_altman(measured: npt.ArrayLike, reference: npt.ArrayLike, level: float = 0.95) -> BlandAltman:
    """Bias and limits of agreement of ``measured − reference``.

    The interval of a limit uses its standard error s √(1/n + z² / (2 (n − 1))) and Student's t with n − 1 degrees
    of freedom ([1]_, section 2.1; there z² / 2 (n − 1) is rounded so that it reads √(3/n) s).

    Parameters
    ----------
    measured, reference
        (n,), in one unit and order, n ≥ 2.
    level
        Of the intervals.

    Raises
    ------
    BadInputError
        When the series differ in length, hold fewer than two pairs or a value that isn't finite.

    References
    ----------
    .. [1] Bland and Altman 1999, doi:10.1177/096228029900800204
    """
    a, b = _paired(measured, reference)
    n = a.size
    differences = a - b
    bias, spread = float(differences.mean()), float(differences.std(ddof=1))
    t = float(stats.t.ppf((1 + level) / 2, n - 1))
    of_bias = t * spread / math.sqrt(n)
    of_limit = t * spread * math.sqrt(1 / n + NORMAL_95**2 / (2 * (n - 1)))
    lower, upper = bias - NORMAL_95 * spread, bias + NORMAL_95 * spread
    return BlandAltman(
        count=n,
        bias=bias,
        spread=spread,
        lower=lower,
        upper=upper,
        bias_interval=(bias - of_bias, bias + of_bias),
        lower_interval=(lower - of_limit, lower + of_limit),
        upper_interval=(upper - of_limit, upper + of_limit),
    )


def icc_agreement(ratings: npt.ArrayLike, level: float = 0.95) -> Icc:
    """ICC(2,1): absolute agreement of single ratings, raters drawn from many; a bias between raters lowers it.

    Value by [1]_, interval by [2]_ (table 7, ICC(A,1)).

    Parameters
    ----------
    ratings
        (n, k): n ≥ 2 subjects, each rated by the same k ≥ 2 raters.

    Raises
    ------
    BadInputError
        When the table is smaller or holds a value that isn't finite.

    References
    ----------
    .. [1] Shrout and Fleiss 1979, doi:10.1037/0033-2909.86.2.420
    .. [2] McGraw and Wong 1996, doi:10.1037/1082-989X.1.1.30
    """
    n, k, msr, msc, mse = _mean_squares(ratings)
    below = msr + (k - 1) * mse + k * (msc - mse) / n
    if below <= 0:
        return Icc(math.nan, (math.nan, math.nan))
    value = (msr - mse) / below
    if mse == 0 and msc == 0:
        return Icc(value, (value, value))
    # a and b of table 7 in one common factor, since 1 − value, by which they divide, may round to 0
    a, b = msr - mse, msc + (n - 1) * msr
    freedom = (a * msc + b * mse) ** 2 / ((a * msc) ** 2 / (k - 1) + (b * mse) ** 2 / ((n - 1) * (k - 1)))
    f_low, f_high = _f(level, n - 1, freedom), _f(level, freedom, n - 1)
    between = k * msc + (k * n - k - n) * mse
    low = n * (msr - f_low * mse) / (f_low * between + n * msr)
    high = n * (f_high * msr - mse) / (between + n * f_high * msr)
    return Icc(value, (low, high))


def icc_consistency(ratings: npt.ArrayLike, level: float = 0.95) -> Icc:
    """ICC(3,1): consistency of single ratings, these raters only; a bias between raters doesn't matter.

    Parameters, exceptions and references as for :func:`icc_agreement` (interval: ICC(C,1)).
    """
    n, k, msr, _, mse = _mean_squares(ratings)
    if msr + (k - 1) * mse <= 0:
        return Icc(math.nan, (math.nan, math.nan))
    value = (msr - mse) / (msr + (k - 1) * mse)
    if mse == 0:
        return Icc(value, (value, value))
    freedom = (n - 1) * (k - 1)
    low, high = msr / mse / _f(level, n - 1, freedom), msr / mse * _f(level, freedom, n - 1)
    return Icc(value, ((low - 1) / (low + k - 1), (high - 1) / (high + k - 1)))


def bootstrap_interval(
    values: npt.ArrayLike,
    rng: np.random.Generator,
    statistic: Callable[[Floats], float] | None = None,
    *,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval:
    """Interval of a statistic by resampling cases: bias-corrected and accelerated (BCa).

    Parameters
    ----------
    values
        (n,) or (n, columns), one row a case, all finite.
    rng
        The only source of chance.
    statistic
        Of an array like ``values``; None for the mean of (n,).

    Returns
    -------
    Low and high end. Both are the statistic itself when no resample differs from it, and NaN with fewer than two
    cases. Resamples that differ from the statistic by rounding alone are ties.

    Raises
    ------
    BadInputError
        When a value isn't finite.

    References
    ----------
    Efron 1987, doi:10.1080/01621459.1987.10478410
    """
    rows = np.asarray(values, dtype=np.float64)
    if not np.isfinite(rows).all():
        raise BadInputError("bootstrap needs finite values; leave undefined cases out first.")
    n = len(rows)
    if n < 2:
        return math.nan, math.nan
    picks = rng.integers(n, size=(resamples, n))
    if statistic is None:
        found, drawn, left_out = float(rows.mean()), rows[picks].mean(axis=1), (rows.sum() - rows) / (n - 1)
    else:
        found, drawn = float(statistic(rows)), np.array([statistic(rows[pick]) for pick in picks])
        left_out = np.array([statistic(np.delete(rows, i, axis=0)) for i in range(n)])
    drawn = np.where(np.abs(drawn - found) <= ROUNDING * np.abs(drawn).max(), found, drawn)
    if np.ptp(drawn) == 0:
        return found, found
    low, high = np.quantile(drawn, _bca_levels(found, drawn, left_out, level))
    return float(low), float(high)


def _bca_levels(found: float, drawn: Floats, left_out: Floats, level: float) -> Floats:
    """Which quantiles of the resampled statistic to take (Efron 1987, eq. 2.3 and 6.6); ties count half."""
    below = (np.count_nonzero(drawn < found) + np.count_nonzero(drawn == found) / 2) / drawn.size
    z0 = stats.norm.ppf(np.clip(below, 0.5 / drawn.size, 1 - 0.5 / drawn.size))
    d = left_out.mean() - left_out
    power = float((d**2).sum())
    acceleration = float((d**3).sum()) / (6 * power**1.5) if power else 0.0
    z = z0 + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    return np.asarray(stats.norm.cdf(z0 + z / (1 - acceleration * z)))


def _f(level: float, numerator: float, denominator: float) -> float:
    return float(stats.f.ppf((1 + level) / 2, numerator, denominator))


def _paired(measured: npt.ArrayLike, reference: npt.ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(measured, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1 or a.size < 2:
        raise BadInputError(f"agreement needs two series of one length, at least 2; found {a.shape} and {b.shape}.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise BadInputError("agreement needs finite values; leave undefined pairs out first.")
    return a, b


def _mean_squares(ratings: npt.ArrayLike) -> tuple[int, int, float, float, float]:
    """(n, k, MS of rows, MS of columns, MS of error) of a two-way analysis of variance without replication."""
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise BadInputError(f"ICC needs finite ratings of at least 2 subjects by 2 raters; found shape {table.shape}.")
    n, k = table.shape
    rows, columns, grand = table.mean(axis=1), table.mean(axis=0), table.mean()
    rest = table - rows[:, None] - columns[None, :] + grand
    rounding = (table.size * np.finfo(float).eps * np.abs(table).max()) ** 2  # the most that summing errs by

    def squares(deviations: Floats) -> float:
        return float((deviations**2 * (deviations**2 > rounding)).sum())

    msr, msc = k * squares(rows - grand) / (n - 1), n * squares(columns - grand) / (k - 1)
    return n, k, msr, msc, squares(rest) / ((n - 1) * (k - 1))
