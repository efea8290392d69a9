"""Permuting answers so that as few rows as possible keep a right one."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np


def value_derangement(right: Sequence[Sequence[bool]], rng: random.Random) -> list[int]:
    """For each row the row whose answer it gets: a random permutation with fewest fixed points.

    A fixed point is a row that gets an answer which is right for it, be it another row's: a
    permutation of rows that moves every row may still leave each with its true value. The
    permutation is the assignment of least cost, where a fixed point costs more than all random
    costs together; so the number of fixed points is the smallest possible, and zero wherever
    the values allow it. O(n³) for n rows.

    Args:
        right: ``right[i][j]`` tells whether row j's answer is right for row i.
        rng: source of the random costs.
    """
    from scipy.optimize import linear_sum_assignment  # takes long to load, and no plan needs it

    n = len(right)
    costs = np.array([[rng.random() + n * bool(right[i][j]) for j in range(n)] for i in range(n)])
    _, donors = linear_sum_assignment(costs)
    return [int(donor) for donor in donors]


def fixed_points(right: Sequence[Sequence[bool]], donors: Sequence[int]) -> list[int]:
    """Rows that keep a right answer when row i gets the answer of row ``donors[i]``."""
    return [i for i, donor in enumerate(donors) if right[i][donor]]
