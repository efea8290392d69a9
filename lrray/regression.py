"""Slopes over units that each were measured at several places, as seeds along a ladder of pairs.

Every unit has a level of its own, which the slope within it does not see: in a design in which all
units stand at the same places this gives the estimate of a model with random levels (a random
intercept), whatever their law. Errors are taken from unit to unit, so they hold as well where
units differ in their slopes or their scatter changes along the way, which a random intercept alone
would take for certainty.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrray.statistics import Summary, measured, sign_flip_p_value, t_quantile

_RANK = 1e-9
"""Share of a column's own size below which what is left of it counts as nothing."""


@dataclass(frozen=True)
class Slope:
    """A common slope within units."""

    slope: Summary
    """``n`` is the number of units; its interval is Student's, over units (jackknife)."""
    p_value: float
    """Of "no slope", by flipping the signs of the units' contributions; NaN without any."""


def within_slope(
    x: ArrayLike, y: ArrayLike, units: Sequence[Hashable], held: ArrayLike | None = None
) -> Slope:
    """The slope of ``y`` over ``x`` within units.

    Args:
        x: ``[n]`` places.
        y: ``[n]`` outcomes.
        units: ``[n]``, whose each measurement is; units of a single one say nothing.
        held: ``[n]`` or ``[n, k]`` covariates, whose own effect on ``y`` is held.

    Returns:
        The least-squares slope with a level for each unit; NaN where ``x`` does not vary within
        units, or only as the covariates do.

    Raises:
        ValueError: lengths differ, or a number is not finite.
    """
    columns = [np.asarray(part, float) for part in (x, y)]
    if held is not None:
        columns += list(np.asarray(held, float).reshape(len(columns[0]), -1).T)
    if len({len(column) for column in columns} | {len(units)}) != 1:
        raise ValueError("x, y, units and covariates need equal lengths")
    table = np.stack(columns, axis=1)
    if not np.isfinite(table).all():
        raise ValueError("a slope needs finite numbers")
    names = list(dict.fromkeys(units))
    label = np.array([names.index(unit) for unit in units])
    parts = [table[label == i] - table[label == i].mean(axis=0) for i in range(len(names))]
    parts = [part for part in parts if len(part) > 1]
    slope = _slope(parts)
    if len(parts) < 2 or np.isnan(slope):
        return Slope(Summary(len(parts), slope, np.nan, np.nan, np.nan), np.nan)
    without = [_slope(parts[:i] + parts[i + 1 :]) for i in range(len(parts))]
    n = len(parts)
    error = float(np.sqrt((n - 1) / n * np.sum((np.array(without) - np.mean(without)) ** 2)))
    return Slope(measured(slope, error, n), sign_flip_p_value(_contributions(parts)))


def _residuals(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """``[n, 2]``: x and y of all units, each at its own mean, without what covariates explain."""
    table = np.concatenate(parts)
    both, covariates = table[:, :2], table[:, 2:]
    if covariates.shape[1]:
        both = both - covariates @ np.linalg.lstsq(covariates, both, rcond=None)[0]
    return both


def _slope(parts: Sequence[NDArray[np.float64]]) -> float:
    if not parts:
        return float("nan")
    x, y = _residuals(parts).T
    whole = float(np.sum(np.concatenate(parts)[:, 0] ** 2))
    return float(x @ y / (x @ x)) if x @ x > _RANK * whole else float("nan")


def _contributions(parts: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """``[units]``: what each adds to the slope's numerator; their mean is 0 without a slope."""
    x, y = _residuals(parts).T
    ends = np.cumsum([len(part) for part in parts])[:-1]
    return np.array([own.sum() for own in np.split(x * y, ends)])


def smallest_effect(deviation: float, n: int, power: float = 0.8, size: float = 0.05) -> float:
    """Mean of ``n`` normal values that a two-sided t test of this size finds with this power.

    Args:
        deviation: standard deviation of the values, as observed.
        n: how many; NaN below 2.
        power: share of experiments in which it is to be found.
        size: of the test.
    """
    if n < 2 or not np.isfinite(deviation):
        return float("nan")
    if deviation == 0:
        return 0.0

    limit = t_quantile(1 - size / 2, n - 1)
    low, high = 0.0, 10.0
    while _power(high, n, limit) < power:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _power(middle, n, limit) < power else (low, middle)
    return high * deviation / float(np.sqrt(n))


def _power(shift: float, n: int, limit: float) -> float:
    """Power of the t test where the mean is ``shift`` standard errors."""
    from scipy import stats  # takes long to load, and most reports do without

    above = stats.nct.sf(limit, n - 1, shift)
    return float(above + stats.nct.cdf(-limit, n - 1, shift))
