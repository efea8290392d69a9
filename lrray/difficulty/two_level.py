"""A difference estimator: a cheap measure on all kernel draws, the exact one on some of them.

zlib at level 6 takes a thirteenth of level 9's time and, over kernel draws, its result moves with
level 9's: their difference varies ten times less than either. So the mean of level 9 is estimated
by the mean of level 6 over all draws plus the mean difference over a few, which no bias enters
(Cochran 1977, Sampling Techniques, section 7.2, with slope 1).

Letters: N draws in all, n of them measured exactly; ``b`` and ``e`` what a draw takes without its
exact measure and the exact measure alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

HANDFUL = 4
"""Draws that are measured both ways before the rest is decided; the least n, so that the spread of
the differences, a small part of the error, is known."""


def num_exact(cheap: ArrayLike, exact: ArrayLike, base_cost: float, exact_cost: float) -> int:
    """How many of all draws to measure exactly for the least error in a given time.

    With differences of variance D and exact values of variance V, the estimate's variance is
    ``(V - D) / N + D / n`` and its time ``N b + n e``; their product is least at
    ``n / N = sqrt(D b / ((V - D) e))``. V - D is the cheap values' variance but for how they move
    with the differences, and known from all draws; D from the first handful.

    Args:
        cheap: ``[N]`` values of the cheap measure.
        exact: ``[HANDFUL]`` values of the exact one on the first draws.
        base_cost: b.
        exact_cost: e.

    Returns:
        n; it is N where that takes no longer for the same error: the measures are not alike.
    """
    values, known = np.asarray(cheap, float), np.asarray(exact, float)
    num_draws, handful = len(values), len(known)
    if num_draws <= handful:
        return num_draws
    of_difference = float((known - values[:handful]).var(ddof=1))
    of_draws = float(values.var(ddof=1))
    if of_draws <= 0:
        return num_draws
    ratio = math.sqrt(of_difference * base_cost / (of_draws * exact_cost))
    best = min(num_draws, max(handful, round(num_draws * ratio)))

    def error_by_time(n: int) -> float:
        variance = of_draws / num_draws + of_difference / n
        return variance * (num_draws * base_cost + n * exact_cost)

    return best if error_by_time(best) < error_by_time(num_draws) else num_draws


def contributions(cheap: ArrayLike, exact: ArrayLike) -> NDArray[np.float64]:
    """What every draw adds to the estimate, ``[N]``.

    Their mean is the difference estimate and their standard deviation over ``sqrt(N)`` its standard
    error, so that estimates of further draws are joined by putting theirs together. A draw measured
    both ways stands for N / n differences; where all are, these are the exact values.

    Args:
        cheap: ``[N]`` values of the cheap measure.
        exact: ``[n]`` values of the exact one on the first draws, n >= 2 or n = N.
    """
    values, known = np.array(cheap, float), np.asarray(exact, float)
    count, n = len(values), len(known)
    if n == count:
        return known.copy()
    differences = known - values[:n]
    # The second factor makes up for n - 1 degrees of freedom, so that the part of the differences
    # in the squared standard error, D / n, has no bias.
    stretch = count / n * math.sqrt(n * (count - 1) / ((n - 1) * count))
    values += differences.mean()
    values[:n] += stretch * (differences - differences.mean())
    return values


def num_repeats(values: Sequence[ArrayLike], most: int, base_cost: float, cost: float) -> int:
    """How many repeats of a noisy measure to make per draw for the least error in a given time.

    With variance B between draws and W within one, m repeats give ``(B + W / m) (b + m c)``, least
    at ``m = sqrt(W b / (B c))``.

    Args:
        values: of each of some draws, the repeats made, equally many each.
        most: repeats that there may be.
        base_cost: b, what a draw takes without them.
        cost: c, of one repeat.
    """
    table = np.asarray(values, float)
    if most <= 1 or table.shape[0] < 2 or table.shape[1] < 2:
        return most
    within = float(table.var(axis=1, ddof=1).mean())
    between = float(table.mean(axis=1).var(ddof=1)) - within / table.shape[1]
    if between <= 0:
        return most
    return min(most, max(1, round(math.sqrt(within * base_cost / (between * cost)))))
